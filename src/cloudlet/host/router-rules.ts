import type { HostRouter } from './host.ts';
import { word } from './links.ts';

/**
 * The rules of a router for `nft -f`, which replace those before in one transaction; connections that are known go on.
 * What was begun through a floating address goes nowhere once that address forwards elsewhere.
 * @param outer name of the link into the outer network; undefined: there is none
 */
export function routerRules(router: HostRouter, outer: string | undefined): string {
  return [
    'table inet router',
    'delete table inet router',
    'table inet router {',
    ...(outer === undefined ? [] : chains(router, word(outer))),
    '}',
    '',
  ].join('\n');
}

function chains({ floating, outerAddress }: HostRouter, outer: string): string[] {
  const pairs = floating.map((pair) => ({ outer: word(pair.outer), inner: word(pair.inner) }));
  const map = (line: (pair: (typeof pairs)[number]) => string) => `{ ${pairs.map(line).join(', ')} }`;
  const nothing = pairs.length === 0;
  return [
    chain('from-inside', 'filter hook prerouting priority -150', [`iifname != "${outer}" meta mark set 1`]),
    chain(
      'inward',
      'nat hook prerouting priority -100',
      nothing ? [] : [`dnat ip to ip daddr map ${map((pair) => `${pair.outer} : ${pair.inner}`)}`],
    ),
    chain('outward', 'nat hook postrouting priority 100', [
      // From inside to a floating address: the answer must come back through here.
      'meta mark 1 ct status dnat masquerade',
      ...(nothing
        ? []
        : [`oifname "${outer}" snat ip to ip saddr map ${map((pair) => `${pair.inner} : ${pair.outer}`)}`]),
      ...(outerAddress === null
        ? []
        : [`oifname "${outer}" meta nfproto ipv4 snat ip to ${word(outerAddress)}`]),
    ]),
    chain('passing', 'filter hook forward priority 0', [
      'ct direction original ct status dnat ' +
        (nothing
          ? ''
          : `ct original ip daddr . ip daddr != ${map((pair) => `${pair.outer} . ${pair.inner}`)} `) +
        'drop',
    ]),
  ].flat();
}

function chain(name: string, kind: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, `    type ${kind}`, ...rules.map((rule) => `    ${rule}`), '  }'];
}
