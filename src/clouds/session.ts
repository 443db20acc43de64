import { type Static, type TSchema } from 'typebox';
import Value from 'typebox/value';
import { Agent } from 'undici';
import { type Catalog, logIn, type Login, type LoginOptions } from './login.ts';
import { DriverError } from './errors.ts';
import { type Answer, exchange, type Exchange } from './exchange.ts';
import { failure } from './failure.ts';

type Service = 'identity' | 'compute' | 'network' | 'image' | 'key-manager';

export interface SessionOptions extends LoginOptions {
  /** Without it, the first endpoint of the catalog. */
  readonly region?: string;
  readonly interface: 'public' | 'internal' | 'admin';
  /** For one request. Default 30,000. */
  readonly timeoutMs?: number;
}

interface Ask {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string>>;
  /** The caller's, instead of Livia's own. */
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Livia's own user at work with the services of the catalog. Logs in when first needed, again before the token ends,
 * and once more when a service does not take it. Paths are below the version: `/ports`. Every failure is a
 * `DriverError`: no answer, 5xx or 429 → later; other 4xx → never, with the status and the service's own message.
 */
export interface Session {
  request(service: Service, method: Exchange['method'], path: string, ask?: Ask): Promise<Answer>;
  /** As `request`, its JSON checked. Another form than the schema's: later. */
  read<S extends TSchema>(
    schema: S,
    service: Service,
    method: Exchange['method'],
    path: string,
    ask?: Ask,
  ): Promise<Static<S>>;
  /** GET of something that may not be there (404), or that the caller may not see (403 to the caller's token). */
  find<S extends TSchema>(
    schema: S,
    service: Service,
    path: string,
    ask?: Ask,
  ): Promise<Static<S> | undefined>;
  /** Who Livia is, logging in if need be. */
  login(): Promise<Login>;
  close(): Promise<void>;
}

/** The project's names of the services, and the version Livia speaks where the catalog's address names none. */
const services: Readonly<Record<Service, { name: string; version: string }>> = {
  identity: { name: 'Keystone', version: 'v3' },
  compute: { name: 'Nova', version: 'v2.1' },
  network: { name: 'Neutron', version: 'v2.0' },
  image: { name: 'Glance', version: 'v2' },
  'key-manager': { name: 'Barbican', version: 'v1' },
};

export function openSession(options: SessionOptions): Session {
  const dispatcher = new Agent({ connections: 32 });
  const timeoutMs = options.timeoutMs ?? 30_000;
  let current: Promise<Login> | undefined;
  let renewAtMs = Infinity;

  /** Many may find the same login unusable at once; the first logs in for all. */
  function login(unusable?: Promise<Login>): Promise<Login> {
    if (current !== undefined && current !== unusable && Date.now() < renewAtMs) return current;
    const next = logIn(options, dispatcher, timeoutMs);
    current = next;
    renewAtMs = Infinity;
    next.then(
      (known) => {
        if (current === next) renewAtMs = known.renewAtMs;
      },
      () => {
        if (current === next) current = undefined;
      },
    );
    return next;
  }

  async function request(
    service: Service,
    method: Exchange['method'],
    path: string,
    ask: Ask = {},
  ): Promise<Answer> {
    const { name } = services[service];
    const send = (own: Login): Promise<Answer> =>
      exchange({
        dispatcher,
        method,
        url: endpoint(own.catalog, service, options) + path + queryOf(ask.query),
        headers: { accept: 'application/json', ...ask.headers, 'x-auth-token': ask.token ?? own.token },
        body: ask.body,
        timeoutMs,
        who: name,
      });
    const used = login();
    let answer = await send(await used);
    if (answer.status === 401 && ask.token === undefined) answer = await send(await login(used));
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw failure(name, answer, ask.token === undefined ? 'own' : 'caller');
  }

  async function read<S extends TSchema>(
    schema: S,
    service: Service,
    method: Exchange['method'],
    path: string,
    ask?: Ask,
  ): Promise<Static<S>> {
    const { bytes } = await request(service, method, path, ask);
    return understand(schema, bytes, services[service].name);
  }

  async function find<S extends TSchema>(
    schema: S,
    service: Service,
    path: string,
    ask: Ask = {},
  ): Promise<Static<S> | undefined> {
    try {
      return await read(schema, service, 'GET', path, ask);
    } catch (error) {
      const hidden = ask.token !== undefined && isStatus(error, 403);
      if (isStatus(error, 404) || hidden) return undefined;
      throw error;
    }
  }

  return { request, read, find, login: () => login(), close: () => dispatcher.close() };
}

/** JSON of the expected form; otherwise `DriverError` later, for an answer cut short or a service being replaced. */
export function understand<S extends TSchema>(schema: S, bytes: Buffer, who: string): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new DriverError(`${who} answered something that is not JSON`, { retry: 'later', cause });
  }
  if (Value.Check(schema, value)) return value;
  const place = Value.Errors(schema, value)[0];
  const detail = `${place?.instancePath ?? ''} ${place?.message ?? ''}`.trim();
  throw new DriverError(`${who} answered in an unknown form: ${detail}`, { retry: 'later' });
}

export const isStatus = (error: unknown, status: number): boolean =>
  error instanceof DriverError && error.status === status;

/** Removing what is not there is done. */
export function unlessGone(error: unknown): void {
  if (!isStatus(error, 404)) throw error;
}

/** A refusal that ends by itself: the same, to be tried again later. */
export function postponed(error: unknown): unknown {
  if (!(error instanceof DriverError)) return error;
  return new DriverError(error.message, {
    retry: 'later',
    cause: error,
    ...(error.status !== undefined && { status: error.status }),
  });
}

/** A path with its values quoted: at`/ports/${id}`. What would mean another path is nobody's id, and asked for as `-`. */
export function at(texts: TemplateStringsArray, ...values: readonly string[]): string {
  const quoted = values.map((value) => (/^\.{0,2}$/.test(value) ? '-' : encodeURIComponent(value)));
  return String.raw({ raw: texts }, ...quoted);
}

const queryOf = (query: Ask['query']): string =>
  query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;

function endpoint(catalog: Catalog, service: Service, options: SessionOptions): string {
  const { name, version } = services[service];
  const found = catalog
    .filter((entry) => entry.type === service)
    .flatMap((entry) => entry.endpoints)
    .find(
      (candidate) =>
        candidate.interface === options.interface &&
        (options.region === undefined || [candidate.region, candidate.region_id].includes(options.region)),
    );
  if (found === undefined) {
    const where = options.region === undefined ? '' : ` in region ${options.region}`;
    throw new DriverError(
      `The catalog names no ${options.interface} endpoint of ${name} (${service})${where}`,
      {
        retry: 'later',
      },
    );
  }
  const url = found.url.replace(/\/+$/, '');
  return /\/v\d+(\.\d+)?(\/|$)/.test(new URL(url).pathname) ? url : `${url}/${version}`;
}
