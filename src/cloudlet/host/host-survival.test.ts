import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asNobody, userNamespaces } from '../../../test/ordinary-user.ts';
import { run, tryRun } from '../../platform/run.ts';
import type { Host, HostNetwork, InstanceSpec, InstanceState } from './host.ts';
import { openHost } from './open-host.ts';
import { aName, aNetwork, anInstance, ask, eventually, groupsOf, needRoot, quiet } from './host.fixture.ts';
import { linksOf } from './links.ts';
import { findProcess, killProcess } from './processes.ts';

let stateDir: string;
let name: string;
let host: Host | undefined;
let earlier: ChildProcess | undefined;
const lan = aNetwork();

beforeEach(async () => {
  needRoot();
  stateDir = await mkdtemp(join(tmpdir(), 'livia-host-'));
  name = aName();
});
afterEach(async () => {
  earlier?.kill('SIGKILL');
  host ??= await openHost({ stateDir, name, log: quiet });
  await host.close();
  host = undefined;
  await rm(stateDir, { recursive: true });
  expect(await groupsOf(name)).toEqual([]);
});

/** Another program opens the host, boots the instance, and is killed the hard way. Gives PID 1 of the instance. */
async function bootAndCrash(spec: InstanceSpec, network: HostNetwork): Promise<number> {
  const script = join(stateDir, 'earlier.ts');
  await writeFile(
    script,
    `import { openHost } from '${import.meta.dirname}/open-host.ts';
     import { quiet } from '${import.meta.dirname}/host.fixture.ts';
     const host = await openHost({ stateDir: '${stateDir}', name: '${name}', log: quiet });
     await host.ensureNetwork(${JSON.stringify(network)});
     await host.boot(${JSON.stringify(spec)});
     console.log((await host.observe('${spec.id}')).pid);
     setInterval(() => {}, 1000);`,
  );
  earlier = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await once(earlier.stdout!, 'data');
  earlier.kill('SIGKILL');
  await once(earlier, 'exit');
  return Number(said);
}
const open = () => openHost({ stateDir, name, log: quiet });
const holder = async () => Number.parseInt(await readFile(join(stateDir, 'holder'), 'utf8'), 10);
async function kill(pid: number): Promise<void> {
  const victim = await findProcess(pid);
  if (victim !== undefined) await killProcess(victim);
}

