import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { FakeCompute, observed } from '../../test/fake-compute.ts';
import { freshStore } from '../../test/database.ts';
import { aListener, aLoadBalancer, aMember, aPool, aTree } from '../../test/trees.ts';
import type { LoadBalancer } from '../lb/load-balancer.ts';
import type { Outgoing, Tree } from '../lb/tree.ts';
import { createAuthority } from '../pki/ca.ts';
import { makeLog } from '../platform/log.ts';
import type { Store } from '../store/store.ts';
import type { Context } from './context.ts';
import { loopMetrics } from './metrics.ts';
import { reconcile, type RunOptions } from './load-balancer.ts';
import type { Rest } from './rest.ts';

/** A database of its own, a cloud in memory, and controllers that can be killed. */
export async function makeScene() {
  const [{ store, drop }, authority] = await Promise.all([freshStore(), createAuthority()]);
  const cloud = new FakeCompute();
  const common = {
    authority,
    secretKey: Buffer.alloc(32, 1),
    log: makeLog('test', 'silent'),
    metrics: loopMetrics(new Registry()),
    listeningSince: () => new Date(0),
    settings: {
      amphora: {
        compute_flavor: 'livia-amphora',
        image_tag: 'amphora',
        management_network: 'lb-mgmt-net',
        management_security_groups: [],
        controller_cidrs: ['0.0.0.0/0'],
        vrrp_advert_seconds: 1,
        agent_port: 9443,
      },
      worker: { parallel: 4, lease_seconds: 2, build_deadline_seconds: 600, boot_deadline_seconds: 300 },
      health: {
        host: '127.0.0.1',
        port: 0,
        receivers: ['10.0.0.1:5555'],
        heartbeat_interval_ms: 1000,
        heartbeat_timeout_seconds: 10,
        failover_threshold_share: 0.3,
      },
      load_balancing: { default_connection_limit: 2000, haproxy_stick_size: '20k' },
      flow_logs: {
        ...{ targets: ['192.0.2.9:514'], file_port: 5514, file_megabytes: 1, files: 1 },
        ...{ facility: 'local0', format: '%ci' },
      },
    },
  };
  const context: Context = { ...common, store, clouds: cloud.clouds() };

  return {
    store,
    cloud,
    context,
    drop,

    /** A controller that dies at its n-th call of the cloud or the store, before or after it took effect. */
    mortal(dyingCall: number): { context: Context; died: () => boolean } {
      let calls = 0;
      const live = (): void => {
        if (++calls > dyingCall) throw new Error('killed');
      };
      return {
        context: { ...common, store: observed<Store>(store, live), clouds: cloud.clouds(live) },
        died: () => calls > dyingCall,
      };
    },

    async create(
      parts: (loadBalancerId: string) => Partial<Tree> = withListener,
      values: Partial<LoadBalancer> = {},
    ): Promise<string> {
      const id = randomUUID();
      const vipPort = cloud.makePort({
        name: `octavia-lb-${id}`,
        networkId: aLoadBalancer().vipNetworkId,
        fixedIps: [{ subnetId: aLoadBalancer().vipSubnetId ?? '', ipAddress: '192.0.2.90' }],
        deviceId: `lb-${id}`,
        deviceOwner: 'Octavia',
        projectId: aLoadBalancer().projectId,
        adminStateUp: false,
      });
      const pending = { provisioningStatus: 'PENDING_CREATE', operatingStatus: 'OFFLINE' } as const;
      const loadBalancer = aLoadBalancer({ id, vipPortId: vipPort.id, ...values, ...pending });
      const refusal = await store.trees.create(aTree({ loadBalancer, ...parts(id) }));
      if (refusal !== undefined) throw new Error(refusal.text);
      return id;
    },

    /** As the API writes a wish. */
    async change(id: string, change: (tree: Tree) => Tree): Promise<void> {
      await store.trees.change(id, (tree) => {
        if (tree === undefined) throw new Error('gone');
        const provisioningStatus = 'PENDING_UPDATE' as const;
        const changed = change({ ...tree, loadBalancer: { ...tree.loadBalancer, provisioningStatus } });
        return { tree: changed, answer: undefined };
      });
    },

    /** As the API writes the wish for a failover. */
    async failOver(id: string, outgoing: Outgoing = 'all'): Promise<void> {
      await store.trees.change(id, (tree) => {
        if (tree === undefined) throw new Error('gone');
        const loadBalancer = { ...tree.loadBalancer, provisioningStatus: 'PENDING_UPDATE' as const };
        return { tree: { ...tree, loadBalancer }, answer: undefined, outgoing };
      });
    },

    remove(id: string): Promise<void> {
      return this.change(id, (tree) => ({
        ...tree,
        loadBalancer: { ...tree.loadBalancer, provisioningStatus: 'PENDING_DELETE' },
      }));
    },

    run: (id: string, options: Partial<RunOptions> = {}, by: Context = context): Promise<Rest> =>
      reconcile(id, by, { signal: new AbortController().signal, failingSince: undefined, ...options }),

    async tree(id: string): Promise<Tree> {
      const tree = await store.trees.read(id);
      if (tree === undefined) throw new Error(`no load balancer ${id}`);
      return tree;
    },
  };
}

export type Scene = Awaited<ReturnType<typeof makeScene>>;

const pending = { provisioningStatus: 'PENDING_CREATE', operatingStatus: 'OFFLINE' } as const;

export function withListener(loadBalancerId: string): Partial<Tree> {
  const poolId = randomUUID();
  return {
    listeners: [aListener({ id: randomUUID(), loadBalancerId, defaultPoolId: poolId, ...pending })],
    pools: [aPool({ id: poolId, loadBalancerId, ...pending })],
    members: [aMember({ id: randomUUID(), poolId, ...pending })],
  };
}

export function withTlsListener(ref: string): (loadBalancerId: string) => Partial<Tree> {
  return (loadBalancerId) => ({
    listeners: [
      aListener({ id: randomUUID(), loadBalancerId, ...pending }),
      aListener({
        id: randomUUID(),
        loadBalancerId,
        protocol: 'TERMINATED_HTTPS',
        protocolPort: 443,
        defaultTlsContainerRef: ref,
        tlsVersions: ['TLSv1.3'],
        alpnProtocols: ['h2'],
        ...pending,
      }),
    ],
  });
}
