import type { FastifyInstance } from 'fastify';
import { type Door, type ErrorBody, guard, speak, titles } from '../http.ts';
import type { Records } from '../records.ts';
import { notFound } from '../refusal.ts';
import type { Vault } from '../vault.ts';
import type { Shelf } from './access.ts';
import { type Container, containerRoutes } from './containers.ts';
import type { Secret } from './secret.ts';
import { isExpired, secretRoutes } from './secrets.ts';

export interface KeyManagerParts {
  readonly records: Records;
  readonly vault: Vault;
  readonly door: Door;
  /** Where this is registered, as clients see it. */
  readonly publicUrl: string;
  readonly now: () => Date;
}

const errorBody: ErrorBody = ({ status, message }) => ({
  code: status,
  title: titles[status] ?? 'Error',
  description: message,
});

/** Barbican v1, to be registered under its own prefix. */
export function keyManager(
  app: FastifyInstance,
  { records, vault, door, publicUrl, now }: KeyManagerParts,
): void {
  speak(app, errorBody, door.log);
  const base = `${publicUrl}/v1`;
  const version = {
    id: 'v1',
    status: 'CURRENT',
    min_version: '1.0',
    max_version: '1.1',
    links: [{ rel: 'self', href: `${base}/` }],
  };
  app.get('/', async (_request, reply) => reply.code(300).send({ versions: [version] }));
  app.get('/v1', async () => ({ version }));

  const time = () => now().toISOString().slice(0, 19);
  const secretCollection = records.collection<Secret>('secret');
  const secrets: Shelf<Secret> = {
    path: 'secrets',
    collection: secretCollection,
    find: (id) => {
      const secret = secretCollection.get(id);
      if (secret === undefined || isExpired(secret, now())) throw notFound('Secret not found.');
      return secret;
    },
    hrefOf: (id) => `${base}/secrets/${id}`,
    time,
  };
  const containerCollection = records.collection<Container>('container');
  const containers: Shelf<Container> = {
    path: 'containers',
    collection: containerCollection,
    find: (id) => {
      const container = containerCollection.get(id);
      if (container === undefined) throw notFound('Container not found.');
      return container;
    },
    hrefOf: (id) => `${base}/containers/${id}`,
    time,
  };

  app.register(
    async (v1) => {
      guard(v1, door);
      secretRoutes(v1, secrets, vault, now);
      containerRoutes(v1, containers, secrets.hrefOf, (id) => {
        const secret = secretCollection.get(id);
        return secret !== undefined && !isExpired(secret, now());
      });
      v1.get('/quotas', async () => ({
        quotas: { secrets: -1, orders: -1, containers: -1, consumers: -1, cas: -1 },
      }));
    },
    { prefix: '/v1' },
  );
}
