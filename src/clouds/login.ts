import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import type { Dispatcher } from 'undici';
import { DriverError } from './errors.ts';
import { exchange } from './exchange.ts';
import { messageOf } from './failure.ts';

export interface LoginOptions {
  /** Keystone, with or without `/v3`. */
  readonly authUrl: string;
  readonly username: string;
  readonly password: string;
  readonly projectName: string;
  readonly userDomainName: string;
  readonly projectDomainName: string;
}

const Catalog = Type.Array(
  Type.Object({
    type: Type.String(),
    endpoints: Type.Array(
      Type.Object({
        interface: Type.String(),
        region: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        region_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        url: Type.String({ pattern: '^https?://' }),
      }),
    ),
  }),
);
export type Catalog = Static<typeof Catalog>;

const Issued = Type.Object({
  token: Type.Object({
    user: Type.Object({ id: Type.String() }),
    project: Type.Object({ id: Type.String() }),
    issued_at: Type.String(),
    expires_at: Type.String(),
    catalog: Catalog,
  }),
});

/** Livia's own user, logged in. */
export interface Login {
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
  readonly catalog: Catalog;
  /** Milliseconds of the clock after which another should be got. */
  readonly renewAtMs: number;
}

/** The identity API's root, with its version. */
export const identityUrl = (authUrl: string): string =>
  `${authUrl.replace(/\/+$/, '').replace(/\/v3$/, '')}/v3`;

/**
 * Password login with a project. Being refused is a matter of configuration, not of anybody's wish: later, as all other
 * failures.
 */
export async function logIn(
  options: LoginOptions,
  dispatcher: Dispatcher,
  timeoutMs: number,
): Promise<Login> {
  const askedAtMs = Date.now();
  const answer = await exchange({
    dispatcher,
    method: 'POST',
    url: `${identityUrl(options.authUrl)}/auth/tokens`,
    headers: { accept: 'application/json' },
    body: {
      auth: {
        identity: {
          methods: ['password'],
          password: {
            user: {
              name: options.username,
              domain: { name: options.userDomainName },
              password: options.password,
            },
          },
        },
        scope: {
          project: { name: options.projectName, domain: { name: options.projectDomainName } },
        },
      },
    },
    timeoutMs,
    who: 'Keystone',
  });
  const token = answer.headers['x-subject-token'];
  const body = bodyOf(answer.bytes);
  if (answer.status !== 201 || typeof token !== 'string' || !Value.Check(Issued, body)) {
    throw new DriverError(
      `Keystone does not let Livia's user ${options.username} in (${answer.status}): ${messageOf(answer.bytes)}`,
      { retry: 'later', status: answer.status },
    );
  }
  const { user, project, catalog, issued_at, expires_at } = body.token;
  // Keystone's own two times give the life, whatever our clock says.
  const lifeMs = Date.parse(expires_at) - Date.parse(issued_at);
  return { token, userId: user.id, projectId: project.id, catalog, renewAtMs: askedAtMs + lifeMs * 0.9 };
}

function bodyOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
