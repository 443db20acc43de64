import type { WantedAmphora, WantedMember, WantedPool } from '../../wire/wanted.ts';
import { Unwritable } from '../haproxy/quote.ts';
import { choice, type Flows, memberMarks } from './choice.ts';
import { byPort, counting, countingName, dispatch, ways } from './counting.ts';
import { counterNames, remember, service, type Service } from './service.ts';
import { braces, type Family, familyOf, hex, ip, uuid, whole } from './words.ts';

export const tableName = 'livia';

export interface RenderedNftables {
  /** For `nft -f`: one transaction. Empty when there is no VIP. */
  readonly text: string;
  readonly families: readonly Family[];
  /** Names of the counters, maps, sets and chains of the table that are in use. */
  readonly names: ReadonlySet<string>;
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
}

/** So many clients a pool remembers; who comes after them is served without. */
const largestSet = 262_144;

/**
 * The kernel's rules for the datagram listeners of a tree. The first packet of a flow chooses a member: the one its
 * client is known to have, else by the pool's algorithm; conntrack keeps the flow there from then on, whatever
 * becomes of the rules. All rules are replaced at once; counters and what is known of clients go on.
 *
 * @param wanted its datagram part
 * @param down ids of members that failed their health checks
 * @param flows as last counted; LEAST_CONNECTIONS goes by them
 */
export function renderNftables(
  wanted: WantedAmphora,
  down: ReadonlySet<string>,
  flows: Flows = new Map(),
): RenderedNftables {
  const refused = new Map<string, string>();
  const pools = wanted.pools.filter((pool) =>
    orRefuse(refused, pool.id, () => pool.members.every((member) => ip(member.address) !== '')),
  );
  const marks = memberMarks(pools);
  const names = new Set<string>();
  const families = [...new Set(wanted.loadBalancer.vipAddresses.map(familyOf))].toSorted();
  const tables = families.map((family) => {
    const services = wanted.listeners.flatMap(
      (listener) => orRefuse(refused, listener.id, () => service(listener, pools, family, down)) ?? [],
    );
    const vips = wanted.loadBalancer.vipAddresses.filter((vip) => familyOf(vip) === family).map(ip);
    return renderTable(family, vips, services, pools, { marks, flows }, names);
  });
  return {
    text: tables.join('\n'),
    families,
    names,
    refused: [...refused].map(([id, reason]) => ({ id, reason })),
  };
}

function orRefuse<T>(refused: Map<string, string>, id: string, made: () => T): T | undefined {
  try {
    return made();
  } catch (error) {
    if (!(error instanceof Unwritable)) throw error;
    refused.set(id, error.message);
    return undefined;
  }
}

function block(head: string, lines: readonly string[]): string[] {
  return [`${head} {`, ...lines.map((line) => `    ${line}`), '}'];
}

const hooks = {
  choose: 'type nat hook prerouting priority dstnat; policy accept;',
  // An amphora is no router: what it forwards is what it sends to members.
  forwarded: 'type filter hook forward priority filter; policy drop;',
  masked: 'type nat hook postrouting priority srcnat; policy accept;',
} as const;

