import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { scratch } from '../service.ts';
import { type CommandName, commands } from './commands.ts';

export type Row = Record<string, any>;

/** What the client wrote, and its exit code. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Debian's `openstack` client, one of many commands run by one warm process (`openstack-runs.py`). */
export interface Client {
  /** Any command of the client. */
  openstack(...args: string[]): Promise<Ran>;
  /** As `openstack`; its answer as JSON, its failure as an error. */
  json<T = Row>(...args: string[]): Promise<T>;
  /**
   * `openstack loadbalancer NAME …`, which must succeed and print what the table says, columns in that order.
   * Gives what it printed: an object, for a list an array of them.
   */
  run<T = Row>(name: CommandName, ...args: string[]): Promise<T>;
  /** The same command, which must fail: the client's words. */
  refused(name: CommandName, ...args: string[]): Promise<string>;
  /** Whether this release of the client has the option. */
  knows(name: CommandName, option: string): Promise<boolean>;
  /** The options each command was run with and succeeded. */
  readonly succeeded: ReadonlyMap<CommandName, ReadonlySet<string>>;
  stop(): Promise<void>;
}

export async function startClient(env: NodeJS.ProcessEnv): Promise<Client> {
  const folder = scratch('client');
  const socket = join(folder, 'socket');
  const program = join(import.meta.dirname, 'openstack-runs.py');
  const child = spawn('/usr/bin/python3', [program, socket], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');

  const succeeded = new Map<CommandName, Set<string>>();
  const openstack = async (...args: string[]): Promise<Ran> => {
    const connection = connect(socket);
    connection.write(`${JSON.stringify(args)}\n`);
    return JSON.parse(await text(connection)) as Ran;
  };
  const note = (name: CommandName, args: readonly string[]): void => {
    const options = succeeded.get(name) ?? new Set();
    for (const arg of args) if (arg.startsWith('--')) options.add(arg.slice(2).split('=')[0] ?? '');
    succeeded.set(name, options);
  };

  return {
    openstack,
    async json(...args) {
      const ran = await openstack(...args, '-f', 'json');
      if (ran.code !== 0) throw new Error(`openstack ${args.join(' ')}: ${ran.stderr}`);
      return JSON.parse(ran.stdout);
    },
    async run<T>(name: CommandName, ...args: string[]) {
      const { prints, many } = commands[name];
      const format = Array.isArray(prints) ? ['-f', 'json'] : [];
      const ran = await openstack('loadbalancer', ...name.split(' '), ...format, ...args);
      if (ran.code !== 0)
        throw new Error(`openstack loadbalancer ${name} ${args.join(' ')}: ${ran.stderr}${ran.stdout}`);
      note(name, args);
      if (prints === 'nothing') {
        expect(ran.stdout).toBe('');
        return undefined as T;
      }
      const printed = JSON.parse(ran.stdout);
      if (prints !== 'document' && !args.includes('--long'))
        for (const row of many ? printed : [printed]) expectColumns(row, prints);
      return printed as T;
    },
    async refused(name, ...args) {
      const ran = await openstack('loadbalancer', ...name.split(' '), ...args);
      expect(ran).toMatchObject({ stdout: '' });
      expect(ran.code).not.toBe(0);
      return ran.stderr;
    },
    async knows(name, option) {
      const ran = await openstack('loadbalancer', ...name.split(' '), '--help');
      return new RegExp(`--${option}\\b`).test(ran.stdout);
    },
    succeeded,
    async stop() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The row has the columns in their order; a younger one (`?`) may be missing in an older client. */
export function expectColumns(row: Row, columns: readonly string[]): void {
  const wanted = columns
    .filter((column) => !column.endsWith('?') || column.slice(0, -1) in row)
    .map((column) => column.replace('?', ''));
  expect(Object.keys(row)).toEqual(wanted);
}
