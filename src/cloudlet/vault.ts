import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeWhole } from '../platform/files.ts';

/** Keeps secret bytes so that the disk never sees them in clear. */
export interface Vault {
  /** Base64 of nonce, tag and ciphertext, bound to `about` (whose it is): it opens under no other name. */
  seal(clear: Buffer, about: string): string;
  /** Throws when the text was changed, or sealed for something else. */
  open(sealed: string, about: string): Buffer;
}

/** AES-256-GCM under the key in the file, which is made at first use, readable by its owner alone. */
export async function openVault(keyFile: string): Promise<Vault> {
  if (!existsSync(keyFile)) await writeWhole(keyFile, randomBytes(32));
  const key = readFileSync(keyFile);
  if (key.length !== 32) throw new Error(`${keyFile}: is not a key of 32 bytes`);
  return {
    seal(clear, about) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(about));
      const body = Buffer.concat([cipher.update(clear), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open(sealed, about) {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
        .setAAD(Buffer.from(about))
        .setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
    },
  };
}
