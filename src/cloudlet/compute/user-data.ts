import { parse } from 'yaml';
import type { BootFile } from '../host/host.ts';

export interface UserData {
  readonly files: readonly BootFile[];
  /** Keys of the cloud-config that mean nothing here. */
  readonly ignored: readonly string[];
}

/**
 * The `write_files` of `#cloud-config` text, which is YAML (and so may be JSON). Throws a sentence when the text is
 * something else, or a file is not as cloud-init has it.
 */
export function parseUserData(text: string): UserData {
  if (text.trim() === '') return { files: [], ignored: [] };
  if (!/^#cloud-config\s/.test(text)) throw new Error('the user data does not begin with #cloud-config');
  const config = parseConfig(text.slice(text.indexOf('\n') + 1));
  if (config === null) return { files: [], ignored: [] };
  if (typeof config !== 'object' || Array.isArray(config)) throw new Error('the cloud-config is no mapping');
  const { write_files: files, ...rest } = config as Record<string, unknown>;
  if (files !== undefined && !Array.isArray(files))
    throw new Error('write_files of the cloud-config is no list');
  return { files: (files ?? []).map(toFile), ignored: Object.keys(rest) };
}

function parseConfig(text: string): unknown {
  try {
    return JSON.parse(text); // the usual case of our own control plane, and much quicker
  } catch {
    return parse(text, { version: '1.1' }); // cloud-init's: a mode such as 0600 is octal
  }
}

function toFile(entry: unknown): BootFile {
  const file = (entry ?? {}) as Record<string, unknown>;
  const { path, content = '', encoding = 'text/plain', permissions = '0644', owner } = file;
  if (typeof path !== 'string' || typeof content !== 'string') {
    throw new Error('an entry of write_files has no path, or a content that is no text');
  }
  if (owner !== undefined && owner !== 'root' && owner !== 'root:root') {
    throw new Error(`write_files ${path}: owner ${String(owner)} does not exist, only root`);
  }
  const mode = typeof permissions === 'number' ? permissions : octal(String(permissions));
  if (mode === undefined) throw new Error(`write_files ${path}: permissions ${String(permissions)}`);
  if (encoding === 'b64' || encoding === 'base64') {
    return { path, content: Buffer.from(content, 'base64').toString(), mode };
  }
  if (encoding !== 'text/plain' && encoding !== '') {
    throw new Error(`write_files ${path}: encoding ${String(encoding)} is not understood`);
  }
  return { path, content, mode };
}

function octal(text: string): number | undefined {
  const digits = text.replace(/^0o/, '');
  return /^[0-7]{1,4}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}
