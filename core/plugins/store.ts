/**
 * The handlers' database, as one worker holds it.
 *
 * A run that has not written reads through a connection of its own, and never waits for one that writes.
 * What it reads before it first awaits something is of one moment. With its first write it
 * takes the right to write, of which there is one in the process, until it is over; if anything was
 * committed since it first read, it is begun anew, with that right from its first use of the store on. So
 * no run ever writes what follows from something that has changed.
 *
 * Runs that follow each other in a worker share a transaction, and with it an fsync; each writes inside
 * a savepoint, so that it can be undone alone. While the transaction is open, the runs that follow read
 * in it as well: they see what those before them wrote.
 */
import type { Database, Statement } from 'bun:sqlite';
import { Connection } from './connection.ts';
import type { SqlValue, Store } from './context.ts';
import type { Mark } from './exchange.ts';
import { KEY_TABLE, PURGE_KEYS, StoreKeys } from './keys.ts';
import { PROCESSED_TABLE } from './mark.ts';
import { isPromise } from './promise.ts';
import { checkValue } from './statement.ts';
import type { WriteLock } from './write-lock.ts';

export { openDatabase, StoreProblem } from './connection.ts';

/** Useless marks and keys that are deleted with one transaction at most. */
const MOST_FORGOTTEN = 1_000;
const MOST_PURGED = 200;
/** How often keys are looked at whose time is up. */
const PURGE_EVERY_MS = 1_000;

/** The store asked for a run to be begun anew. Nothing that it does from then on counts. */
export class BegunAnew extends Error {
  override readonly name = 'BegunAnew';
}

/** What one run has done at the store so far. */
export class StoreUse {
  /** Whether it takes the right to write with its first use, whatever that is. */
  readonly locksFirst: boolean;
  /** The version of the database that it first read, outside of the transaction. */
  readVersion: number | undefined = undefined;
  /** Whether it stands in the transaction. It stays there until it is over. */
  joined = false;
  wrote = false;
  /** Whether it is to be begun anew. */
  stale = false;

  constructor(locksFirst: boolean) {
    this.locksFirst = locksFirst;
  }
}

/** What a run that wrote leaves, with what it sent. */
export interface NewMark extends Mark {
  readonly sends: Uint8Array;
}

export class HandlerStore {
  readonly #openDatabase: () => Database;
  readonly #lock: WriteLock;
  readonly #now: () => number;
  #connections: { readonly reader: Connection; readonly writer: Connection } | undefined;
  /** The version that the reader's open transaction shows; undefined while none is open. */
  #snapshot: number | undefined = undefined;
  /** Whether the transaction was begun, and is still to be committed or rolled back. */
  #begun = false;
  /** Whether a run that was kept wrote in it. */
  #written = false;
  /** Whose savepoint is open. */
  #user: StoreUse | undefined = undefined;
  #useless: Mark[] = [];
  #purgedAtMs = Number.NEGATIVE_INFINITY;
  readonly #rest = () => this.rest();

  /**
   * `open` is called at the first use: where no handler stores anything, there is no file. `now` tells the
   * time for keys, in milliseconds since the epoch.
   */
  constructor(open: () => Database, lock: WriteLock, now: () => number = Date.now) {
    this.#openDatabase = open;
    this.#lock = lock;
    this.#now = now;
  }

  /** The run that stands in the transaction and is not over. */
  get user(): StoreUse | undefined {
    return this.#user;
  }

