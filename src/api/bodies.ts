import {
  isProblem,
  mandatory,
  missingArgument,
  type Problem,
  problem,
  unknownAttributes,
} from '../lb/problems.ts';
import { deepestJson, isTooDeep } from '../platform/json-depth.ts';
import { type Created, type Fields, isObject, readCreated, readUpdated, type Updated } from './fields.ts';
import { type ApiRequest, strayQuery } from './request.ts';
import type { Resource } from './resource.ts';

/** What of a resource its bodies need. */
type Bodied<F extends Fields> = Pick<Resource<never, F>, 'argument' | 'argumentOnPut' | 'fields'>;

/** What a POST says of a new object. */
export function created<F extends Fields>(resource: Bodied<F>, request: ApiRequest): Created<F> | Problem {
  return inside(request, resource.argument, (value) =>
    readCreated(resource.fields, value, resource.argument),
  );
}

/** What a PUT wants changed. */
export function updated<F extends Fields>(resource: Bodied<F>, request: ApiRequest): Updated<F> | Problem {
  const argument = resource.argumentOnPut ?? resource.argument;
  return inside(request, argument, (value) => readUpdated(resource.fields, value, argument));
}

function inside<T>(
  request: ApiRequest,
  argument: string,
  read: (value: unknown) => T | Problem,
): T | Problem {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const body = envelope(request, argument);
  return isProblem(body) ? body : read(body.value);
}

/**
 * The object (or list) inside the one-key body. `argument` is the path clients see in fault texts, as
 * `listener_.listener`: the name of the argument, then that of the key.
 */
export function envelope(request: ApiRequest, argument: string): { readonly value: unknown } | Problem {
  const [root = '', key = ''] = argument.split('.');
  if (request.body === undefined) return missingArgument(root);
  const body = parsed(request.body);
  if (isProblem(body)) return body;
  if (!isObject(body.value))
    return problem(400, `Request is not in valid JSON format: ${root} should be an object`);
  const unknown = Object.keys(body.value).filter((name) => name !== key);
  if (unknown.length > 0) return unknownAttributes(root, unknown);
  const value = body.value[key];
  return value === undefined || value === null ? mandatory(key) : { value };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parsed(body: Buffer): { readonly value: unknown } | Problem {
  try {
    const value: unknown = JSON.parse(utf8.decode(body));
    return isTooDeep(value)
      ? problem(400, `Request is not in valid JSON format: it is nested deeper than ${deepestJson} levels.`)
      : { value };
  } catch {
    return problem(400, 'Request is not in valid JSON format.');
  }
}
