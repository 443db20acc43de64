import { createHmac, randomBytes } from 'node:crypto';
import { keptFile } from './kept-file.ts';

const secretKeyBytes = 32;

/** The 32 secret bytes all controllers share, made when missing. A file of another size is refused. */
export async function openSecretKey(path: string): Promise<Buffer> {
  const key = await keptFile(path, () => randomBytes(secretKeyBytes));
  if (key.length !== secretKeyBytes) {
    throw new Error(`${path}: holds ${key.length} bytes, a secret key has ${secretKeyBytes}`);
  }
  return key;
}

/** The key that signs the heartbeats of one amphora: HMAC-SHA-256 of its name under the secret key, 32 bytes. */
export function heartbeatKey(secretKey: Buffer, amphoraId: string): Buffer {
  return createHmac('sha256', secretKey).update(`heartbeat ${amphoraId}`).digest();
}
