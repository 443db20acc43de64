import { STATUS_CODES } from 'node:http';
import type { DriverError } from '../clouds/errors.ts';
import { type Problem, problem } from '../lb/problems.ts';

/** The three bodies an error can have. */

/** What the routing refuses before a resource is asked: path, method, types, paging. */
export interface Refusal {
  readonly refusal: true;
  readonly status: number;
  readonly title: string;
  readonly description: string;
}

export function refusal(
  status: number,
  description: string,
  title = STATUS_CODES[status] ?? 'Error',
): Refusal {
  return { refusal: true, status, title, description };
}

/** A client's mistake that the routing notices; its title is the general one whatever the status. */
export const clientRefusal = (status: number, description: string): Refusal =>
  refusal(status, description, 'Bad Request');

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && (value as { refusal?: unknown }).refusal === true;
}

export const refusalBody = ({ status, title, description }: Refusal) => ({
  code: status,
  title,
  description,
});

export const faultBody = ({ status, text }: Problem) => ({
  faultcode: status < 500 ? 'Client' : 'Server',
  faultstring: text,
  debuginfo: null,
});

/** The token middleware's. */
export const tokenBody = (code: number, title: string, message: string) => ({
  error: { code, title, message },
});

/** What a client is told when the surroundings fail while it waits. */
export function driverProblem(error: DriverError): Problem {
  if (error.status === 409) return problem(409, error.message);
  return problem(error.retry === 'later' ? 503 : 500, error.message);
}