describe('after the death of the program that opened it', () => {
  it('an instance goes on serving and is taken over', async () => {
    const card = lan.card();
    const spec = anInstance({ nics: [card] });
    const pid = await bootAndCrash(spec, lan.network);
    expect(await ask(card.address)).toBe(`I am ${spec.name}`);
    host = await open();
    await host.ensureNetwork(lan.network);
    await host.boot(spec);
    expect(await host.observe(spec.id)).toMatchObject({ alive: true, pid });
    expect(await ask(card.address)).toBe(`I am ${spec.name}`);
    await host.kill(spec.id);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('the death of an instance that was taken over is told', async () => {
    const spec = anInstance({});
    const pid = await bootAndCrash(spec, lan.network);
    host = await open();
    const death = new Promise<[string, InstanceState]>((resolve) => {
      host?.onDeath((id, state) => resolve([id, state]));
    });
    process.kill(pid, 'SIGKILL');
    expect(await death).toMatchObject([
      spec.id,
      { alive: false, reason: 'its first process ended (unseen)' },
    ]);
  });

  it('an instance that died meanwhile is known as dead, and nothing is left of it but its console', async () => {
    const spec = anInstance({ nics: [lan.card()], bootScript: 'echo hello; exec sleep 1000' });
    const pid = await bootAndCrash(spec, lan.network);
    const console = () => readFile(join(stateDir, 'instances', spec.id, 'console.log'), 'utf8');
    await eventually(async () => ((await console()) === 'hello\n' ? true : undefined));
    await kill(pid);
    host = await open();
    expect(await host.observe(spec.id)).toMatchObject({
      alive: false,
      reason: 'its first process ended (unseen)',
    });
    expect((await groupsOf(name)).filter((group) => group.includes(spec.id))).toEqual([]);
    expect(await console()).toMatch(/^hello\n/);
    await host.boot(spec);
    expect(await host.observe(spec.id)).toMatchObject({ alive: true });
  });

  it('a cloud whose network was killed as well is swept away', async () => {
    const card = lan.card();
    const spec = anInstance({ nics: [card] });
    const pid = await bootAndCrash(spec, lan.network);
    await kill(await holder());
    host = await open();
    expect(await host.observe(spec.id)).toMatchObject({ alive: false });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await host.ensureNetwork(lan.network);
    await host.boot(spec);
    expect(await ask(card.address)).toBe(`I am ${spec.name}`);
  });

  it('a cloud whose records are lost is swept away', async () => {
    const spec = anInstance({ nics: [lan.card()] });
    const pid = await bootAndCrash(spec, lan.network);
    const lost = await holder();
    await rm(join(stateDir, 'holder'));
    await rm(join(stateDir, 'instances'), { recursive: true });
    host = await open();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect([...(await linksOf('self'))].filter((link) => link.startsWith(`l${name}-`))).toEqual([]);
    await host.ensureNetwork(lan.network);
    await kill(lost);
  });
});

describe('while the program lives', () => {
  it('the death of the holder cuts nothing, and another takes its place', async () => {
    host = await open();
    await host.ensureNetwork(lan.network);
    const card = lan.card();
    const spec = anInstance({ nics: [card] });
    await host.boot(spec);
    const before = await holder();
    await kill(before);
    expect(await ask(card.address)).toBe(`I am ${spec.name}`);
    await eventually(async () => ((await holder()) === before ? undefined : true));
    await host.ensureNetwork(lan.network);
    const second = anInstance({ nics: [lan.card()] });
    await host.boot(second);
    expect(await ask(second.nics[0]!.addresses[0]!.split('/')[0]!)).toBe(`I am ${second.name}`);
    expect(await ask(card.address)).toBe(`I am ${spec.name}`);
  });
});

const namespaces = await userNamespaces();

describe('without root', () => {
  let folder: string;
  let program: string[];
  const card = lan.card();
  const spec = anInstance({ nics: [card] });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'livia-rootless-'));
    // The other user may be unable to read the project or the node that runs these tests.
    program = [join(folder, 'node'), join(folder, 'program.mjs')];
    await copyFile(process.execPath, join(folder, 'node'));
    const itsSpec = {
      ...spec,
      bootScript: spec.bootScript.replaceAll(process.execPath, join(folder, 'node')),
    };
    const contents = `
      import { openHost } from '${import.meta.dirname}/open-host.ts';
      import { ask, quiet } from '${import.meta.dirname}/host.fixture.ts';
      const host = await openHost({ stateDir: '${folder}/state', name: '${name}', log: quiet });
      try {
        await host.ensureNetwork(${JSON.stringify(lan.network)});
        await host.boot(${JSON.stringify(itsSpec)});
        const answer = await ask('${card.address}');
        const { alive } = await host.observe('${spec.id}');
        console.log(JSON.stringify({ user: process.getuid(), limits: host.limits, alive, answer }));
      } finally {
        await host.close();
      }`;
    await build({
      stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
      outfile: join(folder, 'program.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
      },
      logLevel: 'error',
    });
    await chown(folder, 65534, 65534);
    await chmod(folder, 0o755);
  });
  afterEach(() => rm(folder, { recursive: true }));

  it.runIf(namespaces).each([
    ['user, network and mount namespace', ['-Urnm']],
    ['user, network, mount and process namespace', ['-Urnmp', '--mount-proc']],
  ])('the same works inside a %s, only without limits', async (_, namespaces) => {
    const inside = ['unshare', ...namespaces, '--kill-child', '--fork'];
    const said = await run(asNobody(...inside, ...program), { cwd: folder });
    expect(JSON.parse(said)).toEqual({ user: 0, limits: 'none', alive: true, answer: `I am ${spec.name}` });
  });

  it('and without a user namespace it says what is missing', async () => {
    const { code, stderr } = await tryRun(asNobody(...program), { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toContain(
      'cannot make a network namespace (are you root, or in a user namespace?): unshare: ',
    );
  });
});
