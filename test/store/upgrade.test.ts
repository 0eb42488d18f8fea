/** Files of earlier versions of Bellhop, brought up to date by a start with all that is in them. */
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeadLetters } from '../../core/store/dead-letters.ts';
import { SCHEMA_VERSION } from '../../core/store/schema.ts';
import { FileBench } from './bench.ts';
import { command, content, dead, message, queued, session, topic } from './changes.ts';
import { Ledger } from './ledger.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-upgrade-'));
  const database = new Database(join(folder, 'broker.sqlite'), { create: true });
  database.run('pragma journal_mode = wal');
  database.run(readFileSync(join(import.meta.dir, 'version-1.sql'), 'utf8'));
  database.close(true);
});
afterEach(() => rmSync(folder, { recursive: true }));

function pragma(name: string): unknown {
  const database = new Database(join(folder, 'broker.sqlite'), { readonly: true });
  const value = database.query(`pragma ${name}`).values()[0]?.[0];
  database.close(true);
  return value;
}

test('a file of version 1 is brought up to date, and nothing in it is lost', async () => {
  expect(pragma('user_version')).toBe(1);
  const bench = await FileBench.open({ folder, durability: 'fsync' });
  expect(pragma('user_version')).toBe(SCHEMA_VERSION);
  const before = new Ledger();
  for (const change of [
    session(1),
    ...[1, 2, 3, 4].map((number) => message(number)),
    queued(1, 1, 1),
    queued(1, 2, 4),
    { kind: 'retained', topic, message: 2 } as const,
    { kind: 'received', session: 1, packetIdentifier: 9 } as const,
    command(3),
    command(4),
  ]) {
    before.apply(change);
  }
  const { sessions, ...rest } = bench.found;
  expect(rest).toEqual((({ sessions: _, ...others }) => others)(before.snapshot()));
  expect(sessions.map((each) => each.subscriptions.length)).toEqual([1]);
  expect(sessions.map((each) => [each.queuedMessages, each.received])).toEqual([[2, [9]]]);
  bench.fetch(1);
  await bench.settle();
  expect(bench.fetched).toEqual([before.fetch(1, 0, 1_000, 1e9)]);

  // Its commands are tried, done and given up as new ones are.
  bench.keep(
    { kind: 'command-tried', message: 3, handler: 'a', attempts: 2 },
    dead(5, 4),
    { kind: 'command-done', message: 4 },
    { kind: 'done', session: 1, sequence: 2 },
  );
  await bench.settle();
  const again = await bench.restart();
  const state = { only: undefined, parts: [{ handler: 'a', attempts: 2, done: false }] };
  expect(again.found.commands).toEqual([{ message: 3, content, state }]);
  expect(again.letters().map(({ number, content: kept }) => [number, kept])).toEqual([
    [5, content],
  ]);
  await again.dispose();
});

test('the dead letters of a file of version 1 are read before a start: there are none', () => {
  expect(DeadLetters.read(folder, (letters) => letters.list(undefined, 10))).toEqual([]);
  expect(pragma('user_version')).toBe(1);
});
