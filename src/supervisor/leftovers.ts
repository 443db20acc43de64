import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { labelOf } from './namespaces.ts';
import { endProcess, findProcesses, type Process } from './processes.ts';
import type { StateDir } from './state-dir.ts';

/** What a Livia that was killed can leave: in the order in which it is ended. */
interface Leftovers {
  /** First processes of the namespaces of a rootless one: everything in them goes with them. */
  readonly namespaces: readonly Process[];
  readonly servers: readonly Process[];
  readonly cloudlets: readonly Process[];
  readonly databases: readonly Process[];
}

async function findLeftovers(state: StateDir): Promise<Leftovers> {
  const program =
    (name: string, config: string) =>
    (argv: readonly string[]): boolean =>
      argv.includes(config) &&
      argv.includes('--config') &&
      argv.some((word) => basename(word).startsWith(name));
  const postmasterFile = await readFile(join(state.postgres, 'postmaster.pid'), 'utf8').catch(() => ''); // none ran
  const postmaster = Number.parseInt(postmasterFile, 10);
  return {
    namespaces: await findProcesses((argv) => argv.includes(labelOf(state.root))),
    servers: await findProcesses(program('livia-server', state.serverConfig)),
    cloudlets: await findProcesses(program('livia-cloudlet', state.cloudletConfig)),
    databases: await findProcesses(
      (argv, pid) => pid === postmaster && basename(argv[0] ?? '') === 'postgres',
    ),
  };
}

/**
 * Ends what a former Livia left running on this state folder; gives the names of what it ended. With `keepInstances`
 * the cloudlet gets no chance to power off its instances: they go on serving, and the next cloudlet adopts them.
 */
export async function endLeftovers(
  state: StateDir,
  { keepInstances }: { readonly keepInstances: boolean },
): Promise<readonly string[]> {
  const left = await findLeftovers(state);
  for (const one of left.namespaces) await endProcess(one, 'SIGKILL', 10_000);
  for (const server of left.servers) await endProcess(server, 'SIGTERM', 10_000);
  for (const cloudlet of left.cloudlets) {
    await endProcess(cloudlet, keepInstances ? 'SIGKILL' : 'SIGTERM', 30_000);
  }
  for (const database of left.databases) await endProcess(database, 'SIGINT', 30_000); // a fast, clean shutdown
  // Its lock holds a process number; in a restarted container that can be anybody's by now, and PostgreSQL would wait.
  await rm(state.postgresSocket, { recursive: true, force: true });
  return [
    ...(left.namespaces.length > 0 ? ['the namespaces of a rootless Livia'] : []),
    ...left.servers.map(() => 'livia-server'),
    ...left.cloudlets.map(() => 'livia-cloudlet'),
    ...left.databases.map(() => 'PostgreSQL'),
  ];
}
