/** Dead letters in the broker's file: their bound, and how they are read. */
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change } from '../../core/broker/changes.ts';
import { letterSize } from '../../core/store/batch.ts';
import { DeadLetters } from '../../core/store/dead-letters.ts';
import type { LetterBounds } from '../../core/store/letter-box.ts';
import { StorageRefused } from '../../core/store/problem.ts';
import { FileBench } from './bench.ts';
import { command, content, dead, message, queued, session } from './changes.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-letters-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(letters?: LetterBounds): Promise<FileBench> {
  return FileBench.open({ folder, durability: 'os', ...(letters && { letters }) });
}

/** A letter with a message of its own: the message is numbered `number`, the letter `number + 1`. */
function letter(number: number, more: Parameters<typeof dead>[2] = {}): Change[] {
  return [message(number), dead(number + 1, number, more)];
}

function numbers(bench: FileBench): number[] {
  return bench.letters().map((each) => each.number);
}

function messagesLeft(): number {
  const database = new Database(join(folder, 'broker.sqlite'), { readonly: true });
  const count = database.query('select count(*) from message').values()[0]?.[0] as number;
  database.close(true);
  return count;
}

test('of more letters than there may be the oldest go, each with its message, and it is told', async () => {
  const bench = await open({ letters: 2, bytes: 1e9 });
  bench.keep(...letter(1), ...letter(3));
  await bench.settle();
  expect([numbers(bench), bench.lettersDropped]).toEqual([[2, 4], 0]);
  bench.keep(...letter(5));
  await bench.settle();
  expect([numbers(bench), bench.lettersDropped]).toEqual([[4, 6], 1]);
  bench.keep(...letter(7), ...letter(9), ...letter(11));
  await bench.settle();
  expect([numbers(bench), bench.lettersDropped]).toEqual([[10, 12], 4]);
  expect(messagesLeft()).toBe(2);
  const { deadLetters, deadLettersDropped } = bench.storage.counters;
  expect([deadLetters, deadLettersDropped]).toEqual([2, 4]);
  await bench.dispose();
});

test('of more bytes than there may be the oldest go, and a letter too large by itself is not kept', async () => {
  const one = letterSize({ ...(dead(1, 1) as Extract<Change, { kind: 'dead' }>).letter });
  const bench = await open({ letters: 100, bytes: 2 * one });
  bench.keep(...letter(1), ...letter(3));
  await bench.settle();
  expect(numbers(bench)).toEqual([2, 4]);
  bench.keep(...letter(5, { detail: `no such contact: Łódź!` }));
  await bench.settle();
  expect(numbers(bench)).toEqual([6]);
  bench.keep(...letter(7, { stack: 'x'.repeat(2 * one) }));
  await bench.settle();
  expect(numbers(bench)).toEqual([]);
  expect(bench.storage.counters.deadLetterBytes).toBe(0);
  expect(messagesLeft()).toBe(0);
  await bench.dispose();
});

test('a bound of 0 keeps no letter, and what else has the message still has it', async () => {
  const bench = await open({ letters: 0, bytes: 1e9 });
  bench.keep(session(1), message(1), queued(1, 1, 1), command(1), dead(2, 1), {
    kind: 'command-done',
    message: 1,
  });
  await bench.settle();
  expect([numbers(bench), bench.lettersDropped, messagesLeft()]).toEqual([[], 1, 1]);
  await bench.dispose();
});

test('a bound that became smaller holds from the next batch on, and the count outlives a restart', async () => {
  let bench = await open();
  bench.keep(...letter(1), ...letter(3), ...letter(5));
  await bench.settle();
  await bench.dispose();
  bench = await open({ letters: 1, bytes: 1e9 });
  expect(bench.storage.counters.deadLetters).toBe(3);
  bench.keep(session(1));
  await bench.settle();
  expect([numbers(bench), bench.storage.counters.deadLetters]).toEqual([[6], 1]);
  await bench.dispose();
});

test('letters are listed the newest first, by handler and up to a limit, without what is long', async () => {
  const bench = await open();
  bench.keep(...letter(1), ...letter(3, { handler: 'b', at: undefined }), ...letter(5));
  await bench.settle();
  const list = (handler: string | undefined, limit: number) =>
    DeadLetters.read(folder, (letters) => letters.list(handler, limit));
  expect(list(undefined, 10).map(({ number }) => number)).toEqual([6, 4, 2]);
  expect(list(undefined, 2).map(({ number }) => number)).toEqual([6, 4]);
  expect(list('contacts/accept', 10).map(({ number }) => number)).toEqual([6, 2]);
  expect(list('b', 10)).toEqual([
    {
      number: 4,
      handler: 'b',
      kind: 'throw',
      detail: 'no such contact: Łódź',
      at: undefined,
      attempts: 5,
      invocation: '1a2b-7',
      diedAtMs: 1_700_000_000_000,
      topic: content.topic,
      user: '68946',
      clientIdentifier: 'phone',
      payloadBytes: 3,
    },
  ]);
  const counted = DeadLetters.read(folder, (letters) => [
    letters.numbers(undefined),
    letters.numbers('b'),
    Object.fromEntries(letters.count()),
    letters.get(5),
    letters.get(4)?.content,
  ]);
  expect(counted).toEqual([[2, 4, 6], [4], { b: 1, 'contacts/accept': 2 }, undefined, content]);
  await bench.dispose();
});

test('a file that is missing, another program’s, newer or damaged is refused with its name', async () => {
  const path = join(folder, 'broker.sqlite');
  const read = () => DeadLetters.read(folder, (letters) => letters.count());
  expect(read).toThrow(
    new StorageRefused(`${path} does not exist: no broker has kept anything in this DATA_DIR`),
  );
  writeFileSync(path, 'no database at all, but long enough to be one'.repeat(100));
  expect(read).toThrow(/broker\.sqlite: the file is damaged/);
  rmSync(path);
  const other = new Database(path, { create: true });
  other.run('create table other (a)');
  other.close(true);
  expect(read).toThrow(/is a database of another program/);
  rmSync(path);
  await (await open()).dispose();
  const newer = new Database(path);
  newer.run('pragma user_version = 99');
  newer.close(true);
  expect(read).toThrow(/was written by a newer Bellhop/);
});
