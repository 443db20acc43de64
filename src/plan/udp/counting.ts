import type { WantedMember, WantedPool } from '../../wire/wanted.ts';
import { counterNames, remember, type Service } from './service.ts';
import { braces, hex, uuid, whole } from './words.ts';

/** Towards the members, and back. */
export const ways = ['in', 'out'] as const;
export type Way = (typeof ways)[number];
const direction = { in: 'ct direction original', out: 'ct direction reply' } as const;

export const countingName = ({ listener }: Service, way: Way): string => `count-${way}-${uuid(listener.id)}`;

/**
 * Every packet of a flow is looked up by the mark of its member, once; what has none is none of ours. So a flow counts
 * for the listener that has the member's pool now. What this costs beside the least there could be is measured by
 * `npm run bench:datagrams`.
 */
export function dispatch(
  way: Way,
  pools: readonly WantedPool[],
  services: readonly Service[],
  marks: ReadonlyMap<string, number>,
): string[] {
  const mark = (member: WantedMember): string => hex(marks.get(member.id) ?? 0);
  const served = new Map(pools.flatMap(({ members }) => members.map((one) => [mark(one), [] as Service[]])));
  for (const one of services) {
    for (const member of one.pool?.members ?? []) served.get(mark(member))?.push(one);
  }
  const verdicts = [...served].map(([member, [first, ...others]]) => {
    const one = others.length === 0 ? first : undefined;
    return `${member} : goto ${one === undefined ? `${way}-by-port` : countingName(one, way)}`;
  });
  return verdicts.length === 0 ? [] : [`${direction[way]} ct mark vmap ${braces(verdicts)}`];
}

/** For members that are behind several listeners. */
export function byPort(services: readonly Service[], way: Way): string[] {
  const chains = (['udp', 'sctp'] as const).flatMap((protocol) => {
    const ports = services
      .filter((one) => one.protocol === protocol)
      .map((one) => `${whole(one.listener.port)} : goto ${countingName(one, way)}`);
    return ports.length === 0 ? [] : [`meta l4proto ${protocol} ct original proto-dst vmap ${braces(ports)}`];
  });
  return [...chains, 'accept'];
}

/** A client is not forgotten while a flow of it goes on. */
export function counting(
  { listener, pool, live, sticky }: Service,
  way: Way,
  marks: ReadonlyMap<string, number>,
): string[] {
  const mark = (member: WantedMember): string => hex(marks.get(member.id) ?? 0);
  const members = (pool?.members ?? []).map((member) => `${mark(member)} : "member-${way}-${member.id}"`);
  const alive = live.length === members.length ? '' : `ct mark ${braces(live.map(mark))} `;
  return [
    `counter name ${counterNames(listener.id)[way]}`,
    ...(members.length === 0 ? [] : [`counter name ct mark map ${braces(members)}`]),
    ...(way === 'out' || sticky === undefined || live.length === 0
      ? []
      : [`${alive}${remember(sticky, 'ct mark')}`]),
    'accept',
  ];
}
