/** Commands that wait on disk are read again as they were kept, a piece at a time. */
import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredCommand } from '../../core/broker/changes.ts';
import { FILE_NAME } from '../../core/store/data-folder.ts';
import { openStorage } from '../../core/store/storage.ts';
import { by, command } from '../plugins/folder.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-commands-'));
afterAll(() => rmSync(root, { recursive: true }));

test('one that is done with while the disk fails is not brought by a read that waits for the disk', async () => {
  const folder = mkdtempSync(join(root, 'x-'));
  const failed = Promise.withResolvers<void>();
  const read = Promise.withResolvers<readonly number[]>();
  const { storage, snapshot } = await openStorage({
    folder,
    durability: 'os',
    stored() {},
    fetched() {},
    status: ({ ok }) => ok || failed.resolve(),
    fault: (detail) => expect(detail).toBe(''),
    commandsFetched: (commands) => read.resolve(commands.map(({ message }) => message)),
  });
  for (const _ of snapshot);
  const holder = new Database(join(folder, FILE_NAME));
  holder.run('begin immediate');
  for (const message of [1, 2, 3]) {
    storage.keep({ kind: 'message', message, content: command('a') });
    storage.keep({ kind: 'command', message, only: undefined });
  }
  storage.post();
  storage.fetchCommands(0, 100, 1e9);
  await failed.promise;
  storage.keep({ kind: 'command-done', message: 2 });
  storage.post();
  holder.run('rollback');
  holder.close(true);
  expect(await read.promise).toEqual([1, 3]);
  await storage.close();
});

test('in the order of their numbers, within the bounds, as they are after all that was kept before', async () => {
  const folder = mkdtempSync(join(root, 'x-'));
  let heard: ((answer: readonly [readonly StoredCommand[], boolean]) => void) | undefined;
  const { storage, snapshot } = await openStorage({
    folder,
    durability: 'os',
    stored() {},
    fetched() {},
    status() {},
    fault: (detail) => expect(detail).toBe(''),
    commandsFetched: (...answer) => heard?.(answer),
  });
  for (const _ of snapshot);
  const read = (after: number, limit: number, bytes: number) =>
    new Promise<readonly [readonly StoredCommand[], boolean]>((resolve) => {
      heard = resolve;
      storage.fetchCommands(after, limit, bytes);
      storage.post();
    });
  const contents = [1, 2, 3, 4, 5].map((n) => command('a/ä', `payload ${n}`, by(`u${n}`)));
  for (const [index, content] of contents.entries()) {
    const message = index + 1;
    storage.keep({ kind: 'message', message, content });
    storage.keep({ kind: 'command', message, only: message === 4 ? 'one' : undefined });
  }
  storage.keep({ kind: 'command-tried', message: 2, handler: 'h', attempts: 3 });
  storage.keep({ kind: 'command-part-done', message: 2, handler: 'g' });
  storage.keep({ kind: 'command-done', message: 3 });

  const [first, more] = await read(0, 2, 1e9);
  expect([first.map(({ message }) => message), more]).toEqual([[1, 2], true]);
  expect(first[0]?.content).toEqual(contents[0] as never);
  expect(first.map(({ state }) => state)).toEqual([
    { only: undefined, parts: [] },
    {
      only: undefined,
      parts: [
        { handler: 'g', attempts: 0, done: true },
        { handler: 'h', attempts: 3, done: false },
      ],
    },
  ]);
  const [rest, none] = await read(2, 2, 1e9);
  expect([rest.map(({ message, state }) => [message, state.only]), none]).toEqual([
    [
      [4, 'one'],
      [5, undefined],
    ],
    false,
  ]);
  // One is given whatever its size.
  const [large, others] = await read(0, 100, 1);
  expect([large.length, others]).toEqual([1, true]);
  expect(await read(5, 100, 1e9)).toEqual([[], false]);
  await storage.close();
});
