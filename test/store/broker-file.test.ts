import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
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
import { seed } from '../seed.ts';
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
    expect(this.#file.apply(batch)).toEqual([]);
    // Once more, as after a thread that was lost: it is known by its number.
    expect(this.#file.apply(batch)).toEqual([]);
    return count;
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
    { seed, numRuns: 25 },
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
    { seed, numRuns: 20 },
  );
}, 60_000);
