import type { AmphoraFlavorData } from '../lb/flavor.ts';
import type { Member } from '../lb/member.ts';
import { isProblem, type Problem, problem, unsupported } from '../lb/problems.ts';
import { type DataKind, type ProfileData, readProfileData } from './profile-data.ts';
import type { Api } from './request.ts';

/** What the amphora provider understands in a flavor's data, by name. */
export const flavorCapabilities: readonly {
  readonly name: keyof AmphoraFlavorData;
  readonly description: string;
}[] = [
  {
    name: 'loadbalancer_topology',
    description: 'The topology of load balancers. SINGLE - one amphora. ACTIVE_STANDBY - a pair of amphorae.',
  },
  { name: 'compute_flavor', description: 'The id of the compute flavor of the amphorae.' },
  { name: 'amp_image_tag', description: 'The tag of the image of the amphorae.' },
  { name: 'sriov_vip', description: 'Whether the VIP port is an SR-IOV virtual function.' },
  { name: 'allow_member_sriov', description: 'Whether members may be reached over SR-IOV ports.' },
];

const known: ProfileData = {
  field: 'flavor_data',
  what: 'flavor',
  kinds: {
    loadbalancer_topology: 'string',
    compute_flavor: 'string',
    amp_image_tag: 'string',
    sriov_vip: 'boolean',
    allow_member_sriov: 'boolean',
  } satisfies Record<keyof AmphoraFlavorData, DataKind>,
};

/**
 * Parses and judges the JSON text of a flavor profile: 400 when it is no JSON object, 501 when the provider cannot
 * do what it says. Asks compute and images for what it names.
 */
export async function flavorData(
  api: Pick<Api, 'compute' | 'images'>,
  provider: string,
  text: string,
): Promise<AmphoraFlavorData | Problem> {
  const data = readProfileData(known, provider, text);
  if (isProblem(data)) return data;
  const wrong = topologyProblem(provider, data['loadbalancer_topology'] ?? 'SINGLE');
  if (wrong !== undefined) return wrong;
  const { compute_flavor: computeFlavor, amp_image_tag: imageTag } = data as AmphoraFlavorData;
  if (computeFlavor !== undefined && !(await api.compute.flavorExists(computeFlavor))) {
    return unsupported(provider, `compute_flavor ${computeFlavor} is not known to the compute service.`);
  }
  if (imageTag !== undefined && (await api.images.newest(imageTag)) === undefined) {
    return unsupported(
      provider,
      `amp_image_tag ${imageTag}: the image service has no active image of that tag.`,
    );
  }
  return data;
}

function topologyProblem(provider: string, topology: unknown): Problem | undefined {
  return topology === 'SINGLE' || topology === 'ACTIVE_STANDBY'
    ? undefined
    : unsupported(
        provider,
        `loadbalancer_topology ${JSON.stringify(topology)} is neither SINGLE nor ACTIVE_STANDBY.`,
      );
}

/** Whether the flavor lets members ask for SR-IOV. A profile in use does not change. */
export async function allowsMemberSriov(
  { store }: Pick<Api, 'store'>,
  flavorId: string | null,
): Promise<boolean> {
  const flavor = flavorId === null ? undefined : await store.lists.show('flavor', flavorId);
  const profile = flavor && (await store.lists.show('flavorProfile', flavor.flavorProfileId));
  if (profile === undefined) return false;
  const data = readProfileData(known, profile.providerName, profile.flavorData);
  return !isProblem(data) && data['allow_member_sriov'] === true;
}

/** `allowed`: the flavor of the load balancer lets its new members ask for SR-IOV. */
export function memberSriovProblem(
  allowed: boolean,
  members: readonly Pick<Member, 'vnicType'>[],
): Problem | undefined {
  return !allowed && members.some(({ vnicType }) => vnicType === 'direct')
    ? problem(400, 'The flavor of the load balancer does not allow SR-IOV members.')
    : undefined;
}
