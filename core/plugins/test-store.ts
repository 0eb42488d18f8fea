/** The store that tests of handlers use: a file of its own, with the schema of the plugins folder. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyValues, SqlValue, Store } from './context.ts';
import type { TestStore } from './kit.ts';
import { migrate } from './migrations.ts';
import { HandlerStore, openDatabase, StoreUse } from './store.ts';
import { newWriteLock, WriteLock } from './write-lock.ts';

/** Nobody else is at the file. */
const BUSY_TIMEOUT_MS = 1_000;

/** Those whose files are there. */
const open = new Set<FileStore>();

export class FileStore implements TestStore {
  /** The plugins folder, as a real path. */
  readonly plugins: string;
  /** What runs read and write through. */
  readonly handlers: HandlerStore;
  /** What time it is for keys; that of the machine where undefined. */
  now: number | undefined = undefined;
  readonly #folder: string;
  /** What is used while `transaction` is under way. */
  #open: Store | undefined = undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Opens one with the migrations in `plugins`. Throws where one of them fails. */
  constructor(plugins: string) {
    this.plugins = realpathSync(plugins);
    this.#folder = mkdtempSync(join(tmpdir(), 'bellhop-store-'));
    open.add(this);
    const path = join(this.#folder, 'store.sqlite');
    const openFile = () => openDatabase(path, BUSY_TIMEOUT_MS);
    migrate(openFile, this.plugins);
    const lock = new WriteLock(newWriteLock(), 1, () => {});
    this.handlers = new HandlerStore(openFile, lock, () => this.now ?? Date.now());
  }

  /** One after the other: a run may hold the transaction while it awaits something. */
  inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  run(sql: TemplateStringsArray, ...values: readonly SqlValue[]): { readonly changes: number } {
    return this.#alone((store) => store.run(sql, ...values));
  }

  get<R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]): R | undefined {
    return this.#alone((store) => store.get<R>(sql, ...values));
  }

  all<R>(sql: TemplateStringsArray, ...values: readonly SqlValue[]): R[] {
    return this.#alone((store) => store.all<R>(sql, ...values));
  }

  transaction<R>(work: () => R): R {
    return this.#alone((store) => store.transaction(work));
  }

  get keys(): KeyValues {
    return {
      get: (key) => this.#alone((store) => store.keys.get(key)),
      set: (key, value, options) => this.#alone((store) => store.keys.set(key, value, options)),
      delete: (key) => this.#alone((store) => store.keys.delete(key)),
      list: (prefix) => this.#alone((store) => store.keys.list(prefix)),
    };
  }

  close(): void {
    open.delete(this);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A run that consists of `work`, unless it is part of one already. */
  #alone<R>(work: (store: Store) => R): R {
    if (this.#open !== undefined) return work(this.#open);
    const use = new StoreUse(true);
    try {
      this.#open = this.handlers.storeFor(use, () => {});
      const result = work(this.#open);
      this.handlers.keep(use, undefined);
      return result;
    } catch (error) {
      this.handlers.undo(use);
      throw error;
    } finally {
      this.#open = undefined;
      this.handlers.commit();
    }
  }
}

/** Throws where a migration fails. `folder` is the plugins folder; that of `bellhop test` if not given. */
export function openTestStore(folder: string = process.env.PLUGINS_DIR ?? '.'): FileStore {
  return new FileStore(folder);
}

/** Removes all that are there. */
export function closeTestStores(): void {
  for (const store of open) store.close();
}
