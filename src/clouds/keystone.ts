import { createHash } from 'node:crypto';
import Type from 'typebox';
import type { Caller, Identity } from './clouds.ts';
import { isStatus, postponed, type Session } from './session.ts';

const Validated = Type.Object({
  token: Type.Object({
    user: Type.Object({ id: Type.String() }),
    project: Type.Optional(Type.Object({ id: Type.String() })),
    system: Type.Optional(Type.Object({ all: Type.Optional(Type.Boolean()) })),
    roles: Type.Optional(Type.Array(Type.Object({ name: Type.String() }))),
    expires_at: Type.String(),
  }),
});

export interface IdentityOptions {
  readonly publicUrl: string;
  /** How long an answer of Keystone is taken for true. */
  readonly cacheSeconds: number;
}

interface Seen {
  readonly caller: Caller;
  readonly expiresAtMs: number;
}

/** Entries are dropped by age, and beyond this many by order. */
const mostRemembered = 10_000;

export function keystoneIdentity(session: Session, options: IdentityOptions): Identity {
  // By hash, so that a memory dump shows no token. Maps keep the order of insertion: the oldest is first.
  const remembered = new Map<string, { answer: Promise<Seen | undefined>; untilMs: number }>();

  function forgetOld(nowMs: number): void {
    for (const [key, { untilMs }] of remembered) {
      if (untilMs > nowMs && remembered.size < mostRemembered) return;
      remembered.delete(key);
    }
  }

  async function ask(token: string): Promise<Seen | undefined> {
    try {
      const { token: seen } = await session.read(Validated, 'identity', 'GET', '/auth/tokens', {
        query: { nocatalog: '' },
        headers: { 'x-subject-token': token },
      });
      return {
        expiresAtMs: Date.parse(seen.expires_at),
        caller: {
          token,
          userId: seen.user.id,
          projectId: seen.project?.id ?? null,
          systemScope: seen.system?.all === true,
          roles: (seen.roles ?? []).map((role) => role.name),
        },
      };
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      // Whatever else is wrong between Keystone and Livia, the caller cannot help it.
      throw postponed(error);
    }
  }

  return {
    publicUrl: options.publicUrl,
    async validate(token) {
      // Header values cannot carry anything else, and Keystone issues nothing else.
      if (!/^[\x21-\x7e]{1,8192}$/.test(token)) return undefined;
      const key = createHash('sha256').update(token).digest('base64');
      const nowMs = Date.now();
      forgetOld(nowMs);
      const known = remembered.get(key);
      if (known !== undefined && known.untilMs > nowMs) return (await known.answer)?.caller;
      const entry = { answer: ask(token), untilMs: nowMs + options.cacheSeconds * 1000 };
      remembered.delete(key);
      remembered.set(key, entry);
      try {
        const seen = await entry.answer;
        if (seen !== undefined) entry.untilMs = Math.min(entry.untilMs, seen.expiresAtMs);
        return seen?.caller;
      } catch (error) {
        if (remembered.get(key) === entry) remembered.delete(key);
        throw error;
      }
    },
  };
}
