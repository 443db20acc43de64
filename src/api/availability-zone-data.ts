import type { AmphoraAvailabilityZoneData } from '../lb/availability-zone.ts';
import { isProblem, type Problem, unsupported } from '../lb/problems.ts';
import { type DataKind, type ProfileData, readProfileData } from './profile-data.ts';
import type { Api } from './request.ts';

/** What the amphora provider understands in a zone's data, by name. */
export const availabilityZoneCapabilities: readonly {
  readonly name: keyof AmphoraAvailabilityZoneData;
  readonly description: string;
}[] = [
  { name: 'compute_zone', description: 'The compute availability zone of the amphorae.' },
  { name: 'volume_zone', description: 'The volume availability zone of the amphorae.' },
  { name: 'management_network', description: 'The id of the management network of the zone.' },
  { name: 'valid_vip_networks', description: 'Ids of the networks a VIP may be on.' },
];

const known: ProfileData = {
  field: 'availability_zone_data',
  what: 'availability zone',
  kinds: {
    compute_zone: 'string',
    volume_zone: 'string',
    management_network: 'string',
    valid_vip_networks: 'list of strings',
  } satisfies Record<keyof AmphoraAvailabilityZoneData, DataKind>,
};

/**
 * Parses and judges the JSON text of an availability zone profile: 400 when it is no JSON object, 501 when the
 * provider cannot do what it says. Asks compute and networking for what it names.
 */
export async function availabilityZoneData(
  api: Pick<Api, 'compute' | 'networking'>,
  provider: string,
  text: string,
): Promise<AmphoraAvailabilityZoneData | Problem> {
  const data = readProfileData(known, provider, text);
  if (isProblem(data)) return data;
  const {
    compute_zone: zone,
    management_network: management,
    valid_vip_networks: networks = [],
  } = data as AmphoraAvailabilityZoneData;
  if (zone !== undefined && !(await api.compute.availabilityZoneExists(zone))) {
    return unsupported(provider, `compute_zone ${zone} is not known to the compute service.`);
  }
  const named: [string, string][] = networks.map((network) => ['valid_vip_networks', network]);
  if (management !== undefined) named.unshift(['management_network', management]);
  for (const [name, network] of named) {
    if ((await api.networking.networkId(network)) !== network) {
      return unsupported(provider, `${name}: there is no network ${network}.`);
    }
  }
  return data;
}