  /** The store as a run sees it. `check` throws once the run is over. */
  storeFor(use: StoreUse, check: () => void): Store {
    const statement = (sql: TemplateStringsArray, values: readonly unknown[]) => {
      check();
      values.forEach(checkValue);
      return this.#statementFor(use, sql);
    };
    const statements = {
      run: (sql: TemplateStringsArray, ...values: readonly SqlValue[]) => ({
        changes: statement(sql, values).run(...values).changes,
      }),
      get: <R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]) =>
        (statement(sql, values).get(...values) ?? undefined) as R | undefined,
      all: <R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]) =>
        statement(sql, values).all(...values) as R[],
    };
    return {
      ...statements,
      keys: new StoreKeys(statements, this.#now),
      transaction: (work) => {
        check();
        return this.#transaction(use, work);
      },
    };
  }

  /** The run is over, and what it wrote stays in the transaction, with its mark. Throws where the mark cannot be written; then it is to be undone. */
  keep(use: StoreUse, mark: NewMark | undefined): void {
    if (this.#user !== use) return;
    const { writer } = this.#opened();
    // Gone already where SQLite gave up on it, as for a full disk: the commit will tell.
    if (writer.inTransaction) {
      if (mark !== undefined) {
        const { message, handler, sends } = mark;
        writer.own('insert into bellhop_processed values (?, ?, ?)').run(message, handler, sends);
      }
      writer.own('release run').run();
      this.#written ||= use.wrote;
    }
    this.#user = undefined;
  }

  /** The run is over, and what it wrote is undone. */
  undo(use: StoreUse): void {
    if (this.#user !== use) return;
    this.#user = undefined;
    const { writer } = this.#opened();
    if (!writer.inTransaction) return;
    writer.own('rollback to run').run();
    writer.own('release run').run();
  }

  /** Commits what was kept. Throws where it cannot be, and then nothing of it is left. */
  commit(): void {
    if (!this.#begun) return;
    const { writer } = this.#opened();
    try {
      if (!writer.inTransaction) throw new Error('the transaction was rolled back');
      const forgotten = this.#written ? this.#tidy(writer) : 0;
      writer.own('commit').run();
      this.#useless.splice(0, forgotten);
    } finally {
      this.#end(writer);
    }
  }

  /** Ends a transaction in which nothing is to be kept. */
  abandon(): void {
    if (this.#begun) this.#end(this.#opened().writer);
  }

  /** Marks of no use, to be deleted with what is written next. */
  forget(marks: readonly Mark[]): void {
    for (const mark of marks) this.#useless.push(mark);
  }

  /**
   * Deletes marks of no use, if nobody is writing. It waits for no other process either: it is the time of no
   * run, and whatever the worker is given meanwhile would wait with it.
   */
  forgetNow(): void {
    if (this.#useless.length === 0 || this.#begun) return;
    const { writer } = this.#opened();
    if (!this.#lock.tryTake()) return;
    try {
      writer.atOnce(() => this.#begin(writer));
      this.#written = true;
      this.commit();
    } catch {
      // They are forgotten another time.
      if (this.#begun) this.#end(writer);
      else this.#lock.release();
    }
  }

  /** Takes the right to write for a run that has not used the store yet. */
  joinNow(use: StoreUse): void {
    this.#join(use);
  }

  /** Ends the moment that the reader shows. */
  rest(): void {
    if (this.#snapshot === undefined) return;
    this.#snapshot = undefined;
    this.#opened().reader.own('commit').run();
  }

  /** A statement to be used now. */
  #statementFor(use: StoreUse, sql: TemplateStringsArray): Statement {
    if (use.stale) throw begunAnew();
    const { reader, writer } = this.#opened();
    if (!use.joined && !use.locksFirst && !this.#mayShare(use)) {
      const statement = reader.template(sql);
      if (statement.readonly) {
        this.#look(reader, use);
        return statement;
      }
    }
    if (!use.joined) this.#join(use);
    if (!writer.inTransaction) throw new Error('the transaction was rolled back');
    const statement = writer.template(sql);
    if (!statement.readonly) use.wrote = true;
    return statement;
  }

  /** Whether the transaction has what runs before this one wrote, which it is to see. */
  #mayShare(use: StoreUse): boolean {
    return this.#begun && this.#user === undefined && use.readVersion === undefined;
  }

  #look(reader: Connection, use: StoreUse): void {
    if (this.#snapshot === undefined) {
      reader.own('begin').run();
      this.#snapshot = reader.version();
      // At the latest when this run awaits something.
      queueMicrotask(this.#rest);
    }
    use.readVersion ??= this.#snapshot;
  }

  /** Puts the run into the transaction. Throws where it has to be begun anew. */
  #join(use: StoreUse): void {
    const { reader, writer } = this.#opened();
    const shared = this.#begun;
    if (this.#user !== undefined || (shared && use.readVersion !== undefined)) {
      use.stale = true;
      throw begunAnew();
    }
    if (!shared) {
      this.rest();
      this.#lock.take();
      try {
        this.#begin(writer);
      } catch (error) {
        this.#lock.release();
        throw error;
      }
      if (use.readVersion !== undefined && reader.version() !== use.readVersion) {
        this.#end(writer);
        use.stale = true;
        throw begunAnew();
      }
    } else if (!writer.inTransaction) {
      // What the group wrote is lost: it will be done once more, and so is this.
      use.stale = true;
      throw begunAnew();
    }
    writer.own('savepoint run').run();
    this.#user = use;
    use.joined = true;
  }

  #begin(writer: Connection): void {
    writer.own('begin immediate').run();
    this.#begun = true;
    this.#written = false;
  }

  #end(writer: Connection): void {
    this.#begun = false;
    this.#user = undefined;
    try {
      if (writer.inTransaction) writer.own('rollback').run();
    } finally {
      this.#lock.release();
    }
  }

  #transaction<R>(use: StoreUse, work: () => R): R {
    if (use.stale) throw begunAnew();
    if (!use.joined) this.#join(use);
    const { writer } = this.#opened();
    if (!writer.inTransaction) throw new Error('the transaction was rolled back');
    writer.own('savepoint step').run();
    try {
      const result = work();
      if (isPromise(result)) {
        // Whatever becomes of it was told already.
        result.then(undefined, () => {});
        throw new TypeError('a transaction is over when `work` returns: it cannot be asynchronous');
      }
      writer.own('release step').run();
      return result;
    } catch (error) {
      if (writer.inTransaction) {
        writer.own('rollback to step').run();
        writer.own('release step').run();
      }
      throw error;
    }
  }

  /** Deletes what is of no use any more; returns how many of the useless marks. */
  #tidy(writer: Connection): number {
    const marks = this.#useless.slice(0, MOST_FORGOTTEN);
    const forget = writer.own('delete from bellhop_processed where message = ? and handler = ?');
    for (const { message, handler } of marks) forget.run(message, handler);
    const now = this.#now();
    if (Math.abs(now - this.#purgedAtMs) >= PURGE_EVERY_MS) {
      this.#purgedAtMs = now;
      writer.own(PURGE_KEYS).run(now, MOST_PURGED);
    }
    return marks.length;
  }

  #opened(): { readonly reader: Connection; readonly writer: Connection } {
    this.#connections ??= this.#open();
    return this.#connections;
  }

  #open(): { readonly reader: Connection; readonly writer: Connection } {
    const writer = new Connection(this.#openDatabase());
    const tables =
      "select count(*) as n from sqlite_schema where name in ('bellhop_processed', 'bellhop_key')";
    const { n } = writer.database.query<{ n: number }, []>(tables).get() ?? { n: 0 };
    if (n < 2) {
      this.#lock.take();
      try {
        for (const table of [PROCESSED_TABLE, ...KEY_TABLE]) writer.database.run(table);
      } finally {
        this.#lock.release();
      }
    }
    const reader = new Connection(this.#openDatabase());
    reader.database.run('pragma query_only = on');
    return { reader, writer };
  }
}

function begunAnew(): BegunAnew {
  return new BegunAnew('the run is begun anew, because the store has changed since it read');
}
