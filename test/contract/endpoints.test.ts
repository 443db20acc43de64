import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reply } from '../../src/api/client.fixture.ts';
import { replace, type Tree, treeLists } from '../../src/lb/tree.ts';
import { anAmphora } from '../../src/store/amphora.fixture.ts';
import { type Asker, askers, type Endpoint, endpoints, isAllowed } from './endpoints.ts';
import { setStage, type Stage } from './stage.ts';

/** Every endpoint, asked by everybody, of a load balancer in every status, and of what is not (any more) there. */

const statuses = ['ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR'] as const;
type Status = (typeof statuses)[number];
const displayNames = { balancer: 'Load Balancer', pool: 'Pool', policy: 'L7Policy' } as const;

let stage: Stage;
let rest: Tree;
const tokens = new Map<Asker, string>();

beforeAll(async () => {
  stage = await setStage();
  rest = await stage.tree();
  for (const asker of Object.values(askers)) {
    if (asker === undefined) continue;
    const project = { own: stage.member.projectId, other: randomUUID().replaceAll('-', ''), none: null }[
      asker.project
    ];
    tokens.set(asker, stage.api.cloud.login(asker.roles, project, { system: asker.system === true }));
  }
  const amphora = anAmphora({ id: randomUUID(), loadBalancerId: stage.balancerId });
  stage.known(':amphora', amphora.id);
  await stage.api.store.amphorae.save(amphora);
  await stage.api.store.statistics.record(amphora.id, stage.balancerId, [
    {
      ...{ listenerId: stage.told(':listener'), activeConnections: 1, bytesIn: 2, bytesOut: 3 },
      ...{ totalConnections: 4, requestErrors: 5 },
    },
  ]);
});
afterAll(() => stage.close());

