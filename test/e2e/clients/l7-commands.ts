import { beforeAll, describe, expect, it } from 'vitest';
import type { Row } from './client.ts';
import { date, emptyList, idsOf, lines, makeLoadBalancer, inTurn, type Stage, uuid } from './stage.ts';

/** `openstack loadbalancer l7policy|l7rule …`. */
export function l7Commands(stage: Stage): void {
  const { service } = stage;
  let loadBalancer: string;
  let listener: Row;
  let pool: Row;
  let policy: Row;
  const settled = (): Promise<unknown> => service.active(loadBalancer);

  describe('L7 policies', inTurn, () => {
    beforeAll(async () => {
      const { client } = stage;
      loadBalancer = await makeLoadBalancer(stage, 'lb-l7');
      listener = await client.run(
        ...(['listener create', '--name', 'l7front', '--protocol', 'HTTP', '--protocol-port', '80'] as const),
        'lb-l7',
      );
      await settled();
      pool = await client.run(
        ...([
          'pool create',
          '--name',
          'l7back',
          '--protocol',
          'HTTP',
          '--lb-algorithm',
          'ROUND_ROBIN',
        ] as const),
        ...['--loadbalancer', 'lb-l7'],
      );
      await settled();
    });

    it('redirect to a URL', async () => {
      const { client } = stage;
      policy = await client.run(
        ...([
          'l7policy create',
          '--name',
          'away',
          '--description',
          'gone',
          '--action',
          'redirect_to_url',
        ] as const),
        ...['--redirect-url', 'https://example.org/', '--redirect-http-code', '307', '--position', '1'],
        ...['--enable', '--tag', 'p', '--wait', 'l7front'],
      );
      expect(policy).toMatchObject({
        listener_id: listener['id'],
        description: 'gone',
        admin_state_up: true,
        rules: emptyList,
        project_id: listener['project_id'],
        created_at: expect.stringMatching(date),
        provisioning_status: 'ACTIVE',
        redirect_pool_id: null,
        redirect_url: 'https://example.org/',
        redirect_prefix: null,
        action: 'REDIRECT_TO_URL',
        position: 1,
        id: expect.stringMatching(uuid),
        operating_status: 'ONLINE',
        name: 'away',
        redirect_http_code: 307,
        tags: 'p',
      });
    });

    it('redirect to a pool, redirect a prefix, reject; the client checks what belongs together', async () => {
      const { client } = stage;
      const make = async (...args: string[]): Promise<Row> => {
        const made = await client.run('l7policy create', ...args, 'l7front');
        await settled();
        return made;
      };
      const toPool = await make('--action', 'REDIRECT_TO_POOL', '--redirect-pool', 'l7back', '--no-tag');
      expect(toPool).toMatchObject({ redirect_pool_id: pool['id'], redirect_http_code: null, position: 2 });
      const prefix = await make(
        '--action',
        'REDIRECT_PREFIX',
        '--redirect-prefix',
        'https://x.example',
        '--disable',
      );
      expect(prefix).toMatchObject({
        redirect_prefix: 'https://x.example',
        redirect_http_code: 302,
        admin_state_up: false,
        position: 3,
      });
      const reject = await make('--action', 'REJECT');
      expect(reject).toMatchObject({ action: 'REJECT', redirect_http_code: null, position: 4 });
      expect(await client.refused('l7policy create', '--action', 'REDIRECT_TO_URL', 'l7front')).toContain(
        'Missing argument: --redirect-url',
      );
      expect(
        await client.refused(
          ...([
            'l7policy create',
            '--action',
            'REDIRECT_TO_URL',
            '--redirect-url',
            'not a url',
            'l7front',
          ] as const),
        ),
      ).toMatch(/redirect_url.*\(HTTP 400\)/s);
      expect(idsOf(await client.run<Row[]>('l7policy list', '--listener', 'l7front'))).toEqual(
        idsOf([policy, toPool, prefix, reject]),
      );
      await client.run('l7policy delete', reject['id'], '--wait');
    });

    it('are listed by listener and tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> =>
        client.run<Row[]>('l7policy list', '--listener', 'l7front', ...filter);
      expect(await list('--tags', 'p')).toEqual([
        {
          id: policy['id'],
          name: 'away',
          project_id: policy['project_id'],
          provisioning_status: 'ACTIVE',
          action: 'REDIRECT_TO_URL',
          position: 1,
          admin_state_up: true,
        },
      ]);
      expect(idsOf(await list('--any-tags', 'p,q'))).toEqual([policy['id']]);
      expect(await list('--not-tags', 'p')).toHaveLength(2);
      expect(await list('--not-any-tags', 'p,q')).toHaveLength(2);
    });

    it('are changed and unset', async () => {
      const { client } = stage;
      await client.run(
        ...([
          'l7policy set',
          'away',
          '--name',
          'moved',
          '--description',
          'to a prefix',
          '--position',
          '2',
        ] as const),
        ...[
          '--action',
          'REDIRECT_PREFIX',
          '--redirect-prefix',
          'https://new.example',
          '--redirect-http-code',
          '308',
        ],
        ...['--disable', '--tag', 'q', '--wait'],
      );
      const shown = await client.run('l7policy show', 'moved');
      expect(shown).toMatchObject({
        id: policy['id'],
        description: 'to a prefix',
        action: 'REDIRECT_PREFIX',
        redirect_prefix: 'https://new.example',
        redirect_url: null,
        redirect_http_code: 308,
        position: 2,
        admin_state_up: false,
      });
      expect(lines(shown['tags'])).toEqual(['p', 'q']);
      await client.run('l7policy set', 'moved', '--enable', '--no-tag');
      await settled();
      await client.run(
        ...([
          'l7policy unset',
          'moved',
          '--description',
          '--name',
          '--redirect-http-code',
          '--tag',
          'p',
        ] as const),
        '--wait',
      );
      await client.run('l7policy unset', policy['id'], '--all-tag');
      await settled();
      expect(await client.run('l7policy show', policy['id'])).toMatchObject({
        name: '',
        description: '',
        redirect_http_code: null,
        tags: emptyList,
      });
      await client.run(
        ...(['l7policy set', policy['id'], '--action', 'REDIRECT_TO_POOL', '--redirect-pool'] as const),
        'l7back',
      );
      await settled();
      expect(await client.run('l7policy show', policy['id'])).toMatchObject({
        redirect_pool_id: pool['id'],
        redirect_prefix: null,
        redirect_http_code: null,
      });
      await client.run(
        ...(['l7policy set', policy['id'], '--action', 'REDIRECT_TO_URL', '--redirect-url'] as const),
        'https://last.example',
      );
      await settled();
    });
  });

  describe('L7 rules', inTurn, () => {
    let rule: Row;

    it('are created', async () => {
      const { client } = stage;
      rule = await client.run(
        ...(['l7rule create', '--compare-type', 'regex', '--type', 'header', '--key', 'X-Kind'] as const),
        ...['--value', '^odd', '--invert', '--enable', '--tag', 'r', policy['id']],
      );
      expect(rule).toMatchObject({
        created_at: expect.stringMatching(date),
        compare_type: 'REGEX',
        provisioning_status: 'PENDING_CREATE',
        invert: true,
        admin_state_up: true,
        value: '^odd',
        key: 'X-Kind',
        project_id: policy['project_id'],
        type: 'HEADER',
        id: expect.stringMatching(uuid),
        operating_status: 'OFFLINE',
        tags: 'r',
      });
      await settled();
      expect(await client.run('l7rule show', policy['id'], rule['id'])).toMatchObject({
        provisioning_status: 'ACTIVE',
        operating_status: 'ONLINE',
      });
    });

    it('are created with --wait, after which the client asks for a rule that nobody made', async () => {
      const { client } = stage;
      const before = idsOf(await client.run<Row[]>('l7rule list', policy['id']));
      const ran = await client.openstack(
        ...['--debug', 'loadbalancer', 'l7rule', 'create', '--compare-type', 'EQUAL_TO', '--type', 'PATH'],
        ...['--value', '/waits', '--wait', policy['id']],
      );
      const made = idsOf(await client.run<Row[]>('l7rule list', policy['id'])).find(
        (id) => !before.includes(id),
      );
      expect(made).toMatch(uuid);
      // This release takes the policy's id for the rule's, and the rule's for the policy's; younger ones do not.
      expect(ran.stderr).toContain(`/v2.0/lbaas/l7policies/${made}/rules/${policy['id']}`);
      expect(ran.code).toBe(1);
      await client.run('l7rule delete', policy['id'], made ?? '');
      await settled();
    });

    it.each([
      ['FILE_TYPE', 'EQUAL_TO', 'jpg'],
      ['PATH', 'STARTS_WITH', '/x'],
      ['HOST_NAME', 'ENDS_WITH', '.example'],
      ['COOKIE', 'CONTAINS', 'sugar'],
    ])('match %s', async (type, compare, value) => {
      const { client } = stage;
      const made = await client.run(
        ...(['l7rule create', '--compare-type', compare, '--type', type, '--value', value] as const),
        ...(type === 'COOKIE' ? ['--key', 'jar'] : []),
        ...['--disable', '--no-tag', policy['id']],
      );
      expect(made).toMatchObject({
        type,
        compare_type: compare,
        value,
        key: type === 'COOKIE' ? 'jar' : null,
        invert: false,
        admin_state_up: false,
        provisioning_status: 'PENDING_CREATE',
      });
      await settled();
      await client.run('l7rule delete', policy['id'], made['id']);
      await settled();
    });

    it('are refused with the client’s words or ours', async () => {
      const { client } = stage;
      const refused = (...args: string[]): Promise<string> =>
        client.refused('l7rule create', ...args, policy['id']);
      expect(await refused('--compare-type', 'EQUAL_TO', '--type', 'HEADER', '--value', 'x')).toContain(
        'requires --key',
      );
      expect(await refused('--compare-type', 'REGEX', '--type', 'PATH', '--value', '(')).toMatch(
        /\(HTTP 400\)/,
      );
    });

    it('are listed, by tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> =>
        client.run<Row[]>('l7rule list', policy['id'], ...filter);
      expect(await list('--tags', 'r')).toEqual([
        {
          id: rule['id'],
          project_id: policy['project_id'],
          provisioning_status: 'ACTIVE',
          compare_type: 'REGEX',
          type: 'HEADER',
          key: 'X-Kind',
          value: '^odd',
          invert: true,
          admin_state_up: true,
        },
      ]);
      expect(await list('--any-tags', 'r,s')).toHaveLength(1);
      expect(await list('--not-tags', 'r')).toEqual([]);
      expect(await list('--not-any-tags', 'r,s')).toEqual([]);
    });

    it('are changed, unset and deleted', async () => {
      const { client } = stage;
      const { id } = rule;
      await client.run(
        ...(['l7rule set', policy['id'], id, '--compare-type', 'EQUAL_TO', '--type', 'COOKIE'] as const),
        ...['--key', 'k', '--value', 'v', '--invert', '--disable', '--tag', 's', '--wait'],
      );
      const shown = await client.run('l7rule show', policy['id'], id);
      expect(shown).toMatchObject({
        compare_type: 'EQUAL_TO',
        type: 'COOKIE',
        key: 'k',
        value: 'v',
        invert: true,
        admin_state_up: false,
      });
      expect(lines(shown['tags'])).toEqual(['r', 's']);
      await client.run('l7rule set', policy['id'], id, '--type', 'PATH', '--enable', '--no-tag');
      await settled();
      await client.run('l7rule unset', policy['id'], id, '--invert', '--key', '--tag', 'r', '--wait');
      await client.run('l7rule unset', policy['id'], id, '--all-tag');
      await settled();
      expect(await client.run('l7rule show', policy['id'], id)).toMatchObject({
        invert: false,
        key: null,
        admin_state_up: true,
        tags: emptyList,
      });
      await client.run('l7rule delete', policy['id'], id, '--wait');
      expect(await client.run<Row[]>('l7rule list', policy['id'])).toEqual([]);
    });
  });
}
