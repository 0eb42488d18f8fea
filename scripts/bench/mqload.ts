/** A native generator with the command line of `mqload`: its words for our scenarios, and its figures. */
import { SECRET } from './brokers.ts';
import type { Generator } from './generator.ts';
import type { Figures } from './results.ts';
import type { Scenario } from './scenarios.ts';

const scenarioNames = {
  'fan-out': 'fanout',
  'fan-in': 'fanin',
  pairs: 'pairs',
  command: 'reqresp',
  headline: 'headline',
  storm: 'storm',
  idle: 'idle',
} as const;

const optionNames: { readonly [option: string]: string } = {
  subscribers: '--subs',
  publishers: '--pubs',
  pairs: '--pairs',
  payload: '--payload',
  qos: '--qos',
  rate: '--rate',
  window: '--window',
  connections: '--conns',
  subscriptions: '--subscriptions',
};

/** Who is who, so that the rights of Bellhop hold; harmless to a broker without them. */
const identity: { readonly [kind: string]: readonly string[] } = {
  'fan-out': ['--sub-tmpl', 'bench-all', '--topic', 'bench-all_news'],
  'fan-in': ['--pub-tmpl', 'bench-d%d', '--topic', 'bench_command'],
  command: ['--request-topic', 'bench_command', '--reply-topic', '%s_bench_reply'],
};
const asHandler = '{"role":"handler"}';

/** What it has no word for. */
const unknown = ['levels', 'stored', 'absent'];

/**
 * It has no bystanders beside a fan-in, and its idle connections have exchanged nothing when their memory
 * is read.
 */
function canDo({ kind, options }: Scenario): boolean {
  if (kind === 'idle' || (kind === 'fan-in' && options.connections !== undefined)) return false;
  return !unknown.some((name) => name in options);
}

export function nativeGenerator(path: string): Generator {
  return {
    name: path.split('/').at(-1) ?? path,
    can: canDo,
    command({ kind, options, form, tls }, { hasTokens }, port, brokerPid, times) {
      const written = Object.entries(options).flatMap(([name, value]) => {
        const theirs =
          name === 'publishers' && kind === 'command' ? '--devices' : optionNames[name];
        return theirs === undefined ? [] : [theirs, String(value)];
      });
      const subscribesAsHandler = kind === 'fan-in';
      return {
        command: [
          ...[path, scenarioNames[kind], '--json-only', '--v', '4', '--port', String(port)],
          ...['--broker-pid', String(brokerPid), '--warmup', String(times.warmUpSeconds)],
          ...['--dur', String(times.seconds), ...(tls ? ['--tls'] : [])],
          ...(identity[kind] ?? []),
          ...(form === 'plugin' ? ['--no-handler'] : []),
          ...(hasTokens
            ? [
                ...['--username', 'JWT', '--jwt-secret', SECRET, '--handler-claims', asHandler],
                ...[subscribesAsHandler ? '--sub-claims' : '--pub-claims', asHandler],
              ]
            : []),
          ...written,
        ],
        env: {},
      };
    },
    read(output) {
      const found = /^JSON: (.*)$/m.exec(output)?.[1];
      if (found === undefined) throw new Error(output.trim());
      return figuresOf(JSON.parse(found) as Record<string, number | string>);
    },
  };
}

function figuresOf(found: Record<string, number | string>): Figures {
  const first = (...names: string[]): number => {
    for (const name of names) if (typeof found[name] === 'number') return found[name];
    return 0;
  };
  const isStorm = found.scenario === 'storm';
  return {
    perSecond: isStorm ? first('conn_per_s') : first('delivered_per_s', 'roundtrips_per_s'),
    p50: first('lat_p50_us'),
    p99: first('lat_p99_us'),
    lost: first('lost'),
    brokerCpuPercent: first('broker_cpu_pct'),
    brokerCpuEach: first('broker_cpu_us_per_msg', 'broker_cpu_us_per_rt', 'broker_cpu_us_per_conn'),
    residentEnd: first('rss_kb_after_load', 'rss_kb_connected') * 1_024,
    residentPerConnection: first('rss_bytes_per_conn'),
    generatorCpuPercent: first('gen_cpu_pct'),
    bottleneck: String(found.bottleneck ?? 'unknown'),
  };
}
