import { fields } from '../fields.ts';
import { flavorData } from '../flavor-data.ts';
import { profileRoutes } from '../offers.ts';
import type { Api, Route } from '../request.ts';
import { id, resource } from '../resource.ts';
import { text } from '../types.ts';

export const flavorProfiles = resource({
  kind: 'flavorProfile',
  name: 'Flavor Profile',
  argument: 'flavor_profile_.flavorprofile',
  many: 'flavorprofiles',
  links: 'flavorprofile_links',
  fields: fields({
    ...id,
    name: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    providerName: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    flavorData: { type: text({ max: 4096 }), post: 'required', put: 'optional' },
  }),
});

export function flavorProfileRoutes(api: Api): readonly Route[] {
  const offered = {
    resource: flavorProfiles,
    path: '/v2/lbaas/flavorprofiles',
    policy: 'flavor-profile',
  } as const;
  return profileRoutes(api, offered, api.store.flavors, (profile) => profile.flavorData, flavorData);
}
