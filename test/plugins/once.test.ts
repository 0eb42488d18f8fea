/** Exactly once on the loop's side: what was sent and the end of a command go together, also after a crash. */
import { Database } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMarks } from '../../core/plugins/mark.ts';
import { by, command, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

setDefaultTimeout(30_000);

const files = {
  'migrations/0001_n.sql': 'create table n (n integer) strict;',
  'add.ts': plainHandlerFile(
    'add',
    "store.run`insert into n values (${input})`; send('x', 'added', input);",
  ),
  'read.ts': plainHandlerFile('read', "send('x', 'read', store.all`select n from n`.length);"),
};

function inStore<T>(path: string, read: (database: Database) => T): T {
  const database = new Database(path);
  try {
    return read(database);
  } finally {
    database.close();
  }
}
const countOf = (path: string) =>
  inStore(path, (database) => database.query('select n from n').values().length);
const marksOf = (path: string) =>
  inStore(path, (database) => readMarks(database).map(({ message }) => message));

describe('a run that wrote', () => {
  test('is marked until it is on disk that it is done with', async () => {
    const bench = await opened(files);
    await bench.run(command('add', '1'), command('read'));
    expect(marksOf(bench.storePath)).toEqual([1]);
    await bench.run(command('add', '2'));
    expect(marksOf(bench.storePath)).toEqual([1, 3]);
    bench.pool.stored(bench.position);
    await bench.run(command('add', '3'));
    expect(marksOf(bench.storePath)).toEqual([4]);
  });

  test('is not run again after a crash: what it sent goes out, and it is done with', async () => {
    const before = await opened(files);
    await before.run(command('add', '1'), command('add', '2', by('eve')));
    await before.pool.stop(0);
    // The broker has not stored what it was told, and finds both again, beside one that had not run.
    const after = await opened({}, { folder: before.folder, storePath: before.storePath });
    const fresh = { only: undefined, parts: [] };
    after.dispatch(command('add', '1'), 1, fresh);
    after.dispatch(command('add', '2', by('eve')), 2, fresh);
    after.dispatch(command('add', '3'), 3, fresh);
    after.pool.restore(3);
    await after.until(() => after.handled.length === 3);
    expect(after.texts).toEqual(['x_added 1', 'x_added 2', 'x_added 3']);
    expect(after.sent[0]).toMatchObject({ qos: 1, expiresAtMs: Number.POSITIVE_INFINITY });
    expect(countOf(after.storePath)).toBe(3);
    after.pool.stored(after.position);
    await after.run(command('add', '4'));
    expect(marksOf(after.storePath)).toEqual([4]);
  });

  test('has happened, also where its handler is not there after the crash: what it sent goes out', async () => {
    const before = await opened(files);
    await before.run(command('add', '1'), command('add', '2', by('eve')));
    await before.pool.stop(0);
    rmSync(join(before.folder, 'add.ts'));
    writeFileSync(
      join(before.folder, 'too.ts'),
      plainHandlerFile('add', "send('x', 'too', input);"),
    );
    const after = await opened({}, { folder: before.folder, storePath: before.storePath });
    after.dispatch(command('add', '1'), 1, { only: 'add', parts: [] });
    after.dispatch(command('add', '2', by('eve')), 2, { only: undefined, parts: [] });
    after.pool.restore(2);
    await after.until(() => after.handled.length === 2);
    expect(after.texts).toEqual(['x_added 1', 'x_added 2', 'x_too 2']);
    expect(after.letters).toEqual([]);
    expect(after.notes).toContainEqual({ kind: 'handled', number: 2, handler: 'add' });
  });

  test('says nothing of a command that got its number anew, where the broker has lost the first one', async () => {
    const before = await opened(files);
    await before.run(command('add', '1'), command('add', '2'));
    await before.pool.stop(0);
    // As with an older copy of the broker's file: the second number was never given out.
    const { folder, storePath } = before;
    writeFileSync(join(folder, 'add.ts'), plainHandlerFile('add', "send('x', 'anew', input);"));
    const after = await opened({}, { folder, storePath, queuedCommands: 1 }, { disk: true });
    after.pool.restore(1);
    after.dispatch(command('add', '3'), 2);
    const fresh = { only: undefined, parts: [] };
    after.pool.fetched(
      ['1', '3'].map((n, index) => ({
        message: index + 1,
        content: command('add', n),
        state: fresh,
      })),
      false,
    );
    await after.until(() => after.handled.length === 2);
    expect(after.texts).toEqual(['x_added 1', 'x_anew 3']);
  });

  test('and whose command was done with before the crash leaves a mark that is forgotten', async () => {
    const before = await opened(files);
    await before.run(command('add', '1'));
    await before.pool.stop(0);
    const after = await opened({}, { folder: before.folder, storePath: before.storePath });
    after.pool.restore(0);
    after.dispatch(command('add', '2'), 2);
    await after.until(() => after.handled.length === 1);
    expect(marksOf(after.storePath)).toEqual([2]);
    expect(after.texts).toEqual(['x_added 2']);
  });
});

test('what a run sent is told before that it is done, in one turn', async () => {
  const bench = await opened({
    'a.ts': plainHandlerFile('a', "send('x', 'one'); send('x', 'two');"),
  });
  bench.dispatch(command('a'), 9);
  await bench.until(() => bench.handled.length === 1);
  expect(bench.notes).toEqual([
    { kind: 'sent', text: 'x_one ' },
    { kind: 'sent', text: 'x_two ' },
    { kind: 'handled', number: 9, handler: undefined },
  ]);
});

test('while nothing can be stored, runs of stored commands wait with what they sent, and others go on', async () => {
  const bench = await opened({
    'a.ts': plainHandlerFile('a', "log.info('ran'); send('x', 'a', input);"),
  });
  bench.dispatch(command('a', '1'), 1);
  // Given out already, and over when storing has begun to fail.
  await Promise.resolve();
  bench.failing = true;
  await bench.until(() => bench.ofKind('handler-log').length === 1);
  bench.dispatch(command('a', '2', by('eve')), 2);
  bench.dispatch(command('a', '0', { qos: 0, ...by('quick') }));
  await bench.until(() => bench.sent.length === 1);
  expect(bench.texts).toEqual(['x_a 0']);
  expect([bench.handled, bench.ofKind('handler-log').length]).toEqual([[], 2]);
  bench.failing = false;
  bench.pool.storageBack();
  await bench.until(() => bench.handled.length === 2);
  expect(bench.texts).toEqual(['x_a 0', 'x_a 1', 'x_a 2']);
});
