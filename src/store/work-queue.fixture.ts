import { openStore } from './open-store.ts';

/** A worker for tests: takes what is due, says so, and never comes to an end. */
const [host = '', database = '', user = '', leaseMs = ''] = process.argv.slice(2);
const store = await openStore({ host, port: 5432, database, user });
const claims = await store.work.claim('the doomed', 10, Number(leaseMs));
process.stdout.write(`${claims.map((claim) => claim.key).join(' ')}\n`);
setInterval(() => {}, 1000);
