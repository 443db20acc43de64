import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { aLoadBalancer, aTree } from '../../test/trees.ts';
import type { Flavor, FlavorProfile } from '../lb/flavor.ts';
import type { Store } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
});
afterAll(() => drop());

async function profile(): Promise<FlavorProfile> {
  const made = {
    id: randomUUID(),
    name: 'p',
    providerName: 'amphora',
    flavorData: '{"compute_flavor":  "10"}',
  };
  await store.flavors.createProfile(made);
  return made;
}

async function flavor(changes: Partial<Flavor> = {}): Promise<Flavor> {
  const id = randomUUID();
  const flavorProfileId = changes.flavorProfileId ?? (await profile()).id;
  const made = { id, name: id, description: null, enabled: true, flavorProfileId, ...changes };
  expect(await store.flavors.create(made)).toBeUndefined();
  return made;
}

describe('a flavor profile', () => {
  it('is shown with its data byte for byte', async () => {
    const made = await profile();
    expect(await store.lists.show('flavorProfile', made.id)).toEqual(made);
  });

  it('changes and goes while no flavor uses it', async () => {
    const made = await profile();
    expect(await store.flavors.updateProfile(made.id, { flavorData: '{}' })).toEqual({
      ...made,
      flavorData: '{}',
    });
    expect(await store.flavors.deleteProfile(made.id)).toBeUndefined();
    expect(await store.flavors.deleteProfile(made.id)).toMatchObject({ status: 404 });
    expect(await store.flavors.updateProfile('no uuid', {})).toMatchObject({ status: 404 });
  });

  it('in use can be renamed and nothing else', async () => {
    const { flavorProfileId: id } = await flavor();
    expect(await store.flavors.updateProfile(id, { name: 'other' })).toMatchObject({ name: 'other' });
    expect(await store.flavors.updateProfile(id, { flavorData: '{}' })).toMatchObject({ status: 409 });
    expect(await store.flavors.updateProfile(id, { providerName: 'x' })).toMatchObject({ status: 409 });
    expect(await store.flavors.deleteProfile(id)).toMatchObject({ status: 409 });
  });
});

describe('a flavor', () => {
  it('has a name of its own and an existing profile', async () => {
    const made = await flavor();
    expect(await store.flavors.create({ ...made, id: randomUUID() })).toMatchObject({ status: 409 });
    const orphan = { ...made, id: randomUUID(), name: 'orphan', flavorProfileId: randomUUID() };
    expect(await store.flavors.create(orphan)).toMatchObject({ status: 400 });
    const other = await flavor();
    expect(await store.flavors.update(other.id, { name: made.name })).toMatchObject({ status: 409 });
    expect(await store.flavors.update(other.id, { enabled: false })).toEqual({ ...other, enabled: false });
    expect(await store.lists.show('flavor', other.id)).toEqual({ ...other, enabled: false });
    expect(await store.flavors.update(randomUUID(), {})).toMatchObject({ status: 404 });
    expect(await store.flavors.update(other.id, { name: 'a\0' })).toMatchObject({ status: 400 });
  });

  it('stays while a load balancer uses it', async () => {
    const { id: flavorId } = await flavor();
    const id = randomUUID();
    await store.trees.create(aTree({ loadBalancer: aLoadBalancer({ id, flavorId }) }));
    expect(await store.flavors.delete(flavorId)).toMatchObject({ status: 409 });
    await store.trees.settle(id, (now) => ({
      ...now,
      loadBalancer: { ...now.loadBalancer, provisioningStatus: 'DELETED' },
    }));
    expect(await store.flavors.delete(flavorId)).toBeUndefined();
    expect(await store.flavors.delete(flavorId)).toMatchObject({ status: 404 });
  });
});
