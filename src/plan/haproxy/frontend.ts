import type { WantedAmphora, WantedListener } from '../../wire/wanted.ts';
import type { Abilities } from '../runtime/abilities.ts';
import { toMetrics } from './exporter.ts';
import { flowLogLines } from './flow-log.ts';
import { l7Lines } from './l7.ts';
import { address, Unwritable } from './quote.ts';
import { bindTls, type Files, strictTransportSecurity } from './tls.ts';

/** HAProxy keeps times in milliseconds of 31 bits: 24 days. */
export const longestMs = 2_147_483_647;

/** A timeout of the API: 0 means the default, and what HAProxy cannot count becomes the most it can. */
export function milliseconds(value: number, byDefault: number): string {
  return `${value === 0 ? byDefault : Math.min(value, longestMs)}ms`;
}

/** HAProxy's mode for a listener. */
export function modeOf(listener: WantedListener): 'http' | 'tcp' {
  return listener.protocol === 'TCP' || listener.protocol === 'HTTPS' ? 'tcp' : 'http';
}

const keepAliveMs = 10_000;

function bindOptions(listener: WantedListener, { ticketKeys }: WantedAmphora, files: Files): string {
  const tls =
    listener.protocol === 'TERMINATED_HTTPS' || listener.protocol === 'PROMETHEUS' ? listener.tls : null;
  if (tls !== null) return ` ${bindTls(files, listener.id, tls, ticketKeys).join(' ')}`;
  if (listener.protocol === 'TERMINATED_HTTPS') throw new Unwritable('there is no certificate for it');
  return '';
}

/**
 * The lines of one frontend. `backendOf` gives the name of a pool's backend behind this listener, undefined when
 * that pool is not served. Throws `Unwritable`.
 */
export function frontendLines(
  listener: WantedListener,
  wanted: WantedAmphora,
  maxconn: number,
  files: Files,
  backendOf: (poolId: string) => string | undefined,
  abilities: Abilities,
): string[] {
  if (listener.protocol === 'UDP' || listener.protocol === 'SCTP') {
    throw new Unwritable(`${listener.protocol} is not carried by HAProxy`);
  }
  const mode = modeOf(listener);
  const tls = bindOptions(listener, wanted, files);
  const clientMs =
    listener.timeoutClientData === 0 ? 50_000 : Math.min(listener.timeoutClientData, longestMs);
  const lines = [
    `frontend ${listener.id}`,
    `mode ${mode}`,
    ...wanted.loadBalancer.vipAddresses.map((vip) => `bind ${address(vip)}:${listener.port}${tls}`),
    `maxconn ${maxconn}`,
    `timeout client ${clientMs}ms`,
  ];
  if (mode === 'http') {
    // Without it a keep-alive client loses a request now and then at a reload; the timeout bounds its price.
    lines.push(
      'option idle-close-on-response',
      `timeout http-keep-alive ${Math.min(keepAliveMs, clientMs)}ms`,
    );
  }
  if (listener.timeoutTcpInspect > 0) {
    lines.push(`tcp-request inspect-delay ${milliseconds(listener.timeoutTcpInspect, 0)}`);
  }
  if (listener.protocol === 'PROMETHEUS') {
    lines.push(...toMetrics);
    return lines;
  }
  lines.push(...flowLogLines(wanted, mode));
  if (listener.protocol === 'TERMINATED_HTTPS' && listener.tls !== null) {
    lines.push(...strictTransportSecurity(listener.tls));
  }
  const backend = listener.defaultPoolId === null ? undefined : backendOf(listener.defaultPoolId);
  // A backend that can come and go is no word of a line.
  const inTable = mode === 'http' && abilities.backends;
  if (mode === 'http')
    lines.push(...l7Lines(listener, files, backendOf, inTable ? (backend ?? '') : undefined));
  if (backend !== undefined && !inTable) lines.push(`default_backend ${backend}`);
  return lines;
}
