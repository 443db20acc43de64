/** What clients may write instead of the routes' own paths. */

/** The mount point: taken off here, kept in links. */
const mount = '/load-balancer';
/** What the API says of itself, for programs. */
export const documentPath = '/livia/v1/openapi.json';

const collections = [
  'loadbalancers',
  'listeners',
  'pools',
  'healthmonitors',
  'l7policies',
  'flavors',
  'flavorprofiles',
  'availabilityzones',
  'availabilityzoneprofiles',
  'providers',
  'quotas',
];

/** The path the router knows, with the query as sent. */
export function canonicalUrl(url: string): string {
  const [path = '', ...query] = url.split('?');
  const bare = withoutMount(path).replace(/\/+$/, '');
  const canonical = (bare === documentPath ? bare : bare.replace(/\.json$/, ''))
    .replace(/^\/v2\.0(?=\/|$)/, '/v2')
    .replace(/^\/v2\/([a-z0-9]+)(?=\/|$)/, (all, name: string) =>
      collections.includes(name) ? `/v2/lbaas/${name}` : all,
    );
  return [canonical === '' ? '/' : canonical, ...query].join('?');
}

export function withoutMount(path: string): string {
  return path === mount || path.startsWith(`${mount}/`) ? path.slice(mount.length) : path;
}

const healthchecks = ['/healthcheck', `${mount}/healthcheck`];
const open = ['/', `${mount}/`, ...healthchecks, documentPath, `${mount}${documentPath}`];

/** Answered in any form. */
export function isHealthcheck(url: string): boolean {
  return healthchecks.includes(url.split('?')[0] ?? '');
}

/** Asked for without a token; exactly these. */
export function isOpenPath(url: string): boolean {
  return open.includes(url.split('?')[0] ?? '');
}
