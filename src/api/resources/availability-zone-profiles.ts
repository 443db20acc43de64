import { availabilityZoneData } from '../availability-zone-data.ts';
import { fields } from '../fields.ts';
import { profileRoutes } from '../offers.ts';
import type { Api, Route } from '../request.ts';
import { id, resource } from '../resource.ts';
import { text } from '../types.ts';

export const availabilityZoneProfiles = resource({
  kind: 'availabilityZoneProfile',
  name: 'Availability Zone Profile',
  argument: 'availability_zone_profile_.availability_zone_profile',
  many: 'availability_zone_profiles',
  links: 'availability_zone_profile_links',
  fields: fields({
    ...id,
    name: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    providerName: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    availabilityZoneData: { type: text({ max: 4096 }), post: 'required', put: 'optional' },
  }),
});

export function availabilityZoneProfileRoutes(api: Api): readonly Route[] {
  const offered = {
    resource: availabilityZoneProfiles,
    path: '/v2/lbaas/availabilityzoneprofiles',
    policy: 'availability-zone-profile',
  } as const;
  return profileRoutes(
    api,
    offered,
    api.store.availabilityZones,
    (profile) => profile.availabilityZoneData,
    availabilityZoneData,
  );
}
