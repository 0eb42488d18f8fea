/** One connection to the handlers' database, with the statements that were prepared on it. */
import { Database, type Statement } from 'bun:sqlite';
import { checkStatement } from './statement.ts';

/** The database cannot be used as it is; the message names what and why, ready to be shown. */
export class StoreProblem extends Error {}

/**
 * Opens the file, made where it is missing. `busyTimeoutMs` is how long it waits for other processes and
 * connections that write. Throws a `StoreProblem`.
 */
export function openDatabase(path: string, busyTimeoutMs: number): Database {
  try {
    const database = new Database(path, { create: true, strict: true });
    database.run(`pragma busy_timeout = ${busyTimeoutMs}`);
    database.run('pragma journal_mode = wal');
    database.run('pragma synchronous = full');
    database.run('pragma foreign_keys = on');
    return database;
  } catch (error) {
    throw new StoreProblem(`${path}: ${(error as Error).message}`);
  }
}

export class Connection {
  readonly database: Database;
  /** By template: each place in the code that has one is parsed once. */
  readonly #templates = new WeakMap<TemplateStringsArray, Statement>();
  /** Our own, by their text. */
  readonly #own = new Map<string, Statement>();

  constructor(database: Database) {
    this.database = database;
  }

  get inTransaction(): boolean {
    return this.database.inTransaction;
  }

  /** A handler's statement. Throws where it is none that a run may use. */
  template(sql: TemplateStringsArray): Statement {
    let statement = this.#templates.get(sql);
    if (statement === undefined) {
      if (!Array.isArray(sql) || !Array.isArray(sql.raw)) {
        throw new TypeError('SQL is written as a template: store.run`delete from …`');
      }
      const text = sql.join('?');
      checkStatement(text);
      statement = this.database.prepare(text);
      this.#templates.set(sql, statement);
    }
    return statement;
  }

  own(text: string): Statement {
    let statement = this.#own.get(text);
    if (statement === undefined) {
      statement = this.database.prepare(text);
      this.#own.set(text, statement);
    }
    return statement;
  }

  /** Does `work` without waiting for other processes and connections that write: it throws where it would have to. */
  atOnce(work: () => void): void {
    const { timeout } = this.own('pragma busy_timeout').get() as { timeout: number };
    this.database.run('pragma busy_timeout = 0');
    try {
      work();
    } finally {
      this.database.run(`pragma busy_timeout = ${timeout}`);
    }
  }

  /** Changes whenever another connection has committed something; not within a transaction. */
  version(): number {
    return (this.own('pragma data_version').get() as { data_version: number }).data_version;
  }
}
