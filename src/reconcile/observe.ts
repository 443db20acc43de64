import { isDeepStrictEqual } from 'node:util';
import { DriverError } from '../clouds/errors.ts';
import type { Port, Server } from '../clouds/clouds.ts';
import { type Amphora, serves } from '../lb/amphora.ts';
import { silenceLimit } from '../lb/silence.ts';
import type { Tree } from '../lb/tree.ts';
import { atRest } from '../plan/plan.ts';
import type { Seen, SeenAmphora } from '../plan/seen.ts';
import { names } from '../plan/steps.ts';
import { peersOf } from '../plan/vrrp.ts';
import type { AgentStatus } from '../wire/report.ts';
import { hasOtherSettings } from './agent-settings.ts';
import type { Context, Run } from './context.ts';
import { hasOldTicketKeys } from './ticket-rotation.ts';

const askNovaEveryMs = 500;

/**
 * Looks at what is. An amphora that serves is trusted until there is a doubt (silence, an unanswered call): then its
 * agent and its server are asked. One that is made or taken away is looked for by name, which finds what a crash left.
 */
export async function observe(
  context: Context,
  run: Run,
  tree: Tree,
  rows: readonly Amphora[],
): Promise<Seen> {
  const [vipPort, amphorae] = await Promise.all([
    run.vipPort ?? context.clouds.networking.port(tree.loadBalancer.vipPortId),
    Promise.all(rows.map((row) => observeAmphora(context, run, tree, rows, row))),
  ]);
  run.vipPort = vipPort;
  const suspects = amphorae.some((amphora) => amphora.silent && amphora.agent === 'unreachable');
  return {
    now: new Date(),
    guard: run.guard,
    vipPort: vipPort === undefined ? 'missing' : 'there',
    amphorae,
    massSilence: suspects && (await tooManySilent(context)),
    groupRemoved: run.groupRemoved,
    failures: [...run.confirmed.values()].some((confirmation) => confirmation.failed.size > 0),
    settled: run.settled,
  };
}

function observeAmphora(
  context: Context,
  run: Run,
  tree: Tree,
  rows: readonly Amphora[],
  row: Amphora,
): Promise<SeenAmphora> {
  const peers = peersOf(row, rows);
  const stays = serves(row) && tree.loadBalancer.provisioningStatus !== 'PENDING_DELETE';
  return stays ? observeServing(context, run, tree, row, peers) : observeChanging(context, run, row, peers);
}

async function observeServing(
  context: Context,
  run: Run,
  tree: Tree,
  row: Amphora,
  peers: readonly string[],
): Promise<SeenAmphora> {
  const { networking } = context.clouds;
  const silent = isSilent(context, row);
  const doubtful = silent || run.troubles.has(row.id);
  const confirmed = confirmedOf(run, row, peers);
  const due = row.appliedGeneration !== tree.loadBalancer.generation || !atRest(tree);
  const content = isDeepStrictEqual(run.content.get(row.id), peers);
  const trusted = !doubtful && (due || confirmed !== undefined || content);
  const [vrrpPort, first] = await Promise.all([
    run.vrrpPorts.get(row.id) ?? (row.vrrpPortId === null ? undefined : networking.port(row.vrrpPortId)),
    doubtful ? observeServer(context, row) : ('unwatched' as const),
  ]);
  const answer = trusted ? ('unasked' as const) : await askServing(context, row, first);
  if (vrrpPort !== undefined) run.vrrpPorts.set(row.id, vrrpPort);
  const outdated = typeof answer === 'object' && isOutdated(context, tree, answer, peers);
  if (typeof answer === 'object' && !outdated && generationOf(answer) === tree.loadBalancer.generation) {
    run.content.set(row.id, peers);
  }
  const server =
    answer === 'unreachable' && first === 'unwatched' ? await observeServer(context, row) : first;
  return {
    row,
    server: seenServer(run, server),
    managementPortId: undefined,
    vrrpPortId: vrrpPort?.id,
    portIds: [],
    agent: generationOf(answer),
    outdated,
    silent,
    trouble: run.troubles.get(row.id),
    confirmed,
  };
}

/** It has keys of a past period, settings of another day, or peers that are no more. */
function isOutdated(context: Context, tree: Tree, status: AgentStatus, peers: readonly string[]): boolean {
  const otherPeers = peers.length > 0 && !isDeepStrictEqual(status.vrrpPeers, peers);
  return hasOldTicketKeys(tree, status) || hasOtherSettings(context, status) || otherPeers;
}

/** What it confirmed counts while it was about the peers of now. */
function confirmedOf(run: Run, { id }: Amphora, peers: readonly string[]): number | undefined {
  const confirmation = run.confirmed.get(id);
  return isDeepStrictEqual(confirmation?.peers, peers) ? confirmation?.generation : undefined;
}

