/** More commands than handlers keep up with, and runs that overlap. */
import { describe, expect, setDefaultTimeout, spyOn, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { by, command, folderOf, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

setDefaultTimeout(30_000);

describe('a queue that is full', () => {
  test('drops what is not stored, counts and reports it, and nothing else', async () => {
    const files = { 'a.ts': plainHandlerFile('a', "send('x', 'a', input);") };
    const bench = await opened(files, { queuedCommands: 10 });
    for (let index = 0; index < 25; index++) bench.dispatch(command('a', `${index}`, { qos: 0 }));
    await bench.until(() => bench.sent.length === 10);
    expect(bench.texts).toEqual([...Array(10).keys()].map((index) => `x_a ${index}`));
    expect(bench.pool.counters.dropped['queue-full']).toBe(15);
    expect(bench.ofKind('command-dropped').length).toBe(15);
    bench.dispatch(command('a', '100', { qos: 0 }));
    await bench.until(() => bench.sent.length === 11);
    expect(bench.texts.at(-1)).toBe('x_a 100');
  });

  test('leaves what is stored on disk, and reads it again in order when there is room', async () => {
    const files = { 'a.ts': plainHandlerFile('a', "send('x', 'a', input);") };
    const bench = await opened(files, { queuedCommands: 10 }, { disk: true });
    for (let number = 1; number <= 25; number++) bench.dispatch(command('a', `${number}`), number);
    await bench.until(() => bench.fetches.length === 1);
    expect(bench.fetches[0]?.[0]).toBe(10);
    // It comes behind what is on disk, although there is room by now.
    await bench.until(() => bench.handled.length === 10);
    bench.dispatch(command('a', '26'), 26);
    const read = (from: number, to: number) =>
      [...Array(to - from + 1).keys()].map((index) => ({
        message: from + index,
        content: command('a', `${from + index}`),
        state: { only: undefined, parts: [] },
      }));
    bench.pool.fetched(read(11, 20), true);
    await bench.until(() => bench.fetches.length === 2);
    expect(bench.fetches[1]?.[0]).toBe(20);
    bench.pool.fetched(read(21, 26), false);
    await bench.until(() => bench.handled.length === 26);
    expect(bench.texts).toEqual([...Array(26).keys()].map((index) => `x_a ${index + 1}`));
    expect(bench.pool.counters.dropped['queue-full']).toBe(0);
    bench.dispatch(command('a', '27'), 27);
    await bench.until(() => bench.handled.length === 27);
    expect(bench.fetches.length).toBe(2);
  });

  test('takes once what a read brings before the turn in which it was stored hands it over', async () => {
    const files = { 'a.ts': plainHandlerFile('a', "send('x', 'a', input);") };
    const bench = await opened(files, { queuedCommands: 10 }, { disk: true });
    for (let number = 1; number <= 12; number++) bench.dispatch(command('a', `${number}`), number);
    await bench.until(() => bench.fetches.length === 1 && bench.handled.length === 10);
    const read = [11, 12, 13, 14].map((message) => ({
      message,
      content: command('a', `${message}`),
      state: { only: undefined, parts: [] },
    }));
    bench.pool.fetched(read, false);
    for (const number of [13, 14]) bench.dispatch(command('a', `${number}`), number);
    await bench.until(() => bench.handled.includes(14));
    // Behind whatever was taken twice.
    bench.dispatch(command('a', '15'), 15);
    await bench.until(() => bench.handled.includes(15));
    expect(bench.texts).toEqual([...Array(15).keys()].map((index) => `x_a ${index + 1}`));
  });

  test('keeps a handler that was removed for as long as commands for it may be on disk', async () => {
    const gate = join(folderOf({}), 'gate');
    const wait = `const { existsSync } = await import('node:fs'); while (!existsSync('${gate}')) await Bun.sleep(5);`;
    const files = {
      'slow.ts': handlerFile('slow', wait),
      'gone.ts': plainHandlerFile('gone', "send('x', 'gone', input);"),
    };
    const bench = await opened(files, { queuedCommands: 1 }, { disk: true });
    bench.dispatch(command('slow'), 1);
    bench.dispatch(command('gone', '2'), 2);
    rmSync(join(bench.folder, 'gone.ts'));
    bench.pool.reload();
    await bench.until(() => bench.ofKind('plugins-swapped').length === 1);
    // Old workers stay for a moment in any case: it is over.
    const now = performance.now.bind(performance);
    using _ = spyOn(performance, 'now').mockImplementation(() => now() + 2_000);
    writeFileSync(gate, '');
    await bench.until(() => bench.fetches.length === 1);
    const state = { only: undefined, parts: [] };
    bench.pool.fetched([{ message: 2, content: command('gone', '2'), state }], false);
    await bench.until(() => bench.handled.includes(2));
    expect([bench.texts, bench.letters]).toEqual([['x_gone 2'], []]);
  });

  test('is read on when what was in memory has expired', async () => {
    const files = { 'a.ts': plainHandlerFile('a', "send('x', 'a', input);") };
    const bench = await opened(files, { queuedCommands: 4 }, { disk: true });
    bench.dispatch(command('a', '1'), 1);
    for (let number = 2; number <= 4; number++) {
      bench.dispatch(command('a', `${number}`, { expiresAtMs: 0 }), number);
    }
    bench.dispatch(command('a', '5'), 5);
    await bench.until(() => bench.fetches.length === 1);
    expect(bench.handled).toEqual([1, 2, 3, 4]);
    expect(bench.texts).toEqual(['x_a 1']);
    expect(bench.pool.counters.queuedCommands).toBe(0);
  });
});

describe('runs that await something', () => {
  const gated = `globalThis.begun = (globalThis.begun ?? 0) + 1;
    if (globalThis.begun === input) globalThis.open?.();
    globalThis.gate ??= new Promise((resolve) => { globalThis.open = resolve; });
    if (globalThis.begun === input) globalThis.open();
    await globalThis.gate;
    send('x', 'max', globalThis.begun);`;

  test('overlap in one worker, and are over only once all have begun', async () => {
    const bench = await opened({ 'a.ts': handlerFile('a', gated) });
    const messages = [...Array(100).keys()].map((index) => command('a', '100', by(`u${index}`)));
    await bench.run(...messages);
    expect(bench.texts).toEqual(Array(100).fill('x_max 100'));
  });

  test('are never more at a time than their handler allows, over all workers', async () => {
    const now = 'performance.timeOrigin + performance.now()';
    const body = `const from = ${now}; await Bun.sleep(1); log.info('ran', { from, to: ${now} });`;
    const files = { 'a.ts': handlerFile('a', body, 'concurrency: 3,') };
    const bench = await opened(files, { workers: 2 });
    await bench.run(...[...Array(40).keys()].map((index) => command('a', '', by(`u${index}`))));
    const runs = bench.ofKind('handler-log').map(({ fields }) => fields as unknown as Run);
    interface Run {
      readonly from: number;
      readonly to: number;
    }
    expect(runs.length).toBe(40);
    const at = (time: number) => runs.filter(({ from, to }) => from <= time && time < to).length;
    expect(Math.max(...runs.map(({ from }) => at(from)))).toBeLessThanOrEqual(3);
    const [state] = [...bench.pool.handlers];
    expect([state?.running, state?.waiting]).toEqual([0, 0]);
  });

  test('of one user are one after the other', async () => {
    const body =
      "send('x', 'begin', input); log.info('begin'); await Bun.sleep(1); log.info('end');";
    const bench = await opened({ 'a.ts': handlerFile('a', body) });
    for (let round = 0; round < 3; round++) {
      await bench.run(...[...Array(10).keys()].map((index) => command('a', `${index}`)));
    }
    const said = bench.ofKind('handler-log').map(({ message }) => message);
    expect(said).toEqual(Array(30).fill(['begin', 'end']).flat());
  });
});

describe('what is counted', () => {
  test('is known of each handler', async () => {
    const bench = await opened({
      'a.ts': plainHandlerFile('a', ''),
      'folder/index.ts': plainHandlerFile(
        'b',
        "if (input) throw new Error('no');",
        'retry: { attempts: 2 },',
      ),
    });
    await bench.run(command('a'), command('a'), command('b', 'true'), command('b'));
    const a = bench.countersOf('a');
    const b = bench.countersOf('folder');
    expect([a.runs, b.runs, b.retries, b.deadLetters, b.failed.failed]).toEqual([2, 3, 1, 1, 2]);
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    expect([sum(a.durationSeconds.counts), sum(a.waitSeconds.counts)]).toEqual([2, 2]);
    const done = bench.ofKind('run-done');
    expect(done.map(({ run }) => run.handler).toSorted()).toEqual(['a', 'a', 'folder']);
    expect(done[0]).toMatchObject({
      run: { attempt: 1, topic: 'a', user: 'ada', clientIdentifier: 'phone' },
      durationMs: expect.any(Number),
    });
  });
});

test('a worker that holds on to too much memory is replaced, and no run is lost with it', async () => {
  const keep = `globalThis.kept ??= [];
    if (input) globalThis.kept.push(new Array(4e6).fill(input)); // 32 MB
    send('x', 'kept', globalThis.kept.length);`;
  const files = { 'a.ts': plainHandlerFile('a', keep) };
  const bench = await opened(files, { memoryBytes: 100 * 1024 * 1024 });
  await bench.run(...Array(8).fill(command('a', '1')));
  // It looks at its heap now and then, as long as it runs something.
  while (bench.pool.counters.workersReplaced === 0) await bench.run(command('a', '0'));
  while (bench.texts.at(-1) !== 'x_kept 0') await bench.run(command('a', '0'));
  expect(bench.faults).toEqual([]);
  expect(bench.ofKind('worker-replaced')[0]?.detail).toContain('handlers may hold 100');
});

test('a run that takes memory without end costs its worker, long before its time is up', async () => {
  const bench = await opened(
    {
      'grow.ts': plainHandlerFile(
        'grow',
        'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1));',
      ),
      'fine.ts': plainHandlerFile('fine', "send('x', 'fine');"),
    },
    { memoryBytes: 100 * 1024 * 1024, timeoutMs: 600_000 },
  );
  await bench.run(command('grow'), command('fine', '', by('eve')));
  expect(bench.faults).toEqual([
    'worker-lost undefined: took more than 100 MiB of memory, and its worker was ended',
  ]);
  expect(bench.texts).toEqual(['x_fine ']);
});
