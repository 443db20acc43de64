import { later } from './servers.ts';
import type { Steps } from './steps.ts';

/** A backend gets its servers before anybody is sent to it. */
export function backendAddition(backend: string, kind: string, servers: Steps | undefined): Steps {
  const coming = [
    { text: `add backend ${backend} from ${kind}`, says: ['New backend registered.'] },
    ...(servers?.coming ?? []),
    { text: `publish backend ${backend}`, says: ['Backend published.'] },
  ];
  return { coming, changing: [], leaving: [], kinds: ['pool added', ...(servers?.kinds ?? [])] };
}

/** Once its servers are gone; one that a line of the configuration names stays, and gets nothing new. */
export function backendRemoval(backend: string): Steps {
  const leaving = [
    { text: `unpublish backend ${backend}`, says: ['Backend unpublished.'] },
    {
      text: `del backend ${backend}`,
      // The last three now and then: what HAProxy had to say to the commands before, about its servers.
      says: [
        ...['Backend deleted.', ...later, 'other configuration elements pointing to it'],
        ...['Server deleted.', 'is going DOWN for maintenance', 'has no server available!'],
      ],
    },
  ];
  return { coming: [], changing: [], leaving, kinds: [] };
}
