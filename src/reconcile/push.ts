import { DriverError } from '../clouds/errors.ts';
import type { Port } from '../clouds/clouds.ts';
import type { Amphora } from '../lb/amphora.ts';
import type { Tree } from '../lb/tree.ts';
import type { Found } from '../plan/wanted-tls.ts';
import { vrrpPassword } from '../pki/vrrp-password.ts';
import { peersOf, wantedVrrp } from '../plan/vrrp.ts';
import { type AmphoraFacts, neededSecrets, type SubnetFacts, vipsOf, wantedAmphora } from '../plan/wanted.ts';
import { ensureMemberCards } from './member-cards.ts';
import { changed, type Context, type Run } from './context.ts';
import { agentSettings } from './agent-settings.ts';
import { currentTicketKeys } from './ticket-rotation.ts';

/**
 * Gives the amphora its tree. When it cannot be reached now, that is noted in the run: the next look tells whether it
 * is slow or lost.
 */
export async function push(
  context: Context,
  run: Run,
  tree: Tree,
  rows: readonly Amphora[],
  row: Amphora,
): Promise<void> {
  const { clouds, store, log } = context;
  const card = run.vrrpPorts.get(row.id);
  if (card === undefined) throw new Error(`the port of amphora ${row.id} was not looked at`);
  const memberCards = await ensureMemberCards(context, tree, row, card);
  const vrrp = wantedVrrp(tree, row, rows, {
    password: vrrpPassword(context.secretKey, tree.loadBalancer.id),
    advertSeconds: context.settings.amphora.vrrp_advert_seconds,
  });
  const facts = { ...(await gatherFacts(context, run, tree, card, memberCards.wanted)), vrrp };
  const { wanted, failed } = wantedAmphora(tree, facts);
  try {
    const outcome = await clouds.agent.apply({ id: row.id, address: row.lbNetworkIp ?? '' }, wanted);
    await store.amphorae.save(
      changed(row, {
        status: 'ALLOCATED',
        appliedGeneration: outcome.generation,
        vrrpInterface: outcome.vipCard ?? row.vrrpInterface,
      }),
    );
    const refused = outcome.refused.map(({ id, reason }) => [id, reason] as const);
    for (const port of memberCards.surplus) await clouds.networking.removePort(port.id);
    run.confirmed.set(row.id, {
      generation: outcome.generation,
      peers: peersOf(row, rows),
      report: outcome.report,
      failed: new Map([...refused, ...failed]),
    });
    context.metrics.pushed(outcome);
    const { generation, change, why, durationMs, warnings } = outcome;
    const { id: loadBalancerId } = tree.loadBalancer;
    log.info(
      { loadBalancerId, amphoraId: row.id, generation, change, why, durationMs, warnings },
      'tree pushed',
    );
  } catch (error) {
    if (!(error instanceof DriverError) || error.retry === 'never') throw error;
    context.metrics.pushed(undefined);
    run.troubles.set(row.id, error.message);
  }
}

async function gatherFacts(
  context: Context,
  run: Run,
  tree: Tree,
  card: Port,
  memberCards: readonly Port[],
): Promise<AmphoraFacts> {
  const { secrets } = context.clouds;
  const vips = vipsOf(tree.loadBalancer, run.vipPort?.fixedIps ?? []);
  const subnetIds = new Set(
    [card, ...memberCards]
      .flatMap(({ fixedIps }) => fixedIps)
      .concat(vips)
      .map((ip) => ip.subnetId),
  );
  const refs = neededSecrets(tree);
  const [subnets, certificates, texts] = await Promise.all([
    readAll(subnetIds, (id) => readSubnet(context, id)),
    readAll(refs.certificates, (ref) => unlessNever(secrets.certificate(ref))),
    readAll(refs.texts, (ref) => unlessNever(secrets.text(ref))),
  ]);
  const ticketKeys = currentTicketKeys(context, tree);
  const settings = agentSettings(context);
  const { default_connection_limit: defaultConnectionLimit, haproxy_stick_size: stickSize } =
    context.settings.load_balancing;
  const secretsFound = { certificates, texts, ticketKeys };
  return {
    card,
    memberCards,
    vips,
    subnets,
    ...secretsFound,
    ...settings,
    defaultConnectionLimit,
    stickSize,
  };
}

async function readSubnet({ clouds }: Context, id: string): Promise<SubnetFacts> {
  const subnet = await clouds.networking.subnet(id);
  if (subnet === undefined) throw new DriverError(`The subnet ${id} is gone.`, { retry: 'never' });
  return subnet;
}

/** A wish that never can be met is a fact to go on with; a slow world is not. */
async function unlessNever<T>(reading: Promise<T>): Promise<Found<T>> {
  try {
    return { value: await reading };
  } catch (error) {
    if (error instanceof DriverError && error.retry === 'never') return { unavailable: error.message };
    throw error;
  }
}

async function readAll<T>(
  keys: Iterable<string>,
  read: (key: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  return new Map(await Promise.all([...keys].map(async (key) => [key, await read(key)] as const)));
}
