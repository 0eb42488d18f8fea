/** Values by key in the handlers' database: a table of it, written like all others within the run. */
import type { KeyValues, Store } from './context.ts';

export const KEY_TABLE = [
  `create table if not exists bellhop_key (
    key text primary key,
    value text not null,
    expires_ms integer
  ) without rowid, strict`,
  `create index if not exists bellhop_key_expiry on bellhop_key (expires_ms)
    where expires_ms is not null`,
] as const;

/** Deletes some of those whose time is up; takes the time and how many. */
export const PURGE_KEYS = `delete from bellhop_key where key in (
  select key from bellhop_key where expires_ms is not null and expires_ms <= ? order by expires_ms limit ?
)`;

const LONGEST_TTL_SECONDS = 100 * 365 * 86_400;

export class StoreKeys implements KeyValues {
  readonly #store: Pick<Store, 'run' | 'get' | 'all'>;
  readonly #now: () => number;

  /** `now` tells the time in milliseconds since the epoch. */
  constructor(store: Pick<Store, 'run' | 'get' | 'all'>, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  get<V = unknown>(key: string): V | undefined {
    const row = this.#store.get<{ value: string }>`
      select value from bellhop_key
      where key = ${checked(key)} and (expires_ms is null or expires_ms > ${this.#now()})`;
    return row && (JSON.parse(row.value) as V);
  }

  set(key: string, value: unknown, { ttlSeconds }: { readonly ttlSeconds?: number } = {}): void {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) {
      throw new TypeError(
        `${typeof value} cannot be kept under a key; delete it where that is meant`,
      );
    }
    this.#store.run`
      insert into bellhop_key values (${checked(key)}, ${json}, ${this.#expiry(ttlSeconds)})
      on conflict (key) do update set value = excluded.value, expires_ms = excluded.expires_ms`;
  }

  delete(key: string): boolean {
    const row = this.#store.get<{ expires_ms: number | null }>`
      delete from bellhop_key where key = ${checked(key)} returning expires_ms`;
    return row !== undefined && (row.expires_ms === null || row.expires_ms > this.#now());
  }

  list<V = unknown>(prefix: string): { readonly key: string; readonly value: V }[] {
    // SQLite compares bytes of UTF-8, whose order is that of the code points.
    const end = behind(checked(prefix));
    const now = this.#now();
    type Found = { readonly key: string; readonly value: string };
    const rows =
      end === undefined
        ? this.#store.all<Found>`
            select key, value from bellhop_key
            where key >= ${prefix} and (expires_ms is null or expires_ms > ${now}) order by key`
        : this.#store.all<Found>`
            select key, value from bellhop_key
            where key >= ${prefix} and key < ${end} and (expires_ms is null or expires_ms > ${now})
            order by key`;
    return rows.map(({ key, value }) => ({ key, value: JSON.parse(value) as V }));
  }

  #expiry(ttlSeconds: number | undefined): number | null {
    if (ttlSeconds === undefined) return null;
    if (typeof ttlSeconds !== 'number' || !(ttlSeconds > 0 && ttlSeconds <= LONGEST_TTL_SECONDS)) {
      throw new TypeError(
        '`ttlSeconds` must be a number of seconds above 0, a hundred years at most',
      );
    }
    return this.#now() + Math.ceil(ttlSeconds * 1_000);
  }
}

function checked(key: unknown): string {
  if (typeof key === 'string' && key.isWellFormed()) return key;
  throw new TypeError('a key must be a text');
}

/** The first text behind all that begin with `prefix`; undefined where there is none. */
function behind(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) as number);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10_ffff) continue;
    // The halves of surrogate pairs are no characters.
    points.push(last === 0xd7ff ? 0xe000 : last + 1);
    return String.fromCodePoint(...points);
  }
  return undefined;
}
