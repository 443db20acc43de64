import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { externalSubnet, externalSubnet6 } from '../https-load-balancer.ts';
import { discard, eventually, makeService, scratch, type Service } from '../service.ts';
import { type EchoMember, type EchoOptions, echoMember } from './echo-member.ts';
import { makePki, type Pki } from './pki.ts';

/** What all rows of the matrix stand on: one running service, its networks, an authority, and members on the machine. */
export interface Stage {
  readonly service: Service;
  readonly pki: Pki;
  /** An address of the machine that amphorae reach, and that they see clients come from. */
  readonly gateway: string;
  readonly subnetId: string;
  /** The same in IPv6. */
  readonly gateway6: string;
  readonly subnet6Id: string;
  /** A member that lives until the end. */
  member(name: string, options?: EchoOptions & { address?: string }): Promise<EchoMember>;
  /** A load balancer created whole, ACTIVE. */
  balancer(values: object): Promise<Balancer>;
  close(): Promise<void>;
}

export interface Balancer {
  readonly id: string;
  readonly vip: string;
  /** Id of the listener, pool or policy of that name. */
  idOf(name: string): string;
  /** One request under `/v2/lbaas/`, and the load balancer ACTIVE again. */
  change<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  /** An object as the API shows it. */
  show(path: string): Promise<any>;
  /** Waits for an operating status. */
  becomes(path: string, operatingStatus: string): Promise<void>;
  remove(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const service = makeService(21_640);
  const folder = scratch('traffic');
  const open: EchoMember[] = [];
  const pki = await makePki(join(folder, 'pki'), service);
  await service.start();
  const subnet = await externalSubnet(service);
  const six = await externalSubnet6(service);
  return {
    service,
    pki,
    gateway: subnet.gateway,
    subnetId: subnet.id,
    gateway6: six.gateway,
    subnet6Id: six.id,
    async member(name, options = {}) {
      const made = await echoMember(name, options.address ?? subnet.gateway, options);
      open.push(made);
      return made;
    },
    async balancer(values) {
      const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
        loadbalancer: { vip_subnet_id: subnet.id, ...values },
      });
      await service.active(loadbalancer.id);
      return balancerOf(service, loadbalancer);
    },
    async close() {
      await Promise.all(open.map((member) => member.close()));
      await discard(service);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function balancerOf(service: Service, made: any): Balancer {
  const ids = new Map<string, string>();
  for (const object of [...made.listeners, ...made.pools]) ids.set(object.name, object.id);
  for (const { l7policies } of made.listeners) for (const one of l7policies ?? []) ids.set(one.name, one.id);
  for (const { members, name } of made.pools) {
    for (const one of members ?? []) ids.set(`${name}/${one.name}`, one.id);
  }
  const show = async (path: string): Promise<any> =>
    Object.values(await service.call<object>('GET', `/v2/lbaas/${path}`))[0];
  return {
    id: made.id,
    vip: made.vip_address,
    idOf(name) {
      const id = ids.get(name);
      if (id === undefined) throw new Error(`nothing is called ${name}: ${[...ids.keys()].join(', ')}`);
      return id;
    },
    async change(method, path, body) {
      const answer = await service.call(method, `/v2/lbaas/${path}`, body);
      await service.active(made.id);
      return answer;
    },
    show,
    async becomes(path, wanted) {
      let last = '';
      await eventually(`${path} ${wanted}`, async () => {
        last = (await show(path)).operating_status;
        if (last !== wanted) throw new Error(last);
        return true;
      });
    },
    async remove() {
      await service.call('DELETE', `/v2/lbaas/loadbalancers/${made.id}?cascade=true`);
    },
  };
}

/** Definitions that a load balancer created whole is made of. */
export const aPool = (name: string, members: readonly object[], values: object = {}) => ({
  name,
  protocol: 'HTTP',
  lb_algorithm: 'ROUND_ROBIN',
  members,
  ...values,
});
export const at = ({ name, address, port }: EchoMember, values: object = {}) => ({
  name,
  address,
  protocol_port: port,
  ...values,
});
