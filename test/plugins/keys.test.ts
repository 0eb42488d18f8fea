/** Values by key, against a map. */
import { afterAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import fc from 'fast-check';
import type { KeyValues } from '../../core/plugins/context.ts';
import { HandlerStore, openDatabase, StoreUse } from '../../core/plugins/store.ts';
import { newWriteLock, WriteLock } from '../../core/plugins/write-lock.ts';
import { runs, seed } from '../seed.ts';
import { folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

let now = 1_000_000;

function openStore(): { readonly store: HandlerStore; readonly path: string } {
  const path = join(folderOf({}), 'store.sqlite');
  const lock = new WriteLock(newWriteLock(), 1, () => {});
  return {
    store: new HandlerStore(
      () => openDatabase(path, 0),
      lock,
      () => now,
    ),
    path,
  };
}

function keysOf(store: HandlerStore): { readonly keys: KeyValues; readonly use: StoreUse } {
  const use = new StoreUse(false);
  return { keys: store.storeFor(use, () => {}).keys, use };
}

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3 }),
  fc.constantFrom(
    '',
    'a',
    'ab',
    'a\ud7ff',
    'a\ue000',
    'a\u{10ffff}',
    '\u{10ffff}',
    'a_',
    'a%',
    "a'",
  ),
);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    key,
    value: fc.jsonValue(),
    ttl: fc.option(fc.constantFrom(1, 5, 60)),
  }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('get' as const), key }),
  fc.record({ kind: fc.constant('list' as const), key }),
  fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 0, max: 10 }) }),
  fc.record({ kind: fc.constant('commit' as const) }),
);

const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('keys hold what a map with times holds, whatever is done in whichever order', () => {
  const { store } = openStore();
  const held = new Map<string, { value: unknown; until: number }>();
  const live = (name: string) => {
    const found = held.get(name);
    return found !== undefined && found.until > now ? found : undefined;
  };
  const json = (value: unknown) => JSON.parse(JSON.stringify(value));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let { keys, use } = keysOf(store);
      for (const each of steps) {
        switch (each.kind) {
          case 'set':
            keys.set(each.key, each.value, each.ttl === null ? {} : { ttlSeconds: each.ttl });
            held.set(each.key, {
              value: json(each.value),
              until: each.ttl === null ? Number.POSITIVE_INFINITY : now + each.ttl * 1_000,
            });
            break;
          case 'delete':
            expect(keys.delete(each.key)).toBe(live(each.key) !== undefined);
            held.delete(each.key);
            break;
          case 'get':
            expect(keys.get(each.key)).toEqual(live(each.key)?.value);
            break;
          case 'list':
            expect(keys.list(each.key)).toEqual(
              [...held.keys()]
                .filter((name) => name.startsWith(each.key) && live(name) !== undefined)
                .sort(byCodePoint)
                .map((name) => ({ key: name, value: live(name)?.value })),
            );
            break;
          case 'pass':
            now += each.seconds * 1_000;
            break;
          case 'commit':
            store.keep(use, undefined);
            store.commit();
            ({ keys, use } = keysOf(store));
        }
      }
      store.keep(use, undefined);
      store.commit();
      store.rest();
    }),
    { seed, numRuns: runs(80) },
  );
});

test('keys whose time is up are removed in steps, with what is written later', () => {
  const { store, path } = openStore();
  const { keys, use } = keysOf(store);
  for (let index = 0; index < 500; index++) keys.set(`short/${index}`, index, { ttlSeconds: 1 });
  keys.set('long', 1);
  store.keep(use, undefined);
  store.commit();
  const counts: number[] = [];
  const database = openDatabase(path, 0);
  for (let round = 0; round < 4; round++) {
    now += 2_000;
    const writer = keysOf(store);
    writer.keys.set('long', round);
    store.keep(writer.use, undefined);
    store.commit();
    counts.push((database.query('select count(*) as n from bellhop_key').get() as { n: number }).n);
  }
  expect(counts).toEqual([301, 101, 1, 1]);
});

test('what cannot be kept is refused', () => {
  const { keys } = keysOf(openStore().store);
  expect(() => keys.set('a', undefined)).toThrow('cannot be kept');
  expect(() => keys.set('a', () => {})).toThrow('cannot be kept');
  expect(() => keys.set(5 as never, 1)).toThrow('a key must be a text');
  expect(() => keys.set('\ud800', 1)).toThrow('a key must be a text');
  for (const ttlSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1' as never]) {
    expect(() => keys.set('a', 1, { ttlSeconds })).toThrow('`ttlSeconds`');
  }
});
