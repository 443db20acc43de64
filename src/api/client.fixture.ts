import { randomUUID } from 'node:crypto';
import type { Registry } from 'prom-client';
import { freshStore, type TestDatabase } from '../../test/database.ts';
import { type FakeCloud, fakeCloud } from '../../test/fake-cloud.ts';
import { settled } from '../lb/settle.ts';
import { type Log, makeLog } from '../platform/log.ts';
import type { StoreOptions } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import type { ApiConfig } from './request.ts';
import { measureRequests } from './request-metrics.ts';
import { buildApi } from './server.ts';

/** The API on a store of its own, as clients see it. The loop is played by `settle`. */

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Parsed when it is JSON. */
  readonly body: any;
  readonly text: string;
}

export interface Client {
  readonly projectId: string;
  readonly token: string;
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
  post(path: string, body?: unknown): Promise<Reply>;
  put(path: string, body?: unknown): Promise<Reply>;
  delete(path: string): Promise<Reply>;
}

export interface TestApi {
  readonly store: Store;
  readonly database: TestDatabase;
  readonly cloud: FakeCloud;
  /** Member of a project. */
  readonly member: Client;
  /** Admin of another project. */
  readonly admin: Client;
  /** A client with these roles; without a project: one of its own. */
  client(roles: readonly string[], projectId?: string): Client;
  /** Any request. */
  send(
    method: string,
    path: string,
    headers?: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Reply>;
  /** The paths of the router and their methods, as it prints them. */
  routes(): string;
  /** What the loop would do: everything pending of the load balancer is carried out. */
  settle(loadBalancerId: string, failed?: Readonly<Record<string, string>>): Promise<void>;
  /** Answers on a TCP port of this machine, too; gives the port. */
  listen(): Promise<number>;
  close(): Promise<void>;
}

export async function startApi(
  options: {
    config?: Partial<ApiConfig>;
    store?: Partial<StoreOptions>;
    log?: Log;
    registry?: Registry;
  } = {},
): Promise<TestApi> {
  const { store, database, drop } = await freshStore(options.store ?? {});
  const cloud = fakeCloud();
  const app = buildApi({
    ...cloud,
    store,
    log: options.log ?? makeLog('api-test', 'silent'),
    clock: () => new Date(),
    newId: randomUUID,
    ...(options.config && { config: options.config }),
  });
  if (options.registry) measureRequests(app, options.registry);

  const send: TestApi['send'] = async (method, path, headers = {}, body) => {
    const response = await app.inject({
      method: method as 'GET',
      url: path,
      headers,
      ...(body !== undefined && { payload: body }),
    });
    const json = response.body !== '' && response.headers['content-type']?.includes('json') === true;
    return {
      status: response.statusCode,
      headers: response.headers,
      body: json ? response.json<unknown>() : response.body,
      text: response.body,
    };
  };

  function client(roles: readonly string[], projectId: string = randomUUID().replaceAll('-', '')): Client {
    const token = cloud.login(roles, projectId);
    const auth = { 'x-auth-token': token };
    const sending = (method: string) => (path: string, body?: unknown) =>
      body === undefined
        ? send(method, path, auth)
        : send(method, path, { ...auth, 'content-type': 'application/json' }, JSON.stringify(body));
    return {
      projectId,
      token,
      get: (path, headers = {}) => send('GET', path, { ...auth, ...headers }),
      post: sending('POST'),
      put: sending('PUT'),
      delete: (path) => send('DELETE', path, auth),
    };
  }

  return {
    store,
    database,
    cloud,
    member: client(['member', 'reader']),
    admin: client(['admin', 'member', 'reader']),
    client,
    send,
    routes: () => app.printRoutes({ commonPrefix: false }),
    settle: (loadBalancerId, failed = {}) =>
      store.trees.settle(loadBalancerId, (tree) =>
        settled(tree, {
          now: new Date(),
          failed: new Map(Object.entries(failed)),
          loadBalancerOnline: true,
        }),
      ),
    async listen() {
      return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
    },
    async close() {
      await app.close();
      await drop();
    },
  };
}

/** A load balancer of the member's, ACTIVE. */
export async function activeLoadBalancer(api: TestApi, values: object = {}): Promise<string> {
  const subnet = api.cloud.addSubnet('192.0.2.0/24');
  const reply = await api.member.post('/v2/lbaas/loadbalancers', {
    loadbalancer: { name: 'lb1', vip_subnet_id: subnet.id, ...values },
  });
  if (reply.status !== 201) throw new Error(JSON.stringify(reply.body));
  const { id } = reply.body.loadbalancer as { id: string };
  await api.settle(id);
  return id;
}

/** A listener, pool … below the load balancer, carried out; gives its id. */
export async function active(
  api: TestApi,
  loadBalancerId: string,
  path: string,
  key: string,
  values: object,
): Promise<string> {
  const reply = await api.member.post(path, { [key]: values });
  if (reply.status !== 201) throw new Error(JSON.stringify(reply.body));
  await api.settle(loadBalancerId);
  return (reply.body as Record<string, { id: string }>)[key]?.id ?? '';
}
