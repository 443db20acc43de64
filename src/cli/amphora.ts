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

interface ReportedChange {
  readonly generation: number;
  readonly at: string;
  readonly change: string;
  readonly why: string | null;
  readonly duration_ms: number;
  readonly refused: number;
  readonly warnings: readonly { readonly text: string }[];
}

/** A line for each of its latest changes, newest first. */
export async function amphoraChanges(session: Session, { id }: Amphora): Promise<readonly string[]> {
  const { changes } = await session.request<{ changes: ReportedChange[] }>(
    'load-balancer',
    'GET',
    `/livia/v1/amphorae/${id}/changes`,
  );
  return changes.map(({ generation, at, change, why, duration_ms: tookMs, refused, warnings }) =>
    [
      ...[at, `generation ${generation}`, change.padEnd(7), `${tookMs} ms`.padStart(8), why ?? ''],
      ...(refused > 0 ? [`${refused} refused`] : []),
      ...warnings.map(({ text }) => text),
    ].join('  '),
  );
}

type Bytes = Readonly<Record<string, number>>;
interface ReportedMemory {
  readonly budget: Bytes | null;
  readonly measured: {
    readonly used_bytes: number;
    readonly peak_bytes: number | null;
    readonly agent_bytes: number | null;
    readonly tcp_bytes: number | null;
    readonly tcp_limit_bytes: number | null;
    readonly haproxy: readonly { readonly pid: number; readonly role: string; readonly rss_bytes: number }[];
  };
  readonly next_reload: Bytes | null;
}

/** The terms of its budget, what is measured, and what the next reload would cost. */
export async function amphoraBudget(session: Session, { id }: Amphora): Promise<readonly string[]> {
  const { memory } = await session.request<{ memory: ReportedMemory }>(
    'load-balancer',
    'GET',
    `/livia/v1/amphorae/${id}/memory`,
  );
  const { budget, measured, next_reload: next } = memory;
  const value = (name: string, count: number | null): string =>
    name.endsWith('bytes') ? inMebibytes(count) : String(count);
  const row = (name: string, count: number | null): string =>
    `  ${name
      .replace(/_bytes$/, '')
      .replaceAll('_', ' ')
      .padEnd(24)}${value(name, count).padStart(14)}`;
  const { haproxy, ...others } = measured;
  return [
    'budget',
    ...Object.entries(budget ?? {}).map(([name, count]) => row(name, count)),
    'measured',
    ...Object.entries(others).map(([name, count]) => row(name, count)),
    ...haproxy.map(({ pid, role, rss_bytes: bytes }) => row(`HAProxy ${role} ${pid}_bytes`, bytes)),
    'next reload',
    ...Object.entries(next ?? {}).map(([name, count]) => row(name, count)),
  ];
}

const inMebibytes = (bytes: number | null): string =>
  bytes === null ? 'not known' : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
