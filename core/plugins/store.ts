/**
 * The handlers' database, as one worker holds it. A run writes inside a savepoint, so that it can be
 * undone alone; runs that follow each other share a transaction, so that they share its fsync.
 *
 * A transaction begins when a run first uses the store, and with the right to write, of which there
 * is one: a run never reads what another changes before it writes.
 */
import { Database, type Statement } from 'bun:sqlite';
import type { SqlValue, Store } from './context.ts';
import { checkStatement } from './statement.ts';

/** The database cannot be used as it is; the message names what and why, ready to be shown. */
export class StoreProblem extends Error {}

/** Opens the file, made where it is missing. `timeoutMs` is how long a run may take. Throws a `StoreProblem`. */
export function openDatabase(path: string, timeoutMs: number): Database {
  try {
    const database = new Database(path, { create: true, strict: true });
    // Longer than a run that is stuck holds it.
    database.run(`pragma busy_timeout = ${2 * timeoutMs + 1_000}`);
    database.run('pragma journal_mode = wal');
    database.run('pragma synchronous = full');
    database.run('pragma foreign_keys = on');
    return database;
  } catch (error) {
    throw new StoreProblem(`${path}: ${(error as Error).message}`);
  }
}

export class HandlerStore {
  readonly #open: () => Database;
  readonly #waits: (waiting: boolean) => void;
  #opened: Database | undefined = undefined;
  /** By template: each place in the code that has one is parsed once. */
  readonly #statements = new WeakMap<TemplateStringsArray, Statement>();
  /** Whether a transaction was begun, and is still to be committed or rolled back. */
  #begun = false;
  /** The run whose savepoint is open. */
  #user: object | undefined = undefined;

  /**
   * `open` is called at the first use: where no handler stores anything, there is no file. `waits` is
   * told when the wait for the right to write begins and ends.
   */
  constructor(open: () => Database, waits: (waiting: boolean) => void) {
    this.#open = open;
    this.#waits = waits;
  }

  get #database(): Database {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** Whether `run` has used the store, and so stands in the transaction. */
  usedBy(run: object): boolean {
    return this.#user === run;
  }

  /** The store as `run` sees it. `check` throws once the run is over. */
  storeFor(run: object, check: () => void): Store {
    const prepare = (sql: TemplateStringsArray, values: readonly unknown[]) => {
      check();
      values.forEach(checkValue);
      return this.#prepare(run, sql);
    };
    return {
      run: (sql, ...values) => ({ changes: prepare(sql, values).run(...values).changes }),
      get: <R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]) =>
        (prepare(sql, values).get(...values) ?? undefined) as R | undefined,
      all: <R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]) =>
        prepare(sql, values).all(...values) as R[],
    };
  }

  /** The run is over and what it wrote stays in the transaction. */
  keep(run: object): void {
    if (this.#user !== run) return;
    this.#user = undefined;
    if (this.#database.inTransaction) this.#database.run('release run');
  }

  /** The run is over and what it wrote is undone. */
  undo(run: object): void {
    if (this.#user !== run) return;
    this.#user = undefined;
    if (!this.#database.inTransaction) return;
    this.#database.run('rollback to run');
    this.#database.run('release run');
  }

  /** Commits what was kept. Throws where it cannot be, and then nothing of it is left. */
  commit(): void {
    if (!this.#begun) return;
    this.#begun = false;
    try {
      // Gone already where SQLite gave up on it, as for a full disk or `insert or rollback`.
      if (!this.#database.inTransaction) throw new Error('the transaction was rolled back');
      this.#database.run('commit');
    } finally {
      if (this.#database.inTransaction) this.#database.run('rollback');
    }
  }

  #begin(): void {
    this.#waits(true);
    try {
      this.#database.run('begin immediate');
      this.#begun = true;
    } finally {
      this.#waits(false);
    }
  }

  /** A statement to be used now, inside of the run's savepoint. */
  #prepare(run: object, sql: TemplateStringsArray): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      const text = sql.join('?');
      checkStatement(text);
      statement = this.#database.prepare(text);
      this.#statements.set(sql, statement);
    }
    if (!this.#begun) {
      this.#begin();
    } else if (!this.#database.inTransaction) {
      throw new Error('the transaction was rolled back');
    }
    if (this.#user === undefined) {
      this.#database.run('savepoint run');
      this.#user = run;
    } else if (this.#user !== run) {
      throw new Error('another run is at the store');
    }
    return statement;
  }
}

function checkValue(value: unknown, index: number): void {
  if (value === null || value instanceof Uint8Array) return;
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return;
  const what = value === undefined ? 'undefined; write null where that is meant' : typeof value;
  throw new TypeError(`value ${index + 1} of the statement is ${what}`);
}
