import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryRun } from '../platform/run.ts';
import type { Session } from './session.ts';

export interface Amphora {
  readonly id: string;
  readonly loadbalancer_id: string | null;
  readonly compute_id: string | null;
  readonly lb_network_ip: string | null;
  readonly role: string | null;
  readonly status: string;
}

/** How this machine's amphorae are entered. */
export interface Place {
  /** The cloudlet's folder, with a file `instances/<server>/pid` for each amphora. */
  readonly cloudDir: string;
  /** What a command begins with, to run where those pids count. */
  readonly inside: readonly string[];
}

export async function listAmphorae(session: Session): Promise<readonly Amphora[]> {
  const { amphorae } = await session.request<{ amphorae: Amphora[] }>(
    'load-balancer',
    'GET',
    '/v2/octavia/amphorae',
  );
  return amphorae;
}

/** By its own id, by that of its load balancer, or by that of its server. Throws one line when there is none. */
export async function findAmphora(session: Session, id: string): Promise<Amphora> {
  const found = (await listAmphorae(session)).find((amphora) =>
    [amphora.id, amphora.loadbalancer_id, amphora.compute_id].includes(id),
  );
  if (found === undefined) throw new Error(`there is no amphora, nor a load balancer with one, of id ${id}`);
  return found;
}

/** What a command begins with, to run inside the amphora. Throws one line when it is not on this machine. */
async function enter(amphora: Amphora, place: Place): Promise<readonly string[]> {
  const record = join(place.cloudDir, 'instances', amphora.compute_id ?? '-', 'pid');
  const text = await readFile(record, 'utf8').catch((error: unknown) => {
    throw new Error(`amphora ${amphora.id} does not run on this machine (${record} is not there)`, {
      cause: error,
    });
  });
  const pid = String(Number.parseInt(text, 10));
  return [
    ...place.inside,
    'nsenter',
    '--target',
    pid,
    '--net',
    '--mount',
    '--pid',
    '--uts',
    '--root',
    '--wd',
    '--',
  ];
}

/** A shell, or the given command, inside the amphora and on this terminal. Gives its exit code. */
export async function amphoraShell(
  amphora: Amphora,
  command: readonly string[],
  place: Place,
): Promise<number> {
  const [program = '', ...args] = [
    ...(await enter(amphora, place)),
    ...(command.length === 0 ? ['sh'] : command),
  ];
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...process.env, PS1: `amphora-${amphora.id}# ` },
  });
  process.on('SIGINT', () => {}); // Ctrl-C is for what runs inside
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 137));
  });
}

export interface MemoryUse {
  readonly program: string;
  readonly pid: number;
  /** Resident, KiB. */
  readonly residentKib: number;
}

/** The processes inside the amphora and what they hold. */
export async function amphoraMemory(amphora: Amphora, place: Place): Promise<readonly MemoryUse[]> {
  const result = await tryRun([...(await enter(amphora, place)), 'ps', '-eo', 'pid=,rss=,args=']);
  if (result.code !== 0) throw new Error(`amphora ${amphora.id}: ${result.stderr.trim()}`);
  return result.stdout
    .trim()
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .flatMap((match) =>
      match === null || match[3]?.startsWith('ps -eo')
        ? []
        : [{ pid: Number(match[1]), residentKib: Number(match[2]), program: match[3] ?? '' }],
    );
}
