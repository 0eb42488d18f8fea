/** Who makes the load: `bellhop bench` of the same executable, or a native generator that is named. */
import type { BenchReport } from '../../core/bench/report.ts';
import { type Broker, SECRET } from './brokers.ts';
import type { Figures } from './results.ts';
import type { Scenario } from './scenarios.ts';

export interface Times {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** In which idle connections come to rest before their memory is read. */
  readonly idleSeconds: number;
}

export const fullTimes: Times = { seconds: 5, warmUpSeconds: 2, idleSeconds: 30 };
export const quickTimes: Times = { seconds: 1, warmUpSeconds: 0.5, idleSeconds: 2 };

export interface Generator {
  readonly name: string;
  can(scenario: Scenario): boolean;
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
    can: () => true,
    command({ kind, options, form, tls }, { hasTokens }, port, brokerPid, times) {
      const written = Object.entries(options).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [`--${name}`, String(value)],
      );
      return {
        command: [
          ...[binary, 'bench', kind, '--json', '--mqtt-version', '3.1.1'],
          ...['--broker', `${tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${port}`, '--insecure'],
          ...['--broker-pid', String(brokerPid)],
          ...['--duration', `${kind === 'idle' ? times.idleSeconds : times.seconds}s`],
          ...['--warm-up', `${times.warmUpSeconds}s`],
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
      // Nobody receives where subscribers are away: then it is what was acknowledged.
      const messages = report.expected > 0 ? report.receivedPerSecond : report.sentPerSecond;
      const latency = isStorm ? report.connectTime : report.latency;
      const { broker } = report;
      return {
        perSecond: isStorm ? report.connectsPerSecond : messages,
        p50: latency.p50,
        p99: latency.p99,
        lost: report.lost,
        ...(report.duplicates === undefined ? {} : { duplicates: report.duplicates }),
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
