/** Runs that fail: tried again, given up, answered; in real workers, on a test's own clock. */
import { Database } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { MessageProperties } from '../../core/mqtt/packet.ts';
import { by, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

setDefaultTimeout(30_000);

const onOwnTime = { retriesAtOnce: false };
const failing = (more = '') => plainHandlerFile('fail', "throw new Error('no ' + input);", more);

describe('a stored command that fails', () => {
  test('is tried again, ever later, with one invocation, and is a dead letter in the end', async () => {
    const files = { 'fail.ts': failing('retry: { attempts: 3, longestDelayMs: 1_500 },') };
    const bench = await opened(files, {}, onOwnTime);
    bench.dispatch(command('fail', '1'), 7);
    await bench.until(() => bench.ofKind('run-failed').length === 1);
    bench.clock.pass(999);
    expect(bench.ofKind('run-failed').length).toBe(1);
    bench.clock.pass(1);
    await bench.until(() => bench.ofKind('run-failed').length === 2);
    bench.clock.pass(1_500);
    await bench.until(() => bench.handled.length === 1);
    const failed = bench.ofKind('run-failed');
    expect(failed.map(({ retryInMs, buried }) => [retryInMs, buried])).toEqual([
      [1_000, false],
      [1_500, false],
      [undefined, true],
    ]);
    expect(failed.map(({ run }) => run.attempt)).toEqual([1, 2, 3]);
    expect(new Set(failed.map(({ run }) => `${run.invocation} ${run.trace}`)).size).toBe(1);
    expect(failed[0]?.run.trace).toMatch(/^[\da-f]{32}$/);
    // The letter and the end of the command are told together, last.
    expect(bench.notes).toEqual([
      { kind: 'tried', number: 7, handler: 'fail', attempts: 1 },
      { kind: 'tried', number: 7, handler: 'fail', attempts: 2 },
      { kind: 'buried', number: 7 },
      { kind: 'handled', number: 7, handler: undefined },
    ]);
    expect(bench.letters[0]).toMatchObject({
      message: 7,
      handler: 'fail',
      kind: 'failed',
      detail: 'no 1',
      at: 'fail.ts:5',
      attempts: 3,
      invocation: failed[0]?.run.invocation as string,
    });
    expect(bench.letters[0]?.stack).toContain('fail.ts:5');
    expect(bench.countersOf('fail')).toMatchObject({ runs: 3, retries: 2, deadLetters: 1 });
  });

  test('goes on after a restart where it was, under the same name', async () => {
    const files = { 'fail.ts': failing('retry: { attempts: 3 },') };
    const parts = [{ handler: 'fail', attempts: 2, done: false }];
    const [before, after] = [
      await opened(files, {}, onOwnTime),
      await opened(files, {}, onOwnTime),
    ];
    before.dispatch(command('fail', '1'), 7);
    after.dispatch(command('fail', '1'), 7, { only: undefined, parts });
    await before.until(() => before.ofKind('run-failed').length === 1);
    await after.until(() => after.handled.length === 1);
    const [first, last] = [before, after].map((bench) => bench.ofKind('run-failed')[0]?.run);
    expect(last?.attempt).toBe(3);
    expect([last?.invocation, last?.trace]).toEqual([first?.invocation, first?.trace] as never);
    expect(after.letters[0]?.attempts).toBe(3);
  });

  test('succeeds in the end without a trace of its failures', async () => {
    const files = {
      'migrations/0001_n.sql': 'create table n (n integer) strict;',
      'a.ts': plainHandlerFile(
        'a',
        `store.run\`insert into n values (\${context.invocation.attempt})\`;
         send('x', 'done', context.invocation.attempt);
         if (context.invocation.attempt < 3) throw new Error('not yet');`,
        '',
      ),
    };
    const bench = await opened(files);
    await bench.run(command('a'));
    expect(bench.texts).toEqual(['x_done 3']);
    const database = new Database(bench.storePath);
    expect(database.query('select n from n').values()).toEqual([[3]]);
    database.close();
    expect(bench.letters).toEqual([]);
  });

  test('lets later ones of its user go first, unless its handler keeps their order', async () => {
    const body =
      "if (input === 1 && context.invocation.attempt === 1) throw new Error('not yet'); send('x', topic, input);";
    const files = {
      'free.ts': plainHandlerFile('free', body, ''),
      'ordered.ts': plainHandlerFile('ordered', body, "order: 'user',"),
    };
    const bench = await opened(files, {}, onOwnTime);
    for (const topic of ['free', 'ordered']) {
      for (const input of ['1', '2', '3']) bench.dispatch(command(topic, input, by(topic)), 1);
    }
    bench.dispatch(command('ordered', '5', by('other')), 1);
    await bench.until(() => bench.sent.length === 3 && bench.ofKind('run-failed').length === 2);
    expect(bench.texts.toSorted()).toEqual(['x_free 2', 'x_free 3', 'x_ordered 5']);
    bench.clock.pass(1_000);
    await bench.until(() => bench.sent.length === 7);
    const ordered = bench.texts.filter((text) => /ordered [^5]/.test(text));
    expect(ordered).toEqual(['x_ordered 1', 'x_ordered 2', 'x_ordered 3']);
    expect(bench.texts).toContain('x_free 1');
  });

  test('is not tried again where that cannot help', async () => {
    const bench = await opened({
      'input.ts': plainHandlerFile('input', '', 'decode: "json",'),
      'never.ts': `import { NonRetryableError } from 'bellhop';
${plainHandlerFile('never', "throw new NonRetryableError('as it is');", '')}`,
      'once.ts': plainHandlerFile('once', "throw new Error('once');"),
    });
    await bench.run(command('input', '{'), command('never'), command('once'));
    const letters = bench.letters.map(({ handler, kind, attempts }) => [handler, kind, attempts]);
    expect(letters.toSorted()).toEqual([
      ['input', 'input', 1],
      ['never', 'failed', 1],
      ['once', 'failed', 1],
    ]);
  });
});

test('a command of QoS 0 is tried once and leaves no letter; one of QoS 1 in memory is tried again', async () => {
  const bench = await opened({ 'fail.ts': failing('retry: { attempts: 2 },') });
  bench.dispatch(command('fail', '0', { qos: 0 }));
  bench.dispatch(command('fail', '1', { qos: 1, ...by('other') }));
  await bench.until(() => bench.ofKind('run-failed').length === 3);
  const failed = bench.ofKind('run-failed').map(({ run, buried }) => [run.user, buried]);
  expect(failed.toSorted()).toEqual([
    ['ada', false],
    ['other', false],
    ['other', true],
  ]);
  expect(bench.letters.map(({ message }) => message)).toEqual([0]);
  expect(bench.pool.counters.queuedCommands).toBe(0);
});

describe('whoever asked for a response', () => {
  const correlationData = Uint8Array.of(1, 2);
  const asking = (responseTopic: string): MessageProperties => ({ responseTopic, correlationData });

  test('is told of an error: what was wrong with its input, and of no other the detail', async () => {
    const bench = await opened({ 'fail.ts': failing(), 'json.ts': plainHandlerFile('json', '') });
    bench.replies.add('ada_answers');
    const properties = asking('ada_answers');
    await bench.run(
      command('json', '{', { properties }),
      command('fail', '1', { properties }),
      command('json', '{', { properties: asking('eve_answers') }),
    );
    expect(bench.sent.map(({ topic }) => topic)).toEqual(['ada_answers', 'ada_answers'] as never);
    const [input, failed] = bench.sent;
    expect(JSON.parse(bench.texts[0]?.split(' ').slice(1).join(' ') ?? '').error).toStartWith(
      'the payload is not JSON',
    );
    expect(input?.properties).toEqual({
      payloadFormatIndicator: 1,
      contentType: 'application/json',
      correlationData,
      userProperties: [['bellhop-error', 'input']],
    });
    expect(bench.texts[1]).toBe('ada_answers {"error":"the command could not be carried out"}');
    expect(failed?.properties?.userProperties).toEqual([['bellhop-error', 'failed']]);
    expect(bench.ofKind('send-refused').map(({ detail }) => detail)).toEqual([
      'whoever asked may not have a response there',
    ]);
  });
});

test('several handlers of a command fail and are tried again each for itself', async () => {
  const bench = await opened({
    'good.ts': handlerFile('a/+', "send('x', 'good');"),
    'bad.ts': plainHandlerFile('a/b', "throw new Error('bad');", 'retry: { attempts: 2 },'),
  });
  bench.dispatch(command('a/b'), 5);
  await bench.until(() => bench.handled.length === 1);
  expect(bench.texts).toEqual(['x_good ']);
  expect(bench.notes.filter(({ kind }) => kind !== 'sent').toSorted()).toEqual(
    [
      { kind: 'tried', number: 5, handler: 'bad', attempts: 1 },
      { kind: 'handled', number: 5, handler: 'good' },
      { kind: 'buried', number: 5 },
      { kind: 'handled', number: 5, handler: undefined },
    ].toSorted() as never,
  );
  // What a restart finds done is not done again.
  const parts = [{ handler: 'good', attempts: 0, done: true }];
  bench.dispatch(command('a/b'), 6, { only: undefined, parts });
  await bench.until(() => bench.handled.length === 2);
  expect(bench.texts).toEqual(['x_good ']);
});

test('a command for one handler alone goes to no other', async () => {
  const bench = await opened({
    'one.ts': plainHandlerFile('a/+', "send('x', 'one');"),
    'other.ts': plainHandlerFile('a/b', "send('x', 'other');"),
  });
  bench.dispatch(command('a/b'), 1, { only: 'one', parts: [] });
  bench.dispatch(command('a/b'), 2, { only: 'gone', parts: [] });
  await bench.until(() => bench.handled.length === 2);
  expect(bench.texts).toEqual(['x_one ']);
  expect(bench.letters.map(({ handler, kind }) => [handler, kind])).toEqual([
    ['gone', 'no-handler'],
  ]);
});
