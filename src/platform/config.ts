import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';

/** A TOML file checked by a schema, whose defaults are filled in. Throws one line that names the file and the key. */
export async function loadConfig<S extends TSchema>(schema: S, path: string): Promise<Static<S>> {
  let raw: unknown;
  try {
    raw = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const value: unknown = Value.Default(schema, raw);
  if (!Value.Check(schema, value)) {
    const first = Value.Errors(schema, value)[0];
    throw new Error(`${path}: ${first?.instancePath || '/'} ${first?.message ?? 'is not as expected'}`);
  }
  return value;
}
