/** Plugins that change while commands come: real workers, a real folder, a broker that only takes notes. */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PluginEvent } from '../../core/plugins/events.ts';
import type { PoolOptions } from '../../core/plugins/pool.ts';
import {
  Bench,
  by,
  command,
  type Files,
  folderOf,
  handlerFile,
  plainHandlerFile,
  removeFolders,
} from './folder.ts';

setDefaultTimeout(30_000);

const benches: Live[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.pool.stop(0);
});
afterAll(removeFolders);

class Live extends Bench {
  readonly copies: string;

  private constructor(files: Files, copies: string, options: Partial<PoolOptions>) {
    super(files, { copies, watched: true, ...options });
    this.copies = copies;
  }

  static async open(files: Files, options: Partial<PoolOptions> = {}): Promise<Live> {
    const live = new Live(files, join(folderOf({}), 'copies'), options);
    benches.push(live);
    await live.pool.start();
    return live;
  }

  /** Writes by rename, as many editors do. */
  write(path: string, text: string): void {
    const to = join(this.folder, path);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(join(this.folder, '.written'), text);
    renameSync(join(this.folder, '.written'), to);
  }

  remove(path: string): void {
    rmSync(join(this.folder, path), { recursive: true });
  }

  /** Does something to the folder, and resolves to what is told until an event of this kind. */
  async until1(kind: PluginEvent['kind'], change: () => void): Promise<PluginEvent[]> {
    const seen = this.events.length;
    const holds = () => this.events.slice(seen).some((event) => event.kind === kind);
    change();
    await this.until(holds);
    return this.events.slice(seen);
  }

  /** Resolves when a change has been swapped in. */
  swapped(change: () => void): Promise<PluginEvent[]> {
    return this.until1('plugins-swapped', change);
  }

  get topics(): string[] {
    return [...this.pool.topics].sort();
  }
}

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

