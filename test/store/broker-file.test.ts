import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Change } from '../../core/broker/changes.ts';
import { packBatch } from '../../core/store/batch.ts';
import { BrokerFile } from '../../core/store/broker-file.ts';
import { prepareFile } from '../../core/store/data-folder.ts';
import { unpackFetched } from '../../core/store/fetched.ts';
import { Journal } from '../../core/store/journal.ts';
import { Packer } from '../../core/store/packed.ts';
import { readLastBatch, readSnapshot } from '../../core/store/snapshot.ts';
import { runs, seed } from '../seed.ts';
import { message, queued, session } from './changes.ts';
import { historyOf } from './history.ts';
import { joinSnapshot, Ledger } from './ledger.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-file-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A broker's file without a thread: the gathering, the batches and the file, one after the other. */
class Bench {
  readonly path: string;
  readonly #folder = mkdtempSync(join(root, 'x-'));
  readonly #journal = new Journal();
  #file: BrokerFile;
  #lastBatch: number;

  constructor() {
    this.path = prepareFile(this.#folder);
    this.#file = new BrokerFile(this.path, 'os');
    this.#lastBatch = readLastBatch(this.path);
  }

  keep(changes: readonly Change[]): void {
    for (const change of changes) this.#journal.keep(change);
  }

  tidy(): void {
    this.#journal.tidy();
  }

  /** How many operations the batch came to. */
  commit(): number {
    const gathering = this.#journal.take();
    if (gathering === undefined) return 0;
    const packer = new Packer();
    const count = packBatch(gathering, packer);
    const { lastSession, lastMessage, lastSequence } = gathering;
    const number = ++this.#lastBatch;
    const operations = packer.written;
    const batch = { number, operations, lastSession, lastMessage, lastSequence };
    expect(this.#file.apply(batch).faults).toEqual([]);
    // Once more, as after a thread that was lost: it is known by its number.
    expect(this.#file.apply(batch).faults).toEqual([]);
    return count;
  }

  checkpoint(): void {
    this.#file.checkpoint();
  }

  sweep(): void {
    while (this.#file.sweep(3));
  }

  reopen(): void {
    this.#file.close();
    prepareFile(this.#folder);
    this.#file = new BrokerFile(this.path, 'os');
    expect(readLastBatch(this.path)).toBe(this.#lastBatch);
  }

  get snapshot() {
    return joinSnapshot(readSnapshot(this.path));
  }

  fetch(session: number, after: number, limit: number, bytes: number) {
    const { deliveries, more } = this.#file.fetch({ session, after, limit, bytes });
    return unpackFetched(session, deliveries.written, more);
  }

  /** All rows that stand, by table. */
  get rowCounts(): Record<string, number> {
    const database = new Database(this.path, { readonly: true });
    try {
      const tables = database.query(`select name from sqlite_schema where type = 'table'`).values();
      const count = (table: unknown) =>
        Number(database.query(`select count(*) from ${table}`).values()[0]?.[0]);
      return Object.fromEntries(tables.map(([table]) => [table, count(table)]));
    } finally {
      database.close();
    }
  }

  close(): void {
    this.#file.close();
    rmSync(this.#folder, { recursive: true });
  }
}

function expectSame(bench: Bench, ledger: Ledger): void {
  expect(bench.snapshot).toEqual(ledger.snapshot());
  for (const [session, { deliveries }] of ledger.sessions) {
    for (const [after, limit, bytes] of [
      [0, 1_000, 1e9],
      [0, 2, 1e9],
      [[...deliveries.keys()][0] ?? 0, 1_000, 9_500],
    ] as const) {
      expect(bench.fetch(session, after, limit, bytes)).toEqual(
        ledger.fetch(session, after, limit, bytes),
      );
    }
  }
}

const tape = fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 900, size: 'max' });

test('after any batch the file holds what the plain reading of the changes comes to, and a restart finds it', () => {
  fc.assert(
    fc.property(tape, fc.infiniteStream(fc.nat(5)), (numbers, dice) => {
      const bench = new Bench();
      const ledger = new Ledger();
      try {
        for (const turn of historyOf(numbers)) {
          bench.keep(turn);
          for (const change of turn) ledger.apply(change);
          ledger.settle();
          const die = dice.next().value as number;
          if (die > 1) continue; // the disk is busy with the last batch
          bench.commit();
          if (die === 0) bench.reopen();
          expectSame(bench, ledger);
        }
      } finally {
        bench.close();
      }
    }),
    { seed, numRuns: runs(25) },
  );
}, 60_000);

test('what was let go of while it was gathered makes no difference, and leaves no row behind', () => {
  fc.assert(
    fc.property(tape, (numbers) => {
      const whole = new Bench();
      const single = new Bench();
      const ledger = new Ledger();
      try {
        for (const turn of historyOf(numbers)) {
          whole.keep(turn);
          whole.tidy();
          single.keep(turn);
          single.commit();
          for (const change of turn) ledger.apply(change);
          ledger.settle();
        }
        whole.commit();
        for (const bench of [whole, single]) {
          expectSame(bench, ledger);
          bench.sweep();
          expectSame(bench, ledger);
        }
        expect(whole.rowCounts).toEqual(single.rowCounts);
        expect(whole.rowCounts.message).toBe(ledger.messages.size);
      } finally {
        whole.close();
        single.close();
      }
    }),
    { seed, numRuns: runs(20) },
  );
}, 60_000);

test('the log is copied into the file and begins anew, however much is written', () => {
  const bench = new Bench();
  const log = `${bench.path}-wal`;
  let longest = 0;
  try {
    bench.keep([session(1)]);
    for (let batch = 0; batch < 60; batch++) {
      for (let each = 0; each < 40; each++) {
        const number = batch * 40 + each + 1;
        bench.keep([message(number, new Uint8Array(10_000)), queued(1, number, number)]);
        if (batch > 0) bench.keep([{ kind: 'done', session: 1, sequence: number - 40 }]);
      }
      bench.commit();
      bench.checkpoint();
      longest = Math.max(longest, statSync(log).size);
    }
    // It is 2 000 pages and the batch that went beyond; all that was written is four times as much.
    expect(longest).toBeGreaterThan(8_000_000);
    expect(longest).toBeLessThan(10_000_000);
  } finally {
    bench.close();
  }
});

test('a reader that stays keeps the log from beginning anew, and once it is gone the log does', () => {
  const bench = new Bench();
  const log = `${bench.path}-wal`;
  let number = 0;
  const write = (megabytes: number) => {
    for (let batch = 0; batch < megabytes; batch++) {
      for (let each = 0; each < 100; each++) {
        bench.keep([message(++number, new Uint8Array(10_000)), queued(1, number, number)]);
      }
      bench.commit();
      bench.checkpoint();
    }
  };
  const reader = new Database(bench.path, { readonly: true });
  try {
    bench.keep([session(1)]);
    bench.commit();
    reader.run('begin');
    reader.query('select count(*) from message').values();
    write(20);
    const held = statSync(log).size;
    expect(held).toBeGreaterThan(20_000_000);
    reader.run('commit');
    write(20);
    expect(statSync(log).size).toBeLessThan(1.5 * held);
  } finally {
    reader.close(true);
    bench.close();
  }
});
