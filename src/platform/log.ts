import pino from 'pino';

export type Log = pino.Logger;

/** One JSON line per event on standard output. Keys that may hold secrets are blanked wherever they stand. */
export function makeLog(name: string, level: string = process.env['LIVIA_LOG_LEVEL'] ?? 'info'): Log {
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
  return pino({
    name,
    level,
    redact: { paths: secret.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[secret]' },
  });
}