test('a run in flight finishes on the version that it began on, and a later one runs on the new beside it', async () => {
  const gate = join(folderOf({}), 'gate');
  const waits = (text: string) =>
    handlerFile(
      'wait',
      `const { existsSync } = await import('node:fs');
       log.info('begun ${text}');
       while (!existsSync('${gate}')) await Bun.sleep(5);
       const { name } = await import('./name.ts');
       send('x', '${text}', name);`,
    );
  const live = await Live.open({ 'wait.ts': waits('old'), 'name.ts': 'export const name = 1;' });
  live.pool.dispatch(command('wait'), 1, undefined);
  await live.until(() => live.ofKind('handler-log').length === 1);
  await live.swapped(() => {
    live.write('wait.ts', says('wait', 'new'));
    live.write('name.ts', 'export const name = 2;');
  });
  live.pool.dispatch(command('wait', '', by('grace')), 2, undefined);
  await live.until(() => live.handled.length === 1);
  expect(live.texts).toEqual(['x_new ']);
  writeFileSync(gate, '');
  await live.until(() => live.handled.length === 2);
  // A helper that it imports only now is that of its version, too.
  expect(live.texts).toEqual(['x_new ', 'x_old 1']);
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

test('commands that were accepted for a handler are run after it was removed', async () => {
  const gate = join(folderOf({}), 'gate');
  const live = await Live.open({
    'slow.ts': handlerFile(
      'slow',
      `const { existsSync } = await import('node:fs');
       log.info('begun');
       while (!existsSync('${gate}')) await Bun.sleep(5);
       send('x', input);`,
      'concurrency: 1,',
    ),
    'a.ts': says('a', 'a'),
  });
  for (let number = 1; number <= 20; number++) {
    live.pool.dispatch(command('slow', `"${number}"`, by(`user${number}`)), number, undefined);
  }
  await live.until(() => live.ofKind('handler-log').length > 0);
  await live.swapped(() => live.remove('slow.ts'));
  expect(live.topics).toEqual(['a']);
  // Accepted in the same turn, and handed over after it.
  live.pool.dispatch(command('slow', '"21"', by('late')), 21, undefined);
  live.pool.dispatch(command('a', '', by('other')), 22, undefined);
  await live.until(() => live.handled.includes(22));
  writeFileSync(gate, '');
  await live.until(() => live.handled.length === 22);
  expect(new Set(live.handled).size).toBe(22);
  expect(live.texts.length).toBe(22);
  expect(live.pool.counters.dropped['no-handler']).toBe(0);
});

test('what an old worker held when it died goes to whoever handles it now', async () => {
  const live = await Live.open({
    'a.ts': `import { existsSync } from 'node:fs';
${handlerFile('a', "log.info('begun'); if (input === 'die') { await Bun.sleep(1); while (!existsSync(import.meta.dir + '/../dead')) await Bun.sleep(5); process.exit(1); } send('x', 'old' + input);", 'concurrency: 1,')}`,
  });
  live.pool.dispatch(command('a', '"die"'), 1, undefined);
  await live.until(() => live.ofKind('handler-log').length === 1);
  for (let number = 2; number <= 9; number++)
    live.pool.dispatch(command('a', `"${number}"`), number, undefined);
  await live.swapped(() =>
    live.write('a.ts', plainHandlerFile('a', "send('x', 'new' + input);", '')),
  );
  writeFileSync(join(live.copies, 'dead'), '');
  await live.until(() => live.handled.length === 9);
  // The one that it died in is tried again, by the new version too.
  expect(live.texts.sort()).toEqual(
    [2, 3, 4, 5, 6, 7, 8, 9, 'die'].map((input) => `x_new${input} `),
  );
  expect(live.pool.counters.workersReplaced).toBe(0);
});

test('old workers tear down and end, and their copy goes with them', async () => {
  const tells = (text: string) =>
    `import { writeFileSync } from 'node:fs';
import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'a', setup: () => '${text}', teardown: (text) => writeFileSync(import.meta.dir + '/../' + text, ''),
  run: ({ send, resources }) => send('x', resources) });`;
  const live = await Live.open({ 'a.ts': tells('one') });
  await live.run(command('a'));
  await live.swapped(() => live.write('a.ts', tells('two')));
  await live.run(command('a'));
  await live.swapped(() => live.write('a.ts', tells('three')));
  await live.run(command('a'));
  await live.pool.stop(1_000);
  expect(
    readdirSync(live.copies)
      .filter((name) => name !== 'node_modules')
      .sort(),
  ).toEqual(['one', 'three', 'two']);
  expect(live.texts).toEqual(['x_one ', 'x_two ', 'x_three ']);
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

test('a worker that lacks a plugin does not stand in for one that has it', async () => {
  const [marker, gate] = [join(folderOf({}), 'marker'), join(folderOf({}), 'gate')];
  const live = await Live.open(
    {
      'a.ts': `import { existsSync } from 'node:fs';
if (existsSync('${marker}')) throw new Error('not now');
${plainHandlerFile(
  'a',
  `if (input === 'exit') process.exit(1);
   log.info('begun');
   while (!existsSync('${gate}'));
   send('x', input);`,
  'retry: false,',
)}`,
    },
    { workers: 2 },
  );
  // Each keeps a worker to itself, so both are up when both have begun.
  live.pool.dispatch(command('a', '"1"', by('ada')), 1, undefined);
  await live.until(() => live.ofKind('handler-log').length === 1);
  live.pool.dispatch(command('a', '"2"', by('grace')), 2, undefined);
  await live.until(() => live.ofKind('handler-log').length === 2);
  writeFileSync(gate, '');
  await live.until(() => live.handled.length === 2);
  writeFileSync(marker, '');
  await live.until1('plugin-refused', () =>
    live.pool.dispatch(command('a', '"exit"'), 3, undefined),
  );
  expect(live.ofKind('plugin-refused')[0]).toMatchObject({ kept: true, fault: { at: 'a.ts:2' } });
  await live.run(command('a', '"3"'), command('a', '"4"', by('grace')));
  expect(live.texts.sort()).toEqual(['x_1 ', 'x_2 ', 'x_3 ', 'x_4 ']);
});

test('with many swaps under a stream of commands, each is run once, on versions that only grow', async () => {
  const of = (version: number) => plainHandlerFile('count', `send('x', 'v${version}', input);`);
  const live = await Live.open({ 'count.ts': of(1) }, { workers: 2 });
  let number = 0;
  const stream = setInterval(() => {
    for (let user = 0; user < 5; user++) {
      number++;
      live.pool.dispatch(command('count', `${number}`, by(`user${user}`)), number, undefined);
    }
  }, 5);
  for (let version = 2; version <= 10; version++) {
    await live.swapped(() => live.write('count.ts', of(version)));
  }
  clearInterval(stream);
  await live.until(() => live.handled.length === number);
  const runs = live.texts.map((text) => /^x_v(\d+) (\d+)$/.exec(text)?.slice(1).map(Number) ?? []);
  expect(runs.map(([, each]) => each).sort((a = 0, b = 0) => a - b)).toEqual(
    Array.from({ length: number }, (_, index) => index + 1),
  );
  for (let user = 0; user < 5; user++) {
    const versions = runs
      .filter(([, each = 0]) => (each - 1) % 5 === user)
      .map(([version]) => version);
    expect(versions).toEqual([...versions].sort((a = 0, b = 0) => a - b));
  }
});
