import type { WantedListener, WantedMember, WantedPool } from '../../wire/wanted.ts';
import { type Family, familyOf, ip, uuid, whole } from './words.ts';

/** Counters of a listener: bytes as the kernel counts them, with headers; `flows` counts the first packets alone. */
export const counterNames = (listenerId: string) => ({
  in: `in-${uuid(listenerId)}`,
  out: `out-${uuid(listenerId)}`,
  flows: `flows-${uuid(listenerId)}`,
});

const defaultPersistenceSeconds = 360;

/** A listener, as one IP version of the kernel is to serve it. */
export interface Service {
  readonly listener: WantedListener;
  readonly protocol: 'udp' | 'sctp';
  readonly pool: WantedPool | undefined;
  /** Those that get new flows. */
  readonly live: readonly WantedMember[];
  /** Where the pool remembers its clients. */
  readonly sticky: Sticky | undefined;
}

export interface Sticky {
  readonly name: string;
  /** What of a client's address counts. */
  readonly client: string;
  readonly timeoutSeconds: number;
}

export function service(
  listener: WantedListener,
  pools: readonly WantedPool[],
  family: Family,
  down: ReadonlySet<string>,
): Service {
  const pool = pools.find(({ id }) => id === listener.defaultPoolId);
  const live = (pool?.members ?? []).filter(
    (member) =>
      familyOf(member.address) === family && member.enabled && member.weight > 0 && !down.has(member.id),
  );
  return {
    listener,
    protocol: listener.protocol === 'SCTP' ? 'sctp' : 'udp',
    pool,
    live,
    sticky: pool && stickyOf(pool, family),
  };
}

function stickyOf({ id, sessionPersistence }: WantedPool, family: Family): Sticky | undefined {
  if (sessionPersistence === null) return undefined;
  const { persistenceTimeout, persistenceGranularity } = sessionPersistence;
  const mask = persistenceGranularity === null ? '' : ip(persistenceGranularity);
  return {
    name: `clients-${uuid(id)}`,
    client: mask !== '' && familyOf(mask) === family ? `${family} saddr & ${mask}` : `${family} saddr`,
    timeoutSeconds: Math.max(1, persistenceTimeout ?? defaultPersistenceSeconds),
  };
}

/** Makes what is known of a client last. `mark`: an expression for its member. */
export function remember({ name, client, timeoutSeconds }: Sticky, mark: string): string {
  return `update @${name} { ${client} timeout ${whole(timeoutSeconds)}s : ${mark} }`;
}
