import type { Kysely, Transaction } from 'kysely';
import { DatabaseError } from 'pg';
import { isProblem, type Problem, problem, validationFailure } from '../lb/problems.ts';
import type { Database } from './schema.ts';

/** Carries a Problem out of a transaction, so that it is rolled back. */
class Refused extends Error {
  readonly problem: Problem;
  constructor(refusal: Problem) {
    super(refusal.text);
    this.problem = refusal;
  }
}

/** A transaction that a `Problem` rolls back. What only the database can know to be a user's mistake is one, too. */
export async function transaction<T>(
  db: Kysely<Database>,
  work: (trx: Transaction<Database>) => Promise<T | Problem>,
): Promise<T | Problem> {
  try {
    return await db.transaction().execute(async (trx) => {
      const answer = await work(trx);
      if (isProblem(answer)) throw new Refused(answer);
      return answer;
    });
  } catch (error) {
    if (error instanceof Refused) return error.problem;
    const refusal = refusalOf(error);
    if (refusal) return refusal;
    throw error;
  }
}

/** What stands in each way, by the constraint's name. */
const conflicts: Readonly<Record<string, string>> = {
  listeners_port: 'Another Listener on this Load Balancer is already using this protocol_port',
  members_address: 'Another member on this pool is already using this address and protocol_port',
  health_monitors_pool: 'This pool already has a health monitor',
  flavors_name: 'A flavor of this name already exists.',
  availability_zones_name: 'An availability zone of this name already exists.',
};

const unstorable = validationFailure('a text holds a character that cannot be stored.');

function refusalOf(error: unknown): Problem | undefined {
  if (!(error instanceof DatabaseError)) return undefined;
  switch (error.code) {
    case '23505': {
      const text = conflicts[error.constraint ?? ''];
      return text === undefined ? undefined : problem(409, text);
    }
    case '22003':
      return validationFailure('a number is too large.');
    case '22P05': // NUL, in JSON
    case '22021': // NUL, in a parameter
      return unstorable;
    case '22P02': // half of a surrogate pair is no JSON; a bug when anything else was not read
      return /json/.test(error.routine ?? '') ? unstorable : undefined;
    default:
      return undefined;
  }
}
