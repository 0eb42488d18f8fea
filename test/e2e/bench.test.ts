/** `bellhop bench` as a process: each scenario against a broker of its own, in counts and never in times. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchReport } from '../../core/bench/report.ts';
import { Broker, Folder, freePorts, run } from './executable.ts';

setDefaultTimeout(60_000);

const echo = `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'echo_command', decode: 'bytes', reply: 'echoed', run: ({ input }) => input });
`;

let folder: Folder;
let broker: Broker;
beforeAll(async () => {
  folder = new Folder();
  mkdirSync(`${folder.path}/plugins`);
  folder.write('plugins/echo.ts', echo);
  broker = await Broker.start(folder);
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const short = ['--duration', '200ms', '--warm-up', '50ms', '--json'];
const plain = () => ['--broker', `mqtt://127.0.0.1:${broker.mqttPort}`];
const secure = () => ['--broker', `mqtts://localhost:${broker.mqttsPort}`];

async function bench(...written: string[]): Promise<BenchReport> {
  const { code, out, err } = await run(folder, ['bench', ...written, ...short]);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as BenchReport;
}

/** All that was sent arrived, once and in order, on connections that held. */
function expectAll(report: BenchReport, copies: number): void {
  const { sent, received, lost, duplicates, outOfOrder, disconnects, refused, foreign } = report;
  expect({ lost, duplicates, outOfOrder, disconnects, refused, foreign }).toEqual({
    ...{ lost: 0, duplicates: 0, outOfOrder: 0, disconnects: 0, refused: 0, foreign: 0 },
  });
  expect(sent).toBeGreaterThan(0);
  expect(received).toBe(sent * copies);
  expect(report.latency.p999).toBeGreaterThanOrEqual(report.latency.p99);
}

test.each([
  { qos: '0', version: '3.1.1' },
  { qos: '1', version: '5' },
  { qos: '2', version: '3.1.1' },
  { qos: '2', version: '5' },
])('fan-out at QoS $qos in MQTT $version reaches every subscriber', async ({ qos, version }) => {
  const more = ['--subscribers', '5', '--qos', qos, '--mqtt-version', version];
  const report = await bench('fan-out', ...plain(), ...more);
  expect(report).toMatchObject({ scenario: 'fan-out', connections: 6, qos: Number(qos) });
  expectAll(report, 5);
});

test('fan-in at QoS 1 loses no command', async () => {
  const report = await bench('fan-in', ...plain(), '--publishers', '4', '--qos', '1');
  expect(report.connections).toBe(5);
  expectAll(report, 1);
});

test('pairs over TLS, with connections that only hold subscriptions beside them', async () => {
  const more = ['--pairs', '3', '--connections', '4', '--subscriptions', '90', '--levels', '4'];
  const report = await bench('pairs', ...secure(), ...more, '--qos', '1', '--payload', '2000');
  expect(report.connections).toBe(10);
  expectAll(report, 1);
});

test('commands are answered by a handler of the load test, and by a plugin of the broker', async () => {
  for (const qos of ['0', '1']) {
    const common = [...plain(), '--publishers', '5', '--qos', qos];
    const own = await bench('command', ...common);
    expect(own.connections).toBe(6);
    expectAll(own, 1);
    const plugin = ['--no-handler', '--command', 'echo_command', '--reply', 'echoed'];
    const theirs = await bench('command', ...common, ...plugin);
    expect(theirs.connections).toBe(5);
    expectAll(theirs, 1);
  }
});

test('headline goes at its rate to connections in two processes', async () => {
  const more = ['--connections', '7', '--subscriptions', '30', '--publishers', '4'];
  const report = await bench('headline', ...plain(), ...more, '--rate', '500', '--processes', '2');
  expect(report).toMatchObject({ connections: 11, processes: 2, rate: 500 });
  expectAll(report, 1);
});

