/** Which plugins serve as their folder changes: real workers, a real folder, a broker that only takes notes. */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, plainHandlerFile, removeFolders } from './folder.ts';
import { Live, stopAll } from './live-bench.ts';

setDefaultTimeout(30_000);
afterEach(stopAll);
afterAll(removeFolders);

const says = (topic: string, text: string): string =>
  plainHandlerFile(topic, `send('x', '${text}');`);

test('a file that is added, changed or removed is live, and told', async () => {
  const live = await Live.open({ 'a.ts': says('a', 'a1'), 'readme.md': '' });
  await live.run(command('a'));
  expect(await live.swapped(() => live.write('b/b.ts', says('b', 'b1')))).toEqual([
    { kind: 'plugin-loaded', plugin: 'b', topics: ['b'] },
    { kind: 'plugins-swapped', version: 2, changed: ['b/b.ts'] },
  ] as never);
  expect(live.topics).toEqual(['a', 'b']);
  await live.run(command('b'));
  expect(await live.swapped(() => live.write('a.ts', says('a', 'a2')))).toEqual([
    { kind: 'plugin-loaded', plugin: 'a', topics: ['a'] },
    { kind: 'plugins-swapped', version: 3, changed: ['a.ts'] },
  ] as never);
  await live.run(command('a'));
  expect(await live.swapped(() => live.remove('b'))).toEqual([
    { kind: 'plugin-removed', plugin: 'b' },
    { kind: 'plugins-swapped', version: 4, changed: ['b/b.ts'] },
  ] as never);
  expect(live.topics).toEqual(['a']);
  expect(live.texts).toEqual(['x_a1 ', 'x_b1 ', 'x_a2 ']);
  await live.swapped(() => live.remove('a.ts'));
  expect(live.topics).toEqual([]);
  await live.swapped(() => live.write('a.ts', says('a', 'a3')));
  await live.run(command('a'));
  expect(live.texts.at(-1)).toBe('x_a3 ');
});

test('a helper that two plugins import reloads both', async () => {
  const uses = (topic: string) =>
    `import { name } from './lib/name.ts';\n${plainHandlerFile(topic, "send('x', topic, name);")}`;
  const live = await Live.open({
    'one.ts': uses('one'),
    'two.ts': uses('two'),
    'lib/name.ts': 'export const name = "ada";',
  });
  await live.swapped(() => live.write('lib/name.ts', 'export const name = "grace";'));
  await live.run(command('one'), command('two'));
  expect(live.texts.sort()).toEqual(['x_one grace', 'x_two grace']);
});

test('a plugin that does not load runs on as it was, with its helpers, while others are swapped', async () => {
  const uses = (text: string) =>
    `import { name } from '../lib/name.ts';\n${plainHandlerFile('one', `send('x', '${text}', name);`)}`;
  const live = await Live.open({
    'one/one.ts': uses('one1'),
    'one/more.ts': says('more', 'more1'),
    'two.ts': says('two', 'two1'),
    'lib/name.ts': 'export const name = "ada";',
  });
  const events = await live.swapped(() => {
    live.write('lib/name.ts', 'export const name = "grace";');
    live.write('two.ts', says('two', 'two2'));
    live.write('one/more.ts', says('more', 'more2'));
    live.write('one/one.ts', `\n\nconst = 5;\n`);
  });
  expect(events.map(({ kind }) => kind)).toEqual([
    'plugin-refused',
    'plugin-loaded',
    'plugins-swapped',
  ]);
  expect(events[0]).toMatchObject({ plugin: 'one', kept: true, fault: { at: 'one/one.ts:3' } });
  expect(events[1]).toMatchObject({ plugin: 'two' });
  await live.run(command('one'), command('two'), command('more'));
  expect(live.texts.sort()).toEqual(['x_more1 ', 'x_one1 ada', 'x_two2 ']);
  // It is kept through further versions.
  await live.swapped(() => live.write('two.ts', says('two', 'two3')));
  const mended = await live.swapped(() => live.write('one/one.ts', uses('one2')));
  expect(mended[0]).toEqual({
    kind: 'plugin-loaded',
    plugin: 'one',
    topics: ['more', 'one'],
  } as never);
  await live.run(command('one'), command('two'), command('more'));
  expect(live.texts.slice(3).sort()).toEqual(['x_more2 ', 'x_one2 grace', 'x_two3 ']);
});

