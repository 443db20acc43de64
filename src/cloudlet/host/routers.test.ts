import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run, tryRun } from '../../platform/run.ts';
import type { Host, HostRouter, InstanceSpec, Nic } from './host.ts';
import { openHost } from './open-host.ts';
import { aName, aNetwork, anInstance, ask, eventually, needRoot, quiet, webServer } from './host.fixture.ts';

let stateDir: string;
let name: string;
let host: Host;
let outer: ReturnType<typeof aNetwork>;
let inner: ReturnType<typeof aNetwork>;
let router: HostRouter;
let floating: string;

beforeEach(async () => {
  needRoot();
  stateDir = await mkdtemp(join(tmpdir(), 'livia-host-'));
  name = aName();
  host = await openHost({ stateDir, name, log: quiet });
  outer = aNetwork();
  inner = aNetwork();
  await host.ensureNetwork(outer.network);
  await host.ensureNetwork({ ...inner.network, hostAddresses: [] });
  const [way, home] = [outer.card(), inner.card()];
  floating = outer.card().address;
  router = {
    id: `router-${name}`,
    cards: [
      { ...home, addresses: [`${inner.gateway}/24`], gateways: [] },
      { ...way, addresses: [`${way.address}/24`], gateways: [outer.gateway] },
    ],
    routes: [],
    outerMac: way.macAddress,
    outerAddress: way.address,
    floating: [],
  };
});
afterEach(async () => {
  await host?.close();
  await rm(stateDir, { recursive: true });
});

/** Behind the router, with a web server and a UDP server that answers with its own name. */
function insideSpec(card: Nic): InstanceSpec {
  const udp = `${process.execPath} -e '
const socket = require("dgram").createSocket("udp4");
socket.on("message", (text, from) => socket.send("I am " + require("os").hostname(), from.port, from.address)).bind(53)' &`;
  const nic = { ...card, addresses: card.addresses.slice(0, 1), gateways: card.gateways.slice(0, 1) };
  return anInstance({ nics: [nic], bootScript: `${udp}\n${webServer}` });
}

async function bootInside(card: Nic): Promise<{ name: string; pid: number }> {
  const spec = insideSpec(card);
  await host.boot(spec);
  const { pid } = await host.observe(spec.id);
  if (pid === null) throw new Error('the instance died at once');
  return { name: spec.name, pid };
}

async function askByUdp(address: string): Promise<string> {
  const socket = createSocket('udp4');
  try {
    return await eventually(async () => {
      socket.send('who?', 53, address);
      const answer = once(socket, 'message').then(([text]) => String(text));
      return Promise.race([
        answer,
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 200)),
      ]);
    });
  } finally {
    socket.close();
  }
}
/** Another program makes both networks, the instance and the router, and is killed the hard way. */
async function runAndKill(spec: InstanceSpec, wanted: HostRouter): Promise<void> {
  const script = join(stateDir, 'earlier.ts');
  const networks = [outer.network, { ...inner.network, hostAddresses: [] }];
  await writeFile(
    script,
    `import { openHost } from '${import.meta.dirname}/open-host.ts';
     import { quiet } from '${import.meta.dirname}/host.fixture.ts';
     const host = await openHost({ stateDir: '${stateDir}', name: '${name}', log: quiet });
     for (const network of ${JSON.stringify(networks)}) await host.ensureNetwork(network);
     await host.boot(${JSON.stringify(spec)});
     await host.ensureRouter(${JSON.stringify(wanted)});
     console.log('done');
     setInterval(() => {}, 1000);`,
  );
  const earlier = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(earlier.stdout, 'data');
  earlier.kill('SIGKILL');
  await once(earlier, 'exit');
}

const pointing = (card: { address: string }): HostRouter => ({
  ...router,
  floating: [{ outer: floating, inner: card.address }],
});

describe('a floating address', () => {
  it('carries TCP and UDP to the instance it points at, and what that sends leaves with it', async () => {
    const card = inner.card();
    const instance = await bootInside(card);
    await host.ensureRouter(pointing(card));
    expect(await ask(floating)).toBe(`I am ${instance.name}`);
    expect(await askByUdp(floating)).toBe(`I am ${instance.name}`);
    expect(await sourceSeenFrom(instance.pid)).toBe(floating);
  });

  it('is reached from behind its own router as well', async () => {
    const [web, other] = [inner.card(), inner.card()];
    const instance = await bootInside(web);
    const neighbour = await bootInside(other);
    await host.ensureRouter(pointing(web));
    expect(await ask(floating, neighbour.pid)).toBe(`I am ${instance.name}`);
  });

  it('that is moved takes what was under way along', async () => {
    const [one, two] = [inner.card(), inner.card()];
    await bootInside(one);
    const heir = await bootInside(two);
    await host.ensureRouter(pointing(one));
    const socket = createSocket('udp4').bind();
    await once(socket, 'listening');
    const answers: string[] = [];
    socket.on('message', (text) => answers.push(String(text)));
    const say = async () => {
      socket.send('who?', 53, floating);
      return answers.at(-1);
    };
    await eventually(say);
    await host.ensureRouter(pointing(two));
    await eventually(async () => ((await say()) === `I am ${heir.name}` ? true : undefined));
    socket.close();
    expect(await ask(floating)).toBe(`I am ${heir.name}`);
  });

  it('that is given up answers no more', async () => {
    const card = inner.card();
    await bootInside(card);
    await host.ensureRouter(pointing(card));
    await ask(floating);
    await host.ensureRouter(router);
    const curl = await tryRun(['curl', '--silent', '--max-time', '2', `http://${floating}/`]);
    expect(curl.code).not.toBe(0);
  });
});

