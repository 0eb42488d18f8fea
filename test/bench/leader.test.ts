/** A whole load test in this process, against a broker that loses, repeats, swaps and cuts on purpose. */
import { expect, test } from 'bun:test';
import { lead } from '../../core/bench/leader.ts';
import { LocalMember } from '../../core/bench/member.ts';
import type { BenchOptions } from '../../core/bench/options.ts';
import { WHOLE } from '../../core/bench/plan.ts';
import { type BenchReport, isSound } from '../../core/bench/report.ts';
import { reportText } from '../../core/bench/report-text.ts';
import { type Mischief, MischievousBroker } from './mischief.ts';

const MESSAGES = 20;

/** A single pair, at a rate that comes to some twenty messages; four at the least. */
async function runAgainst(
  mischief: Mischief,
  more: Partial<BenchOptions> = {},
  stopped: AbortSignal = new AbortController().signal,
): Promise<BenchReport> {
  using broker = new MischievousBroker(mischief);
  const options: BenchOptions = {
    ...{ scenario: 'pairs', version: 4, qos: 1, payloadBytes: 32, rate: MESSAGES / 0.1, window: 4 },
    ...{ publishers: 1, subscribers: 1, connections: 0, subscriptions: 0, handler: true },
    ...{ levels: 1, command: 'ask', reply: 'answer', userTemplate: 'u-%d', separator: '_' },
    ...{
      stored: false,
      absent: false,
      keepAliveSeconds: 0,
      warmUpSeconds: 0,
      durationSeconds: 0.1,
    },
    ...{ drainSeconds: 0.05, ...more },
  };
  const target = { hostname: '127.0.0.1', port: broker.port, tls: undefined };
  const member = new LocalMember(options, WHOLE, {
    dial: { targets: [target], parallel: 8, perSecond: undefined, timeoutSeconds: 10 },
    run: 42,
    credentials: async () => ({ userName: undefined, password: undefined }),
  });
  return await lead([member], options, {
    brokerPids: [],
    settleSeconds: 0,
    stopped,
    progress: () => {},
  });
}

test('where nothing goes wrong, nothing is found', async () => {
  const report = await runAgainst(() => 'pass');
  expect(report).toMatchObject({
    ...{ lost: 0, duplicates: 0, outOfOrder: 0, disconnects: 0, foreign: 0 },
  });
  expect(report.sent).toBeGreaterThan(0);
  expect(isSound(report)).toBe(true);
});

test('a message that is lost is missed, and at QoS 1 that is a failure', async () => {
  const report = await runAgainst((count) => (count === 1 ? 'lose' : 'pass'));
  expect(report).toMatchObject({ lost: 1, duplicates: 0, outOfOrder: 0 });
  expect(report.received).toBe(report.expected - 1);
  expect(isSound(report)).toBe(false);
  expect(reportText(report)).toContain(
    `1 of ${report.expected} lost, 0 duplicates, 0 out of order`,
  );
  const atQoS0 = await runAgainst((count) => (count === 1 ? 'lose' : 'pass'), { qos: 0 });
  expect([atQoS0.lost, isSound(atQoS0)]).toEqual([1, true]);
});

test('a closed loop goes on where a message is lost', async () => {
  const report = await runAgainst((count) => (count === 3 ? 'lose' : 'pass'), { rate: undefined });
  expect(report.lost).toBe(1);
  expect(report.received).toBeGreaterThan(3);
});

test('a message that comes twice is a duplicate, and takes no place of one that is lost', async () => {
  const twice = await runAgainst((count) => (count === 1 ? 'twice' : 'pass'));
  expect(twice).toMatchObject({ lost: 0, duplicates: 1, outOfOrder: 0 });
  expect([twice.received, isSound(twice)]).toEqual([twice.expected, false]);
  expect(reportText(twice)).toContain(`0 of ${twice.expected} lost, 1 duplicates`);
  const both = await runAgainst((count) => (['lose', 'twice'] as const)[count - 1] ?? 'pass');
  expect(both).toMatchObject({ lost: 1, duplicates: 1, outOfOrder: 0 });
  expect([both.received, isSound(both)]).toEqual([both.expected - 1, false]);
});

