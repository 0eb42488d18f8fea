/** What a load test found: figures for programs, and the same in words. */
import { Histogram, type PackedHistogram } from './histogram.ts';
import type { BrokerSamples } from './leader.ts';
import type { MemberResult } from './member.ts';
import type { BenchOptions, Scenario } from './options.ts';

/** Of a core, from which on a process is taken for the bottleneck. */
const BUSY_PERCENT = 93;
/** How late messages of an open loop may leave before the latency says more about us than about the broker. */
const LATE_MICROSECONDS = 2_000;

/** In microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
}

export interface BrokerFigures {
  /** Of one core. */
  readonly cpuPercent: number;
  /** That arrived, or that was sent where nobody is there; undefined where there was none. */
  readonly cpuMicrosecondsPerMessage: number | undefined;
  readonly cpuMicrosecondsPerConnection: number;
  readonly residentStart: number;
  readonly residentConnected: number;
  readonly residentEnd: number;
  readonly residentPerConnection: number;
}

export interface BenchReport {
  readonly scenario: Scenario;
  readonly mqttVersion: '3.1.1' | '5.0';
  readonly qos: number;
  readonly payloadBytes: number;
  readonly rate: number | 'max';
  readonly processes: number;
  readonly connections: number;
  readonly connectSeconds: number;
  readonly connectsPerSecond: number;
  readonly connectTime: Latency;
  readonly seconds: number;
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  readonly bytesSentPerSecond: number;
  readonly bytesReceivedPerSecond: number;
  readonly latency: Latency;
  /** Of the whole run. */
  readonly sent: number;
  readonly expected: number;
  /** Each copy counts once, however often it came. */
  readonly received: number;
  /** Never came. Where duplicates are not checked, one of them may stand in for what did not. */
  readonly lost: number;
  /** Undefined where nobody checked. */
  readonly duplicates: number | undefined;
  readonly outOfOrder: number | undefined;
  readonly refused: number;
  readonly foreign: number;
  readonly stalls: number;
  readonly disconnects: number;
  readonly firstFailure: string | undefined;
  readonly generator: {
    /** Of one core, in the process that was busiest. Says nothing where there is a rate: then it goes round and round. */
    readonly cpuPercent: number;
    readonly lagP99: number;
    readonly latenessP99: number;
  };
  readonly broker: BrokerFigures | undefined;
  readonly bottleneck: 'generator' | 'broker' | 'both' | 'neither' | 'unknown';
}

