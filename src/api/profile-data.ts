import { type Problem, problem, unsupported } from '../lb/problems.ts';
import { isObject } from './fields.ts';

export type DataKind = 'string' | 'boolean' | 'list of strings';

/** What is known of the JSON text in a profile: its name, and what each of its keys holds. */
export interface ProfileData {
  readonly field: 'flavor_data' | 'availability_zone_data';
  readonly what: 'flavor' | 'availability zone';
  readonly kinds: Readonly<Record<string, DataKind>>;
}

type Data = Readonly<Record<string, unknown>>;

/** 400 when it is no JSON object, 501 when the provider knows no such keys or values. */
export function readProfileData(known: ProfileData, provider: string, text: string): Data | Problem {
  const data = parsed(text);
  if (data === undefined) return problem(400, `The ${known.field} '${text}' is not a JSON object.`);
  for (const [name, value] of Object.entries(data)) {
    const kind = Object.hasOwn(known.kinds, name) ? known.kinds[name] : undefined;
    if (kind === undefined) return unsupported(provider, `the ${known.what} key ${name} is not known.`);
    if (!isOfKind(value, kind))
      return unsupported(provider, `the ${known.what} key ${name} needs a ${kind}.`);
  }
  return data;
}

function isOfKind(value: unknown, kind: DataKind): boolean {
  return kind === 'list of strings'
    ? Array.isArray(value) && value.every((item) => typeof item === 'string')
    : typeof value === kind;
}

function parsed(text: string): Data | undefined {
  try {
    const data: unknown = JSON.parse(text);
    return isObject(data) ? data : undefined;
  } catch {
    return undefined;
  }
}