describe('a router', () => {
  it('lets instances without a floating address out under its own', async () => {
    const instance = await bootInside(inner.card());
    await host.ensureRouter(router);
    expect(await sourceSeenFrom(instance.pid)).toBe(router.outerAddress);
  });

  it('joins inner networks, and forgets one it is taken from', async () => {
    const second = aNetwork();
    await host.ensureNetwork({ ...second.network, hostAddresses: [] });
    const card = second.card();
    const instance = await bootInside(card);
    const client = await bootInside(inner.card());
    const joint = { ...second.card(), addresses: [`${second.gateway}/24`], gateways: [] };
    await host.ensureRouter({ ...router, cards: [...router.cards, joint] });
    expect(await ask(card.address, client.pid)).toBe(`I am ${instance.name}`);
    await host.ensureRouter(router);
    const curl = ['curl', '--silent', '--max-time', '2', `http://${card.address}/`];
    const answer = await tryRun(['nsenter', `--net=/proc/${client.pid}/ns/net`, ...curl]);
    expect(answer.code).not.toBe(0);
  });

  it('follows its routes and gives up those that are gone', async () => {
    await host.ensureRouter({
      ...router,
      routes: [{ destination: '203.0.113.0/24', nexthop: inner.card().address }],
    });
    const routes = async () => run(['nsenter', `--net=/proc/${await holder()}/ns/net`, 'ip', 'route']);
    expect(await routes()).toContain('203.0.113.0/24 via');
    await host.ensureRouter(router);
    expect(await routes()).not.toContain('203.0.113.0/24');
    expect(await routes()).toContain(`default via ${outer.gateway}`);
  });

  it('serves on after kill -9 of the cloud, and the next one goes on with it', async () => {
    const card = inner.card();
    const spec = insideSpec(card);
    await host.close();
    await runAndKill(spec, pointing(card));
    const before = await holder();
    expect(await ask(floating)).toBe(`I am ${spec.name}`);
    host = await openHost({ stateDir, name, log: quiet });
    expect(host.routers()).toEqual([router.id]);
    await host.ensureRouter(pointing(card));
    expect(await holder()).toBe(before);
    expect(await ask(floating)).toBe(`I am ${spec.name}`);
  });

  it('leaves nothing behind', async () => {
    await host.ensureRouter(router);
    const pid = await holder();
    await host.removeRouter(router.id);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(host.routers()).toEqual([]);
  });
});

describe('a limit of a card', () => {
  it('drops what is more, each direction by itself, and none when it is taken away', async () => {
    const card = inner.card();
    await bootInside(card);
    await host.ensureRouter(pointing(card));
    const answered = async (): Promise<number> => {
      const socket = createSocket('udp4').bind();
      let answers = 0;
      socket.on('message', () => (answers += 1));
      for (let i = 0; i < 100; i += 1) socket.send(Buffer.alloc(1000, 'x'), 53, floating);
      await ask(floating); // what was not dropped has been answered by then
      socket.close();
      return answers;
    };
    await askByUdp(floating);
    expect(await answered()).toBeGreaterThan(50);
    const slow = { macAddress: card.macAddress, bytesPerSecond: 1000 };
    await host.limitCards([{ ...slow, burstBytes: 20_000, direction: 'ingress' }]);
    expect(await answered()).toBeLessThan(50);
    // The answers are short.
    await host.limitCards([{ ...slow, burstBytes: 2000, direction: 'egress' }]);
    expect(await answered()).toBeLessThan(50);
    await host.limitCards([]);
    expect(await answered()).toBeGreaterThan(50);
  });
});

const holder = async () => Number.parseInt(await readFile(join(stateDir, 'routers', router.id), 'utf8'), 10);

/** The address a server of the machine sees when the process's network asks it. */
async function sourceSeenFrom(pid: number): Promise<string> {
  const server = createServer((request, answer) => answer.end(request.socket.remoteAddress));
  server.listen(0, outer.gateway);
  await once(server, 'listening');
  try {
    return await ask(`${outer.gateway}:${(server.address() as AddressInfo).port}`, pid);
  } finally {
    server.close();
  }
}