function send(asker: Asker | undefined, method: string, path: string, body?: object): Promise<Reply> {
  const token = asker && tokens.get(asker);
  return stage.api.send(
    ...([method, `/v2/${path}`] as const),
    {
      ...(token !== undefined && { 'x-auth-token': token }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body && JSON.stringify(body),
  );
}

/** The tree with one of its things in another status. */
function turned(tree: Tree, thing: 'balancer' | 'pool' | 'policy', provisioningStatus: Status): Tree {
  if (thing === 'balancer') return { ...tree, loadBalancer: { ...tree.loadBalancer, provisioningStatus } };
  return thing === 'pool'
    ? replace(tree, 'pools', stage.told(':pool'), { provisioningStatus })
    : replace(tree, 'l7Policies', stage.told(':policy'), { provisioningStatus });
}

/** What is not at rest, by its name on the stage. */
function waiting(tree: Tree): Readonly<Record<string, string>> {
  const names = new Map([...stage.ids].map(([name, id]) => [id, name.slice(1)]));
  const objects = [tree.loadBalancer, ...treeLists.flatMap((list) => [...tree[list]])];
  return Object.fromEntries(
    objects
      .filter(({ provisioningStatus }) => provisioningStatus !== 'ACTIVE')
      .map(({ id, provisioningStatus }) => [names.get(id) ?? 'new', provisioningStatus]),
  );
}

/** The path and body as they are sent, with something of its own if the endpoint needs it. */
async function prepared({ path, body, own }: Endpoint): Promise<{ path: string; body: object | undefined }> {
  if (path.includes(':broken-amphora')) {
    const broken = anAmphora({ id: randomUUID(), loadBalancerId: stage.balancerId, status: 'ERROR' });
    await stage.api.store.amphorae.save(broken);
    return { path: path.replace(':broken-amphora', broken.id), body };
  }
  let there = path;
  if (own !== undefined) {
    const made = await stage.admin[own.method === 'POST' ? 'post' : 'put'](`/v2/${stage.told(own.path)}`, {
      [own.key]: stage.told(own.body),
    });
    if (made.status >= 300) throw new Error(made.text);
    const object = made.body[own.key] as { id?: string; name?: string };
    there = path.replace(':own', object.id ?? object.name ?? '');
  }
  return {
    path: stage.told(`/${there}`).slice(1).replace('=:project', `=${stage.member.projectId}`),
    body: stage.told(body),
  };
}

/** The status a refusal has, and what it says; undefined: none. */
function refusal(
  { rule, of, active = [], balancerIn }: Endpoint,
  asker: Asker | undefined,
  at: { readonly thing: string; readonly status: Status },
): { status: number; says: readonly string[] } | undefined {
  if (asker === undefined) return { status: 401, says: ['Unauthorized'] };
  if (!isAllowed(rule, asker, of)) return { status: 403, says: ['Policy does not allow'] };
  if (at.status === 'ACTIVE') return undefined;
  if (balancerIn !== undefined && at.thing === 'balancer') {
    return balancerIn.some((status) => status === at.status)
      ? undefined
      : { status: 409, says: ['Invalid state', at.status, stage.balancerId] };
  }
  const blocking = active.find((thing) => thing === at.thing) as keyof typeof displayNames | undefined;
  return blocking && { status: 409, says: [displayNames[blocking], stage.told(`:${blocking}`), 'immutable'] };
}

describe.each(endpoints.map((endpoint) => [`${endpoint.method} /v2/${endpoint.path}`, endpoint] as const))(
  '%s',
  (_, endpoint) => {
    it('answers who may ask when it may be asked, and refuses the others', async () => {
      const wrong: string[] = [];
      for (const thing of ['balancer', 'pool', 'policy'] as const) {
        for (const status of statuses) {
          if (thing !== 'balancer' && (status === 'ACTIVE' || endpoint.method === 'GET')) continue;
          const before = turned(rest, thing, status);
          await stage.restore(before);
          for (const [who, asker] of Object.entries(askers)) {
            const { path, body } = await prepared(endpoint);
            const reply = await send(asker, endpoint.method, path, body);
            const want = refusal(endpoint, asker, { thing, status });
            const said = `${who}, ${thing} ${status}: ${reply.status} ${reply.text.slice(0, 150)}`;
            if (reply.status !== (want?.status ?? endpoint.success)) wrong.push(said);
            else if (want !== undefined && !want.says.every((text) => reply.text.includes(text)))
              wrong.push(said);
            const after = await stage.tree();
            if (want === undefined && status === 'ACTIVE' && endpoint.method !== 'GET') {
              expect([who, waiting(after)]).toEqual([who, endpoint.waits ?? {}]);
            }
            if (want !== undefined) expect([said, after]).toEqual([said, before]);
            else if (endpoint.method !== 'GET') await stage.restore(before);
            if (reply.status === 202 || reply.status === 204)
              expect(reply.text.startsWith('{') ? endpoint.path : '').toMatch(/quotas|^$/);
          }
        }
      }
      await stage.restore(rest);
      expect(wrong).toEqual([]);
    });
  },
);

/** A project without a quota of its own has that of everybody. */
const naming = endpoints.filter(
  ({ named, within, own, path }) => (named ?? within ?? own) !== undefined && !path.includes('quotas'),
);

describe('What is not there', () => {
  it.each(naming.map((endpoint) => [`${endpoint.method} /v2/${endpoint.path}`, endpoint] as const))(
    'is missed by %s',
    async (_, endpoint) => {
      const { within } = endpoint;
      const { path, body } = await prepared({
        ...endpoint,
        path: endpoint.path.replace(':broken-amphora', ':amphora'),
      });
      const known = endpoint.path
        .split(/[/?]/)
        .map((part, n) => [part, path.split(/[/?]/)[n] ?? ''] as const);
      const ids = known.filter(([part]) => part.startsWith(':'));
      for (const [part, id] of ids) {
        for (const gone of [randomUUID(), 'no-id']) {
          for (const [who, asker] of Object.entries(askers)) {
            const reply = await send(asker, endpoint.method, path.replace(id, gone), body);
            const hidden = asker && endpoint.policyFirst && !isAllowed(endpoint.rule, asker, endpoint.of);
            const status = asker === undefined ? 401 : hidden ? 403 : 404;
            expect([who, reply.status, reply.text]).toEqual([who, status, expect.any(String)]);
            if (status !== 404) continue;
            if (part === `:${within}`) {
              expect(reply.body).toMatchObject({ code: 404, title: 'Bad Request' });
              expect(reply.body.description).toContain(gone);
            } else {
              expect(reply.body).toMatchObject({ faultcode: 'Client', debuginfo: null });
              expect(reply.body.faultstring).toMatch(new RegExp(`^[A-Z].* ${gone} not found\\.$`));
            }
          }
        }
      }
      expect(await stage.tree()).toEqual(rest);
    },
  );
});

describe('What is deleted', () => {
  it('is not there any more, whatever is asked of it', async () => {
    const made = await stage.member.post('/v2/lbaas/loadbalancers', {
      loadbalancer: { vip_subnet_id: stage.told(':subnet') },
    });
    const { id } = made.body.loadbalancer as { id: string };
    await stage.api.settle(id);
    expect((await stage.member.delete(`/v2/lbaas/loadbalancers/${id}`)).status).toBe(204);
    expect((await stage.member.get(`/v2/lbaas/loadbalancers/${id}`)).body.loadbalancer).toMatchObject({
      provisioning_status: 'PENDING_DELETE',
    });
    await stage.api.settle(id);
    for (const endpoint of endpoints.filter(({ named }) => named === 'balancer')) {
      const path = endpoint.path.replace(':balancer', id);
      const reply = await send(askers['an admin'], endpoint.method, path, endpoint.body);
      expect([path, reply.status]).toEqual([path, 404]);
    }
    expect((await stage.member.get('/v2/lbaas/loadbalancers')).text).not.toContain(id);
    const listener = { loadbalancer_id: id, protocol: 'HTTP', protocol_port: 80 };
    expect((await stage.member.post('/v2/lbaas/listeners', { listener })).status).toBe(404);
    const pool = { loadbalancer_id: id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };
    expect((await stage.member.post('/v2/lbaas/pools', { pool })).status).toBe(404);
  });
});

describe('A thing in ERROR', () => {
  it('is changed and deleted like any other while its parents are at rest', async () => {
    for (const endpoint of endpoints.filter(({ named, method }) => named && method !== 'GET')) {
      const { named = 'balancer', path } = endpoint;
      if (named === 'balancer' || named === 'amphora') continue;
      const id = stage.told(`:${named}`);
      const list = treeLists.find((one) => rest[one].some((object) => object.id === id));
      if (list === undefined) throw new Error(`${named} stands nowhere`);
      await stage.restore(replace(rest, list, id, { provisioningStatus: 'ERROR' }));
      const sent = await prepared(endpoint);
      const reply = await send(askers['a member'], endpoint.method, sent.path, sent.body);
      const blocked = named === 'pool' && path.includes('members');
      expect([path, reply.status]).toEqual([path, blocked ? 409 : endpoint.success]);
      await stage.restore(rest);
    }
  });
});
