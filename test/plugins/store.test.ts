/** The handlers' database, as workers hold it that share a lock: here each `HandlerStore` stands for one. */
import type { Database } from 'bun:sqlite';
import { afterAll, describe, expect, spyOn, test } from 'bun:test';
import { join } from 'node:path';
import type { Store } from '../../core/plugins/context.ts';
import { readMarks } from '../../core/plugins/mark.ts';
import { BegunAnew, HandlerStore, openDatabase, StoreUse } from '../../core/plugins/store.ts';
import { freeWriteLock, newWriteLock, WriteLock } from '../../core/plugins/write-lock.ts';
import { folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

interface Run {
  readonly use: StoreUse;
  readonly store: Store;
}

/** Some stores over one new file, with a table of accounts in it. */
function storesOver(count: number, prepare: (database: Database) => void = () => {}) {
  const path = join(folderOf({}), 'store.sqlite');
  const first = openDatabase(path, 0);
  first.run('create table account (name text primary key, amount integer not null)');
  first.run("insert into account values ('a', 1), ('b', 1)");
  const lock = newWriteLock();
  const stores = Array.from({ length: count }, (_, index) => {
    const open = () => {
      const database = openDatabase(path, 0);
      prepare(database);
      return database;
    };
    return new HandlerStore(open, new WriteLock(lock, index + 1, () => {}));
  });
  return { path, lock, first, stores: stores as [HandlerStore, HandlerStore] };
}

function begin(store: HandlerStore, locksFirst = false): Run {
  const use = new StoreUse(locksFirst);
  return { use, store: store.storeFor(use, () => {}) };
}

const amount = ({ store }: Run, name = 'a') =>
  store.get<{ amount: number }>`select amount from account where name = ${name}`?.amount;
const add = ({ store }: Run, more: number, name = 'a') =>
  store.run`update account set amount = amount + ${more} where name = ${name}`.changes;

describe('reads', () => {
  test('do not wait for a run that writes, and see nothing of it before it is committed', () => {
    const [one, other] = storesOver(2).stores;
    const writer = begin(one);
    add(writer, 5);
    expect(amount(begin(other))).toBe(1);
    one.keep(writer.use, undefined);
    other.rest();
    expect(amount(begin(other))).toBe(1);
    one.commit();
    other.rest();
    expect(amount(begin(other))).toBe(6);
  });

  test('of a run are of one moment until it awaits something', async () => {
    const [one, other] = storesOver(2).stores;
    const reader = begin(one);
    expect(amount(reader)).toBe(1);
    const writer = begin(other);
    add(writer, 1);
    add(writer, 1, 'b');
    other.keep(writer.use, undefined);
    other.commit();
    expect(amount(reader, 'b')).toBe(1);
    await undefined;
    expect(amount(reader, 'b')).toBe(2);
  });

  test('see what runs before them in the same group wrote', () => {
    const [one] = storesOver(1).stores;
    const first = begin(one);
    add(first, 5);
    one.keep(first.use, undefined);
    const second = begin(one);
    expect(amount(second)).toBe(6);
    expect(second.use).toMatchObject({ joined: true, wrote: false });
  });

  test('see nothing of another run of the same worker that is not over', () => {
    const [one] = storesOver(1).stores;
    add(begin(one), 5);
    expect(amount(begin(one))).toBe(1);
  });
});

describe('a run that reads and then writes', () => {
  test('goes on where nothing has changed', () => {
    const [one] = storesOver(1).stores;
    const run = begin(one);
    expect(amount(run)).toBe(1);
    expect(add(run, 1)).toBe(1);
    expect(amount(run)).toBe(2);
    one.keep(run.use, undefined);
    one.commit();
    one.rest();
    expect(amount(begin(one))).toBe(2);
  });

  test('is begun anew where anything was committed in between, by whomever', () => {
    const { stores, first } = storesOver(2);
    const [one, other] = stores;
    const changes = [
      () => {
        const writer = begin(other);
        add(writer, 1);
        other.keep(writer.use, undefined);
        other.commit();
      },
      () => first.run('update account set amount = amount + 1'),
    ];
    for (const change of changes) {
      const run = begin(one);
      const before = amount(run) ?? 0;
      change();
      expect(() => add(run, 1)).toThrow(BegunAnew);
      expect(run.use.stale).toBe(true);
      // Whoever catches that gets no further.
      expect(() => amount(run)).toThrow(BegunAnew);
      one.undo(run.use);
      const again = begin(one, true);
      expect(amount(again)).toBe(before + 1);
      add(again, 1);
      one.keep(again.use, undefined);
      one.commit();
    }
  });

  test('is begun anew where another run of its worker stands in the transaction', () => {
    const [one] = storesOver(1).stores;
    const holder = begin(one);
    add(holder, 1);
    const late = begin(one);
    expect(() => add(late, 1)).toThrow(BegunAnew);
    one.keep(holder.use, undefined);
    one.commit();
    const again = begin(one, true);
    add(again, 1);
    one.keep(again.use, undefined);
    one.commit();
    one.rest();
    expect(amount(begin(one))).toBe(3);
  });
});

describe('the right to write', () => {
  test('of a worker that is no more is free as soon as somebody says so', () => {
    const { lock } = storesOver(1);
    const dead = new WriteLock(lock, 7, () => {});
    const other = new WriteLock(lock, 8, () => {});
    expect([dead.tryTake(), other.tryTake()]).toEqual([true, false]);
    freeWriteLock(lock, 6);
    expect(other.tryTake()).toBe(false);
    freeWriteLock(lock, 7);
    expect(other.tryTake()).toBe(true);
    // What the dead one may still do takes it from nobody.
    dead.release();
    expect(dead.tryTake()).toBe(false);
  });

  test('wakes those who wait for it', async () => {
    const { lock } = storesOver(1);
    const mine = new WriteLock(lock, 1, () => {});
    mine.take();
    const program = new URL('lock-program.ts', import.meta.url);
    const other = new Worker(program);
    const waits = new Promise((resolve) => {
      other.addEventListener('message', ({ data }) => data === 'waits' && resolve(data));
    });
    const taken = new Promise((resolve) => {
      other.addEventListener('message', ({ data }) => data === 'taken' && resolve(data));
    });
    other.postMessage(lock);
    await waits;
    mine.release();
    await taken;
    other.terminate();
  });
});

describe('a transaction within a run', () => {
  test('that throws is undone alone', () => {
    const [one] = storesOver(1).stores;
    const run = begin(one);
    add(run, 1);
    const failing = () =>
      run.store.transaction(() => {
        add(run, 10);
        run.store.transaction(() => add(run, 100));
        throw new Error('no');
      });
    expect(failing).toThrow('no');
    expect(amount(run)).toBe(2);
    expect(run.store.transaction(() => add(run, 1000))).toBe(1);
    one.keep(run.use, undefined);
    one.commit();
    one.rest();
    expect(amount(begin(one))).toBe(1002);
  });

  test('cannot be left open by a promise', async () => {
    const [one] = storesOver(1).stores;
    const run = begin(one);
    const work = async () => {
      add(run, 10);
      await undefined;
      throw new Error('told to nobody');
    };
    expect(() => run.store.transaction(work)).toThrow('cannot be asynchronous');
    expect(amount(run)).toBe(1);
    await undefined;
  });
});

describe('a mark', () => {
  const mark = { message: 5, handler: 'a', sends: Uint8Array.of(1) };

  test('is there if and only if what was written is, and goes with what is written later', () => {
    const { stores, first } = storesOver(1);
    const [one] = stores;
    const marks = () => readMarks(first).map(({ message, handler }) => [message, handler]);
    const failed = begin(one);
    add(failed, 1);
    one.keep(failed.use, mark);
    expect(marks()).toEqual([]);
    one.commit();
    expect(marks()).toEqual([[5, 'a']]);
    one.forget([mark]);
    const reader = begin(one);
    amount(reader);
    one.rest();
    one.commit();
    expect(marks()).toEqual([[5, 'a']]);
    const writer = begin(one);
    add(writer, 1);
    one.keep(writer.use, undefined);
    one.commit();
    expect(marks()).toEqual([]);
  });

  test('has a run that is marked already fail, with all that it wrote', () => {
    const [one] = storesOver(1).stores;
    const first = begin(one);
    add(first, 1);
    one.keep(first.use, mark);
    one.commit();
    const twice = begin(one);
    add(twice, 1);
    expect(() => one.keep(twice.use, mark)).toThrow('UNIQUE');
    one.undo(twice.use);
    one.commit();
    one.rest();
    expect(amount(begin(one))).toBe(2);
  });

  test('is forgotten where nobody writes any more, unless somebody is about to', () => {
    const { stores, first } = storesOver(2);
    const [one, other] = stores;
    const run = begin(one);
    add(run, 1);
    one.keep(run.use, mark);
    one.commit();
    one.forget([mark]);
    const writer = begin(other);
    add(writer, 1);
    one.forgetNow();
    expect(readMarks(first).length).toBe(1);
    other.undo(writer.use);
    other.commit();
    one.forgetNow();
    expect(readMarks(first).length).toBe(0);
  });

  test('is forgotten without waiting for another process that writes', () => {
    const waited: unknown[] = [];
    const timeout = (database: Database) => database.query('pragma busy_timeout').values()[0]?.[0];
    const databases: Database[] = [];
    const { stores, first, lock } = storesOver(2, (database) => {
      databases.push(database);
      database.run('pragma busy_timeout = 2000');
      const prepare = database.prepare.bind(database);
      spyOn(database, 'prepare').mockImplementation((text: string) => {
        if (text === 'begin immediate') waited.push(timeout(database));
        return prepare(text);
      });
    });
    const [one, other] = stores;
    const run = begin(other);
    add(run, 1);
    other.keep(run.use, mark);
    other.commit();
    first.run('begin immediate');
    one.forget([mark]);
    one.forgetNow();
    first.run('commit');
    expect(waited).toEqual([2_000, 0]);
    expect(databases.map(timeout)).toEqual([2_000, 2_000, 2_000, 2_000]);
    expect(readMarks(first).length).toBe(1);
    expect(new WriteLock(lock, 3, () => {}).tryTake()).toBe(true);
    freeWriteLock(lock, 3);
    one.forgetNow();
    expect(readMarks(first).length).toBe(0);
  });
});

test('a full disk undoes the run that met it, and the next one finds everything as it was', () => {
  const { stores, first } = storesOver(1, (database) => database.run('pragma max_page_count = 20'));
  const [one] = stores;
  first.run('create table pile (content blob)');
  const run = begin(one);
  add(run, 1);
  const fill = () => {
    for (let row = 0; row < 1_000; row++) {
      run.store.run`insert into pile values (${new Uint8Array(1_000)})`;
    }
  };
  expect(fill).toThrow('full');
  one.undo(run.use);
  // SQLite may have given up on the whole transaction: then nothing of it is there either.
  try {
    one.commit();
  } catch (error) {
    expect((error as Error).message).toContain('rolled back');
  }
  const next = begin(one);
  expect(amount(next)).toBe(1);
  add(next, 1);
  one.keep(next.use, undefined);
  one.commit();
  expect(first.query('select count(*) as n from pile').get()).toEqual({ n: 0 });
  expect(first.query("select amount from account where name = 'a'").get()).toEqual({ amount: 2 });
});

test('SQL is a template, of one statement, that leaves the transaction alone', () => {
  const { store } = begin(storesOver(1).stores[0]);
  expect(() => store.run('delete from account' as never)).toThrow('as a template');
  expect(() => store.run(['delete from account'] as never)).toThrow('as a template');
  expect(() => store.run`commit`).toThrow('cannot commit');
  expect(() => store.run`select 1; select 2`).toThrow('one statement');
  expect(() => store.get`select ${undefined as never}`).toThrow('write null');
  // A `with` may write.
  store.run`with more (n) as (values (5)) update account set amount = (select n from more)`;
  expect(store.all`select distinct amount from account`).toEqual([{ amount: 5 }]);
});

test('a statement is prepared once for each place in the code and connection, however many runs come by', () => {
  const prepared: string[] = [];
  const { stores } = storesOver(1, (database) => {
    const prepare = database.prepare.bind(database);
    spyOn(database, 'prepare').mockImplementation((text: string) => {
      prepared.push(text);
      return prepare(text);
    });
  });
  const [one] = stores;
  for (let more = 1; more <= 5; more++) {
    const run = begin(one);
    add(run, more);
    one.keep(run.use, undefined);
    one.commit();
    amount(begin(one));
    one.rest();
  }
  expect(prepared.filter((text) => text.includes('account'))).toEqual([
    // By the connection that reads, which has to know whether it writes, and by the one that does.
    'update account set amount = amount + ? where name = ?',
    'update account set amount = amount + ? where name = ?',
    'select amount from account where name = ?',
  ]);
});
