import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';

const [vip4, vip6] = ['10.9.0.5', '2001:db8::5'];
/** Two clients of each IP version. */
const [friend4, stranger4, friend6, stranger6] = ['10.9.1.1', '10.9.2.1', '2001:db8::1:1', '2001:db8::2:1'];
const friends = ['10.9.1.0/24', '2001:db8::1:0/112'];

let amphora: string;
let outside: string;

/** An amphora's namespace and one where its clients live, joined by a cable. */
beforeEach(async () => {
  const name = `livia-${randomBytes(3).toString('hex')}`;
  [amphora, outside] = [`${name}-a`, `${name}-b`];
  for (const namespace of [amphora, outside]) await run(['ip', 'netns', 'add', namespace]);
  await run(['ip', '-n', amphora, 'link', 'set', 'lo', 'up']);
  await run(['ip', '-n', amphora, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'eth0', 'netns', outside]);
  for (const [namespace, addresses] of [
    [amphora, [vip4, vip6]],
    [outside, [friend4, stranger4, friend6, stranger6]],
  ] as const) {
    await run(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
    for (const address of addresses) {
      const options = address.includes(':') ? [`${address}/64`, 'nodad'] : [`${address}/16`];
      await run(['ip', '-n', namespace, 'address', 'add', ...options, 'dev', 'eth0']);
    }
  }
});
afterEach(async () => {
  for (const namespace of [amphora, outside]) await run(['ip', 'netns', 'del', namespace]);
});

/** A client that asks for a page with each line it is told, on one connection, and says what it hears. */
const client = `
  const [address, host, port] = process.argv.slice(-3);
  const socket = require('node:net').connect({ host, port: Number(port), localAddress: address });
  const say = (what) => process.stdout.write(what + '\\n');
  socket.on('data', (said) => say(said.toString().trim().split('\\n').at(-1)));
  socket.on('error', ({ code }) => say(code));
  process.stdin.on('data', () => socket.write('GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n'));
  process.stdin.on('end', () => process.exit());
`;

/**
 * What comes of these steps beside an agent and a member in the amphora's namespace. Each may `put` allowed CIDRs
 * on its HTTP listener, have a client `connect` and `ask`, or look who `hears` what of a connection of its own.
 */
async function agentDoes<T>(steps: string): Promise<T> {
  const program = `
    import { spawn, execFileSync } from 'node:child_process';
    import { once } from 'node:events';
    import { mkdtemp, rm, writeFile } from 'node:fs/promises';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { aListener, aMember, aPool, aWanted, id } from ${JSON.stringify(join(import.meta.dirname, '../plan/haproxy/wanted.fixture.ts'))};
    import { AgentUnderTest, eventually, testMember } from ${JSON.stringify(join(import.meta.dirname, 'agent.fixture.ts'))};
    const programs = await mkdtemp('/tmp/admission-');
    const agent = await AgentUnderTest.start({ PATH: programs + ':' + process.env.PATH });
    const member = await testMember('web');
    let generation = 0;
    const put = async (allowedCidrs, listeners = [aListener(1, { port: 80, defaultPoolId: id('p', 1), allowedCidrs })]) => {
      generation += 1;
      const pools = [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port })] })];
      const wanted = aWanted({ generation, listeners, pools });
      wanted.loadBalancer.vipAddresses = ${JSON.stringify([vip4, vip6])};
      const { change, why, refused } = await agent.put(wanted);
      return { change, why, refused };
    };
    const clients = new Set();
    const connect = (address) => {
      const vip = address.includes(':') ? '${vip6}' : '${vip4}';
      const child = spawn('ip', ['netns', 'exec', '${outside}', process.execPath, '-e', ${JSON.stringify(client)}, address, vip, '80'], { stdio: ['pipe', 'pipe', 'inherit'] });
      clients.add(child);
      return child;
    };
    const ask = async (child) => {
      const heard = once(child.stdout, 'data');
      child.stdin.write('ask\\n');
      const [said] = await Promise.race([heard, sleep(2000).then(() => ['silence'])]);
      return said.toString().trim();
    };
    const hears = () => Promise.all(${JSON.stringify([friend4, stranger4, friend6, stranger6])}.map((address) => ask(connect(address))));
    try {
      const said = await (async () => { ${steps} })();
      process.stdout.write(JSON.stringify(said));
    } finally {
      for (const child of clients) child.kill();
      member.close();
      await rm(programs, { recursive: true });
      await agent.remove();
    }`;
  const node = [process.execPath, '--input-type=module', '-e', program];
  return JSON.parse(await run(['ip', 'netns', 'exec', amphora, ...node], { timeoutMs: 60_000 })) as T;
}

const everybody = ['web', 'web', 'web', 'web'];
const friendsAlone = ['web', 'silence', 'web', 'silence'];
const nobody = ['silence', 'silence', 'silence', 'silence'];

describe('allowed CIDRs', () => {
  it('let in whom they name, at every VIP; others hear nothing; HAProxy is told nothing', async () => {
    const said = await agentDoes<unknown[]>(`
      const said = [await put(${JSON.stringify(friends)}), await hears()];
      for (const cidrs of [['${friend4}/32'], [], null]) said.push(await put(cidrs), await hears());
      return said;`);
    const told = { change: 'runtime', why: 'allowed CIDRs', refused: [] };
    const v4Alone = ['web', 'silence', 'silence', 'silence'];
    expect(said).toEqual([
      { change: 'start', refused: [] },
      friendsAlone,
      ...[told, v4Alone, told, nobody, told, everybody],
    ]);
  });

  it('leave the connections that are there alone', async () => {
    const said = await agentDoes<unknown[]>(`
      await put(null);
      const old = connect('${stranger4}');
      const before = await ask(old);
      await put(${JSON.stringify(friends)});
      return [before, await ask(old), await hears()];`);
    expect(said).toEqual(['web', 'web', friendsAlone]);
  });

  it('stand again when somebody has removed them, and go on when the agent is killed', async () => {
    const said = await agentDoes<unknown[]>(`
      const rules = () => execFileSync('nft', ['list', 'ruleset']).toString();
      await put(${JSON.stringify(friends)});
      const loaded = rules();
      execFileSync('nft', ['flush', 'ruleset']);
      await eventually(() => (rules() === loaded ? true : undefined));
      await agent.kill();
      execFileSync('nft', ['flush', 'ruleset']);
      await agent.spawn();
      return [rules() === loaded, await hears()];`);
    expect(said).toEqual([true, friendsAlone]);
  });

  it('are there before a port opens: a kernel that takes no rules is asked again later', async () => {
    const [refused, meanwhile, served] = await agentDoes<[string, string[], string[]]>(`
      const nft = programs + '/nft';
      await writeFile(nft, '#!/bin/sh\\necho no memory >&2; exit 1', { mode: 0o755 });
      const refused = await put(${JSON.stringify(friends)}).catch((error) => error.message);
      const meanwhile = await hears();
      await rm(nft);
      await put(${JSON.stringify(friends)});
      return [refused, meanwhile, await hears()];`);
    expect(refused).toMatch(/^5\d\d: .*no memory/);
    expect(meanwhile).toEqual(Array.from({ length: 4 }, () => 'ECONNREFUSED'));
    expect(served).toEqual(friendsAlone);
  });

  it('are gone with the last listener that has some', async () => {
    const said = await agentDoes<string[]>(`
      const tables = () => execFileSync('nft', ['list', 'tables']).toString();
      const seen = [tables()];
      for (const listeners of [undefined, []]) {
        await put(${JSON.stringify(friends)}, listeners);
        seen.push(tables());
      }
      return seen;`);
    expect(said).toEqual(['', 'table inet livia-allowed\n', '']);
  });
});
