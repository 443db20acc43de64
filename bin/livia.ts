import { Command } from 'commander';
import { join } from 'node:path';
import { bootScript } from '../src/agent/boot-script.ts';
import {
  amphoraBudget,
  amphoraChanges,
  amphoraMemory,
  amphoraShell,
  findAmphora,
  listAmphorae,
  type Place,
} from '../src/cli/amphora.ts';
import { demonstrate } from '../src/cli/demo.ts';
import { findCredentials, logIn, type Session } from '../src/cli/session.ts';
import { Config } from '../src/cloudlet/config.ts';
import { openHost } from '../src/cloudlet/host/open-host.ts';
import { loadConfig } from '../src/platform/config.ts';
import { writeWhole } from '../src/platform/files.ts';
import { makeLog } from '../src/platform/log.ts';
import { findInstance } from '../src/supervisor/instance.ts';
import { insideNamespacesOf } from '../src/supervisor/namespaces.ts';
import { parseTarget, publish } from '../src/supervisor/relay.ts';
import type { Parts } from '../src/supervisor/serve.ts';
import { type StateDir, stateDirFrom } from '../src/supervisor/state-dir.ts';
import { stopInstance } from '../src/supervisor/stop.ts';
import { up, upDetached } from '../src/supervisor/up.ts';

// Bundled into dist/ beside the other programs.
const beside = (name: string): string => join(import.meta.dirname, name);

const parts: Parts = {
  node: process.execPath,
  cloudletProgram: beside('livia-cloudlet.mjs'),
  serverProgram: beside('livia-server.mjs'),
  writeBootScript: (path) => writeWhole(path, bootScript(process.execPath, beside('livia-agent.mjs')), 0o644),
  async sweepCloud(cloudletConfig, stateDir) {
    const { name } = await loadConfig(Config, cloudletConfig);
    await (await openHost({ stateDir, name, log: makeLog('sweep', 'warn') })).close();
  },
};

const program = new Command('livia').description(
  'Load balancing with the OpenStack Octavia API on this machine',
);

program
  .command('up')
  .description('start the service; it runs until Ctrl-C')
  .option('--no-demo', 'without the demonstration')
  .option('--detach', 'return when it is ready, and leave it running')
  .action(async (options: { demo: boolean; detach?: true }) => {
    const self = [process.execPath, import.meta.filename, 'up', ...(options.demo ? [] : ['--no-demo'])];
    process.exitCode = options.detach
      ? await upDetached(self)
      : await up({
          parts,
          self,
          demonstrate: options.demo
            ? ({ state, ...place }) => demonstrate({ folder: state.demo, openrc: state.openrc, ...place })
            : undefined,
        });
  });

program
  .command('stop')
  .description('end the service and wait until nothing of it is left')
  .action(async () => {
    const stopped = await stopInstance(await here(), parts.sweepCloud);
    console.log(stopped === undefined ? 'Livia is not running.' : `Stopped: ${stopped}.`);
  });

program
  .command('status')
  .description('say whether it runs, and where')
  .action(async () => {
    const state = await here();
    const instance = await findInstance(state.root);
    if (instance === undefined) {
      console.log(`not running (state folder ${state.root})`);
      process.exitCode = 3;
      return;
    }
    const { pid, phase, ports } = instance;
    console.log(`${phase} (pid ${pid}, state folder ${state.root})`);
    console.log(`Octavia API  http://127.0.0.1:${ports.api}`);
    console.log(`Keystone     http://127.0.0.1:${ports.cloud}/identity/v3`);
    if (instance.namespacePid !== undefined)
      console.log(`rootless, in the namespaces of pid ${instance.namespacePid}`);
  });

program
  .command('publish')
  .description('rootless: reach an address inside, such as a VIP, at a port of 127.0.0.1, until Ctrl-C')
  .argument('<target>', 'address:port inside')
  .argument('[port]', 'port of 127.0.0.1; the same number when not given')
  .action(async (target: string, port: string | undefined) => {
    const parsed = parseTarget(target);
    if (parsed === undefined) throw new Error(`"${target}" is not address:port`);
    const local = Number(port ?? parsed.port);
    await publish(join((await here()).run, 'relay.sock'), local, () => target);
    console.log(`${target} is published at 127.0.0.1:${local}`);
  });

const amphora = program.command('amphora').description('the amphorae on this machine');

amphora.command('list').action(async () => {
  for (const one of await listAmphorae(await session())) {
    console.log(
      [
        one.id,
        one.status,
        one.role ?? '-',
        one.lb_network_ip ?? '-',
        `load balancer ${one.loadbalancer_id}`,
      ].join('  '),
    );
  }
});

amphora
  .command('shell')
  .description('a shell inside an amphora, or a command: livia amphora shell ID -- ip addr')
  .argument('<id>', 'of the amphora or of its load balancer')
  .argument('[command...]')
  .action(async (id: string, command: string[]) => {
    const found = await findAmphora(await session(), id);
    process.exitCode = await amphoraShell(found, command, await place());
  });

amphora
  .command('changes')
  .description('what has become of its latest changes: at run time, or by a reload and why')
  .argument('<id>', 'of the amphora or of its load balancer')
  .action(async (id: string) => {
    const own = await session();
    for (const line of await amphoraChanges(own, await findAmphora(own, id))) console.log(line);
  });

amphora
  .command('memory')
  .description('what the processes of each amphora hold; of one: its budget beside what is measured')
  .argument('[id]', 'of the amphora or of its load balancer')
  .action(async (id: string | undefined) => {
    if (id !== undefined) {
      const own = await session();
      for (const line of await amphoraBudget(own, await findAmphora(own, id))) console.log(line);
      return;
    }
    const where = await place();
    for (const one of await listAmphorae(await session())) {
      const processes = await amphoraMemory(one, where);
      const sum = processes.reduce((total, { residentKib }) => total + residentKib, 0);
      console.log(`${one.id}  ${mebibytes(sum)} in all`);
      for (const { pid, residentKib, program: what } of processes) {
        console.log(`  ${mebibytes(residentKib).padStart(10)}  ${pid}  ${what.slice(0, 90)}`);
      }
    }
  });

function mebibytes(kib: number): string {
  return `${(kib / 1024).toFixed(1)} MiB`;
}

async function here(): Promise<StateDir> {
  return stateDirFrom(process.env, process.cwd());
}

async function session(): Promise<Session> {
  return logIn(await findCredentials(process.env, (await here()).openrc));
}

async function place(): Promise<Place> {
  const state = await here();
  const namespacePid = (await findInstance(state.root))?.namespacePid;
  return {
    cloudDir: state.cloud,
    inside: namespacePid === undefined ? [] : insideNamespacesOf(namespacePid),
  };
}

try {
  await program.parseAsync();
} catch (error) {
  // What a person has to settle is one line; LIVIA_LOG_LEVEL=debug shows where it came from.
  console.error(
    `livia: ${process.env['LIVIA_LOG_LEVEL'] === 'debug' ? (error as Error).stack : (error as Error).message}`,
  );
  process.exitCode = 1;
}
