import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

export interface Identified {
  readonly id: string;
}

/** All records of one kind, in the order they were made. Records are values: never change one, put another. */
export interface Collection<T extends Identified> {
  get(id: string): T | undefined;
  all(): T[];
  put(record: T): T;
  /** False: there was none. */
  remove(id: string): boolean;
}

export interface Records {
  collection<T extends Identified>(kind: string): Collection<T>;
  /** All or nothing, on disk when it returns; a throw undoes everything. Inside another one it joins it. */
  transaction<T>(work: () => T): T;
  close(): void;
}

/**
 * A small document store: one SQLite table, held in memory for reading. What was put is on the disk when the call
 * (or the outermost transaction) returns. One process at a time; throws when the file is in use.
 */
export function openRecords(path: string): Records {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600)); // SQLite's other files take over the mode
  const database = new DatabaseSync(path);
  try {
    database.exec(
      'pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full; ' +
        'create table if not exists records(kind text not null, id text not null, body text not null, unique(kind, id))',
    );
  } catch (error) {
    database.close();
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return new Store(database);
}

type Kind = Map<string, Identified>;

class Store implements Records {
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #kinds = new Map<string, Kind>();
  /** How to put memory back if the open transaction fails; undefined when none is open. */
  #undo: (() => void)[] | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#upsert = database.prepare(
      'insert into records(kind, id, body) values (?, ?, ?) on conflict(kind, id) do update set body = excluded.body',
    );
    this.#delete = database.prepare('delete from records where kind = ? and id = ?');
    for (const row of database.prepare('select kind, id, body from records order by rowid').iterate()) {
      this.#kind(row['kind'] as string).set(row['id'] as string, JSON.parse(row['body'] as string));
    }
  }

  #kind(name: string): Kind {
    let kind = this.#kinds.get(name);
    if (kind === undefined) this.#kinds.set(name, (kind = new Map()));
    return kind;
  }

  collection<T extends Identified>(name: string): Collection<T> {
    const kind = this.#kind(name) as Map<string, T>;
    return {
      get: (id) => kind.get(id),
      all: () => [...kind.values()],
      put: (record) => {
        this.#upsert.run(name, record.id, JSON.stringify(record));
        this.#remember(kind, record.id);
        kind.set(record.id, record);
        return record;
      },
      remove: (id) => {
        if (!kind.has(id)) return false;
        this.#delete.run(name, id);
        this.#remember(kind, id);
        return kind.delete(id);
      },
    };
  }

  #remember(kind: Kind, id: string): void {
    const before = kind.get(id);
    this.#undo?.push(() => {
      if (before === undefined) kind.delete(id);
      else kind.set(id, before);
    });
  }

  transaction<T>(work: () => T): T {
    if (this.#undo !== undefined) return work();
    this.#database.exec('begin immediate');
    this.#undo = [];
    try {
      const result = work();
      this.#database.exec('commit');
      return result;
    } catch (error) {
      for (const undo of this.#undo.toReversed()) undo();
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }

  close(): void {
    this.#database.close();
  }
}