test('storm connects everybody, over TLS too', async () => {
  for (const where of [plain(), secure()]) {
    const report = await bench(
      'storm',
      ...where,
      '--connections',
      '25',
      '--broker-pid',
      String(broker.pid),
    );
    expect(report).toMatchObject({ connections: 25, disconnects: 0, sent: 0 });
    expect(report.connectTime.count).toBe(25);
    expect(report.broker?.residentStart).toBeGreaterThan(1_000_000);
  }
});

test('a certificate that is not trusted ends it, unless nobody minds', async () => {
  using elsewhere = new Folder();
  const env = { JWT_SECRET: readFileSync(join(folder.path, 'data', 'jwt-secret'), 'utf8').trim() };
  const args = ['bench', 'storm', ...secure(), '--connections', '3', ...short];
  const refused = await run(elsewhere, args, { env });
  expect([refused.code, refused.out]).toEqual([1, '']);
  expect(refused.err).toMatch(/^bellhop: TLS: .*certificate.*\n$/);
  const lenient = await run(elsewhere, [...args, '--insecure'], { env });
  expect([lenient.code, lenient.err]).toEqual([0, '']);
  const cafile = ['--cafile', join(folder.path, 'data', 'tls.crt')];
  const trusted = await run(elsewhere, [...args, ...cafile], { env });
  expect([trusted.code, trusted.err]).toEqual([0, '']);
});

test('idle sends one message to each connection, also from several processes', async () => {
  for (const processes of ['1', '3']) {
    const report = await bench('idle', ...plain(), '--connections', '20', '--processes', processes);
    expect(report).toMatchObject({ connections: 20 + Number(processes), sent: 20, received: 20 });
  }
});

test('stored sessions get all of it as well', async () => {
  const report = await bench('pairs', ...plain(), '--pairs', '3', '--qos', '1', '--stored');
  expectAll(report, 1);
});

test('what is acknowledged for subscribers that are away is counted as sent', async () => {
  const absent = ['--pairs', '3', '--qos', '1', '--stored', '--absent'];
  const report = await bench('pairs', ...plain(), ...absent);
  expect(report).toMatchObject({ connections: 6, expected: 0, received: 0, lost: 0, refused: 0 });
  expect(report.sent).toBeGreaterThan(0);
});

test('without --json it is told in words', async () => {
  const args = ['bench', 'fan-out', ...plain(), '--subscribers', '2', ...short.slice(0, 4)];
  const { code, out, err } = await run(folder, args);
  expect([code, err]).toEqual([0, '']);
  expect(out).toStartWith('fan-out: MQTT 5.0, QoS 0, 64 B, as fast as it goes, 3 connections\n');
  expect(out).toContain('lost, 0 duplicates, 0 out of order, 0 refused, 0 disconnected');
});

test('what cannot be is said in one line', async () => {
  const [port = 0] = await freePorts(1);
  const cases: [string[], number, string][] = [
    [['sideways'], 2, 'there is no scenario "sideways"'],
    [['fan-out', '--payload', '15'], 2, '--payload is 15'],
    [['fan-out', '--broker', 'mqtt://192.0.2.1'], 2, 'another machine'],
    [['fan-out', '--broker', 'ws://127.0.0.1'], 2, 'mqtts://host:port'],
    [['fan-out', ...plain(), '--anonymous'], 1, 'BadUserNameOrPassword'],
    [['fan-out', '--broker', `mqtt://127.0.0.1:${port}`], 1, `127.0.0.1 port ${port}: `],
    [['storm', ...plain(), '--processes', '2', '--anonymous'], 1, 'BadUserNameOrPassword'],
    [['fan-in', ...plain(), '--processes', '2'], 2, 'name a --rate'],
    [['pairs', ...plain(), '--stored', '--absent'], 2, '--absent goes with'],
  ];
  for (const [written, code, detail] of cases) {
    const finished = await run(folder, ['bench', ...written, ...short]);
    expect([finished.code, finished.out]).toEqual([code, '']);
    expect(finished.err).toMatch(/^bellhop: .+\n$/);
    expect(finished.err).toContain(detail);
  }
});
