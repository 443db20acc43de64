import type { LimitChange } from '../../plan/runtime/steps.ts';
import { ask, parseStat } from '../haproxy/socket.ts';
import { RuntimeRefusal } from './refusal.ts';

/** Undoes any bound on all connections that was set at run time. */
export const unbound = 'set maxconn global 0';

/** Of a session that cannot be there. HAProxy looks for it once no thread is at work: none accepts or lets go. */
const standstill = 'shutdown session 0x1';

/**
 * Has a listener take another limit of connections. Throws `RuntimeRefusal`, with nothing changed, when it is or was
 * full since this worker began, or is near it.
 *
 * Until 3.0 HAProxy holds the proxy's lock while it obeys `set maxconn frontend`, and takes it again for each socket
 * that waits behind that limit: a deadlock, which its watchdog ends with it. A socket waits there once its proxy was
 * full. So it must not have been full, and must not become so meanwhile: for these milliseconds HAProxy is told to take
 * fewer connections in all than would fill this listener, and more than it has, so that nobody waits for that.
 * `smax` is seen at a standstill, when no thread is about to put a socket there.
 */
export async function changeLimit(
  socket: string,
  { limits: frontend, from, to, threads }: LimitChange,
): Promise<void> {
  // A thread may be about to count a connection, or to let one go that is no longer counted in all.
  const bound = from - 2 * threads - 1;
  const look = `show info;show stat ${frontend} 1 -1`;

  async function refuseUnlessSpacious(question: string, mostInAll?: number): Promise<void> {
    const said = await ask(socket, question);
    const info = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(said)?.[1]);
    const [row] = parseStat(said.slice(said.indexOf('# pxname')));
    const asTold = row?.proxy === frontend && row.limit === from;
    if (!asTold || (mostInAll !== undefined && info('Maxconn') !== mostInAll)) {
      throw new RuntimeRefusal('the limits are not as told');
    }
    if (!(Math.max(row.most, row.current, info('CurrConns')) < bound)) {
      throw new RuntimeRefusal('a limit cannot change while its listener is, or after it was, full');
    }
  }

  await refuseUnlessSpacious(look);
  try {
    await refuseUnlessSpacious(`set maxconn global ${bound};${standstill};${look}`, bound);
    await ask(socket, `set maxconn frontend ${frontend} ${to}`);
  } finally {
    await ask(socket, unbound);
  }
  const [row] = parseStat((await ask(socket, `show stat ${frontend} 1 -1`)).trimStart());
  if (row?.limit !== to) throw new RuntimeRefusal('the limits are not as told');
}
