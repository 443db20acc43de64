import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';

type Row = Readonly<Record<string, string>>;

/** What a HAProxy says that it is, in answer to questions that the agent itself does not ask of it. */
export interface Portrait {
  readonly bounds: Row;
  /** By name. One that is closed is not open. */
  readonly frontends: Readonly<Record<string, Row>>;
  readonly backends: Readonly<Record<string, { readonly own: Row; readonly servers: Record<string, Row> }>>;
  /** By path: entries of maps and lists in their order; certificates, authorities, CRLs, ticket keys as shown. */
  readonly files: Readonly<Record<string, string | readonly string[]>>;
}

const columns = (text: string, head: RegExp, separator: string): Row[] => {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const names =
    lines
      .find((line) => head.test(line))
      ?.replace(/^# /, '')
      .split(separator) ?? [];
  return lines
    .filter((line) => line.split(separator).length > 5 && !line.startsWith('#'))
    .map((line) => Object.fromEntries(line.split(separator).map((cell, n) => [names[n] ?? '', cell])));
};
const pick = (row: Row, names: readonly string[]): Row =>
  Object.fromEntries(names.map((name) => [name, row[name] ?? 'none']));
/** Whether bits of a number are set. */
const flag = (cell: string | undefined, bits: number): string => String((Number(cell) & bits) !== 0);
const canonical = (address = ''): string =>
  address.includes(':') ? new URL(`http://[${address}]`).hostname : address;

const ofServer = ['svname', 'bck', 'cookie', 'type', 'mode', 'algo', 'check_rise', 'check_fall'];
const [forcedMaint, checkSet, checkEnabled] = [0x01, 0x02, 0x04];

/** `paths`: of all files beside its configuration. */
export async function portraitOf(socket: string, paths: readonly string[]): Promise<Portrait> {
  const [info, stat, states] = [
    await ask(socket, 'show info'),
    columns(await ask(socket, 'show stat'), /^# pxname/, ','),
    columns(await ask(socket, 'show servers state'), /^# be_id/, ' '),
  ];
  const frontends = Object.fromEntries(
    stat
      .filter((row) => row['svname'] === 'FRONTEND' && row['status'] === 'OPEN')
      .map((row) => [row['pxname'] ?? '', pick(row, ['status', 'mode', 'slim', 'rate_lim'])]),
  );
  const backends: Record<string, { own: Row; servers: Record<string, Row> }> = {};
  for (const row of stat.filter(({ svname }) => svname === 'BACKEND')) {
    backends[row['pxname'] ?? ''] = { own: pick(row, ['mode', 'algo', 'cookie']), servers: {} };
  }
  for (const state of states) {
    const [backend = '', server = ''] = [state['be_name'], state['srv_name']];
    const row = stat.find(({ pxname, svname }) => pxname === backend && svname === server) ?? {};
    const checked = flag(state['srv_check_state'], checkEnabled);
    const maint = flag(state['srv_admin_state'], forcedMaint);
    const own = backends[backend];
    if (own === undefined) throw new Error(`server ${server} is of no backend`);
    own.servers[server] = {
      ...pick(row, ofServer),
      ...pick(state, ['srv_port', 'srv_uweight', 'srv_use_ssl']),
      address: canonical(state['srv_addr']),
      // Checks that are switched off keep where they went.
      checkPort: checked === 'true' ? (state['srv_check_port'] ?? '') : '',
      checkAddress: checked === 'true' ? canonical(state['srv_check_addr']) : '',
      maint,
      checked,
      // Whether a member answers is no matter of the configuration.
      up: checked === 'true' || maint === 'true' ? '' : flag(state['srv_op_state'], 0x02),
      // Where it matters its line has an id; others are numbered.
      id: own.own['algo'] === 'source' ? (state['srv_id'] ?? '') : '',
      checks: checked === 'true' ? flag(state['srv_check_state'], checkSet) : '',
    };
  }
  return {
    bounds: Object.fromEntries(
      ['Maxconn', 'Nbthread'].map((name) => [
        name,
        new RegExp(`^${name}: (\\d+)$`, 'm').exec(info)?.[1] ?? '',
      ]),
    ),
    frontends,
    backends,
    files: await filesOf(socket, paths),
  };
}

const kinds = [
  ['crt-list', /\.crt-list$/],
  ['ca-file', /\.ca\.pem$/],
  ['crl-file', /\.crl\.pem$/],
  ['cert', /\.pem$/],
] as const;

async function filesOf(socket: string, paths: readonly string[]): Promise<Portrait['files']> {
  const files: Record<string, string | string[]> = {};
  for (const path of paths) {
    const kind = kinds.find(([, ends]) => ends.test(path))?.[0];
    if (path.endsWith('.l7')) {
      const shown = await ask(socket, `show map ${path}`);
      files[path] = shown.split('\n').map((line) => line.replace(/^0x[0-9a-f]+ /, ''));
    } else if (path === 'ticket-keys') {
      const shown = await ask(socket, `show tls-keys ${path}`);
      files[path] = [...shown.matchAll(/^\d+\.\d+ (\S+)$/gm)].map(([, key = '']) => key);
    } else if (kind === 'crt-list') {
      // Its entries have no places but among those of one name, which only a client sees.
      files[path] = (await ask(socket, `show ssl ${kind} ${path}`)).split('\n').toSorted();
    } else if (kind !== undefined) {
      // From 3.2 on it also says whether a certificate came from a file.
      files[path] = (await ask(socket, `show ssl ${kind} ${path}`)).replace(
        /^(Crt|Key) filename: .*\n/gm,
        '',
      );
    }
  }
  for (const kind of ['cert', 'ca-file', 'crl-file', 'crt-list']) {
    const shown = (await ask(socket, `show ssl ${kind}`))
      .split('\n')
      .filter((line) => /\.(pem|crt-list)/.test(line));
    files[`all of ${kind}`] = shown.toSorted();
  }
  return files;
}

/** A HAProxy that was started from the files of another, which it leaves alone. */
export interface Fresh {
  readonly socket: string;
  /** Where it listens, on the ports that the other has on 127.0.0.1. */
  readonly address: string;
  remove(): Promise<void>;
}

/** `run`: folder of the agent whose HAProxy's files are taken as they are now. What was saved of servers is not. */
export async function freshHaproxy(run: string): Promise<Fresh> {
  const [folder, address] = [await mkdtemp(join(tmpdir(), 'fresh-')), '127.0.0.2'];
  await cp(await realpath(join(run, 'haproxy/current')), folder, { recursive: true });
  const written = await readFile(join(folder, 'haproxy.cfg'), 'utf8');
  const text = written
    .replaceAll(`${join(run, 'haproxy')}/`, `${folder}/`)
    .replaceAll('bind 127.0.0.1:', `bind ${address}:`);
  await writeFile(join(folder, 'haproxy.cfg'), text);
  await writeFile(join(folder, 'server-state'), '1\n');
  const child = spawn('haproxy', ['-db', '-C', folder, '-f', 'haproxy.cfg'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => (said += piece));
  }
  const socket = join(folder, 'stats.sock');
  const ended = once(child, 'exit');
  const remove = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it cannot be started: ${said}`);
      return (await ask(socket, 'show info').catch(() => '')).includes('Uptime') || undefined;
    });
  } catch (error) {
    await remove();
    throw error;
  }
  return { socket, address, remove };
}
