import { randomUUID } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor } from '../caller.ts';
import type { Images } from '../images/images.ts';
import { formatAddress, parseAddress } from '../network/addresses.ts';
import { createPort, type NewPort } from '../network/ports.ts';
import { type Net, type Port, seesNetwork, seesPort, subnetsOn } from '../network/records.ts';
import { badRequest, conflict, Refusal } from '../refusal.ts';
import type { Vault } from '../vault.ts';
import { bind } from './cards.ts';
import { mayUse } from './flavors.ts';
import { keypairId } from './keypairs.ts';
import { type Nova, type Server, timestamp } from './records.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]));
const Wanted = Type.Object({
  uuid: Nullable(Type.String()),
  port: Nullable(Type.String()),
  fixed_ip: Nullable(Type.String()),
  tag: Nullable(Type.String()),
});
export type WantedCard = Static<typeof Wanted>;

export const CreateServer = Type.Object({
  server: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    description: Nullable(Type.String()),
    imageRef: Type.Optional(Type.String()),
    flavorRef: Type.Union([Type.String(), Type.Integer()]),
    networks: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('none'), Type.Array(Wanted)])),
    key_name: Nullable(Type.String()),
    user_data: Nullable(Type.String({ maxLength: 65_535 })),
    metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
    availability_zone: Nullable(Type.String()),
    config_drive: Nullable(Type.Union([Type.Boolean(), Type.String()])),
    security_groups: Type.Optional(Type.Array(Type.Object({ name: Type.Optional(Type.String()) }))),
    tags: Type.Optional(Type.Array(Type.String())),
    adminPass: Type.Optional(Type.String()),
    accessIPv4: Type.Optional(Type.String()),
    accessIPv6: Type.Optional(Type.String()),
    min_count: Type.Optional(Type.Union([Type.Integer(), Type.String()])),
    max_count: Type.Optional(Type.Union([Type.Integer(), Type.String()])),
    block_device_mapping_v2: Type.Optional(
      Type.Array(Type.Object({ source_type: Type.String(), uuid: Nullable(Type.String()) })),
    ),
  }),
  'os:scheduler_hints': Type.Optional(Type.Object({ group: Type.Optional(Type.String()) })),
  'OS-SCH-HNT:scheduler_hints': Type.Optional(Type.Object({ group: Type.Optional(Type.String()) })),
});
type Wish = Static<typeof CreateServer>;

export interface CreateParts {
  readonly nova: Nova;
  readonly net: Net;
  readonly images: Images;
  readonly vault: Vault;
  readonly hostname: string;
}

/** The server as a record, its ports taken; to be called in a transaction. Throws what is wrong with the wish. */
export function createServer(parts: CreateParts, caller: Caller, wish: Wish): Server {
  const { nova, net, vault } = parts;
  const { server: wanted } = wish;
  const project_id = projectFor(caller, undefined);
  if (Number(wanted.min_count ?? 1) !== 1 || Number(wanted.max_count ?? 1) !== 1) {
    throw badRequest('Only one server at a time can be created here.');
  }
  if (wanted.availability_zone != null && !/^nova(:|$)/.test(wanted.availability_zone)) {
    throw badRequest('The requested availability zone is not available');
  }
  const flavor = nova.flavors.get(String(wanted.flavorRef));
  if (flavor === undefined || !mayUse(caller, flavor))
    throw badRequest(`Flavor ${wanted.flavorRef} could not be found.`);
  const image_id = imageOf(parts, caller, wanted, flavor.ram);
  if (wanted.key_name != null && nova.keypairs.get(keypairId(caller.userId, wanted.key_name)) === undefined) {
    throw badRequest('Invalid key_name provided.');
  }
  const group_id = (wish['os:scheduler_hints'] ?? wish['OS-SCH-HNT:scheduler_hints'])?.group ?? null;
  if (group_id !== null && !owns(caller, nova.groups.get(group_id)?.project_id ?? null)) {
    throw badRequest(`Instance group ${group_id} could not be found.`);
  }
  const id = randomUUID();
  const groups = securityGroups(net, project_id, wanted.security_groups);
  const cards = wishedCards(net, caller, wanted.networks).map((card) =>
    takeCard(parts, caller, id, card, groups.ids),
  );
  const time = timestamp(nova);
  return nova.servers.put({
    id,
    name: wanted.name,
    description: wanted.description ?? null,
    project_id,
    user_id: caller.userId,
    image_id,
    flavor,
    key_name: wanted.key_name ?? null,
    config_drive: wanted.config_drive === true || /^(true|1)$/i.test(String(wanted.config_drive ?? '')),
    metadata: wanted.metadata ?? {},
    tags: wanted.tags ?? [],
    group_id,
    security_groups: groups.names,
    user_data: wanted.user_data == null ? null : vault.seal(decode(wanted.user_data), id),
    cards,
    vm_state: 'building',
    task_state: 'spawning',
    placed: false,
    access_ips: accessIps(wanted, undefined),
    fault: null,
    created_at: time,
    updated_at: time,
    launched_at: null,
  });
}

