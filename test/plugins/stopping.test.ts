/** How the pool stops, and what comes before it has started. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { Bench, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

describe('stopping', () => {
  test('what waits is done first, and nothing more is taken', async () => {
    const bench = await opened({ 'a.ts': handlerFile('a', "await null; send('x', 'a', input);") });
    for (let index = 0; index < 20; index++) bench.dispatch(command('a', `${index}`), index + 1);
    const stopped = bench.pool.stop(10_000);
    bench.dispatch(command('a', '99'), 99);
    await stopped;
    expect(bench.texts.length).toBe(20);
    expect(bench.pool.counters.dropped.stopped).toBe(1);
    expect(bench.handled.length).toBe(20);
  });

  test('what is not done in time is dropped, and what is stored is left for the next start', async () => {
    const bench = await opened({ 'a.ts': handlerFile('a', 'await new Promise(() => {});') });
    for (let number = 1; number <= 3; number++) bench.dispatch(command('a'), number);
    await bench.pool.stop(50);
    expect(bench.pool.counters.dropped.stopped).toBe(3);
    expect(bench.handled).toEqual([]);
  });

  test('while a plugin is still loading, nothing is left that keeps the process up', async () => {
    const program = Bun.spawn([process.execPath, join(import.meta.dir, 'stop-program.ts')], {
      stdout: 'pipe',
    });
    expect(await program.stdout.text()).toBe('stopped\n');
    expect(await program.exited).toBe(0);
  });

  test('a stored command that comes before the plugins are loaded waits for them', async () => {
    const bench = new Bench({ 'a.ts': plainHandlerFile('a', "send('x', 'a');") });
    bench.dispatch(command('a'), 1);
    bench.dispatch(command('gone'), 2);
    await bench.pool.start();
    await bench.until(() => bench.sent.length > 0);
    // Nobody is there for the other one, which is a dead letter now.
    expect(bench.handled).toEqual([2, 1]);
    expect(bench.letters.map(({ message, kind }) => [message, kind])).toEqual([[2, 'no-handler']]);
    expect(bench.pool.counters.dropped['no-handler']).toBe(1);
  });
});