test('a file of handlers that is emptied and not written is a mistake', async () => {
  const live = await Live.open({ 'a.ts': says('a', 'a1'), 'b.ts': says('b', 'b1') });
  const [refused] = await live.swapped(() => {
    writeFileSync(join(live.folder, 'a.ts'), '');
    live.write('b.ts', says('b', 'b2'));
  });
  const detail = 'the file is empty; remove it to remove its handlers';
  expect(refused).toMatchObject({ plugin: 'a', kept: true, fault: { at: 'a.ts', detail } });
  await live.run(command('a'), command('b'));
  expect(live.texts.sort()).toEqual(['x_a1 ', 'x_b2 ']);
});

test('where nothing loads at the start, what is mended goes live', async () => {
  const live = await Live.open({ 'a.ts': 'throw new Error("no");', 'b.ts': 'process.exit(3);' });
  expect(live.topics).toEqual([]);
  expect(
    live
      .ofKind('plugin-refused')
      .map(({ plugin, kept }) => `${plugin} ${kept}`)
      .sort(),
  ).toEqual(['a false', 'b false']);
  const events = await live.swapped(() => live.write('a.ts', says('a', 'a')));
  expect(live.topics).toEqual(['a']);
  // What does not load yet is told again, and holds up nobody.
  expect(events.map(({ kind }) => kind).sort()).toEqual([
    'plugin-loaded',
    'plugin-refused',
    'plugins-swapped',
  ]);
  await live.run(command('a'));
});

test('a topic stays with the plugin that has it', async () => {
  const live = await Live.open({ 'b.ts': says('topic', 'b') });
  const [refused] = await live.swapped(() => live.write('a.ts', says('topic', 'a')));
  expect(refused).toMatchObject({
    kind: 'plugin-refused',
    plugin: 'a',
    kept: false,
    fault: { at: 'a.ts', detail: 'the topic topic is handled by b.ts already' },
  });
  await live.run(command('topic'));
  // It is free when its owner leaves it, in one step where both change.
  await live.swapped(() => {
    live.write('b.ts', says('other', 'b'));
    live.write('a.ts', says('topic', 'aa'));
  });
  await live.run(command('topic'));
  expect(live.texts).toEqual(['x_b ', 'x_aa ']);
});

test('new migrations are applied before the swap, and one that fails leaves all as it is', async () => {
  const reads = (column: string) =>
    plainHandlerFile('a', `send('x', store.get\`select ${column} as v from t\`.v);`);
  const live = await Live.open({
    'a.ts': reads('one'),
    'migrations/0001_t.sql': "create table t (one text); insert into t values ('1');",
  });
  await live.run(command('a'));
  const [migrated] = await live.swapped(() => {
    live.write('migrations/0002_t.sql', "alter table t add column two text default '2';");
    live.write('a.ts', reads('two'));
  });
  expect(migrated).toEqual({ kind: 'migrated', migration: 'migrations/0002_t.sql' });
  await live.run(command('a'));
  const [kept] = await live.until1('plugins-kept', () => {
    live.write('migrations/0003_t.sql', 'select 1;\nalter tabel t add three text;');
    live.write('a.ts', reads('three'));
  });
  expect(kept).toMatchObject({ fault: { at: 'migrations/0003_t.sql:2' } });
  await live.run(command('a'));
  await live.swapped(() => {
    live.write('migrations/0003_t.sql', "alter table t add column three text default '3';");
  });
  await live.run(command('a'));
  expect(live.texts).toEqual(['x_1 ', 'x_2 ', 'x_2 ', 'x_3 ']);
  const [changed] = await live.until1('plugins-kept', () => {
    live.write('migrations/0001_t.sql', 'create table t (one text);');
  });
  expect(changed).toMatchObject({
    fault: {
      at: 'migrations/0001_t.sql',
      detail: expect.stringContaining('is not what was applied'),
    },
  });
});

test('packages that are gone for a while leave all as it is', async () => {
  const live = await Live.open({
    'a.ts': `import { name } from 'one';\n${plainHandlerFile('a', "send('x', name);")}`,
    'node_modules/one/package.json': '{"name":"one","version":"1.0.0","main":"index.js"}',
    'node_modules/one/index.js': 'exports.name = "one1";',
  });
  await live.until1('plugins-kept', () => live.remove('node_modules'));
  await live.run(command('a'));
  await live.swapped(() => {
    live.write('node_modules/one/index.js', 'exports.name = "one2";');
    live.write(
      'node_modules/one/package.json',
      '{"name":"one","version":"2.0.0","main":"index.js"}',
    );
  });
  await live.run(command('a'));
  expect(live.texts).toEqual(['x_one1 ', 'x_one2 ']);
});
