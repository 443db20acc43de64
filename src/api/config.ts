import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { ApiSettings } from '../platform/settings.ts';
import { isObject } from './fields.ts';
import { policy } from './policy.ts';
import type { ApiConfig } from './request.ts';

/** What the operator's settings say of the API. Throws an `Error` that names the policy file when it cannot be used. */
export async function apiConfig(settings: ApiSettings): Promise<Partial<ApiConfig>> {
  return {
    paginationMaxLimit: settings.page_limit,
    apiBaseUri: settings.base_uri ?? null,
    trustProxy: settings.trust_proxy,
    healthcheckEnabled: settings.healthcheck_enabled,
    healthcheckRefreshMs: settings.healthcheck_refresh_seconds * 1000,
    corsAllowedOrigins: settings.cors_allowed_origins,
    ...(settings.policy_file !== undefined && { policy: await policyOf(settings.policy_file) }),
  };
}

async function policyOf(path: string): Promise<ApiConfig['policy']> {
  try {
    return policy(policyTexts(await readFile(path, 'utf8')));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Rules by name from YAML or JSON. */
export function policyTexts(text: string): Readonly<Record<string, string>> {
  const content: unknown = parse(text) ?? {};
  if (!isObject(content)) throw new Error('a policy file holds rules by name');
  const wrong = Object.entries(content).find(([, rule]) => typeof rule !== 'string');
  if (wrong !== undefined) throw new Error(`policy ${wrong[0]}: a rule is a text`);
  return content as Readonly<Record<string, string>>;
}
