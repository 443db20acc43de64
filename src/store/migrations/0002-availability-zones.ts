import { type Kysely, sql } from 'kysely';

const statements = `
create table availability_zone_profiles (
  id uuid primary key,
  name text not null,
  provider_name text not null,
  availability_zone_data text not null
);

create table availability_zones (
  name text constraint availability_zones_name primary key,
  description text,
  enabled boolean not null,
  availability_zone_profile_id uuid not null
    constraint availability_zones_profile references availability_zone_profiles
);
create index on availability_zones (availability_zone_profile_id);
create index on load_balancers (availability_zone);
`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(statements).execute(db);
}
