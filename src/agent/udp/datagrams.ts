import { readFile } from 'node:fs/promises';
import { memberMarks } from '../../plan/udp/choice.ts';
import { canWatch, datagramPart, datagramWarnings } from '../../plan/udp/datagrams.ts';
import { type RenderedNftables, renderNftables } from '../../plan/udp/render.ts';
import { counterNames } from '../../plan/udp/service.ts';
import { writeWhole } from '../../platform/files.ts';
import type { Log } from '../../platform/log.ts';
import type { Outcome, PoolReport, Report } from '../../wire/report.ts';
import type { WantedAmphora, WantedPool } from '../../wire/wanted.ts';
import { MemberChecks } from './checks.ts';
import {
  countFlows,
  cutFlows,
  type FlowCounts,
  letForward,
  loadRules,
  readCounters,
  removeOthers,
} from './kernel.ts';

export interface DatagramOptions {
  /** The file where what is carried is kept for the next agent. */
  readonly path: string;
  readonly log: Log;
}

export interface DatagramOutcome {
  readonly changed: boolean;
  readonly refused: Outcome['refused'];
  readonly warnings: Outcome['warnings'];
}

export interface Datagrams {
  /** Takes up what an agent before us has left; its rules have served all the time. */
  recall(): Promise<void>;
  /** Makes the kernel carry the datagram listeners of this tree, and no others. */
  apply(wanted: WantedAmphora): Promise<DatagramOutcome>;
  /** Of what the kernel carries. */
  report(): Promise<Pick<Report, 'listeners' | 'pools'>>;
  stop(): Promise<void>;
}

interface Kept {
  readonly carried: WantedAmphora;
  readonly down: readonly string[];
}

const none: FlowCounts = { ports: new Map(), marks: new Map() };
const nothing: DatagramOutcome = { changed: false, refused: [], warnings: [] };
/** To count flows the kernel's whole table is read, so not at every look. */
const countEveryMs = 2000;