export function makeReport(
  options: BenchOptions,
  results: readonly MemberResult[],
  connectSeconds: number,
  samples: BrokerSamples | undefined,
): BenchReport {
  const total = (of: (result: MemberResult) => number): number =>
    results.reduce((before, each) => before + of(each), 0);
  const most = (of: (result: MemberResult) => number): number => Math.max(...results.map(of));
  const merged = (of: (result: MemberResult) => PackedHistogram): Histogram => {
    const histogram = new Histogram();
    for (const result of results) histogram.add(of(result));
    return histogram;
  };
  const seconds = most(({ seconds }) => seconds);
  const perSecond = (count: number): number => (seconds === 0 ? 0 : count / seconds);
  const isRated = options.rate !== undefined;
  const generator = {
    cpuPercent: most(({ cpuSeconds, seconds }) =>
      seconds === 0 ? 0 : (cpuSeconds / seconds) * 100,
    ),
    lagP99: merged(({ lag }) => lag).percentile(0.99) / 10,
    latenessP99: merged(({ lateness }) => lateness).percentile(0.99) / 10,
  };
  const connections = total(({ connections }) => connections);
  const expected = total(({ counts }) => counts.expected);
  const received = total(({ counts }) => counts.received);
  const measured = total(({ received }) => received);
  const sent = total(({ sent }) => sent);
  const messages = options.absent ? sent : measured;
  const broker = samples && brokerFigures(samples, seconds, messages, connections);
  const isGeneratorBusy = isRated
    ? generator.latenessP99 > LATE_MICROSECONDS
    : generator.cpuPercent >= BUSY_PERCENT;
  return {
    scenario: options.scenario,
    mqttVersion: options.version === 5 ? '5.0' : '3.1.1',
    qos: options.qos,
    payloadBytes: options.payloadBytes,
    rate: options.rate ?? 'max',
    processes: results.length,
    connections,
    connectSeconds,
    connectsPerSecond: connectSeconds === 0 ? 0 : connections / connectSeconds,
    connectTime: latencyOf(merged(({ connectTimes }) => connectTimes)),
    seconds,
    sentPerSecond: perSecond(sent),
    receivedPerSecond: perSecond(measured),
    bytesSentPerSecond: perSecond(total(({ bytesSent }) => bytesSent)),
    bytesReceivedPerSecond: perSecond(total(({ bytesReceived }) => bytesReceived)),
    latency: latencyOf(merged(({ latency }) => latency)),
    sent: total(({ counts }) => counts.sent),
    expected,
    received,
    lost: expected - received,
    duplicates: results.every(({ areDuplicatesChecked }) => areDuplicatesChecked)
      ? total(({ duplicates }) => duplicates)
      : undefined,
    outOfOrder: results.every(({ isOrderChecked }) => isOrderChecked)
      ? total(({ outOfOrder }) => outOfOrder)
      : undefined,
    refused: total(({ refused }) => refused),
    foreign: total(({ foreign }) => foreign),
    stalls: total(({ stalls }) => stalls),
    disconnects: total(({ disconnects }) => disconnects),
    firstFailure: results.find(({ firstFailure }) => firstFailure !== undefined)?.firstFailure,
    generator,
    broker,
    bottleneck: bottleneck(isGeneratorBusy, broker),
  };
}

/** In microseconds, of a histogram in ticks of 100 ns. */
function latencyOf(histogram: Histogram): Latency {
  const at = (share: number): number => histogram.percentile(share) / 10;
  return {
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    p999: at(0.999),
    max: histogram.maximum / 10,
    mean: histogram.mean / 10,
    count: histogram.count,
  };
}

function brokerFigures(
  { start, connected, from, to, end }: BrokerSamples,
  seconds: number,
  messages: number,
  connections: number,
): BrokerFigures {
  const connecting = connected.cpuSeconds - start.cpuSeconds;
  const loaded = to.cpuSeconds - from.cpuSeconds;
  const cpuPercent = seconds === 0 ? 0 : (loaded / seconds) * 100;
  return {
    cpuPercent,
    cpuMicrosecondsPerMessage: messages === 0 ? undefined : (loaded * 1e6) / messages,
    cpuMicrosecondsPerConnection: (connecting * 1e6) / Math.max(1, connections),
    residentStart: start.residentBytes,
    residentConnected: connected.residentBytes,
    residentEnd: end.residentBytes,
    residentPerConnection: (end.residentBytes - start.residentBytes) / Math.max(1, connections),
  };
}

function bottleneck(
  isGeneratorBusy: boolean,
  broker: BrokerFigures | undefined,
): BenchReport['bottleneck'] {
  if (broker === undefined) return isGeneratorBusy ? 'generator' : 'unknown';
  const isBrokerBusy = broker.cpuPercent >= BUSY_PERCENT;
  if (isBrokerBusy) return isGeneratorBusy ? 'both' : 'broker';
  return isGeneratorBusy ? 'generator' : 'neither';
}

/**
 * Whether the run went as it should: at QoS 1 and 2 all arrived, once and in order, and nobody was cut
 * off. Nobody reconnects here, so that nothing has a reason to come twice.
 */
export function isSound(report: BenchReport): boolean {
  const { qos, lost, duplicates = 0, outOfOrder = 0, disconnects } = report;
  return disconnects === 0 && (qos === 0 || (lost === 0 && duplicates === 0 && outOfOrder === 0));
}