/** First everything that is to be there, which changes nothing of what is; then all rules anew. */
function renderTable(
  family: Family,
  vips: readonly string[],
  services: readonly Service[],
  pools: readonly WantedPool[],
  { marks, flows }: { marks: ReadonlyMap<string, number>; flows: Flows },
  names: Set<string>,
): string {
  const named = (name: string): string => {
    names.add(name);
    return name;
  };
  const counters = [
    ...services.flatMap(({ listener }) => Object.values(counterNames(listener.id))),
    ...pools.flatMap((pool) =>
      pool.members.flatMap(({ id }) => [`member-in-${uuid(id)}`, `member-out-${uuid(id)}`]),
    ),
  ];
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
  const stickies = new Map(
    services.flatMap(({ sticky }) => (sticky ? [[sticky.name, sticky] as const] : [])),
  );
  const toVip = `${family} daddr ${braces(vips)}`;
  const chains = [
    ...services.map(chainName),
    ...ways.flatMap((way) => [`${way}-by-port`, ...services.map((one) => countingName(one, way))]),
  ];
  const things = [
    ...counters.map((name) => `counter ${named(name)} { }`),
    ...[...stickies.keys()].map(
      (name) => `map ${named(name)} { type ${address} : mark; flags dynamic,timeout; size ${largestSet}; }`,
    ),
    ...services.flatMap((one) => {
      const name = limitName(one);
      return name === undefined ? [] : `set ${named(name)} { type mark; flags dynamic; size ${largestSet}; }`;
    }),
    ...Object.entries(hooks).flatMap(([name, hook]) => block(`chain ${named(name)}`, [hook])),
    ...chains.map((name) => `chain ${named(name)} { }`),
  ];
  const doors = services.map(
    (one) => `${one.protocol} . ${whole(one.listener.port)} : goto ${chainName(one)}`,
  );
  const rules = [
    ...block(
      'chain choose',
      doors.length === 0 ? [] : [`${toVip} meta l4proto . th dport vmap ${braces(doors)}`],
    ),
    ...services.flatMap((one) => block(`chain ${chainName(one)}`, choosing(one, family, marks, flows))),
    ...block('chain forwarded', [
      ...dispatch('in', pools, services, marks),
      ...dispatch('out', pools, services, marks),
    ]),
    ...ways.flatMap((way) => [
      ...block(`chain ${way}-by-port`, byPort(services, way)),
      ...services.flatMap((one) => block(`chain ${countingName(one, way)}`, counting(one, way, marks))),
    ]),
    ...block('chain masked', [`ct status dnat ct original ${toVip} masquerade`]),
  ];
  return [
    ...block(`table ${family} ${tableName}`, things),
    `flush table ${family} ${tableName}`,
    ...block(`table ${family} ${tableName}`, rules),
    '',
  ].join('\n');
}

const chainName = ({ listener }: Service): string => `listener-${uuid(listener.id)}`;
/** An element of a limiting set keeps the limit it was made with: another limit is another set. */
function limitName({ listener, live }: Service): string | undefined {
  const { connectionLimit } = listener;
  return connectionLimit > 0 && live.length > 0
    ? `limit-${uuid(listener.id)}-${whole(connectionLimit)}`
    : undefined;
}

/** For the first packet of a flow. Without a member to choose the packet stays here, where nobody listens. */
function choosing(one: Service, family: Family, marks: ReadonlyMap<string, number>, flows: Flows): string[] {
  const { listener, protocol, pool, live, sticky } = one;
  if (pool === undefined || live.length === 0) return [];
  const mark = (member: WantedMember): string => hex(marks.get(member.id) ?? 0);
  const places = live.map((member) => `${mark(member)} : ${ip(member.address)} . ${whole(member.port)}`);
  const limit = limitName(one);
  const isDead = `meta mark != ${braces(live.map(mark))}`;
  return [
    ...(sticky === undefined
      ? [`meta mark set ${choice(pool, live, marks, family, flows)}`]
      : [
          `meta mark set ${sticky.client} map @${sticky.name}`,
          // What is known already cannot be overwritten, only made to last.
          `${isDead} delete @${sticky.name} { ${sticky.client} : meta mark }`,
          `${isDead} meta mark set ${choice(pool, live, marks, family, flows)}`,
          remember(sticky, 'meta mark'),
        ]),
    ...(limit === undefined
      ? []
      : [`add @${limit} { meta mark ct count over ${whole(listener.connectionLimit)} } drop`]),
    `counter name ${counterNames(listener.id).flows}`,
    'ct mark set meta mark',
    `meta l4proto ${protocol} dnat ${family} to meta mark map ${braces(places)}`,
  ];
}