/** Empty: none. Throws for what is no address of that family. */
export function accessIps(
  wanted: { readonly accessIPv4?: string; readonly accessIPv6?: string },
  before: Server['access_ips'],
): NonNullable<Server['access_ips']> {
  const proper = (text: string, version: 4 | 6): string => {
    if (text === '') return '';
    const address = parseAddress(text);
    if (address?.version !== version)
      throw badRequest(`accessIPv${version} is not proper IPv${version} format`);
    return formatAddress(address);
  };
  return {
    v4: proper(wanted.accessIPv4 ?? before?.v4 ?? '', 4),
    v6: proper(wanted.accessIPv6 ?? before?.v6 ?? '', 6),
  };
}

function imageOf({ images }: CreateParts, caller: Caller, wanted: Wish['server'], ram: number): string {
  const [device, ...more] = wanted.block_device_mapping_v2 ?? [];
  if (more.length > 0 || (device !== undefined && device.source_type !== 'image')) {
    throw badRequest('Block Device Mapping is Invalid: there are no volumes here.');
  }
  const id = wanted.imageRef || device?.uuid || '';
  const image = images.collection.get(id.split('/').at(-1) ?? '');
  if (image === undefined || !images.sees(caller, image)) throw badRequest(`Image ${id} could not be found.`);
  if (image.status !== 'active') throw badRequest(`Image ${id} is not active.`);
  if (image.min_ram > ram) throw badRequest("Flavor's memory is too small for requested image.");
  return image.id;
}

function decode(userData: string): Buffer {
  const compact = userData.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 !== 0) {
    throw badRequest('User data needs to be valid base 64.');
  }
  return Buffer.from(compact, 'base64');
}

/** Groups of ports that are made for the server; given ports keep theirs. */
function securityGroups(net: Net, projectId: string, wished: Wish['server']['security_groups']) {
  const own = net.groups.all().filter((group) => group.project_id === projectId);
  const found = (wished ?? []).map(({ name = 'default' }) => {
    const group = own.find((each) => each.id === name) ?? own.find((each) => each.name === name);
    if (group === undefined && name !== 'default')
      throw badRequest(`Security group ${name} not found for project ${projectId}.`);
    return { name: group?.name ?? name, id: group?.id };
  });
  const ids = found.flatMap((each) => each.id ?? []);
  return { names: found.length > 0 ? found.map((each) => each.name) : ['default'], ids };
}

/** Nothing said, or `auto`: the one network there is. */
function wishedCards(net: Net, caller: Caller, wished: Wish['server']['networks']): readonly WantedCard[] {
  if (wished === 'none') return [];
  if (wished !== undefined && wished !== 'auto' && wished.length > 0) return wished;
  const usable = net.networks
    .all()
    .filter((each) => seesNetwork(caller, each) && subnetsOn(net, each.id).length > 0);
  const own = usable.filter((each) => each.project_id === caller.projectId);
  const choice = own.length > 0 ? own : usable.filter((each) => each.shared);
  if (choice.length > 1)
    throw conflict('Multiple possible networks found, use a Network ID to be more specific.');
  return choice.map((each) => ({ uuid: each.id }));
}

/** Takes the wished port, or makes one on the wished network. */
export function takeCard(
  { net, hostname }: Pick<CreateParts, 'net' | 'hostname'>,
  caller: Caller,
  serverId: string,
  wish: WantedCard,
  groupIds: readonly string[],
): Server['cards'][number] {
  if (wish.port != null) {
    const given = net.ports.get(wish.port);
    if (given === undefined || !seesPort(net, caller, given))
      throw badRequest(`Port ${wish.port} could not be found.`);
    if (given.device_id !== '' && given.device_owner.startsWith('compute:')) {
      throw conflict(`Port ${wish.port} is still in use.`);
    }
    return { port_id: bind(net, given, serverId, hostname).id, ours: false };
  }
  if (wish.uuid == null) throw badRequest('A requested network has neither uuid nor port.');
  const port = asNovaSays(() => {
    const wanted: NewPort = {
      network_id: wish.uuid ?? '',
      ...(groupIds.length > 0 && { security_groups: [...groupIds] }),
      ...(wish.fixed_ip != null && { fixed_ips: [{ ip_address: wish.fixed_ip }] }),
    };
    return createPort(net, caller, wanted);
  });
  return { port_id: bind(net, port, serverId, hostname).id, ours: true };
}

/** What Neutron cannot find, Nova calls a bad request. */
function asNovaSays(make: () => Port): Port {
  try {
    return make();
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) throw badRequest(error.message);
    throw error;
  }
}
