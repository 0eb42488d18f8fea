import { afterEach, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backUp } from '../../core/store/backup.ts';
import { StorageRefused } from '../../core/store/problem.ts';
import { openStorage } from '../../core/store/storage.ts';

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'bellhop-backup-'));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

/** Opens a storage in `at`; `stored` resolves when that many changes are on disk. */
async function opened(at: string) {
  let count = 0;
  let waiting: { readonly count: number; readonly resolve: () => void } | undefined;
  const { storage, snapshot } = await openStorage({
    folder: at,
    durability: 'fsync',
    stored(now) {
      count = now;
      if (waiting !== undefined && count >= waiting.count) waiting.resolve();
    },
    fetched() {},
    status() {},
    fault(detail) {
      throw new Error(detail);
    },
  });
  const sessions = [...snapshot].flatMap((piece) => piece.sessions);
  const stored = (wanted: number): Promise<void> =>
    new Promise((resolve) => {
      if (count >= wanted) return resolve();
      waiting = { count: wanted, resolve };
    });
  return { storage, sessions, stored };
}

const session = (number: number) =>
  ({
    kind: 'session',
    session: number,
    user: 'ann',
    clientIdentifier: `phone-${number}`,
    expirySeconds: 60,
    expiresAtMs: 1_000,
  }) as const;

test('a copy made while the broker runs holds what was stored, and opens as its file', async () => {
  const from = folder();
  const { storage, stored } = await opened(from);
  storage.keep(session(1));
  storage.keep(session(2));
  storage.post();
  await stored(2);
  const to = folder();
  backUp(from, join(to, 'copy.sqlite'));
  storage.keep(session(3));
  await storage.close();

  const place = folder();
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'broker.sqlite'), await Bun.file(join(to, 'copy.sqlite')).bytes());
  const copy = await opened(place);
  expect(copy.sessions.map((each) => each.clientIdentifier)).toEqual(['phone-1', 'phone-2']);
  await copy.storage.close();
});

test('a copy is not written over a file, and leaves nothing behind where it cannot be made', () => {
  const empty = folder();
  expect(() => backUp(empty, join(empty, 'copy'))).toThrow(StorageRefused);
  writeFileSync(join(empty, 'broker.sqlite'), 'not a database');
  writeFileSync(join(empty, 'there'), 'mine');
  expect(() => backUp(empty, join(empty, 'there'))).toThrow('exists');
  expect(() => backUp(empty, join(empty, 'copy'))).toThrow(StorageRefused);
  expect(existsSync(join(empty, 'copy'))).toBe(false);
  expect(existsSync(join(empty, 'copy.unfinished'))).toBe(false);
});
