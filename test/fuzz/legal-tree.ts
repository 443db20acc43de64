import { dense, restTree } from '../../src/lb/settle.ts';
import { listenerPoolProtocols, poolMonitorTypes, portFamily } from '../../src/lb/rules.ts';
import { isPending } from '../../src/lb/status.ts';
import { type Tree, treeLists } from '../../src/lb/tree.ts';

/** What is wrong with a tree, one line each; empty: it is legal. Judged by what the API promises of any load balancer. */
export function illegalities(tree: Tree): readonly string[] {
  const { loadBalancer, listeners, pools, members, healthMonitors, l7Policies, l7Rules } = tree;
  const wrong: string[] = [];
  const say = (bad: boolean, what: string): void => void (bad && wrong.push(what));
  const by = <T extends { readonly id: string }>(objects: readonly T[]) =>
    new Map(objects.map((object) => [object.id, object]));
  const [poolOf, listenerOf, policyOf] = [by(pools), by(listeners), by(l7Policies)];

  for (const { id, defaultPoolId, protocol } of listeners) {
    const pool = defaultPoolId === null ? undefined : poolOf.get(defaultPoolId);
    say(defaultPoolId !== null && pool === undefined, `listener ${id} has a default pool that is not there`);
    say(
      pool !== undefined && !listenerPoolProtocols[protocol].includes(pool.protocol),
      `listener ${id}: ${protocol} on a pool of ${pool?.protocol}`,
    );
  }
  const ports = listeners.map(({ protocol, protocolPort }) => `${portFamily(protocol)} ${protocolPort}`);
  say(new Set(ports).size < ports.length, `two listeners on one port: ${ports.join(', ')}`);
  for (const { id, poolId } of members) say(!poolOf.has(poolId), `member ${id} has no pool`);
  const addresses = members.map(
    ({ poolId, address, protocolPort }) => `${poolId} ${address} ${protocolPort}`,
  );
  say(new Set(addresses).size < addresses.length, 'two members of a pool at one address');
  for (const { id, poolId, type } of healthMonitors) {
    const pool = poolOf.get(poolId);
    say(pool === undefined, `monitor ${id} has no pool`);
    say(
      pool !== undefined && !poolMonitorTypes[pool.protocol].includes(type),
      `monitor ${id}: ${type} on ${pool?.protocol}`,
    );
  }
  say(
    new Set(healthMonitors.map(({ poolId }) => poolId)).size < healthMonitors.length,
    'a pool with two monitors',
  );
  for (const policy of l7Policies) {
    say(!listenerOf.has(policy.listenerId), `policy ${policy.id} has no listener`);
    say(
      policy.redirectPoolId !== null && !poolOf.has(policy.redirectPoolId),
      `policy ${policy.id} leads to a pool that is not there`,
    );
  }
  const numbers = (policies: Tree['l7Policies']) => policies.map(({ position }) => position).join();
  say(numbers(dense(l7Policies)) !== numbers(l7Policies), `positions with gaps: ${numbers(l7Policies)}`);
  for (const { id, l7PolicyId } of l7Rules) say(!policyOf.has(l7PolicyId), `rule ${id} has no policy`);

  const ids = treeLists.flatMap((list) => tree[list].map(({ id }) => id));
  say(new Set(ids).size < ids.length, 'an id twice');
  for (const list of treeLists) {
    for (const { id, projectId, provisioningStatus } of tree[list]) {
      say(projectId !== loadBalancer.projectId, `${list} ${id} is of another project`);
      say(
        isPending(provisioningStatus) && !isPending(loadBalancer.provisioningStatus),
        `${list} ${id} is ${provisioningStatus} on a load balancer that is ${loadBalancer.provisioningStatus}`,
      );
    }
  }
  say(
    !restTree(tree) && loadBalancer.provisioningStatus === 'ACTIVE',
    'something is pending and nobody waits',
  );
  return wrong;
}
