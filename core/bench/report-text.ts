/** The report of a load test for people. */
import type { BenchReport, Latency } from './report.ts';

export function reportText(report: BenchReport): string {
  const { scenario, mqttVersion, qos, payloadBytes, rate, connections, processes } = report;
  const how = scenario === 'storm' ? '' : `, QoS ${qos}, ${bytes(payloadBytes)}, ${paceOf(rate)}`;
  const many = processes === 1 ? '' : `, ${processes} processes`;
  const lines = [
    `${scenario}: MQTT ${mqttVersion}${how}, ${number(connections)} connections${many}`,
    row('connecting', `${number(report.connectsPerSecond)}/s, ${latency(report.connectTime)}`),
    ...(scenario === 'storm' ? [] : loadLines(report)),
    ...brokerLines(report),
    ...warnings(report).map((warning) => `! ${warning}`),
  ];
  return `${lines.join('\n')}\n`;
}

function paceOf(rate: BenchReport['rate']): string {
  return rate === 'max' ? 'as fast as it goes' : `${number(rate)} a second`;
}

function loadLines(report: BenchReport): string[] {
  const { lost, expected, duplicates, outOfOrder, disconnects, refused } = report;
  const losses =
    duplicates === undefined
      ? `${number(lost)} of ${number(expected)} lost or balanced by duplicates`
      : `${number(lost)} of ${number(expected)} lost, ${number(duplicates)} duplicates`;
  const order =
    outOfOrder === undefined ? 'order not checked' : `${number(outOfOrder)} out of order`;
  return [
    row(
      'messages',
      `${number(report.sentPerSecond)}/s sent, ${number(report.receivedPerSecond)}/s received, over ${report.seconds.toFixed(1)} s`,
    ),
    row(
      'bytes',
      `${bytes(report.bytesSentPerSecond)}/s sent, ${bytes(report.bytesReceivedPerSecond)}/s received`,
    ),
    row('latency', latency(report.latency)),
    row(
      'in all',
      `${losses}, ${order}, ${number(refused)} refused, ${number(disconnects)} disconnected`,
    ),
  ];
}

function brokerLines({ broker, scenario }: BenchReport): string[] {
  if (broker === undefined) return [];
  const { cpuMicrosecondsPerMessage: perMessage } = broker;
  const each =
    perMessage === undefined
      ? `${broker.cpuMicrosecondsPerConnection.toFixed(0)} us a connection`
      : `${perMessage.toFixed(2)} us a message`;
  // Elsewhere it is the messages that take the memory.
  const perConnection =
    scenario === 'idle' || scenario === 'storm'
      ? `: ${bytes(broker.residentPerConnection)} a connection`
      : '';
  return [
    row('broker', `${broker.cpuPercent.toFixed(0)} % of a core, ${each}`),
    row(
      'its memory',
      `${bytes(broker.residentStart)}, connected ${bytes(broker.residentConnected)}, at the end ${bytes(broker.residentEnd)}${perConnection}`,
    ),
  ];
}

function warnings(report: BenchReport): string[] {
  const { generator, bottleneck, rate, sentPerSecond, scenario, stalls, foreign } = report;
  const found: string[] = [];
  if (bottleneck === 'generator' || bottleneck === 'both') {
    found.push(
      rate === 'max'
        ? `this load test was itself the bottleneck (${generator.cpuPercent.toFixed(0)} % of a core): the broker may do more; try --processes`
        : `this load test was itself late (1 % of messages by ${duration(generator.latenessP99)} or more): the latencies are partly its own`,
    );
  }
  if (
    rate !== 'max' &&
    scenario !== 'storm' &&
    scenario !== 'idle' &&
    sentPerSecond < rate * 0.98
  ) {
    found.push(`only ${number(sentPerSecond)} of ${number(rate)} messages a second could be sent`);
  }
  if (report.expected > 0 && report.received === 0) {
    found.push('none of what was sent arrived: does somebody handle it, and may it be sent there?');
  }
  if (stalls > 0) found.push(`nothing came for a second, ${stalls} times`);
  if (foreign > 0) found.push(`${number(foreign)} messages came that were not of this run`);
  if (report.disconnects > 0 && report.firstFailure !== undefined) {
    found.push(`first failure: ${report.firstFailure}`);
  }
  return found;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(11)} ${text}`;
}

function latency({ count, p50, p90, p99, p999, max }: Latency): string {
  if (count === 0) return 'none';
  return `p50 ${duration(p50)}, p90 ${duration(p90)}, p99 ${duration(p99)}, p99.9 ${duration(p999)}, max ${duration(max)}`;
}

/** Three digits or so of a time in microseconds. */
export function duration(microseconds: number): string {
  if (microseconds < 1_000) return `${microseconds.toFixed(0)} us`;
  if (microseconds < 1e6) return `${(microseconds / 1_000).toPrecision(3)} ms`;
  return `${(microseconds / 1e6).toPrecision(3)} s`;
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let left = value;
  for (; Math.abs(left) >= 1_024 && unit < units.length - 1; unit++) left /= 1_024;
  return `${unit === 0 ? left.toFixed(0) : left.toPrecision(3)} ${units[unit]}`;
}
