import { readFile } from 'node:fs/promises';

/** OS_… variables, as `openrc` exports them. */
export type Credentials = Readonly<Record<string, string | undefined>>;

export type ServiceType = 'load-balancer' | 'network' | 'key-manager';

/** Somebody logged in, with the services of the catalog behind. */
export interface Session {
  /** Resolves with the parsed answer. Rejects with one line: what was asked, the status and the service's words. */
  request<T>(service: ServiceType, method: string, path: string, body?: unknown): Promise<T>;
}

/** What the environment says, or else the `openrc` of a state folder. */
export async function findCredentials(env: NodeJS.ProcessEnv, openrc: string): Promise<Credentials> {
  if (env['OS_AUTH_URL'] !== undefined && env['OS_PASSWORD'] !== undefined) return env;
  const text = await readFile(openrc, 'utf8').catch((error: unknown) => {
    throw new Error(`no OS_AUTH_URL is set and ${openrc} is not there: is Livia running?`, { cause: error });
  });
  return Object.fromEntries(
    [...text.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
  );
}

interface TokenAnswer {
  readonly token: {
    readonly catalog: readonly {
      readonly type: string;
      readonly endpoints: readonly { readonly interface: string; readonly url: string }[];
    }[];
  };
}

/** Logs in with a password at Keystone. */
export async function logIn(credentials: Credentials): Promise<Session> {
  const domain = { name: credentials['OS_USER_DOMAIN_NAME'] ?? 'Default' };
  const projectDomain = { name: credentials['OS_PROJECT_DOMAIN_NAME'] ?? 'Default' };
  const url = `${credentials['OS_AUTH_URL']?.replace(/\/$/, '')}/auth/tokens`;
  const response = await ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ['password'],
          password: {
            user: { name: credentials['OS_USERNAME'], password: credentials['OS_PASSWORD'], domain },
          },
        },
        scope: { project: { name: credentials['OS_PROJECT_NAME'], domain: projectDomain } },
      },
    }),
  });
  const token = response.headers.get('x-subject-token') ?? '';
  const { catalog } = ((await response.json()) as TokenAnswer).token;

  function endpoint(type: ServiceType): string {
    const endpoints = catalog.find((service) => service.type === type)?.endpoints;
    const found = endpoints?.find(({ interface: kind }) => kind === 'public')?.url;
    if (found === undefined) throw new Error(`the catalog has no public endpoint of type ${type}`);
    return found.replace(/\/$/, '');
  }

  return {
    async request<T>(type: ServiceType, method: string, path: string, body?: unknown): Promise<T> {
      const answer = await ask(`${endpoint(type)}${path}`, {
        method,
        headers: {
          'x-auth-token': token,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
  };
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    const { cause } = error as { readonly cause?: { readonly message?: string } };
    throw new Error(`${url}: ${cause?.message ?? String(error)}`, { cause: error });
  }
  if (response.ok) return response;
  throw new Error(`${init.method} ${url}: ${response.status} ${faultOf(await response.text())}`);
}

/** The sentence in an error body; each service wraps it in its own way. */
function faultOf(text: string): string {
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const inner = Object.values(body).find((value) => typeof value === 'object') as
      | { readonly message?: string }
      | undefined;
    return String(body['faultstring'] ?? inner?.message ?? body['description'] ?? text);
  } catch {
    return text;
  }
}
