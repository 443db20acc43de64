import { fields } from '../fields.ts';
import { offerRoutes } from '../offers.ts';
import type { Api, Route } from '../request.ts';
import { described, enabled, id, resource } from '../resource.ts';
import { text, uuid } from '../types.ts';

export const flavors = resource({
  kind: 'flavor',
  name: 'Flavor',
  argument: 'flavor_.flavor',
  many: 'flavors',
  fields: fields({
    ...id,
    name: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    ...described,
    ...enabled,
    flavorProfileId: { type: uuid(), post: 'required' },
  }),
});

export function flavorRoutes(api: Api): readonly Route[] {
  const offered = { resource: flavors, path: '/v2/lbaas/flavors', policy: 'flavor' } as const;
  return offerRoutes(api, offered, api.store.flavors);
}
