/** Who makes the load: `bellhop bench` of the same executable, or a native generator that is named. */
import type { BenchReport } from '../../core/bench/report.ts';
import { type Broker, SECRET } from './brokers.ts';
import type { Figures } from './results.ts';
import type { Scenario } from './scenarios.ts';

export interface Times {
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export interface Generator {
  readonly name: string;
  /** The command, and its environment beside that of the bench. */
  command(
    scenario: Scenario,
    broker: Broker,
    port: number,
    brokerPid: number,
    times: Times,
  ): { readonly command: readonly string[]; readonly env: { readonly [name: string]: string } };
  /** Reads what it printed. */
  read(output: string): Figures;
}

export function ownGenerator(binary: string): Generator {
  return {
    name: 'bellhop bench',
    command({ kind, options, form, tls }, { hasTokens }, port, brokerPid, times) {
      const written = Object.entries(options).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [`--${name}`, String(value)],
      );
      return {
        command: [
          ...[binary, 'bench', kind, '--json', '--mqtt-version', '3.1.1'],
          ...['--broker', `${tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${port}`, '--insecure'],
          ...['--broker-pid', String(brokerPid)],
          ...['--duration', `${times.seconds}s`, '--warm-up', `${times.warmUpSeconds}s`],
          ...(hasTokens ? [] : ['--anonymous']),
          ...(form === 'plugin' ? ['--no-handler'] : []),
          ...written,
        ],
        env: { JWT_SECRET: SECRET },
      };
    },
    read(output) {
      const report = JSON.parse(output) as BenchReport;
      const isStorm = report.scenario === 'storm';
      const latency = isStorm ? report.connectTime : report.latency;
      const { broker } = report;
      return {
        perSecond: isStorm ? report.connectsPerSecond : report.receivedPerSecond,
        p50: latency.p50,
        p99: latency.p99,
        lost: report.lost,
        brokerCpuPercent: broker?.cpuPercent ?? 0,
        brokerCpuEach:
          broker?.cpuMicrosecondsPerMessage ?? broker?.cpuMicrosecondsPerConnection ?? 0,
        residentEnd: broker?.residentEnd ?? 0,
        residentPerConnection: broker?.residentPerConnection ?? 0,
        generatorCpuPercent: report.generator.cpuPercent,
        bottleneck: report.bottleneck,
      };
    },
  };
}
