import { join } from 'node:path';
import { startPostgres } from './embedded.ts';

/** A parent of a private server for tests: says the server's number, stops it on a word, or is killed. */
const [folder = ''] = process.argv.slice(2);
const server = await startPostgres({
  dataDir: join(folder, 'data'),
  socketDir: join(folder, 'run'),
  logFile: join(folder, 'log'),
  settings: { fsync: 'off' },
});
process.stdout.write(`${server.pid}\n`);
process.stdin.once('data', () => {
  void server.stop().then(() => process.exit(0));
});
