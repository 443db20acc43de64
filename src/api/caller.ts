import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../clouds/clouds.ts';
import { type ApiCaller, everything } from './policy.ts';
import type { Api } from './request.ts';

/** Who is asking, and with whose rights the surroundings are asked for him. */

/**
 * Undefined: no token, or one that is not good (any more); a service's token beside it must be good too. Throws a
 * `DriverError` when nobody can tell.
 */
export async function callerOf(
  { config, identity }: Pick<Api, 'config' | 'identity'>,
  headers: IncomingHttpHeaders,
): Promise<ApiCaller | undefined> {
  const { authStrategy, policy } = config;
  if (authStrategy === 'noauth') return { ...saidBy(headers, ['admin']), policy: everything };
  if (authStrategy === 'testing') return { ...saidBy(headers), policy };
  const [token, serviceToken] = [header(headers, 'x-auth-token'), header(headers, 'x-service-token')];
  if (token === '') return undefined;
  const [caller, service] = await Promise.all([
    identity.validate(token),
    serviceToken === '' ? undefined : identity.validate(serviceToken),
  ]);
  return caller === undefined || (serviceToken !== '' && service === undefined)
    ? undefined
    : { ...caller, policy };
}

/** What a gateway in front says in headers, believed as it stands. */
function saidBy(headers: IncomingHttpHeaders, alsoRoles: readonly string[] = []): Caller {
  const roles = header(headers, 'x-roles')
    .split(',')
    .map((role) => role.trim())
    .filter((role) => role !== '');
  const projectId = header(headers, 'x-project-id') || header(headers, 'x-tenant-id');
  return {
    token: header(headers, 'x-auth-token'),
    userId: header(headers, 'x-user-id'),
    projectId: projectId === '' ? null : projectId,
    systemScope: header(headers, 'openstack-system-scope') === 'all',
    roles: [...roles, ...alsoRoles],
  };
}

function header(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

/** The token secrets are read with; undefined: Livia's own, where callers need none. */
export const rightsOf = ({ token }: Caller): string | undefined => (token === '' ? undefined : token);

/** The token networks, subnets and ports are looked up with; undefined: Livia's own. */
export function networkRights({ config }: Pick<Api, 'config'>, caller: Caller): string | undefined {
  return config.invisibleResources ? undefined : rightsOf(caller);
}
