/** Runs and workers over swaps of the plugins: real workers, a real folder, a broker that only takes notes. */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { by, command, folderOf, handlerFile, plainHandlerFile, removeFolders } from './folder.ts';
import { Live, stopAll } from './live-bench.ts';

setDefaultTimeout(30_000);
afterEach(stopAll);
afterAll(removeFolders);

const says = (topic: string, text: string): string =>
  plainHandlerFile(topic, `send('x', '${text}');`);

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
