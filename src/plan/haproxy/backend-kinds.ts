import { createHash } from 'node:crypto';
import type { WantedListener } from '../../wire/wanted.ts';
import { backendLines } from './backend.ts';

/**
 * HAProxy 3.4 makes a backend at run time when all that it is, but for its servers, stands in a `defaults` section it
 * has loaded: `add backend NAME from KIND`. So for such a HAProxy what backends have in common is written as kinds.
 * Their names come from their lines: two texts mean the same by the same name.
 */
export interface Kind {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Not of a `defaults` section, or nothing that servers which are added would inherit from it. */
const own = /^(server|default-server|stick|stick-table) /;

/** Of a backend's lines; undefined for one with a stick table, which HAProxy could neither make nor remove. */
export function kindOf([, ...lines]: readonly string[]): Kind | undefined {
  if (lines.some((line) => line.startsWith('stick'))) return undefined;
  const shared = lines.filter((line) => !own.test(line));
  const name = createHash('sha256').update(shared.join('\n')).digest('hex').slice(0, 32);
  return { name: `kind-${name}`, lines: shared };
}

/** The backend as one of its kind. */
export function ofKind([head = '', ...lines]: readonly string[], { name }: Kind): string[] {
  return [`${head} from ${name}`, ...lines.filter((line) => own.test(line))];
}

/** A plain pool uses none of it. */
const nothingAround = { files: new Map(), pingCheck: '', tableEntries: 0, cookieKey: '' };

/** Of plain pools, so that the first of them behind this listener needs no reload either. */
export function plainKinds(listener: WantedListener): Kind[] {
  const algorithms = ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'] as const;
  return algorithms.flatMap((algorithm) => {
    const none = { members: [], healthMonitor: null, sessionPersistence: null, tls: null };
    const pool = { id: '', protocol: 'HTTP', algorithm, ...none } as const;
    return kindOf(backendLines(pool, listener, nothingAround).lines) ?? [];
  });
}
