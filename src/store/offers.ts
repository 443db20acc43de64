import { type Kysely, sql, type Transaction } from 'kysely';
import type { AvailabilityZone, AvailabilityZoneProfile } from '../lb/availability-zone.ts';
import type { Flavor, FlavorProfile } from '../lb/flavor.ts';
import { type DisplayName, isProblem, notFound, type Problem, problem } from '../lb/problems.ts';
import { transaction } from './refusals.ts';
import { columnOf, fieldsOf, insertRows, isUuid, updateRows } from './rows.ts';
import { type AnyTable, type Database, type Table, tables } from './schema.ts';
import type { Offers } from './store.ts';

/** What the operator offers comes in pairs of tables: what is offered, and the profiles that say what it means. */
interface Pair<Profile, Offer> {
  readonly profile: Table<Profile>;
  readonly offer: Table<Offer>;
  readonly profileName: DisplayName;
  readonly offerName: DisplayName;
  /** Fields of a profile that stay while it is used. */
  readonly fixed: readonly (keyof Profile)[];
  /** In the offer: its profile. */
  readonly profileId: keyof Offer & string;
  /** In load balancers: the offer they use. */
  readonly usedAs: string;
}

export const flavorPair: Pair<FlavorProfile, Flavor> = {
  profile: tables.flavorProfile,
  offer: tables.flavor,
  profileName: 'Flavor Profile',
  offerName: 'Flavor',
  fixed: ['flavorData', 'providerName'],
  profileId: 'flavorProfileId',
  usedAs: 'flavor_id',
};

export const availabilityZonePair: Pair<AvailabilityZoneProfile, AvailabilityZone> = {
  profile: tables.availabilityZoneProfile,
  offer: tables.availabilityZone,
  profileName: 'Availability Zone Profile',
  offerName: 'Availability Zone',
  fixed: ['availabilityZoneData', 'providerName'],
  profileId: 'availabilityZoneProfileId',
  usedAs: 'availability_zone',
};

const inUse = (name: DisplayName, key: string): Problem =>
  problem(409, `${name} ${key} is in use and cannot be modified.`);

export function offers<Profile extends object, Offer extends object>(
  db: Kysely<Database>,
  pair: Pair<Profile, Offer>,
): Offers<Profile, Offer> {
  const { profile, offer, profileName, offerName } = pair;
  const lockProfile = (trx: Transaction<Database>, id: string) => lockRow(trx, profile, id, profileName);
  const lockOffer = (trx: Transaction<Database>, key: string) => lockRow(trx, offer, key, offerName);
  const profileIsUsed = (trx: Transaction<Database>, id: string) =>
    exists(trx, sql`${sql.raw(offer.name)} where ${sql.raw(columnOf(pair.profileId))} = ${id}`);
  const offerIsUsed = (trx: Transaction<Database>, key: string) =>
    exists(
      trx,
      sql`load_balancers where ${sql.raw(pair.usedAs)} = ${key} and provisioning_status <> 'DELETED'`,
    );
  return {
    createProfile: (created) =>
      transaction(db, async (trx) => {
        await insertRows(profile, [created], {}).execute(trx);
        return undefined;
      }),

    updateProfile: (id, changes) =>
      transaction(db, async (trx) => {
        const before = await lockProfile(trx, id);
        if (isProblem(before)) return before;
        const after: Profile = { ...before, ...changes };
        const means = pair.fixed.some((field) => after[field] !== before[field]);
        if (means && (await profileIsUsed(trx, id))) return inUse(profileName, id);
        await updateRows(profile, [after], {}).execute(trx);
        return after;
      }),

    deleteProfile: (id) =>
      transaction(db, async (trx) => {
        const before = await lockProfile(trx, id);
        if (isProblem(before)) return before;
        if (await profileIsUsed(trx, id)) return inUse(profileName, id);
        await deleteRow(trx, profile, id);
        return undefined;
      }),

    create: (created) =>
      transaction(db, async (trx) => {
        const profileId = String(created[pair.profileId]);
        if (!(await holdRow(trx, profile, profileId))) {
          return problem(400, `${profileName} ${profileId} not found.`);
        }
        await insertRows(offer, [created], {}).execute(trx);
        return undefined;
      }),

    update: (key, changes) =>
      transaction(db, async (trx) => {
        const before = await lockOffer(trx, key);
        if (isProblem(before)) return before;
        const after: Offer = { ...before, ...changes };
        await updateRows(offer, [after], {}).execute(trx);
        return after;
      }),

    delete: (key) =>
      transaction(db, async (trx) => {
        const before = await lockOffer(trx, key);
        if (isProblem(before)) return before;
        if (await offerIsUsed(trx, key)) return inUse(offerName, key);
        await deleteRow(trx, offer, key);
        return undefined;
      }),
  };
}

/** Keeps a row from being deleted before the transaction is over. */
export async function holdRow(trx: Transaction<Database>, table: AnyTable, key: string): Promise<boolean> {
  if (!canBeKey(table, key)) return false;
  const { rows } = await sql`select from ${byKey(table, key)} for key share`.execute(trx);
  return rows.length === 1;
}

async function lockRow<T>(
  trx: Transaction<Database>,
  table: Table<T>,
  key: string,
  name: DisplayName,
): Promise<T | Problem> {
  if (!canBeKey(table, key)) return notFound(name, key);
  const { rows } = await sql<T>`select ${fieldsOf(table)} from ${byKey(table, key)} for update`.execute(trx);
  return rows[0] ?? notFound(name, key);
}

async function deleteRow(trx: Transaction<Database>, table: AnyTable, key: string): Promise<void> {
  await sql`delete from ${byKey(table, key)}`.execute(trx);
}

async function exists(trx: Transaction<Database>, from: ReturnType<typeof byKey>): Promise<boolean> {
  const { rows } = await sql`select from ${from} limit 1`.execute(trx);
  return rows.length > 0;
}

const byKey = (table: AnyTable, key: string) =>
  sql`${sql.raw(table.name)} t where t.${sql.raw(columnOf(table.key ?? 'id'))} = ${key}`;

const canBeKey = (table: AnyTable, key: string): boolean =>
  table.key === undefined ? isUuid(key) : !key.includes('\0');
