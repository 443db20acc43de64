import { beforeAll, describe, expect, it } from 'vitest';
import type { Row } from './client.ts';
import type { Secrets } from './secrets.ts';
import { date, emptyList, idsOf, lines, makeLoadBalancer, inTurn, type Stage, uuid } from './stage.ts';

/** `openstack loadbalancer pool|member|healthmonitor …`, on one load balancer. */
export function poolCommands(stage: Stage): void {
  const { service } = stage;
  let secrets: Secrets;
  let loadBalancer: string;
  let listener: Row;
  let pool: Row;
  const settled = (): Promise<unknown> => service.active(loadBalancer);

  describe('pools', inTurn, () => {
    let free: Row;

    beforeAll(async () => {
      const { client } = stage;
      ({ secrets } = stage);
      loadBalancer = await makeLoadBalancer(stage, 'lb-pools');
      listener = await client.run(
        ...(['listener create', '--name', 'front', '--protocol', 'HTTP', '--protocol-port', '80'] as const),
        'lb-pools',
      );
      await settled();
    });

    it('are created as the default pool of a listener', async () => {
      const { client } = stage;
      pool = await client.run(
        ...([
          'pool create',
          '--name',
          'back',
          '--protocol',
          'http',
          '--lb-algorithm',
          'ROUND_ROBIN',
        ] as const),
        ...['--listener', 'front', '--wait'],
      );
      expect(pool).toMatchObject({
        admin_state_up: true,
        created_at: expect.stringMatching(date),
        description: '',
        healthmonitor_id: '',
        id: expect.stringMatching(uuid),
        lb_algorithm: 'ROUND_ROBIN',
        listeners: listener['id'],
        loadbalancers: loadBalancer,
        members: emptyList,
        name: 'back',
        project_id: listener['project_id'],
        protocol: 'HTTP',
        provisioning_status: 'ACTIVE',
        session_persistence: null,
        tls_container_ref: null,
        ca_tls_container_ref: null,
        crl_container_ref: null,
        tls_enabled: false,
        tls_ciphers: null,
        tls_versions: null,
        tags: emptyList,
        alpn_protocols: null,
      });
      expect(await client.run('listener show', 'front')).toMatchObject({ default_pool_id: pool['id'] });
    });

    it('are created beside the listeners, with TLS to their members', async () => {
      const { client } = stage;
      free = await client.run(
        ...([
          'pool create',
          '--name',
          'tls',
          '--description',
          'encrypts again',
          '--protocol',
          'HTTP',
        ] as const),
        ...['--lb-algorithm', 'least_connections', '--loadbalancer', 'lb-pools', '--disable', '--enable-tls'],
        ...[
          '--session-persistence',
          'type=APP_COOKIE,cookie_name=session',
          '--tls-container-ref',
          secrets.bundle,
        ],
        ...['--ca-tls-container-ref', secrets.authority, '--crl-container-ref', secrets.revocations],
        ...[
          '--tls-ciphers',
          'ECDHE-RSA-AES256-GCM-SHA384',
          '--tls-version',
          'TLSv1.2',
          '--tls-version',
          'TLSv1.3',
        ],
        ...['--alpn-protocol', 'http/1.1', '--tag', 'x', '--tag', 'y'],
      );
      expect(free).toMatchObject({
        admin_state_up: false,
        description: 'encrypts again',
        lb_algorithm: 'LEAST_CONNECTIONS',
        listeners: emptyList,
        loadbalancers: loadBalancer,
        operating_status: 'OFFLINE',
        provisioning_status: 'PENDING_CREATE',
        tls_container_ref: secrets.bundle,
        ca_tls_container_ref: secrets.authority,
        crl_container_ref: secrets.revocations,
        tls_enabled: true,
        tls_ciphers: 'ECDHE-RSA-AES256-GCM-SHA384',
        tls_versions: ['TLSv1.2', 'TLSv1.3'],
        alpn_protocols: ['http/1.1'],
      });
      expect(lines(free['session_persistence'])).toEqual(
        expect.arrayContaining(['cookie_name=session', 'type=APP_COOKIE']),
      );
      expect(lines(free['tags'])).toEqual(['x', 'y']);
      await settled();
      const sourceIp = await client.run(
        ...(['pool create', '--protocol', 'UDP', '--lb-algorithm', 'SOURCE_IP', '--loadbalancer'] as const),
        ...['lb-pools', '--session-persistence', 'type=SOURCE_IP,persistence_timeout=60', '--enable'],
        ...['--disable-tls', '--no-tag'],
      );
      expect(lines(sourceIp['session_persistence'])).toContain('persistence_timeout=60');
      await settled();
      await client.run('pool delete', sourceIp['id']);
      await settled();
    });

    it('are refused where they do not fit', async () => {
      const { client } = stage;
      const refused = (...args: string[]): Promise<string> =>
        client.refused('pool create', '--protocol', 'HTTP', ...args);
      expect(await refused('--lb-algorithm', 'ROUND_ROBIN', '--listener', 'front')).toMatch(/\(HTTP 409\)/);
      expect(await refused('--lb-algorithm', 'SOURCE_IP_PORT', '--loadbalancer', 'lb-pools')).toMatch(
        /\(HTTP 501\)/,
      );
      expect(
        await refused(
          ...['--lb-algorithm', 'ROUND_ROBIN', '--loadbalancer', 'lb-pools'],
          ...['--session-persistence', 'type=APP_COOKIE'],
        ),
      ).toMatch(/cookie_name.*\(HTTP 400\)/s);
    });

    it('are listed by load balancer and tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> => client.run<Row[]>('pool list', ...filter);
      const own = await list('--loadbalancer', 'lb-pools');
      expect(idsOf(own)).toEqual(idsOf([pool, free]));
      expect(own.find((row) => row['id'] === pool['id'])).toEqual({
        id: pool['id'],
        name: 'back',
        project_id: pool['project_id'],
        provisioning_status: 'ACTIVE',
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        admin_state_up: true,
      });
      expect(idsOf(await list('--tags', 'x,y'))).toEqual([free['id']]);
      expect(idsOf(await list('--any-tags', 'x,z'))).toEqual([free['id']]);
      expect(idsOf(await list('--loadbalancer', 'lb-pools', '--not-tags', 'x,y'))).toEqual([pool['id']]);
      expect(idsOf(await list('--loadbalancer', 'lb-pools', '--not-any-tags', 'x'))).toEqual([pool['id']]);
    });

    it('are changed, and shown changed', async () => {
      const { client } = stage;
      await client.run(
        ...(['pool set', 'back', '--name', 'behind', '--description', 'new', '--lb-algorithm'] as const),
        ...['source_ip', '--session-persistence', 'type=HTTP_COOKIE', '--disable', '--enable-tls'],
        ...['--tls-container-ref', secrets.bundle, '--ca-tls-container-ref', secrets.authority],
        ...['--crl-container-ref', secrets.revocations, '--tls-ciphers', 'ECDHE-RSA-AES128-GCM-SHA256'],
        ...['--tls-version', 'TLSv1.3', '--alpn-protocol', 'h2', '--tag', 'z', '--wait'],
      );
      expect(await client.run('pool show', 'behind')).toMatchObject({
        id: pool['id'],
        description: 'new',
        lb_algorithm: 'SOURCE_IP',
        session_persistence: expect.stringMatching(/^type=HTTP_COOKIE/),
        admin_state_up: false,
        tls_enabled: true,
        tls_container_ref: secrets.bundle,
        ca_tls_container_ref: secrets.authority,
        crl_container_ref: secrets.revocations,
        tls_ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
        tls_versions: ['TLSv1.3'],
        alpn_protocols: ['h2'],
        tags: 'z',
      });
      await client.run('pool set', free['id'], '--disable-tls', '--enable', '--no-tag');
      await settled();
      expect(await client.run('pool show', free['id'])).toMatchObject({
        tls_enabled: false,
        admin_state_up: true,
        tags: emptyList,
      });
    });

    it('lose what is unset', async () => {
      const { client } = stage;
      await client.run(
        ...(['pool unset', 'behind', '--name', '--description', '--crl-container-ref'] as const),
        ...['--session-persistence', '--tls-container-ref', '--tls-versions', '--tls-ciphers'],
        ...['--alpn-protocols', '--tag', 'other', '--wait'],
      );
      expect(await client.run('pool show', pool['id'])).toMatchObject({
        name: '',
        description: '',
        session_persistence: null,
        tls_container_ref: null,
        ca_tls_container_ref: secrets.authority,
        crl_container_ref: null,
        tags: 'z',
      });
      await client.run('pool unset', pool['id'], '--ca-tls-container-ref', '--all-tag');
      await settled();
      expect(await client.run('pool show', pool['id'])).toMatchObject({
        ca_tls_container_ref: null,
        tags: emptyList,
      });
      await client.run('pool set', pool['id'], '--name', 'back', '--disable-tls', '--enable');
      await settled();
    });

    it('are deleted', async () => {
      const { client } = stage;
      await client.run('pool delete', free['id'], '--wait');
      expect(await client.refused('pool show', 'tls')).toContain('Unable to locate tls in pools');
    });
  });

  describe('members', inTurn, () => {
    let one: Row;
    let two: Row;

    it('are created with all they can have', async () => {
      const { client } = stage;
      one = await client.run(
        ...(['member create', '--name', 'one', '--address', '192.0.2.1', '--protocol-port', '8080'] as const),
        ...['--weight', '7', '--enable-backup', '--monitor-address', '192.0.2.9', '--monitor-port', '8081'],
        ...['--subnet-id', 'ext_net_subnet', '--enable', '--tag', 'm', '--wait', 'back'],
      );
      const subnet = await client.json('subnet', 'show', 'ext_net_subnet');
      expect(one).toMatchObject({
        address: '192.0.2.1',
        admin_state_up: true,
        created_at: expect.stringMatching(date),
        id: expect.stringMatching(uuid),
        name: 'one',
        operating_status: 'NO_MONITOR',
        project_id: pool['project_id'],
        protocol_port: 8080,
        provisioning_status: 'ACTIVE',
        subnet_id: subnet['id'],
        weight: 7,
        monitor_port: 8081,
        monitor_address: '192.0.2.9',
        backup: true,
        tags: 'm',
      });
    });

    it('are created with next to nothing', async () => {
      const { client } = stage;
      two = await client.run(
        ...(['member create', '--address', '2001:db8::2', '--protocol-port', '80', 'back'] as const),
        ...['--disable', '--disable-backup', '--no-tag'],
      );
      expect(two).toMatchObject({
        address: '2001:db8::2',
        admin_state_up: false,
        name: '',
        subnet_id: null,
        weight: 1,
        monitor_port: null,
        monitor_address: null,
        backup: false,
        tags: emptyList,
        provisioning_status: 'PENDING_CREATE',
      });
      await settled();
      const refused = (...args: string[]): Promise<string> =>
        client.refused('member create', 'back', ...args);
      expect(await refused('--address', '192.0.2.1', '--protocol-port', '8080')).toMatch(/\(HTTP 409\)/);
      expect(await refused('--address', '192.0.2.3', '--protocol-port', '0')).toContain("Value: '0'");
      expect(await refused('--address', '192.0.2.3', '--protocol-port', '1', '--weight', '300')).toContain(
        "Value: '300'",
      );
      expect(await refused('--address', 'localhost', '--protocol-port', '1')).toMatch(
        /address.*\(HTTP 400\)/s,
      );
    });

    it('are listed, by tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> =>
        client.run<Row[]>('member list', 'back', ...filter);
      expect(idsOf(await list())).toEqual(idsOf([one, two]));
      expect(await list('--tags', 'm')).toEqual([
        {
          id: one['id'],
          name: 'one',
          project_id: pool['project_id'],
          provisioning_status: 'ACTIVE',
          address: '192.0.2.1',
          protocol_port: 8080,
          operating_status: 'NO_MONITOR',
          weight: 7,
        },
      ]);
      expect(idsOf(await list('--any-tags', 'm,n'))).toEqual([one['id']]);
      expect(idsOf(await list('--not-tags', 'm'))).toEqual([two['id']]);
      expect(idsOf(await list('--not-any-tags', 'm,n'))).toEqual([two['id']]);
    });

    it('are changed, unset and deleted', async () => {
      const { client } = stage;
      await client.run(
        ...(['member set', 'back', 'one', '--name', 'uno', '--weight', '0', '--disable-backup'] as const),
        ...['--monitor-port', '99', '--monitor-address', '192.0.2.8', '--disable', '--tag', 'n', '--wait'],
      );
      const shown = await client.run('member show', 'back', 'uno');
      expect(shown).toMatchObject({
        id: one['id'],
        weight: 0,
        backup: false,
        monitor_port: 99,
        monitor_address: '192.0.2.8',
        admin_state_up: false,
      });
      expect(lines(shown['tags'])).toEqual(['m', 'n']);
      await client.run('member set', 'back', one['id'], '--enable', '--enable-backup', '--no-tag');
      await settled();
      expect(await client.run('member show', 'back', one['id'])).toMatchObject({
        backup: true,
        tags: emptyList,
      });
      await client.run(
        ...(['member unset', 'back', 'uno', '--backup', '--monitor-address', '--monitor-port'] as const),
        ...['--name', '--weight', '--tag', 'n', '--wait'],
      );
      await client.run('member unset', 'back', one['id'], '--all-tag');
      await settled();
      expect(await client.run('member show', 'back', one['id'])).toMatchObject({
        name: '',
        backup: false,
        monitor_address: null,
        monitor_port: null,
        weight: 1,
      });
      await client.run('member delete', 'back', one['id'], '--wait');
      expect(idsOf(await client.run<Row[]>('member list', 'back'))).toEqual([two['id']]);
    });
  });

  describe('health monitors', inTurn, () => {
    let monitor: Row;

    it('ask with HTTP', async () => {
      const { client } = stage;
      monitor = await client.run(
        ...(['healthmonitor create', '--name', 'doctor', '--type', 'http', '--delay', '5'] as const),
        ...[
          '--timeout',
          '3',
          '--max-retries',
          '2',
          '--max-retries-down',
          '4',
          '--domain-name',
          'www.example',
        ],
        ...[
          '--expected-codes',
          '200-204',
          '--http-method',
          'head',
          '--http-version',
          '1.1',
          '--url-path',
          '/up',
        ],
        ...['--enable', '--tag', 'h', '--wait', 'back'],
      );
      expect(monitor).toMatchObject({
        project_id: pool['project_id'],
        name: 'doctor',
        admin_state_up: true,
        pools: pool['id'],
        created_at: expect.stringMatching(date),
        provisioning_status: 'ACTIVE',
        delay: 5,
        expected_codes: '200-204',
        max_retries: 2,
        http_method: 'HEAD',
        timeout: 3,
        max_retries_down: 4,
        url_path: '/up',
        type: 'HTTP',
        id: expect.stringMatching(uuid),
        operating_status: 'ONLINE',
        http_version: 1.1,
        domain_name: 'www.example',
        tags: 'h',
      });
      expect(await client.run('pool show', 'back')).toMatchObject({ healthmonitor_id: monitor['id'] });
      expect(
        await client.refused(
          ...(['healthmonitor create', '--type', 'TCP', '--delay', '5', '--timeout', '3'] as const),
          ...['--max-retries', '2', 'back'],
        ),
      ).toMatch(/\(HTTP 409\)/);
    });

    it('are listed, by tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> =>
        client.run<Row[]>('healthmonitor list', ...filter);
      expect(await list('--tags', 'h')).toEqual([
        {
          id: monitor['id'],
          name: 'doctor',
          project_id: pool['project_id'],
          type: 'HTTP',
          admin_state_up: true,
        },
      ]);
      expect(idsOf(await list('--any-tags', 'h,i'))).toEqual([monitor['id']]);
      expect(await list('--not-tags', 'h')).toEqual([]);
      expect(await list('--not-any-tags', 'h,i')).toEqual([]);
    });

    it('are changed, unset and deleted', async () => {
      const { client } = stage;
      await client.run(
        ...(['healthmonitor set', 'doctor', '--name', 'nurse', '--delay', '9', '--timeout', '8'] as const),
        ...['--max-retries', '3', '--max-retries-down', '3', '--domain-name', 'a.example', '--disable'],
        ...[
          '--expected-codes',
          '201',
          '--http-method',
          'OPTIONS',
          '--http-version',
          '1.1',
          '--url-path',
          '/x',
        ],
        ...['--tag', 'i', '--wait'],
      );
      const shown = await client.run('healthmonitor show', 'nurse');
      expect(shown).toMatchObject({
        id: monitor['id'],
        delay: 9,
        timeout: 8,
        max_retries: 3,
        max_retries_down: 3,
        domain_name: 'a.example',
        admin_state_up: false,
        expected_codes: '201',
        http_method: 'OPTIONS',
        http_version: 1.1,
        url_path: '/x',
      });
      expect(lines(shown['tags'])).toEqual(['h', 'i']);
      await client.run('healthmonitor set', monitor['id'], '--enable', '--no-tag');
      await settled();
      await client.run(
        ...(['healthmonitor unset', 'nurse', '--domain-name', '--expected-codes', '--http-method'] as const),
        ...['--http-version', '--max-retries-down', '--name', '--url-path', '--tag', 'i', '--wait'],
      );
      await client.run('healthmonitor unset', monitor['id'], '--all-tag');
      await settled();
      expect(await client.run('healthmonitor show', monitor['id'])).toMatchObject({
        name: '',
        domain_name: null,
        expected_codes: '200',
        http_method: 'GET',
        http_version: null,
        max_retries_down: 3,
        url_path: '/',
        admin_state_up: true,
        tags: emptyList,
      });
      await client.run('healthmonitor delete', monitor['id'], '--wait');
      expect(await client.run('pool show', 'back')).toMatchObject({ healthmonitor_id: '' });
    });

    it.each(['PING', 'TCP', 'HTTPS', 'TLS-HELLO'])('ask with %s', async (type) => {
      const { client } = stage;
      const made = await client.run(
        ...(['healthmonitor create', '--type', type, '--delay', '5', '--timeout', '3'] as const),
        ...['--max-retries', '2', '--disable', '--no-tag', 'back'],
      );
      expect(made).toMatchObject({ type, admin_state_up: false, max_retries_down: 3 });
      await settled();
      await client.run('healthmonitor delete', made['id']);
      await settled();
    });
  });
}