/** UDP and SCTP in one amphora: rules in the kernel, and the checks of the members behind them. */
export function datagrams({ path, log }: DatagramOptions): Datagrams {
  /** The datagram part of the last wish; undefined while there never was one: then the kernel is left alone. */
  let carried: WantedAmphora | undefined;
  let rules: RenderedNftables | undefined;
  let lastDown: ReadonlySet<string> = new Set();
  let flows: { readonly udp: FlowCounts; readonly sctp: FlowCounts } = { udp: none, sctp: none };
  let countAgainAt = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {}); // the caller hears of it
    return mine;
  };

  const checks = new MemberChecks(() => follow());

  /** The health of a member is another, or its share of new flows, or the kernel's rules are not what they were. */
  function follow(): void {
    queued(async () => {
      if (carried !== undefined) await make(carried);
    }).catch((error: unknown) => log.error({ err: error }, 'the rules cannot be loaded'));
  }

  /** The kernel carries this afterwards. Gives whether there was anything to do. */
  async function make(part: WantedAmphora): Promise<boolean> {
    checks.watch(part.pools);
    const { down } = checks;
    const next = renderNftables(part, down, new Map([...flows.udp.marks, ...flows.sctp.marks]));
    const [before, now] = [memberMarks(carried?.pools ?? []), memberMarks(part.pools)];
    const changed = next.text !== rules?.text;
    if (changed) {
      await loadRules(next.text);
      await letForward(next.families);
      await removeOthers(next.families, next.names);
    }
    const lost = [...before].filter(([id]) => !now.has(id) || (down.has(id) && !lastDown.has(id)));
    for (const [, mark] of lost) await cutFlows(mark, next.families);
    const kept: Kept = { carried: part, down: [...down] };
    await writeWhole(path, JSON.stringify(kept));
    [carried, rules, lastDown] = [part, next, down];
    return changed;
  }

  /** At most every `countEveryMs`, and the less often the longer it takes. */
  async function recount(families: RenderedNftables['families'], part: WantedAmphora): Promise<void> {
    const startedAt = performance.now();
    if (startedAt < countAgainAt) return;
    const count = async (protocol: 'UDP' | 'SCTP', name: 'udp' | 'sctp') =>
      part.listeners.some((listener) => listener.protocol === protocol) ? countFlows(name, families) : none;
    try {
      flows = { udp: await count('UDP', 'udp'), sctp: await count('SCTP', 'sctp') };
      if (part.pools.some(({ algorithm }) => algorithm === 'LEAST_CONNECTIONS')) follow();
    } catch (error) {
      log.error({ err: error }, 'the flows cannot be counted'); // all else can still be reported
    }
    countAgainAt = performance.now() + Math.max(countEveryMs, 20 * (performance.now() - startedAt));
  }

  return {
    async recall() {
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text === undefined) return;
      const kept = JSON.parse(text) as Kept;
      checks.recall(kept.down);
      [carried, lastDown] = [kept.carried, new Set(kept.down)];
      await queued(() => make(kept.carried)).catch((error: unknown) =>
        log.error({ err: error }, 'the rules of before cannot be loaded again'),
      );
    },

    apply: (wanted) =>
      queued(async () => {
        const part = datagramPart(wanted);
        if (carried === undefined && part.listeners.length === 0) return nothing;
        try {
          const changed = await make(part);
          return { changed, refused: [...(rules?.refused ?? [])], warnings: datagramWarnings(part) };
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          log.error({ err: error }, 'the kernel refused the rules');
          return { ...nothing, refused: part.listeners.map(({ id }) => ({ id, reason })) };
        }
      }),

    async report() {
      if (carried === undefined || rules === undefined) return { listeners: {}, pools: {} };
      const [part, { families, refused }] = [carried, rules];
      const left = new Set(refused.map(({ id }) => id));
      const counts = await readCounters(families);
      await recount(families, part);
      const served = part.listeners.filter(({ id }) => !left.has(id));
      const isThere = (id: string): boolean => counts.has(counterNames(id).flows);
      if (!served.every(({ id }) => isThere(id))) {
        rules = { ...rules, text: '' };
        follow();
      }
      return {
        listeners: Object.fromEntries(
          served.map((listener) => {
            const names = counterNames(listener.id);
            return [
              listener.id,
              {
                state: isThere(listener.id) ? 'OPEN' : 'CLOSED',
                activeConnections:
                  flows[listener.protocol === 'SCTP' ? 'sctp' : 'udp'].ports.get(listener.port) ?? 0,
                counters: {
                  bytesIn: counts.get(names.in)?.bytes ?? 0,
                  bytesOut: counts.get(names.out)?.bytes ?? 0,
                  totalConnections: counts.get(names.flows)?.packets ?? 0,
                  requestErrors: 0,
                },
              },
            ];
          }),
        ),
        pools: Object.fromEntries(
          part.pools
            .filter(({ id }) => !left.has(id))
            .map((pool) => [pool.id, reportPool(pool, checks.down)]),
        ),
      };
    },

    async stop() {
      checks.stop();
      await turn;
    },
  };
}

function reportPool({ members, healthMonitor }: WantedPool, down: ReadonlySet<string>): PoolReport {
  const checked = healthMonitor !== null && canWatch(healthMonitor);
  const states = members.map((member): [string, PoolReport['members'][string]] => {
    if (!member.enabled) return [member.id, 'MAINT'];
    if (!checked) return [member.id, 'NO_CHECK'];
    if (down.has(member.id)) return [member.id, 'DOWN'];
    return [member.id, member.weight === 0 ? 'DRAIN' : 'UP'];
  });
  const serves = members.some(({ id, enabled, weight }) => enabled && weight > 0 && !down.has(id));
  return { up: members.length === 0 || serves, members: Object.fromEntries(states) };
}
