import type { FastifyInstance } from 'fastify';
import { type Door, type ErrorBody, guard, speak } from '../http.ts';
import { factRoutes } from './facts.ts';
import { flavorRoutes } from './flavors.ts';
import { interfaceRoutes } from './interfaces.ts';
import { keypairRoutes } from './keypairs.ts';
import { maxMinor, minMinor, negotiate } from './microversion.ts';
import { labelRoutes } from './server-labels.ts';
import { serverGroupRoutes } from './server-groups.ts';
import { serverRoutes, type ServerParts } from './server-routes.ts';

/** Nova's word for each status stands where the reason is looked for. */
const words: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

const errorBody: ErrorBody = ({ status, message }) =>
  status === 401
    ? { error: { code: 401, title: 'Unauthorized', message } }
    : { [words[status] ?? 'computeFault']: { code: status, message } };

/** Nova v2.1, to be registered under its own prefix; `parts.base` is its public URL with the version. */
export function compute(app: FastifyInstance, parts: ServerParts, door: Door): void {
  speak(app, errorBody, door.log);
  const version = {
    id: 'v2.1',
    status: 'CURRENT',
    version: `2.${maxMinor}`,
    min_version: `2.${minMinor}`,
    updated: '2013-07-23T11:33:21Z',
    links: [{ rel: 'self', href: `${parts.base}/` }],
  };
  const mediaTypes = [
    { base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2.1' },
  ];
  app.get('/', async () => ({ versions: [version] }));
  app.get('/v2.1', async () => ({ version: { ...version, 'media-types': mediaTypes } }));

  app.register(
    async (v21) => {
      v21.decorateRequest('microversion', minMinor);
      negotiate(v21);
      guard(v21, door);
      flavorRoutes(v21, parts.nova.flavors, parts.base);
      keypairRoutes(v21, parts.nova.keypairs, parts.nova.now);
      serverRoutes(v21, parts);
      labelRoutes(v21, parts);
      interfaceRoutes(v21, parts);
      serverGroupRoutes(v21, parts.nova);
      factRoutes(v21, parts.nova, parts.hostname);
    },
    { prefix: '/v2.1' },
  );
}
