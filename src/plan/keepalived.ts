import type { WantedInterface, WantedVrrp } from '../wire/wanted.ts';

/** Both its processes; measured 13.4 MB resident (version 2.2.7), what they share counted twice. */
export const keepalivedBytes = 16 * 1024 * 1024;

/** Where the instance lives in the amphora. */
export interface Place {
  /** Name of the card with the VIPs. */
  readonly card: string;
  /** Holds 0 while HAProxy serves, else 1. */
  readonly trackFile: string;
}

/**
 * keepalived's configuration for one amphora of a pair. It begins as BACKUP and does not preempt, so that a
 * replaced amphora takes nothing from the one that serves; only the first MASTER of a load balancer does not wait.
 * A weight of 0 on the tracked file makes the instance go at once and say so: the other takes over within a skew
 * time (measured: 0.3 s at adverts of 1 s) and not after three missed adverts.
 */
export function renderKeepalived(vrrp: WantedVrrp, { vips }: WantedInterface, place: Place): string {
  const version6 = vrrp.address.includes(':');
  const sameFamily = (vip: string): boolean => vip.includes(':') === version6;
  const advertised = vips.filter(sameFamily);
  const others = vips.filter((vip) => !sameFamily(vip));
  const addresses = (list: readonly string[]) => list.map((vip) => `${vip} dev ${place.card}`);
  return [
    // Without a router_id keepalived asks the DNS for its host's name first: 10 s where no DNS is reached (measured).
    ...block('global_defs', [
      'router_id livia',
      'vrrp_check_unicast_src',
      `vrrp_version ${version6 ? 3 : 2}`,
    ]),
    ...block('track_file haproxy', [`file ${place.trackFile}`, 'weight 0']),
    ...block('vrrp_instance vip', [
      `state ${vrrp.first ? 'MASTER' : 'BACKUP'}`,
      ...(vrrp.first ? [] : ['nopreempt']),
      `interface ${place.card}`,
      `virtual_router_id ${vrrp.routerId}`,
      `priority ${vrrp.priority}`,
      `advert_int ${vrrp.advertSeconds}`,
      // Who asked for the VIP while the one before us was still there may have heard that one last.
      'garp_master_delay 1',
      'garp_master_refresh 5',
      'garp_master_refresh_repeat 2',
      `unicast_src_ip ${vrrp.address}`,
      ...block('unicast_peer', vrrp.peers),
      // Version 3 knows no passwords; the security group and the check of the sender remain.
      ...(version6 ? [] : block('authentication', ['auth_type PASS', `auth_pass ${vrrp.password}`])),
      ...block('virtual_ipaddress', addresses(advertised)),
      ...(others.length > 0 ? block('virtual_ipaddress_excluded', addresses(others)) : []),
      ...block('track_file', ['haproxy']),
    ]),
    '',
  ].join('\n');
}

function block(name: string, lines: readonly string[]): readonly string[] {
  return [`${name} {`, ...lines.map((line) => `  ${line}`), '}'];
}
