import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { basename, dirname } from 'node:path';
import { createStream } from 'rotating-file-stream';
import type { Log } from '../platform/log.ts';

export interface FlowLogFileOptions {
  readonly path: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Of one file; when it is full, it is put aside as `name.1`. */
  readonly fileBytes: number;
  /** So many are put aside; then the oldest goes. */
  readonly files: number;
  readonly log: Log;
}

export interface FlowLogFile {
  readonly port: number;
  close(): Promise<void>;
}

/** What may wait for the disk. What comes while so much waits is lost, and said. */
const mostWaitingBytes = 8 * 1024 * 1024;

/** Listens for syslog over UDP and writes what amphorae say of their flows, a line each, to a file that is bounded. */
export async function startFlowLogFile(options: FlowLogFileOptions): Promise<FlowLogFile> {
  const { path, host, port, log } = options;
  // The number of a file put aside; none for the one that is written.
  const file = createStream((index) => (index ? `${basename(path)}.${index}` : basename(path)), {
    path: dirname(path),
    size: `${options.fileBytes}B`,
    rotate: options.files,
    mode: 0o640,
  });
  file.on('error', (error) => log.error({ err: error }, 'the flow log cannot be written'));
  await Promise.race([
    once(file, 'open'),
    once(file, 'error').then(([error]) => Promise.reject(error as Error)),
  ]);
  let lost = 0;
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', (datagram) => {
    if (file.writableLength > mostWaitingBytes) {
      lost += 1;
      return;
    }
    if (lost > 0)
      log.warn({ lost }, 'lines of the flow log were lost: they came faster than the disk takes them');
    lost = 0;
    // Facility and severity are for a syslog server; `<134>Nov 25 13:00:00 haproxy[7]: ` stays.
    file.write(
      `${datagram
        .toString()
        .replace(/^<\d+>/, '')
        .replaceAll(/[\r\n]+/g, ' ')
        .trimEnd()}\n`,
    );
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  socket.on('error', (error) => log.error({ err: error }, 'the socket of the flow log failed'));
  return {
    port: socket.address().port,
    async close() {
      await new Promise<void>((resolve) => socket.close(resolve));
      await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}
