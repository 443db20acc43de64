/** Refusals: the user is wrong. A value, not an exception. The texts follow Octavia's shape; clients print them. */
export interface Problem {
  readonly problem: true;
  /** HTTP status. */
  readonly status: 400 | 401 | 403 | 404 | 409 | 413 | 500 | 501 | 503;
  /** Becomes `faultstring`. */
  readonly text: string;
}

export function problem(status: Problem['status'], text: string): Problem {
  return { problem: true, status, text };
}

export function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && (value as { problem?: unknown }).problem === true;
}

/** Names of the resources as Octavia's fault texts spell them. */
export type DisplayName =
  | 'Load Balancer'
  | 'Listener'
  | 'Pool'
  | 'Member'
  | 'Health Monitor'
  | 'L7 Policy'
  | 'L7 Rule'
  | 'Flavor'
  | 'Flavor Profile'
  | 'Availability Zone'
  | 'Availability Zone Profile'
  | 'Quotas'
  | 'Amphora';

export const notFound = (name: DisplayName, id: string): Problem => problem(404, `${name} ${id} not found.`);

export const immutable = (name: DisplayName | 'L7Policy', id: string): Problem =>
  problem(409, `${name} ${id} is immutable and cannot be updated.`);

export const invalidState = (state: string, id: string): Problem =>
  problem(409, `Invalid state ${state} of loadbalancer resource ${id}`);

export const validationFailure = (detail: string): Problem => problem(400, `Validation failure: ${detail}`);

export const quotaMet = (name: DisplayName): Problem =>
  problem(403, `Quota has been met for resources: ${name}`);

export const cloudObjectNotFound = (kind: string, id: string): Problem =>
  problem(400, `${kind} ${id} not found.`);

/** `value` is quoted as sent; `reason` ends in no full stop. */
export const invalidInput = (attribute: string, value: string, reason: string): Problem =>
  problem(400, `Invalid input for field/attribute ${attribute}. Value: '${value}'. ${reason}`);

export const mandatory = (attribute: string): Problem =>
  invalidInput(attribute, 'None', 'Mandatory field missing.');

export const unknownAttributes = (argument: string, names: readonly string[]): Problem =>
  problem(400, `Unknown attribute for argument ${argument}: ${names.join(', ')}`);

export const missingArgument = (argument: string): Problem => problem(400, `Missing argument: "${argument}"`);

export const unknownArgument = (names: readonly string[]): Problem =>
  problem(400, `Unknown argument: "${names.join(', ')}"`);

export const conflict = (text: string): Problem => problem(409, text);

/** The provider cannot carry it out. */
export const unsupported = (provider: string, detail: string): Problem =>
  problem(501, `Provider '${provider}' does not support a requested option: ${detail}`);

export const switchedOff = (option: string, value: string): Problem =>
  problem(400, `${option} with value ${value} is not allowed in this deployment`);
