import type { Pool, PoolProtocol, SessionPersistence } from './pool.ts';
import { mandatory, type Problem, validationFailure } from './problems.ts';
import { isDatagram } from './rules.ts';

/** As a client sends it; what is absent was not sent. */
export interface SessionPersistenceValues {
  readonly type?: SessionPersistence['type'] | undefined;
  readonly cookieName?: string | null | undefined;
  readonly persistenceTimeout?: number | null | undefined;
  readonly persistenceGranularity?: string | null | undefined;
}

/**
 * The session persistence a pool gets. Values of the stored one stay while the type stays; a pool without one, and a
 * new pool, needs the type.
 */
export function sessionPersistence(
  values: SessionPersistenceValues | null,
  pool: { readonly protocol: PoolProtocol; readonly stored: Pool['sessionPersistence'] },
): SessionPersistence | null | Problem {
  if (values === null) return null;
  const type = values.type ?? pool.stored?.type;
  if (type === undefined) return mandatory('session_persistence.type');
  const stored = pool.stored?.type === type ? pool.stored : undefined;
  const either = <T>(sent: T | undefined, kept: T | undefined): T | null =>
    sent === undefined ? (kept ?? null) : sent;
  const wanted: SessionPersistence = {
    type,
    cookieName: either(values.cookieName, stored?.cookieName),
    persistenceTimeout: either(values.persistenceTimeout, stored?.persistenceTimeout),
    persistenceGranularity: either(values.persistenceGranularity, stored?.persistenceGranularity),
  };
  return persistenceProblem(wanted, pool.protocol) ?? wanted;
}

function persistenceProblem(wanted: SessionPersistence, protocol: PoolProtocol): Problem | undefined {
  const { type, persistenceTimeout, persistenceGranularity } = wanted;
  const cookieName = wanted.cookieName ?? '';
  if (isDatagram(protocol) && type !== 'SOURCE_IP') {
    return validationFailure(`session_persistence of type ${type} cannot be used by a ${protocol} pool.`);
  }
  if (!isDatagram(protocol) && (persistenceTimeout !== null || persistenceGranularity !== null)) {
    return validationFailure(
      `persistence_timeout and persistence_granularity are for UDP and SCTP pools, not for ${protocol}.`,
    );
  }
  if (type !== 'APP_COOKIE') {
    return cookieName === ''
      ? undefined
      : validationFailure(`session_persistence of type ${type} takes no cookie_name.`);
  }
  if (cookieName === '')
    return validationFailure('session_persistence of type APP_COOKIE needs a cookie_name.');
  return isCookieName(cookieName)
    ? undefined
    : validationFailure('The cookie_name holds characters that the name of a cookie cannot have.');
}

/** A token of RFC 2616: no control characters, blanks or separators. */
function isCookieName(name: string): boolean {
  return [...name].every((character) => character > ' ' && !'"(),/:;<=>?@[\\]{}\u007f'.includes(character));
}
