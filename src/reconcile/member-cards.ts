import type { Port } from '../clouds/clouds.ts';
import type { Amphora } from '../lb/amphora.ts';
import type { Tree } from '../lb/tree.ts';
import { names } from '../plan/steps.ts';
import type { Context } from './context.ts';

/** Cards of an amphora on the subnets of its members, where those are not the VIP's. */
export interface MemberCards {
  readonly wanted: readonly Port[];
  /** No member is there any more: to go once the amphora knows. */
  readonly surplus: readonly Port[];
}

/**
 * Sees to it that the server has a card on every subnet that a member names. They are found by name, so that a crash
 * leaves none behind. A subnet that is gone gets none: its members are looked for through the gateway.
 * Members on the VIP's subnet, or on none, are reached by the VIP's card, of whatever kind that is.
 */
export async function ensureMemberCards(
  { clouds: { compute, networking } }: Context,
  tree: Tree,
  row: Amphora,
  card: Port,
): Promise<MemberCards> {
  const serverId = row.computeId;
  if (serverId === null) return { wanted: [], surplus: [] };
  const name = names.memberPort(row.id);
  const reached = new Set(card.fixedIps.map(({ subnetId }) => subnetId));
  const members = tree.members.filter((member) => member.provisioningStatus !== 'PENDING_DELETE');
  const subnetIds = new Set(
    members.flatMap(({ subnetId }) => subnetId ?? []).filter((id) => !reached.has(id)),
  );
  const direct = new Set(
    members.flatMap(({ subnetId, vnicType }) => (vnicType === 'direct' ? subnetId : [])),
  );
  const there = await networking.portsNamed(name);
  const onSubnet = (port: Port, id: string) => port.fixedIps.some(({ subnetId }) => subnetId === id);

  async function cardOn(id: string): Promise<Port | undefined> {
    // A bound port keeps its kind: when the first member asks for the other, or the last is gone, a new card comes.
    const vnicType = direct.has(id) ? 'direct' : 'normal';
    const found = there.find((port) => port.vnicType === vnicType && onSubnet(port, id));
    if (found !== undefined) return found;
    const subnet = await networking.subnet(id);
    if (subnet === undefined) return undefined;
    return networking.ensurePort({
      ...{ name, networkId: subnet.networkId, fixedIps: [{ subnetId: id }], adminStateUp: true, vnicType },
      ...{ deviceId: '', deviceOwner: '', projectId: await compute.projectId(), unheardOf: true },
    });
  }

  const cards = await Promise.all([...subnetIds].map(cardOn));
  const wanted = cards.filter((port) => port !== undefined);
  // One after the other: Nova changes a server's cards one at a time.
  for (const port of wanted) if (port.deviceId !== serverId) await compute.attachPort(serverId, port.id);
  return { wanted, surplus: there.filter((port) => !wanted.some(({ id }) => id === port.id)) };
}
