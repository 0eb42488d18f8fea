/** Handlers that do their worst, and who stands beside them. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { by, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

describe('a handler cannot stop the broker', () => {
  const hostile = {
    loop: 'for (;;);',
    promise: 'await new Promise(() => {});',
    deaf: "signal.addEventListener('abort', () => { for (;;); }); await new Promise(() => {});",
    exit: 'process.exit(3);',
    'late exit': 'await null; process.exit(0);',
    kill: 'setTimeout(() => process.exit(4)); await new Promise(() => {});',
  };
  for (const [name, body] of Object.entries(hostile)) {
    test(`by ${name}: it alone fails, and what stood beside it is done`, async () => {
      const bench = await opened(
        {
          'hostile.ts': handlerFile('hostile', body),
          'fine.ts': plainHandlerFile('fine', "send('x', 'fine', input);"),
        },
        { timeoutMs: 200 },
      );
      const fine = [...Array(50).keys()].map((index) => command('fine', `${index}`));
      await bench.run(...fine.slice(0, 25), command('hostile'), ...fine.slice(25));
      expect(bench.texts).toEqual(fine.map((_, index) => `x_fine ${index}`));
      const [fault, ...others] = bench.ofKind('run-failed').map((event) => event.fault.kind);
      expect(fault).toBe(/exit|kill/.test(name) ? 'worker-lost' : 'timeout');
      expect(others).toEqual([]);
      // What only waits is given up without ending anything.
      expect(bench.pool.counters.workersReplaced).toBe(name === 'promise' ? 0 : 1);
      expect(bench.pool.counters.queuedCommands).toBe(0);
    });
  }

  test('one that gives up when its signal says so keeps its worker', async () => {
    const bench = await opened(
      {
        'slow.ts': handlerFile(
          'slow',
          "send('x', 'late'); await new Promise((resolve) => signal.addEventListener('abort', resolve));",
        ),
      },
      { timeoutMs: 100 },
    );
    await bench.run(command('slow'));
    expect(bench.faults).toEqual(['timeout slow.ts: took longer than 100 ms']);
    expect(bench.texts).toEqual([]);
    expect(bench.pool.counters.workersReplaced).toBe(0);
  });

  test('a timer that is left behind and blocks the worker costs a worker, and no command', async () => {
    const bench = await opened(
      {
        'a.ts': handlerFile('leave', "setTimeout(() => { log.info('here'); for (;;); });"),
        'b.ts': plainHandlerFile('fine', "send('x', 'fine');"),
      },
      { timeoutMs: 200 },
    );
    await bench.run(command('leave'));
    await bench.until(() => bench.ofKind('handler-log').length === 1);
    await bench.run(command('fine'), command('fine'));
    expect(bench.texts).toEqual(['x_fine ', 'x_fine ']);
    expect(bench.faults).toEqual([]);
    expect(bench.pool.counters.workersReplaced).toBe(1);
  });

  test('what is left behind and blocks the worker does not get the time that runs have', async () => {
    const bench = await opened(
      {
        'a.ts': handlerFile('leave', "setTimeout(() => { log.info('here'); for (;;); });"),
        'b.ts': plainHandlerFile('fine', "send('x', 'fine');"),
      },
      { timeoutMs: 3_600_000 },
    );
    await bench.run(command('leave'));
    await bench.until(() => bench.ofKind('handler-log').length === 1);
    await bench.run(command('fine'));
    expect(bench.texts).toEqual(['x_fine ']);
    expect(bench.ofKind('worker-replaced').map((event) => event.detail)).toEqual([
      'what a run left behind blocked it for 2000 ms',
    ]);
  });

  test('what is left behind and throws is reported, and the worker goes on', async () => {
    const program = join(import.meta.dir, 'stray-program.ts');
    const { stdout, exited } = Bun.spawn([process.execPath, program], { stdout: 'pipe' });
    expect((await stdout.text()).trim().split('\n').sort()).toEqual([
      '0 workers replaced',
      'a.ts:5: alone',
      'a.ts:5: from a timer',
      'b.ts:5: the run is over: await what must happen within it',
      'sent x_still here ',
    ]);
    expect(await exited).toBe(0);
  });

  test('a flood of what is left behind is told in part, and does not come to the loop', async () => {
    const program = join(import.meta.dir, 'stray-flood-program.ts');
    const { stdout, exited } = Bun.spawn([process.execPath, program], { stdout: 'pipe' });
    expect((await stdout.text()).trim().split('\n')).toEqual([
      'few are told',
      'further errors within this second are left out',
    ]);
    expect(await exited).toBe(0);
  });
});

describe('several workers', () => {
  test('keep the order of each user', async () => {
    const bench = await opened(
      {
        'a.ts': handlerFile(
          'a',
          "await new Promise((resolve) => setTimeout(resolve, input % 3)); send('x', user.id, input);",
        ),
      },
      { workers: 4 },
    );
    const messages = [];
    for (let index = 0; index < 200; index++) {
      messages.push(command('a', `${index}`, by(`user${index % 7}`)));
    }
    await bench.run(...messages);
    expect(bench.sent.length).toBe(200);
    const byUser = Map.groupBy(bench.texts, (text) => text.split(' ')[0]);
    for (const texts of byUser.values()) {
      const numbers = texts.map((text) => Number(text.split(' ')[1]));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  test('a slow handler of one user holds up nobody else', async () => {
    const bench = await opened(
      {
        'slow.ts': handlerFile(
          'slow',
          "await new Promise((resolve) => signal.addEventListener('abort', resolve));",
        ),
        'fast.ts': plainHandlerFile('fast', "send('x', 'fast');"),
      },
      { workers: 2, timeoutMs: 2_000 },
    );
    bench.dispatch(command('slow', '', by('sam')), 0);
    for (let index = 0; index < 50; index++) await bench.run(command('fast', '', by('fay')));
    expect(bench.texts.length).toBe(50);
    expect(bench.countersOf('slow').failed.timeout).toBe(0);
  });
});
