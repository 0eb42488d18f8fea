/** The store that tests of handlers use: a file of its own, with the schema of the plugins folder. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyValues, SqlValue, Store } from './context.ts';
import type { TestStore } from './kit.ts';
import { migrate } from './migrations.ts';
import { HandlerStore, openDatabase } from './store.ts';

/** No run of a test holds the store for longer. */
const TIMEOUT_MS = 5_000;

export class FileStore implements TestStore {
  /** What runs write through. */
  readonly handlers: HandlerStore;
  /** What time it is for keys; that of the machine where undefined. */
  now: number | undefined = undefined;
  readonly #folder: string;
  /** What is used while `transaction` is under way. */
  #open: Store | undefined = undefined;

  /** Opens one with the migrations in `plugins`. Throws where one of them fails. */
  constructor(plugins: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'bellhop-store-'));
    process.once('exit', () => this.close());
    const path = join(this.#folder, 'store.sqlite');
    const open = () => openDatabase(path, TIMEOUT_MS);
    migrate(open, realpathSync(plugins));
    this.handlers = new HandlerStore(open, () => {});
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
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A run that consists of `work`, unless it is part of one already. */
  #alone<R>(work: (store: Store) => R): R {
    if (this.#open !== undefined) return work(this.#open);
    const run = {};
    try {
      this.#open = this.handlers.storeFor(run, () => {});
      const result = work(this.#open);
      this.handlers.keep(run);
      this.handlers.commit();
      return result;
    } catch (error) {
      this.handlers.undo(run);
      this.handlers.commit();
      throw error;
    } finally {
      this.#open = undefined;
    }
  }
}

/** Throws where a migration fails. `folder` is the plugins folder; that of `bellhop test` if not given. */
export function openTestStore(folder: string = process.env.PLUGINS_DIR ?? '.'): FileStore {
  return new FileStore(folder);
}
