import { watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Log } from '../platform/log.ts';
import { isObject } from './fields.ts';
import { type Policy, policy, type PolicyOptions } from './policy.ts';

/** How often the operator's file is looked at. */
const lookEveryMs = 2000;

/**
 * The policy with the rules of a file before the built-in ones. Throws an `Error` that names the file when it cannot
 * be used. When the file changes it is read again; what cannot be used then is logged, and the last good rules stay.
 */
export async function policyFile(path: string, options: PolicyOptions, log: Log): Promise<Policy> {
  let current = await read(path, options);
  watchFile(path, { interval: lookEveryMs, persistent: false }, () => {
    read(path, options).then(
      (fresh) => {
        current = fresh;
        log.info({ path }, 'the policy file changed and is followed');
      },
      (error: unknown) => log.error({ err: error }, 'the policy file changed and cannot be used'),
    );
  });
  return { allows: (...question) => current.allows(...question) };
}

async function read(path: string, options: PolicyOptions): Promise<Policy> {
  try {
    return policy(policyTexts(await readFile(path, 'utf8')), options);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Rules by name from YAML or JSON. */
function policyTexts(text: string): Readonly<Record<string, string>> {
  const content: unknown = parse(text) ?? {};
  if (!isObject(content)) throw new Error('a policy file holds rules by name');
  const wrong = Object.entries(content).find(([, rule]) => typeof rule !== 'string');
  if (wrong !== undefined) throw new Error(`policy ${wrong[0]}: a rule is a text`);
  return content as Readonly<Record<string, string>>;
}
