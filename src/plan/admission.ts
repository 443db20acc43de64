import type { WantedAmphora, WantedListener } from '../wire/wanted.ts';
import { Unwritable } from './haproxy/quote.ts';
import { braces, familyOf, ip, network, uuid, whole } from './udp/words.ts';

/** Who is let in where: what allowed CIDRs are rendered from. */
export interface Admission {
  readonly vipAddresses: readonly string[];
  readonly listeners: readonly Pick<WantedListener, 'id' | 'protocol' | 'port' | 'allowedCidrs'>[];
}

export interface RenderedAdmission {
  /** For `nft -f`: one transaction that replaces the whole table, or removes it. */
  readonly text: string;
  /** Listeners whose CIDRs cannot be written; they let nobody in. */
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
}

export const admissionTable = 'inet livia-allowed';

/** Of a tree, with the doors alone that are not open to everybody. */
export function admissionOf({ loadBalancer, listeners }: WantedAmphora): Admission {
  return {
    vipAddresses: loadBalancer.vipAddresses,
    listeners: listeners
      .filter(({ allowedCidrs }) => allowedCidrs !== null)
      .map(({ id, protocol, port, allowedCidrs }) => ({ id, protocol, port, allowedCidrs })),
  };
}

type Door = Pick<WantedListener, 'protocol' | 'port'>;

/** As an element of a map, which has each once. */
function doorOf({ protocol, port }: Door): string {
  const carriedBy = protocol === 'UDP' || protocol === 'SCTP' ? protocol.toLowerCase() : 'tcp';
  return `${carriedBy} . ${whole(port)}`;
}

/** While one tree becomes another: as the other says, and no door that only the first has stands open meanwhile. */
export function meanwhile(before: Admission, wanted: WantedAmphora): Admission {
  const next = admissionOf(wanted);
  const doors = new Set(wanted.listeners.map(doorOf));
  return {
    vipAddresses: [...new Set([...next.vipAddresses, ...before.vipAddresses])],
    listeners: [...next.listeners, ...before.listeners.filter((one) => !doors.has(doorOf(one)))],
  };
}

/**
 * The kernel's rules for allowed CIDRs, in a table of their own. What is not let in is dropped before anybody hears of
 * it. TCP connections are looked at when they begin: those that are there go on, as with Octavia's security groups.
 */
export function renderAdmission({ vipAddresses, listeners }: Admission): RenderedAdmission {
  const refused: { id: string; reason: string }[] = [];
  const chains = listeners.map((listener) => {
    let sources: readonly string[] = [];
    try {
      sources = sourcesOf(listener.allowedCidrs ?? []);
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error;
      refused.push({ id: listener.id, reason: error.message });
    }
    const name = `listener-${uuid(listener.id)}`;
    const lines = [...sources.map((source) => `${source} accept`), 'drop'];
    return { door: `${doorOf(listener)} : goto ${name}`, name, lines };
  });
  const doors = braces(chains.map(({ door }) => door));
  const toVips = byFamily(vipAddresses.map(ip)).map(
    ([family, vips]) => `${family} daddr ${braces(vips)} meta l4proto . th dport vmap ${doors}`,
  );
  const table = [
    `table ${admissionTable} {`,
    ...chains.flatMap(({ name, lines }) => block(`chain ${name}`, lines)),
    ...block('chain allowed', [
      // Before conntrack, which is to remember nothing of it.
      'type filter hook prerouting priority raw; policy accept;',
      'tcp flags & (fin | syn | rst | ack) != syn accept',
      ...toVips,
    ]),
    '}',
  ];
  const replaced = [`table ${admissionTable} { }`, `delete table ${admissionTable}`];
  const text = [...replaced, ...(chains.length === 0 ? [] : table), ''].join('\n');
  return { text, refused };
}

function sourcesOf(cidrs: readonly string[]): string[] {
  return byFamily(cidrs.map(network)).map(([family, ones]) => `${family} saddr ${braces(ones)}`);
}

function byFamily(values: readonly string[]): ['ip' | 'ip6', string[]][] {
  const of = (family: 'ip' | 'ip6') => values.filter((value) => familyOf(value) === family);
  return (['ip', 'ip6'] as const)
    .map((family): ['ip' | 'ip6', string[]] => [family, of(family)])
    .filter(([, ones]) => ones.length > 0);
}

const block = (head: string, lines: readonly string[]): string[] => [
  `    ${head} {`,
  ...lines.map((line) => `        ${line}`),
  '    }',
];
