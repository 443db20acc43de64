import { type Kysely, sql } from 'kysely';

const statements = `
alter table amphorae add column outgoing boolean not null default false;
`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(statements).execute(db);
}
