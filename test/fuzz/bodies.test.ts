import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reply } from '../../src/api/client.fixture.ts';
import { expected } from '../contract/fields.ts';
import { nested, oddJson, runs } from './odd.ts';
import { expectQuietLog, oddity, setWatchedStage, type WatchedStage } from './witness.ts';

/**
 * Bodies that make no sense: each is answered like any mistake, what is refused leaves every row and every port as it
 * was, and the log tells no secret.
 */

let stage: WatchedStage;
beforeAll(async () => {
  stage = await setWatchedStage();
});
afterAll(async () => {
  expectQuietLog(stage);
  await stage.close();
});

interface Target {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly fields: readonly string[];
}

const one: Readonly<Record<string, string>> = {
  'load balancer': ':balancer',
  listener: ':listener',
  pool: ':pool',
  member: ':member',
  'health monitor': ':monitor',
  'L7 policy': ':policy',
  'L7 rule': ':rule',
  flavor: ':flavor',
  'flavor profile': ':flavor_profile_id',
  'availability zone': ':zone',
  'availability zone profile': ':availability_zone_profile_id',
};
const quota = [
  'loadbalancer',
  'load_balancer',
  'listener',
  'pool',
  'member',
  'healthmonitor',
  'l7policy',
  'l7rule',
];
const batch = { address: '198.51.100.7', protocol_port: 80 };
const wholePool = { name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [batch] };
const whole = {
  vip_subnet_id: ':subnet',
  listeners: [{ protocol: 'HTTP', protocol_port: 80, default_pool: wholePool }],
  pools: [{ ...wholePool, name: 'q', healthmonitor: { type: 'TCP', delay: 5, timeout: 3, max_retries: 2 } }],
};

const targets: readonly Target[] = [
  ...Object.entries(expected).flatMap(([kind, { path, key, bodies, fields }]): Target[] => {
    const names = Object.keys(fields);
    return [
      ...Object.values(bodies).map((body) => ({
        ...({ method: 'POST', path, key, body, fields: names } as const),
      })),
      { method: 'PUT', path: `${path}/${one[kind]}`, key, body: { name: 'n' }, fields: names },
    ];
  }),
  { method: 'POST', path: 'loadbalancers', key: 'loadbalancer', body: whole, fields: Object.keys(whole) },
  { method: 'PUT', path: 'quotas/:project', key: 'quota', body: { pool: 5 }, fields: quota },
];

/** The text of a body in which something is odd. */
const oddBody = ({ key, body, fields }: Target): fc.Arbitrary<string> => {
  const good = JSON.stringify(stage.told(body));
  const places = good.split(/(?<=[:[,])(?=["\d{[])|(?<=["\d}\]])(?=[,}\]])/).length;
  const inside = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom(...fields), oddJson)
        .map(([name, odd]) => laidOver(good, name, odd)),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(oddJson, oddJson).map(([name, odd]) => laidOver(good, asName(name), odd)),
    },
    { weight: 2, arbitrary: fc.tuple(fc.nat(places), oddJson).map(([at, odd]) => somewhere(good, at, odd)) },
    { weight: 1, arbitrary: oddJson },
  );
  return fc.oneof(
    { weight: 8, arbitrary: inside.map((value) => `{${JSON.stringify(key)}:${value}}`) },
    { weight: 1, arbitrary: inside.map((value) => `{"${key}":${value},"__proto__":{},"${key}":${good}}`) },
    { weight: 1, arbitrary: oddJson },
    {
      weight: 1,
      arbitrary: inside.chain((value) => fc.nat(value.length).map((n) => `{"${key}":${value.slice(0, n)}`)),
    },
  );
};

const asName = (json: string): string => (json.startsWith('"') ? (JSON.parse(json) as string) : json);
/** The object with one more key, which counts when it is there twice. */
const laidOver = (object: string, name: string, value: string): string =>
  `${object.slice(0, -1)}${object === '{}' ? '' : ','}${JSON.stringify(name)}:${value}}`;
/** One value anywhere in the object is another. */
function somewhere(object: string, at: number, value: string): string {
  let n = 0;
  return object.replaceAll(/(?<=[:[,])("[^"]*"(?!:)|\d+)/g, (was) => (n++ === at ? value : was));
}

const send = ({ method, path }: Target, body: string): Promise<Reply> => {
  const { token } =
    path.startsWith('flavor') || path.startsWith('avail') || path.startsWith('quota')
      ? stage.admin
      : stage.member;
  const headers = { 'x-auth-token': token, 'content-type': 'application/json' };
  return stage.api.send(method, `/v2/lbaas/${stage.told(path)}`, headers, body);
};

describe.each(
  targets.map((target) => [`${target.method} ${target.path} ${Object.keys(target.body)}`, target] as const),
)('%s', (_name, target) => {
  it('is answered in order whatever the body', async () => {
    const before = await stage.tree();
    let digest = await stage.digest();
    await fc.assert(
      fc.asyncProperty(oddBody(target), async (body) => {
        const reply = await send(target, body);
        expect(oddity(reply)).toBeUndefined();
        if (reply.status >= 400) {
          expect(await stage.digest(), `refused with ${reply.text}`).toBe(digest);
          return;
        }
        await stage.restore(before);
        digest = await stage.digest();
      }),
      runs(40),
    );
  });
});

describe('A body', () => {
  const post = (body: string) => send({ method: 'POST', path: 'listeners' } as Target, body);

  it.each([100, 5000, 28_000])('nested %i deep is a mistake like any other', async (depth) => {
    for (const deep of [nested(depth), nested(depth, '{"a":', '}').replace('}', '1}')]) {
      for (const body of [
        deep,
        `{"listener":${deep}}`,
        `{"listener":{"name":${deep}}}`,
        `{"listener":{"tags":${deep}}}`,
      ]) {
        if (body.length > 114_688) continue;
        const reply = await post(body);
        expect([reply.status, oddity(reply)]).toEqual([400, undefined]);
      }
    }
  });

  it('of 114,688 bytes is read and one more byte is too much', async () => {
    const padded = (bytes: number) => `{"listener":{}${' '.repeat(bytes - 15)}}`;
    expect((await post(padded(114_688))).status).toBe(400);
    const reply = await post(padded(114_689));
    expect([reply.status, oddity(reply)]).toEqual([413, undefined]);
  });
});
