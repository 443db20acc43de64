import { fields } from '../fields.ts';
import { offerRoutes } from '../offers.ts';
import type { Api, Route } from '../request.ts';
import { described, enabled, resource } from '../resource.ts';
import { text, uuid } from '../types.ts';

export const availabilityZones = resource({
  kind: 'availabilityZone',
  name: 'Availability Zone',
  key: 'name',
  argument: 'availability_zone_.availability_zone',
  many: 'availability_zones',
  fields: fields({
    name: { type: text({ max: 255 }), post: 'required' },
    ...described,
    ...enabled,
    availabilityZoneProfileId: { type: uuid(), post: 'required' },
  }),
});

export function availabilityZoneRoutes(api: Api): readonly Route[] {
  const offered = {
    resource: availabilityZones,
    path: '/v2/lbaas/availabilityzones',
    policy: 'availability-zone',
  } as const;
  return offerRoutes(api, offered, api.store.availabilityZones);
}
