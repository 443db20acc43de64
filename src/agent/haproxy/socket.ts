import { connect } from 'node:net';

/**
 * One command to a socket of HAProxy (Runtime API or master), and its whole answer. Rejects when nobody listens or
 * the answer is not complete after `timeoutMs`.
 */
export function ask(path: string, command: string, timeoutMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    const timer = setTimeout(
      () => socket.destroy(new Error(`HAProxy did not answer "${command}"`)),
      timeoutMs,
    );
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString());
    });
    // Our end of the connection is closed at once: the master keeps a connection open as long as its client does.
    socket.end(`${command}\n`);
  });
}

export interface MasterState {
  /** Of the master. */
  readonly pid: number;
  readonly reloads: number;
  /** The last reload failed; the workers of before go on. */
  readonly failed: boolean;
  /** Live workers, the current one first; `reloads` is how many each has outlived. */
  readonly workers: readonly { readonly pid: number; readonly reloads: number }[];
}

/** The answer to `show proc` of a master socket; undefined when it is no such answer. */
export function parseProc(text: string): MasterState | undefined {
  const master = /^(\d+)\s+master\s+(\d+) \[failed: (\d+)\]/m.exec(text);
  if (master === null) return undefined;
  const workers = [...text.matchAll(/^(\d+)\s+worker\s+(\d+)\s/gm)]
    .map(([, pid, reloads]) => ({ pid: Number(pid), reloads: Number(reloads) }))
    .toSorted((one, other) => one.reloads - other.reloads);
  return { pid: Number(master[1]), reloads: Number(master[2]), failed: Number(master[3]) > 0, workers };
}

/** One row of `show stat`; numbers as HAProxy writes them. */
export interface StatRow {
  readonly proxy: string;
  /** FRONTEND, BACKEND, or the name of a server. */
  readonly service: string;
  readonly status: string;
  readonly weight: number;
  readonly current: number;
  /** The most sessions at a time since this worker began. */
  readonly most: number;
  /** Sessions it takes at most at a time; 0 for a server without a limit. */
  readonly limit: number;
  readonly total: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly requestErrors: number;
}

/** The answer to `show stat`. Names never hold a comma: they are ids. */
export function parseStat(csv: string): StatRow[] {
  const [head = '', ...lines] = csv.split('\n');
  const columns = head.replace(/^# /, '').split(',');
  const place = (name: string) => columns.indexOf(name);
  const [proxy, service, status] = [place('pxname'), place('svname'), place('status')];
  const [weight, current, limit, total] = [place('weight'), place('scur'), place('slim'), place('stot')];
  const most = place('smax');
  const [bytesIn, bytesOut, errors] = [place('bin'), place('bout'), place('ereq')];
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const cells = line.split(',');
      const number = (column: number) => Number(cells[column]) || 0;
      return {
        proxy: cells[proxy] ?? '',
        service: cells[service] ?? '',
        status: cells[status] ?? '',
        weight: number(weight),
        current: number(current),
        most: number(most),
        limit: number(limit),
        total: number(total),
        bytesIn: number(bytesIn),
        bytesOut: number(bytesOut),
        requestErrors: number(errors),
      };
    });
}
