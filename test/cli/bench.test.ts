/** What `bellhop bench` refuses before it connects, and how it ends early. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { readArguments, UsageError } from '../../core/cli/arguments.ts';
import { bench } from '../../core/cli/bench.ts';
import { MischievousBroker } from '../bench/mischief.ts';

setDefaultTimeout(60_000); // where something else has the processor, a process takes its time to start

const mistakes = [
  ['idle --publishers 3', 'idle takes no --publishers: it has --connections and --subscriptions'],
  ['command --subscribers 3', 'command takes no --subscribers: it has --publishers'],
  ['fan-out --pairs 3', 'fan-out takes no --pairs: it has --publishers and --subscribers'],
  ['pairs --duration 0s', '--duration is 0, but must be longer'],
  [
    'pairs --broker-pid 4194305',
    '--broker-pid is "4194305", but must be a process that /proc shows',
  ],
] as const;

test.each(mistakes)('bench %s is a usage error', async (written, detail) => {
  const given = readArguments(written.split(' '), bench.options, bench.operands);
  const running = bench.run(given);
  expect(running).rejects.toThrow(new UsageError(detail));
  await running.catch(() => {});
});

function spawnBench(
  port: number,
  more: readonly string[],
): Bun.Subprocess<'ignore', 'pipe', 'pipe'> {
  const index = Bun.fileURLToPath(new URL('../../index.ts', import.meta.url));
  const where = ['--broker', `mqtt://127.0.0.1:${port}`, '--anonymous', '--mqtt-version', '3.1.1'];
  return Bun.spawn([process.execPath, index, 'bench', 'pairs', ...where, ...more], {
    ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  });
}

/** Sends what Ctrl-C does, and resolves to what it wrote and how it ended. */
function interrupted(
  child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>,
): Promise<[out: string, err: string, code: number]> {
  child.kill('SIGINT');
  return Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
}

test('Ctrl-C ends it early, and it tells what was measured until then', async () => {
  const { promise: some, resolve } = Promise.withResolvers<void>();
  using broker = new MischievousBroker((count) => {
    if (count === 1_000) resolve();
    return 'pass';
  });
  const child = spawnBench(broker.port, [
    '--pairs',
    '1',
    '--warm-up',
    '0s',
    '--duration',
    '1h',
    '--json',
  ]);
  await some;
  const [out, err, code] = await interrupted(child);
  expect([code, err]).toEqual([130, '']);
  expect(JSON.parse(out)).toMatchObject({ scenario: 'pairs', lost: 0, disconnects: 0 });
});

test('Ctrl-C before anything was measured says so, and leaves nothing behind that goes on', async () => {
  for (const processes of ['1', '2']) {
    const { promise: some, resolve } = Promise.withResolvers<void>();
    using broker = new MischievousBroker((count) => {
      if (count === 100) resolve();
      return 'pass';
    });
    const more = ['--warm-up', '1h', '--pairs', processes, '--processes', processes];
    const child = spawnBench(broker.port, more);
    await some;
    const [out, err, code] = await interrupted(child);
    expect([code, out]).toEqual([130, '']);
    expect(err).toBe('bellhop: stopped before anything was measured\n');
  }
});

test('more connections than there are file descriptors for are refused, with what to do', async () => {
  const index = Bun.fileURLToPath(new URL('../../index.ts', import.meta.url));
  const storm = ['bench', 'storm', '--connections', '300', '--anonymous'];
  const refused = Bun.spawn(
    ['sh', '-c', 'ulimit -n 200 && exec "$@"', 'sh', process.execPath, index, ...storm],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  const [err, code] = await Promise.all([refused.stderr.text(), refused.exited]);
  expect(code).toBe(1);
  expect(err).toMatch(/^bellhop: 300 connections are more than the 200 file descriptors .+\n$/);
});
