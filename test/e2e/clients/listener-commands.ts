import { beforeAll, describe, expect, it } from 'vitest';
import type { Row } from './client.ts';
import type { Secrets } from './secrets.ts';
import { date, emptyList, idsOf, lines, makeLoadBalancer, inTurn, type Stage, uuid } from './stage.ts';

/** `openstack loadbalancer listener …`. */
export function listenerCommands(stage: Stage): void {
  describe('listeners', inTurn, () => {
    const { service } = stage;
    let secrets: Secrets;
    let loadBalancer: string;
    let pool: Row;
    let plain: Row;
    let secure: Row;
    const settled = (): Promise<unknown> => service.active(loadBalancer);

    beforeAll(async () => {
      const { client } = stage;
      ({ secrets } = stage);
      loadBalancer = await makeLoadBalancer(stage, 'lb-listeners');
      pool = await client.run(
        ...(['pool create', '--name', 'of-listeners', '--loadbalancer', 'lb-listeners'] as const),
        ...['--protocol', 'HTTP', '--lb-algorithm', 'round_robin', '--wait'],
      );
    });

    it('speak HTTP with all that HTTP knows', async () => {
      const { client } = stage;
      plain = await client.run(
        ...(['listener create', '--name', 'web', '--description', 'plain', '--protocol', 'http'] as const),
        ...['--protocol-port', '80', '--connection-limit', '200000', '--default-pool', 'of-listeners'],
        ...['--insert-headers', 'X-Forwarded-For=true,X-Forwarded-Port=true'],
        ...['--timeout-client-data', '10000', '--timeout-member-connect', '2000'],
        ...['--timeout-member-data', '20000', '--timeout-tcp-inspect', '30'],
        ...['--allowed-cidr', '10.0.0.0/8', '--allowed-cidr', '192.0.2.0/24'],
        ...['--tag', 'a', '--tag', 'b', '--enable', '--wait', 'lb-listeners'],
      );
      expect(plain).toMatchObject({
        admin_state_up: true,
        connection_limit: 200_000,
        created_at: expect.stringMatching(date),
        default_pool_id: pool['id'],
        default_tls_container_ref: null,
        description: 'plain',
        id: expect.stringMatching(uuid),
        insert_headers: 'X-Forwarded-For=true\nX-Forwarded-Port=true',
        l7policies: emptyList,
        loadbalancers: loadBalancer,
        name: 'web',
        operating_status: 'ONLINE',
        protocol: 'HTTP',
        protocol_port: 80,
        provisioning_status: 'ACTIVE',
        sni_container_refs: [],
        timeout_client_data: 10_000,
        timeout_member_connect: 2_000,
        timeout_member_data: 20_000,
        timeout_tcp_inspect: 30,
        client_ca_tls_container_ref: null,
        client_authentication: 'NONE',
        client_crl_container_ref: null,
        allowed_cidrs: '10.0.0.0/8\n192.0.2.0/24',
      });
      expect(lines(plain['tags'])).toEqual(['a', 'b']);
    });

    it('terminate TLS with certificates, client certificates and revocations', async () => {
      const { client } = stage;
      secure = await client.run(
        ...(['listener create', '--protocol', 'TERMINATED_HTTPS', '--protocol-port', '443'] as const),
        ...['--default-tls-container-ref', secrets.bundle, '--client-authentication', 'mandatory'],
        ...[
          '--client-ca-tls-container-ref',
          secrets.authority,
          '--client-crl-container-ref',
          secrets.revocations,
        ],
        ...['--tls-ciphers', 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384', '--no-tag'],
        ...[
          '--tls-version',
          'TLSv1.2',
          '--tls-version',
          'TLSv1.3',
          '--alpn-protocol',
          'http/1.1',
          '--disable',
        ],
        ...['lb-listeners', '--sni-container-refs', secrets.otherBundle, secrets.bundle],
      );
      expect(secure).toMatchObject({
        admin_state_up: false,
        connection_limit: -1,
        default_pool_id: null,
        default_tls_container_ref: secrets.bundle,
        insert_headers: null,
        sni_container_refs: [secrets.otherBundle, secrets.bundle],
        timeout_client_data: 50_000,
        timeout_member_connect: 5_000,
        timeout_member_data: 50_000,
        timeout_tcp_inspect: 0,
        client_ca_tls_container_ref: secrets.authority,
        client_authentication: 'MANDATORY',
        client_crl_container_ref: secrets.revocations,
        allowed_cidrs: null,
        tls_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
        tls_versions: ['TLSv1.2', 'TLSv1.3'],
        alpn_protocols: ['http/1.1'],
        tags: emptyList,
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'OFFLINE',
      });
      await settled();
    });

    it('announce HSTS, where the client knows it', async ({ skip }) => {
      const { client } = stage;
      if (!(await client.knows('listener create', 'hsts-max-age'))) return skip('a younger client knows it');
      await client.run(
        ...(['listener set', secure['id'], '--hsts-max-age', '600', '--hsts-preload'] as const),
        '--hsts-include-subdomains',
      );
      await settled();
      expect(await client.run('listener show', secure['id'])).toMatchObject({
        hsts_max_age: 600,
        hsts_include_subdomains: true,
        hsts_preload: true,
      });
      await client.run(
        ...(['listener unset', secure['id'], '--hsts-max-age', '--hsts-preload'] as const),
        '--hsts-include-subdomains',
      );
      await settled();
      return undefined;
    });

    it.each([
      ['TCP', '8001'],
      ['HTTPS', '8002'],
      ['UDP', '8003'],
      ['SCTP', '8004'],
      ['PROMETHEUS', '8005'],
    ])('speak %s', async (protocol, port) => {
      const { client } = stage;
      const made = await client.run(
        ...(['listener create', '--protocol', protocol.toLowerCase(), '--protocol-port', port] as const),
        'lb-listeners',
      );
      expect(made).toMatchObject({ protocol, protocol_port: Number(port), connection_limit: -1 });
      await settled();
    });

    it('are refused with the client’s words or ours', async () => {
      const { client } = stage;
      const refused = (...args: string[]): Promise<string> => client.refused('listener create', ...args);
      expect(await refused('--protocol', 'HTTP', '--protocol-port', '70000', 'lb-listeners')).toContain(
        "Value: '70000'",
      );
      expect(await refused('--protocol', 'HTTP', '--protocol-port', '80', 'lb-listeners')).toMatch(
        /protocol_port 80 is taken.*\(HTTP 409\) \(Request-ID: req-/s,
      );
      expect(await refused('--protocol', 'HTTP', '--protocol-port', '81', 'no-such')).toContain(
        'Unable to locate no-such in loadbalancers',
      );
      expect(
        await refused('--protocol', 'TERMINATED_HTTPS', '--protocol-port', '444', 'lb-listeners'),
      ).toMatch(/\(HTTP 400\)/);
      const other = ['--protocol', 'HTTP', '--protocol-port', '82', 'lb-listeners'];
      expect(await refused(...other, '--allowed-cidr', 'all')).toMatch(/allowed_cidrs.*\(HTTP 400\)/s);
      expect(await refused(...other, '--timeout-client-data', '-1')).toMatch(
        /timeout_client_data.*\(HTTP 400\)/s,
      );
    });

    it('are listed by name, load balancer, state, project and tags', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> => client.run<Row[]>('listener list', ...filter);
      expect(await list('--name', 'web')).toEqual([
        {
          id: plain['id'],
          default_pool_id: pool['id'],
          name: 'web',
          project_id: plain['project_id'],
          protocol: 'HTTP',
          protocol_port: 80,
          admin_state_up: true,
        },
      ]);
      expect(await list('--loadbalancer', 'lb-listeners')).toHaveLength(7);
      expect(idsOf(await list('--loadbalancer', 'lb-listeners', '--disable'))).toEqual([secure['id']]);
      expect(await list('--loadbalancer', 'lb-listeners', '--enable', '--project', 'admin')).toHaveLength(6);
      expect(await list('--project', 'service')).toEqual([]);
      expect(idsOf(await list('--tags', 'a,b'))).toEqual([plain['id']]);
      expect(idsOf(await list('--any-tags', 'b,c'))).toEqual([plain['id']]);
      expect(await list('--not-tags', 'a,b', '--loadbalancer', 'lb-listeners')).toHaveLength(6);
      expect(await list('--not-any-tags', 'a', '--loadbalancer', 'lb-listeners')).toHaveLength(6);
    });

    it('are changed, and shown changed', async () => {
      const { client } = stage;
      await client.run(
        ...(['listener set', 'web', '--name', 'web2', '--description', 'other', '--disable'] as const),
        ...[
          '--connection-limit',
          '300',
          '--insert-headers',
          'X-Forwarded-Proto=true',
          '--default-pool',
          'of-listeners',
        ],
        ...['--timeout-client-data', '1', '--timeout-member-connect', '2', '--timeout-member-data', '3'],
        ...['--timeout-tcp-inspect', '4', '--allowed-cidr', '198.51.100.0/24', '--tag', 'c', '--wait'],
      );
      const shown = await client.run('listener show', 'web2');
      expect(shown).toMatchObject({
        id: plain['id'],
        description: 'other',
        admin_state_up: false,
        connection_limit: 300,
        insert_headers: 'X-Forwarded-Proto=true',
        timeout_client_data: 1,
        timeout_member_connect: 2,
        timeout_member_data: 3,
        timeout_tcp_inspect: 4,
        allowed_cidrs: '198.51.100.0/24',
      });
      expect(lines(shown['tags'])).toEqual(['a', 'b', 'c']);
      await client.run(
        ...(['listener set', secure['id'], '--default-tls-container-ref', secrets.otherBundle] as const),
        ...['--client-ca-tls-container-ref', secrets.authority, '--client-crl-container-ref', 'void'],
        ...[
          '--client-authentication',
          'optional',
          '--tls-ciphers',
          'ECDHE-RSA-AES256-GCM-SHA384',
          '--enable',
        ],
        ...['--tls-version', 'TLSv1.2', '--alpn-protocol', 'h2', '--alpn-protocol', 'http/1.1', '--no-tag'],
        ...['--sni-container-refs', secrets.bundle],
      );
      await settled();
      expect(await client.run('listener show', secure['id'])).toMatchObject({
        admin_state_up: true,
        default_tls_container_ref: secrets.otherBundle,
        sni_container_refs: [secrets.bundle],
        client_ca_tls_container_ref: secrets.authority,
        client_crl_container_ref: null,
        client_authentication: 'OPTIONAL',
        tls_ciphers: 'ECDHE-RSA-AES256-GCM-SHA384',
        tls_versions: ['TLSv1.2'],
        alpn_protocols: ['h2', 'http/1.1'],
      });
    });

    it('fall back to the defaults where they are unset', async () => {
      const { client } = stage;
      await client.run(
        ...(['listener unset', plain['id'], '--name', '--description', '--connection-limit'] as const),
        ...['--default-pool', '--insert-headers', '--timeout-client-data', '--timeout-member-connect'],
        ...['--timeout-member-data', '--timeout-tcp-inspect', '--allowed-cidrs', '--tag', 'a', '--wait'],
      );
      const shown = await client.run('listener show', plain['id']);
      expect(shown).toMatchObject({
        name: '',
        description: '',
        connection_limit: -1,
        default_pool_id: null,
        insert_headers: null,
        timeout_client_data: 50_000,
        timeout_member_connect: 5_000,
        timeout_member_data: 50_000,
        timeout_tcp_inspect: 0,
        allowed_cidrs: null,
      });
      expect(lines(shown['tags'])).toEqual(['b', 'c']);
      await client.run('listener unset', secure['id'], '--default-tls-container-ref');
      await settled();
      expect(await client.run('listener show', secure['id'])).toMatchObject({
        default_tls_container_ref: null,
        sni_container_refs: [secrets.bundle],
        operating_status: 'ONLINE',
        provisioning_status: 'ACTIVE',
      });
      await client.run('listener set', secure['id'], '--default-tls-container-ref', secrets.bundle);
      await settled();
      await client.run(
        ...([
          'listener unset',
          secure['id'],
          '--client-ca-tls-container-ref',
          '--client-authentication',
        ] as const),
        ...['--client-crl-container-ref', '--sni-container-refs', '--tls-versions', '--tls-ciphers'],
        ...['--alpn-protocols', '--all-tag'],
      );
      await settled();
      expect(await client.run('listener show', secure['id'])).toMatchObject({
        client_ca_tls_container_ref: null,
        client_authentication: 'NONE',
        sni_container_refs: [],
        tls_versions: ['TLSv1.2', 'TLSv1.3'],
        tls_ciphers: expect.stringContaining('TLS_AES_256_GCM_SHA384'),
        alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
      });
    });

    it('count their connections', async () => {
      const { client } = stage;
      expect(await client.run('listener stats show', plain['id'])).toEqual({
        ...{ active_connections: 0, bytes_in: 0, bytes_out: 0 },
        ...{ request_errors: 0, total_connections: 0 },
      });
    });

    it('are deleted', async () => {
      const { client } = stage;
      await client.run('listener delete', plain['id'], '--wait');
      expect(await client.refused('listener show', plain['id'])).toContain('Unable to locate');
      await client.run('delete', 'lb-listeners', '--cascade');
    });
  });
}
