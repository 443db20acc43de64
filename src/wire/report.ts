import Type, { type Static } from 'typebox';
import { WantedFlowLog, WantedHeartbeat } from './wanted.ts';

/** What an amphora says of itself: the body of a heartbeat, and a part of every answer of the agent. */

const Strict = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

/** Counters since the amphora's birth: they go on over reloads and restarts of HAProxy. */
export const TrafficCounters = Strict({
  bytesIn: Type.Integer(),
  bytesOut: Type.Integer(),
  totalConnections: Type.Integer(),
  requestErrors: Type.Integer(),
});

export const ListenerReport = Strict({
  /** FULL: at its connection limit. */
  state: Type.Union([Type.Literal('OPEN'), Type.Literal('FULL'), Type.Literal('CLOSED')]),
  activeConnections: Type.Integer(),
  counters: TrafficCounters,
});

export const PoolReport = Strict({
  up: Type.Boolean(),
  members: Type.Record(
    Type.String(),
    Type.Union([
      Type.Literal('UP'),
      Type.Literal('DOWN'),
      Type.Literal('DRAIN'),
      Type.Literal('MAINT'),
      Type.Literal('NO_CHECK'),
    ]),
  ),
});

export const Report = Strict({
  amphoraId: Type.String(),
  /** The generation it runs; -1 before the first wanted tree. */
  generation: Type.Integer(),
  /** By listener id and pool id; what is not here is not served. */
  listeners: Type.Record(Type.String(), ListenerReport),
  pools: Type.Record(Type.String(), PoolReport),
});

const Change = Type.Union([
  Type.Literal('none'),
  Type.Literal('start'),
  Type.Literal('reload'),
  Type.Literal('runtime'),
]);
const Warning = Strict({ id: Type.String(), text: Type.String() });

/** What has become of a wish. */
export const PastChange = Strict({
  generation: Type.Integer(),
  /** ISO 8601, of the amphora's clock. */
  at: Type.String(),
  change: Change,
  /** Of a reload: why not without; of a runtime change: what was done. */
  why: Type.Union([Type.String(), Type.Null()]),
  durationMs: Type.Integer(),
  /** Listeners and pools left out. */
  refused: Type.Integer(),
  warnings: Type.Array(Warning),
});

/** The memory budget and each of its terms, in bytes unless said otherwise (`plan/memory-budget.ts`). */
export const BudgetTerms = Strict({
  /** R, `mworker-max-reloads`. */
  maxReloads: Type.Integer(),
  hardStopAfterSeconds: Type.Integer(),
  /** Connections of a worker at most. */
  maxconn: Type.Integer(),
  workerBytes: Type.Integer(),
  cacheBytes: Type.Integer(),
  /** Of one connection. */
  connectionBytes: Type.Integer(),
  tcpBytes: Type.Integer(),
  reservedBytes: Type.Integer(),
  limitBytes: Type.Integer(),
  /** The left side of the inequality. */
  worstCaseBytes: Type.Integer(),
});

/** `GET /v1/status`. */
export const AgentStatus = Strict({
  wire: Type.Literal(1),
  agentVersion: Type.String(),
  haproxyVersion: Type.String(),
  report: Report,
  /** Rotation period of the ticket keys it has; none without TLS. */
  ticketPeriod: Type.Optional(Type.Integer()),
  /** Of the wish it serves. */
  warnings: Type.Optional(Type.Array(Warning)),
  /** The latest, newest first; kept over restarts of the agent. */
  changes: Type.Optional(Type.Array(PastChange)),
  /** Settings it was last told. */
  heartbeat: Type.Optional(WantedHeartbeat),
  flowLog: Type.Optional(WantedFlowLog),
  /** Of a pair: the others it was last told of. */
  vrrpPeers: Type.Optional(Type.Array(Type.String())),
  memory: Strict({
    /** The amphora's own limit: cgroup limit, MemTotal or the instance's size, whichever is smallest. */
    limitBytes: Type.Integer(),
    usedBytes: Type.Integer(),
    maxconn: Type.Integer(),
    /** Of what HAProxy carries; none before the first wish. */
    budget: Type.Optional(BudgetTerms),
    /** The most that was in use during the last start or reload; null when there was none in this agent's life. */
    peakBytes: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
    agentBytes: Type.Optional(Type.Integer()),
    /** Buffers of TCP sockets in this amphora. */
    tcpBytes: Type.Optional(Type.Integer()),
    /** What the kernel bounds them to; none where they are part of its memory (cgroup v2) or it cannot be seen. */
    tcpLimitBytes: Type.Optional(Type.Integer()),
    /** Processes of HAProxy, master first. */
    haproxy: Type.Array(
      Strict({
        pid: Type.Integer(),
        role: Type.String(),
        rssBytes: Type.Integer(),
        generation: Type.Integer(),
      }),
    ),
  }),
});

/** Answer to `PUT /v1/wanted`: 200 always when the wish was understood; what could not be served is named. */
export const Outcome = Strict({
  wire: Type.Literal(1),
  generation: Type.Integer(),
  change: Change,
  /** Of a reload: why not without; of a runtime change: what was done. */
  why: Type.Optional(Type.String()),
  durationMs: Type.Integer(),
  /** Name of its card on the VIP network. */
  vipCard: Type.Optional(Type.String()),
  /** Listeners and pools left out, each with the reason in a sentence; the others are served. */
  refused: Type.Array(Strict({ id: Type.String(), reason: Type.String() })),
  /** Things done otherwise than wished, such as a connection limit capped by memory. */
  warnings: Type.Array(Warning),
  report: Report,
});

export type TrafficCounters = Static<typeof TrafficCounters>;
export type ListenerReport = Static<typeof ListenerReport>;
export type PoolReport = Static<typeof PoolReport>;
export type Report = Static<typeof Report>;
export type AgentStatus = Static<typeof AgentStatus>;
export type PastChange = Static<typeof PastChange>;
export type BudgetTerms = Static<typeof BudgetTerms>;
export type Outcome = Static<typeof Outcome>;
