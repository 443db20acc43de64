import { type Kysely, sql } from 'kysely';
import { isProblem, notFound, type Problem, problem } from '../lb/problems.ts';
import { transaction } from './refusals.ts';
import { isUuid } from './rows.ts';
import type { Database } from './schema.ts';
import type { Flavors } from './store.ts';

const profileInUse = (id: string): Problem =>
  problem(409, `Flavor Profile ${id} is in use and cannot be modified.`);
const flavorInUse = (id: string): Problem => problem(409, `Flavor ${id} is in use and cannot be modified.`);

export function flavors(db: Kysely<Database>): Flavors {
  return {
    async createProfile(profile) {
      await db.insertInto('flavorProfiles').values(profile).execute();
    },

    updateProfile: (id, changes) =>
      transaction(db, async (trx) => {
        const before = await lockProfile(trx, id);
        if (isProblem(before)) return before;
        const after = { ...before, ...changes, id };
        const means = after.flavorData !== before.flavorData || after.providerName !== before.providerName;
        if (means && (await profileIsUsed(trx, id))) return profileInUse(id);
        await trx.updateTable('flavorProfiles').set(after).where('id', '=', id).execute();
        return after;
      }),

    deleteProfile: (id) =>
      transaction(db, async (trx) => {
        const before = await lockProfile(trx, id);
        if (isProblem(before)) return before;
        if (await profileIsUsed(trx, id)) return profileInUse(id);
        await trx.deleteFrom('flavorProfiles').where('id', '=', id).execute();
        return undefined;
      }),

    create: (flavor) =>
      transaction(db, async (trx) => {
        if (!(await holdProfile(trx, flavor.flavorProfileId))) {
          return problem(400, `Flavor Profile ${flavor.flavorProfileId} not found.`);
        }
        await trx.insertInto('flavors').values(flavor).execute();
        return undefined;
      }),

    update: (id, changes) =>
      transaction(db, async (trx) => {
        const before = await lockFlavor(trx, id);
        if (isProblem(before)) return before;
        const after = { ...before, ...changes, id };
        await trx.updateTable('flavors').set(after).where('id', '=', id).execute();
        return after;
      }),

    delete: (id) =>
      transaction(db, async (trx) => {
        const before = await lockFlavor(trx, id);
        if (isProblem(before)) return before;
        const user = await trx
          .selectFrom('loadBalancers')
          .select('id')
          .where('flavorId', '=', id)
          .where('provisioningStatus', '!=', 'DELETED')
          .limit(1)
          .executeTakeFirst();
        if (user) return flavorInUse(id);
        await trx.deleteFrom('flavors').where('id', '=', id).execute();
        return undefined;
      }),
  };
}

async function lockProfile(trx: Kysely<Database>, id: string) {
  if (!isUuid(id)) return notFound('Flavor Profile', id);
  const profile = await trx
    .selectFrom('flavorProfiles')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  return profile ?? notFound('Flavor Profile', id);
}

async function lockFlavor(trx: Kysely<Database>, id: string) {
  if (!isUuid(id)) return notFound('Flavor', id);
  const flavor = await trx
    .selectFrom('flavors')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  return flavor ?? notFound('Flavor', id);
}

async function profileIsUsed(trx: Kysely<Database>, id: string): Promise<boolean> {
  const flavor = await trx
    .selectFrom('flavors')
    .select('id')
    .where('flavorProfileId', '=', id)
    .limit(1)
    .executeTakeFirst();
  return flavor !== undefined;
}

async function holdProfile(trx: Kysely<Database>, id: string): Promise<boolean> {
  if (!isUuid(id)) return false;
  const { rows } = await sql`select from flavor_profiles where id = ${id} for key share`.execute(trx);
  return rows.length === 1;
}
