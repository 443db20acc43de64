import pino from 'pino';

export type Log = pino.Logger;

/** One JSON line per event, by default on standard output. Keys that may hold secrets are blanked wherever they stand. */
export function makeLog(
  name: string,
  level: string = process.env['LIVIA_LOG_LEVEL'] ?? 'info',
  destination: pino.DestinationStream = pino.destination(1),
): Log {
  const secret = [
    'password',
    'token',
    'pem',
    'keyPem',
    'privateKeyPem',
    'payload',
    'userData',
    'user_data',
    'key',
  ];
  const paths = secret.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);
  return pino({ name, level, redact: { paths, censor: '[secret]' } }, destination);
}