/** Of a server that does not run no answer is waited for. */
async function askServing(context: Context, row: Amphora, server: Server | 'gone' | 'unwatched') {
  return server === 'unwatched' || mayAnswer(server) ? askAgent(context, row) : 'unreachable';
}

async function observeChanging(
  context: Context,
  run: Run,
  row: Amphora,
  peers: readonly string[],
): Promise<SeenAmphora> {
  const { networking } = context.clouds;
  const { id } = row;
  const portsOf = (
    known: ReadonlyMap<string, Port>,
    name: string,
  ): readonly Port[] | Promise<readonly Port[]> => {
    const port = row.status === 'BOOTING' ? known.get(id) : undefined;
    return port === undefined ? networking.portsNamed(name) : [port];
  };
  const [server, managementPorts, vrrpPorts, memberPorts] = await Promise.all([
    row.status === 'BOOTING' ? observeBooting(context, run, row) : observeServer(context, row),
    portsOf(run.managementPorts, names.managementPort(id)),
    portsOf(run.vrrpPorts, names.vrrpPort(id)),
    // It has them only once it serves, and nobody asks for them before it goes.
    row.status === 'PENDING_DELETE' ? networking.portsNamed(names.memberPort(id)) : [],
  ]);
  const asks = row.status === 'BOOTING' && mayAnswer(server);
  const agent = asks ? generationOf(await askAgent(context, row)) : ('unasked' as const);
  const managementPort = managementPorts[0];
  const vrrpPort = vrrpPorts.find((port) => port.id === row.vrrpPortId) ?? vrrpPorts[0];
  if (managementPort !== undefined) run.managementPorts.set(id, managementPort);
  if (vrrpPort !== undefined) run.vrrpPorts.set(id, vrrpPort);
  return {
    row,
    server: seenServer(run, server),
    managementPortId: managementPort?.id,
    vrrpPortId: vrrpPort?.id,
    portIds: [...managementPorts, ...vrrpPorts, ...memberPorts].map((port) => port.id),
    agent,
    outdated: false,
    silent: false,
    trouble: run.troubles.get(id),
    confirmed: confirmedOf(run, row, peers),
  };
}

/** While it boots its agent is asked all the time, Nova only now and then. */
async function observeBooting(context: Context, run: Run, row: Amphora): Promise<Server | 'gone'> {
  const kept = run.booting.get(row.id);
  if (kept !== undefined && Date.now() - kept.lookedAt < askNovaEveryMs) return kept.server;
  const server = await observeServer(context, row);
  if (mayAnswer(server)) run.booting.set(row.id, { server, lookedAt: Date.now() });
  return server;
}

/** By id, and by name when the id is not known (any more). */
async function observeServer({ clouds }: Context, row: Amphora): Promise<Server | 'gone'> {
  const known = row.computeId === null ? undefined : await clouds.compute.observeServer(row.computeId);
  if (known !== undefined && known.status !== 'DELETED') return known;
  return (await clouds.compute.findServer(names.server(row.id))) ?? known ?? 'gone';
}

function seenServer(run: Run, server: Server | 'gone' | 'unwatched'): SeenAmphora['server'] {
  if (typeof server !== 'object') return server;
  const { id, status, fault } = server;
  return { id, status, fault, leaving: run.leaving.has(id) };
}

/** An agent asked before its server is there costs us seconds: the network looks for the address, and waits. */
function mayAnswer(server: Server | 'gone'): server is Server {
  return server !== 'gone' && server.status === 'ACTIVE';
}

const generationOf = <T extends string>(answer: AgentStatus | T): number | T =>
  typeof answer === 'object' ? answer.report.generation : answer;

async function askAgent({ clouds }: Context, row: Amphora): Promise<AgentStatus | 'unreachable'> {
  if (row.lbNetworkIp === null) return 'unreachable';
  try {
    return await clouds.agent.status({ id: row.id, address: row.lbNetworkIp });
  } catch (error) {
    if (error instanceof DriverError) return 'unreachable';
    throw error;
  }
}

function isSilent({ settings, listeningSince }: Context, row: Amphora): boolean {
  if (settings.health.receivers.length === 0) return false;
  const heard = row.lastHeartbeatAt ?? row.updatedAt ?? row.createdAt;
  const since = Math.max(heard.getTime(), listeningSince().getTime());
  return Date.now() - since > settings.health.heartbeat_timeout_seconds * 1000;
}

async function tooManySilent({ store, settings: { health } }: Context): Promise<boolean> {
  const since = new Date(Date.now() - health.heartbeat_timeout_seconds * 1000);
  const [silent, allocated] = await Promise.all([
    store.amphorae.silentSince(since),
    store.amphorae.countAllocated(),
  ]);
  return silent.length > silenceLimit(allocated, health.failover_threshold_share);
}
