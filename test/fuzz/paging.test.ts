import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { activeLoadBalancer, startApi, type TestApi } from '../../src/api/client.fixture.ts';
import { expected } from '../contract/fields.ts';
import { runs } from './odd.ts';

/** However a list is sorted, filtered and cut into pages: following its links visits each row once, in order. */

const count = 23;
let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  // Many values that are equal, null and empty, so that only the last sort keys tell rows apart.
  const pools = Array.from({ length: count }, (_, n) => ({
    ...{ protocol: n % 3 === 0 ? 'HTTP' : 'TCP', lb_algorithm: 'ROUND_ROBIN' },
    ...{
      description: n % 2 === 0 ? 'even' : '',
      tags: n % 5 === 0 ? ['five'] : [],
      admin_state_up: n % 7 !== 0,
    },
    ...(n % 4 === 1 && { session_persistence: { type: 'SOURCE_IP' } }),
    name: `p${n}`,
  }));
  await activeLoadBalancer(api, { pools });
});
afterAll(() => api.close());

interface Row {
  readonly id: string;
}
interface Page {
  readonly rows: readonly Row[];
  readonly next: string | undefined;
  readonly previous: string | undefined;
}

async function page(path: string): Promise<Page> {
  const { status, body } = await api.member.get(path);
  expect(status, JSON.stringify(body)).toBe(200);
  const link = (wanted: string): string | undefined => {
    const found = (body.pools_links as { rel: string; href: string }[]).find(({ rel }) => rel === wanted);
    return found && found.href.slice(found.href.indexOf('/v2'));
  };
  return { rows: body.pools, next: link('next'), previous: link('previous') };
}

const ids = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
const sortKeys = [
  ...[
    'id',
    'name',
    'description',
    'project_id',
    'protocol',
    'lb_algorithm',
    'admin_state_up',
    'created_at',
    'updated_at',
  ],
  ...['provisioning_status', 'operating_status', 'tls_enabled', 'tls_container_ref', 'tls_ciphers'],
].filter((name) => name in (expected['pool']?.fields ?? {}) || expected['pool']?.readOnly.includes(name));
const sort = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...sortKeys), fc.constantFrom('asc', 'desc')), {
    maxLength: 3,
    selector: ([name]) => name,
  })
  .map((wishes) => (wishes.length === 0 ? '' : `sort=${wishes.map((wish) => wish.join(':')).join(',')}`));
const filter = fc.constantFrom(
  '',
  'protocol=HTTP',
  'description=even',
  'tags=five',
  'admin_state_up=false',
  'not-tags=five',
  'name=p3',
  'name=none',
);
const query = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('&');

it('pages of any sort, filter and size hold each row once, forwards and backwards as Octavia does', async () => {
  await fc.assert(
    fc.asyncProperty(sort, filter, fc.integer({ min: 1, max: count + 2 }), async (order, only, limit) => {
      const path = '/v2/lbaas/pools';
      const whole = ids((await page(`${path}?${query(order, only)}`)).rows);
      // Links repeat what Octavia's do: the sort, and no filter.
      const onward = (link: string): string => (only === '' ? link : `${link}&${only}`);

      const seen: string[] = [];
      const pages: Page[] = [];
      for (
        let next: string | undefined = `${path}?${query(order, only, `limit=${limit}`)}`;
        next !== undefined;
      ) {
        const one: Page = await page(next);
        expect(one.rows.length).toBeLessThanOrEqual(limit);
        seen.push(...ids(one.rows));
        pages.push(one);
        expect(pages.length).toBeLessThanOrEqual(count + 2);
        next = one.next && onward(one.next);
      }
      expect(seen).toEqual(whole);

      // Backwards is as in Octavia: of all rows before the page, the first ones.
      for (const { previous, rows } of pages) {
        if (previous === undefined) continue;
        const before = whole.slice(0, whole.indexOf(rows[0]?.id ?? ''));
        expect(ids((await page(onward(previous))).rows)).toEqual(before.slice(0, limit));
      }
    }),
    runs(40),
  );
});