test('duplicates are counted to the last one, which comes when all that was missing is there', async () => {
  const report = await runAgainst(() => 'twice');
  expect(report).toMatchObject({ lost: 0, duplicates: report.sent, outOfOrder: 0 });
  expect(report.received).toBe(report.sent);
});

test('a message that comes after a later one is out of order, and neither lost nor a duplicate', async () => {
  const swapped = await runAgainst((count) => (count === 1 ? 'later' : 'pass'));
  expect(swapped).toMatchObject({ lost: 0, duplicates: 0, outOfOrder: 1 });
  expect(isSound(swapped)).toBe(false);
});

test('where each message goes to another connection, losses and duplicates are told apart as well', async () => {
  const scattered: Partial<BenchOptions> = {
    ...{ scenario: 'headline', publishers: 2, subscribers: 0, connections: 5 },
    subscriptions: 15,
  };
  const report = await runAgainst(
    (count) => (['lose', 'twice', 'twice'] as const)[count - 1] ?? 'pass',
    scattered,
  );
  expect(report).toMatchObject({ lost: 1, duplicates: 2, outOfOrder: 0, disconnects: 0 });
  expect(report.received).toBe(report.expected - 1);
});

test('a connection that is cut is told with its reason, and is a failure at any QoS', async () => {
  const report = await runAgainst((count) => (count === 1 ? 'cut' : 'pass'), { qos: 0 });
  expect(report).toMatchObject({ disconnects: 1, received: 0 });
  expect(isSound(report)).toBe(false);
  expect(reportText(report)).toContain('! first failure: the broker closed the connection\n');
});

test('a run that is stopped tells what was measured until then', async () => {
  const stop = new AbortController();
  const report = await runAgainst(
    (count) => {
      if (count === 10) stop.abort();
      return 'pass';
    },
    { rate: undefined, durationSeconds: 3_600 },
    stop.signal,
  );
  expect(report.seconds).toBeLessThan(3_600);
  expect(report.sent).toBeGreaterThanOrEqual(10);
  expect([report.lost, isSound(report)]).toEqual([0, true]);
});

test('a run that is stopped before anything was measured says so', async () => {
  const stop = new AbortController();
  const running = runAgainst(
    () => {
      stop.abort();
      return 'pass';
    },
    { warmUpSeconds: 3_600 },
    stop.signal,
  );
  expect(running).rejects.toThrow('stopped before anything was measured');
  await running.catch(() => {});
  const atOnce = runAgainst(() => 'pass', {}, AbortSignal.abort());
  expect(atOnce).rejects.toThrow('stopped before anything was measured');
  await atOnce.catch(() => {});
});

test('where nothing arrives at all, the report asks why', async () => {
  const report = await runAgainst(() => 'lose', { qos: 0 });
  expect(reportText(report)).toContain('! none of what was sent arrived');
});

test('every form of a report can be told', async () => {
  const report = await runAgainst(() => 'pass');
  const broker = {
    ...{ cpuPercent: 50, cpuMicrosecondsPerMessage: 2, cpuMicrosecondsPerConnection: 30 },
    ...{ residentStart: 2 ** 20, residentConnected: 2 ** 21, residentEnd: 2 ** 22 },
    residentPerConnection: 5_000,
  };
  const busy = { ...report, rate: 'max' as const, broker, bottleneck: 'generator' as const };
  expect(reportText(busy)).toContain('! this load test was itself the bottleneck');
  expect(reportText(busy)).toContain('50 % of a core, 2.00 us a message');
  const storm = reportText({ ...busy, scenario: 'storm', outOfOrder: undefined });
  expect(storm).toContain('4.88 KiB a connection');
  expect(storm).not.toContain('latency');
  const slow = reportText({ ...report, rate: 500, sentPerSecond: 400 });
  expect(slow).toContain('! only 400 of 500 messages a second could be sent');
});
