/** What is measured: the table, single figures, and how costs grow. One name in each for both generators. */
import type { Measure } from './results.ts';

/** Options as `bellhop bench` has them; `mqload.ts` has its own words for them. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly kind: 'fan-out' | 'fan-in' | 'pairs' | 'command' | 'headline' | 'storm' | 'idle';
  readonly options: { readonly [option: string]: string | number | true };
  readonly tls?: boolean;
  /** How many times the broker has met the same load when it counts: it compiles its code as it runs. */
  readonly warmUps?: number;
  /** Which form of a broker takes part: with its store on disk, or with a handler in the process. */
  readonly form?: 'durable' | 'plugin';
}

export interface Row extends Scenario {
  /** How many times Mosquitto's throughput Bellhop is to reach. */
  readonly target: number;
  /** The scenario of Mosquitto's that this is held against, where it cannot do the same. */
  readonly against?: string;
}

/** What else is asked of Bellhop than a multiple of Mosquitto's throughput. */
export const goals = {
  headlineRate: 5_000,
  millionRate: 100_000,
  connectsPerSecond: 10_000,
  /** Of what bare TLS handshakes reach. */
  tlsShare: 0.9,
  idleTcpBytes: 4_000,
  idleTlsBytes: 12_000,
} as const;

/** A series of scenarios in which one amount grows. */
export interface Curve {
  readonly id: string;
  readonly title: string;
  readonly axis: string;
  readonly scenarios: readonly (Scenario & { readonly x: number })[];
  readonly charts: readonly CurveChart[];
  /** Brokers that take part; Bellhop alone where this is not set. */
  readonly withPeers?: boolean;
}

export interface CurveChart {
  readonly file: string;
  readonly title: string;
  readonly measure: Measure;
  readonly unit: string;
  /** What one unit of the chart is in that of the measure. */
  readonly scale: number;
  /**
   * The power of the amount with which the measure grows where the cost of it all is linear: 1, and 0 where
   * the measure is that of one of so many. Undefined where it is no cost.
   */
  readonly linear: number | undefined;
}

export interface Sizes {
  readonly connections: number;
  readonly subscriptions: number;
  readonly stormConnections: number;
  readonly millionSubscriptions: number;
  readonly curveConnections: readonly number[];
  readonly curveSubscriptions: readonly number[];
  readonly curveLevels: readonly number[];
  readonly curveFanOut: readonly number[];
  readonly curvePayload: readonly number[];
}

export const fullSizes: Sizes = {
  connections: 15_000,
  subscriptions: 50_000,
  stormConnections: 10_000,
  millionSubscriptions: 1_000_000,
  curveConnections: [1_000, 2_000, 4_000, 8_000, 15_000],
  curveSubscriptions: [1_000, 10_000, 100_000, 1_000_000],
  curveLevels: [1, 2, 4, 8, 16, 32, 64],
  curveFanOut: [1, 10, 100, 1_000, 10_000],
  curvePayload: [16, 256, 4_096, 65_536, 1_048_576],
};

export const quickSizes: Sizes = {
  connections: 1_500,
  subscriptions: 5_000,
  stormConnections: 1_000,
  millionSubscriptions: 20_000,
  curveConnections: [250, 500, 1_000],
  curveSubscriptions: [1_000, 10_000],
  curveLevels: [1, 8, 64],
  curveFanOut: [1, 30, 1_000],
  curvePayload: [16, 4_096, 262_144],
};

export function sizesOf({ isQuick }: { readonly isQuick: boolean }): Sizes {
  return isQuick ? quickSizes : fullSizes;
}

const words = (value: number): string => value.toLocaleString('en');

export function tableOf({ connections, subscriptions }: Sizes): readonly Row[] {
  const pairs = (qos: number, target: number): Row => ({
    ...{ id: `pairs-${qos}`, title: `50 pairs, QoS ${qos}`, kind: 'pairs', target },
    options: { pairs: 50, qos },
  });
  return [
    {
      ...{ id: 'fan-out-100', title: '1 to 100, 16 B, QoS 0', kind: 'fan-out', target: 30 },
      options: { subscribers: 100, payload: 16 },
    },
    {
      ...{ id: 'fan-out-1000', title: '1 to 1,000, 256 B, QoS 0', kind: 'fan-out', target: 15 },
      options: { subscribers: 1_000, payload: 256 },
    },
    pairs(0, 13.5),
    pairs(1, 16),
    pairs(2, 23),
    {
      ...{ id: 'fan-in', title: '50 to 1, QoS 0', kind: 'fan-in', target: 25 },
      options: { publishers: 50 },
    },
    {
      id: 'command-mqtt',
      title: 'command and reply, 200 devices, handler over MQTT',
      ...{ kind: 'command', target: 2.5, options: { publishers: 200 } },
    },
    {
      id: 'command-plugin',
      title: 'command and reply, 200 devices, plugin in the process',
      ...{ kind: 'command', target: 3, form: 'plugin', against: 'command-mqtt' },
      options: { publishers: 200 },
    },
    {
      id: 'headline-max',
      title: `${words(connections)} connections, ${words(subscriptions)} subscriptions, as fast as it goes`,
      ...{ kind: 'headline', target: 1.5 },
      options: { connections, subscriptions, rate: 'max' },
    },
    {
      id: 'durable-1',
      title: '50 pairs, QoS 1, stored sessions, on disk',
      ...{ kind: 'pairs', target: 5, form: 'durable' },
      options: { pairs: 50, qos: 1, stored: true },
    },
  ];
}

export function singlesOf(sizes: Sizes): readonly Scenario[] {
  const { connections, subscriptions, stormConnections, millionSubscriptions } = sizes;
  const idle = { kind: 'idle', options: { connections, subscriptions: connections } } as const;
  const storm = { kind: 'storm', options: { connections: stormConnections } } as const;
  const warmStorm = { ...storm, warmUps: 3 } as const;
  const connects = `${words(stormConnections)} connects`;
  return [
    {
      id: 'headline-rate',
      title: `5,000 publishes a second over ${words(subscriptions)} subscriptions of ${words(connections)} connections`,
      ...{
        kind: 'headline',
        options: { connections, subscriptions, rate: goals.headlineRate, settle: '2s' },
      },
    },
    {
      id: 'million',
      title: `100,000 commands a second to one handler, beside ${words(millionSubscriptions)} subscriptions of ${words(connections)} connections`,
      kind: 'fan-in',
      options: {
        connections,
        subscriptions: millionSubscriptions,
        publishers: 50,
        rate: goals.millionRate,
      },
    },
    {
      id: 'durable-absent',
      title: '50 publishers, QoS 1, to a stored session each that is away; acknowledged',
      ...{ kind: 'pairs', form: 'durable' },
      options: { pairs: 50, qos: 1, stored: true, absent: true },
    },
    { ...warmStorm, id: 'storm-tcp', title: `${connects} over TCP` },
    { ...storm, id: 'storm-tcp-cold', title: `${connects} over TCP right after the start` },
    { ...warmStorm, id: 'storm-tls', title: `${connects} over TLS`, tls: true },
    {
      ...storm,
      id: 'storm-tls-cold',
      title: `${connects} over TLS right after the start`,
      tls: true,
    },
    { ...idle, id: 'idle-tcp', title: `${words(connections)} idle connections over TCP` },
    {
      ...idle,
      id: 'idle-tls',
      title: `${words(connections)} idle connections over TLS`,
      tls: true,
    },
  ];
}

const cpuEach = { measure: 'brokerCpuEach', unit: 'µs', scale: 1, linear: 1 } as const;
const perSecond = {
  measure: 'perSecond',
  unit: 'thousand/s',
  scale: 1_000,
  linear: undefined,
} as const;
const memory = { measure: 'residentEnd', unit: 'MiB', scale: 2 ** 20, linear: 1 } as const;

export function curvesOf(sizes: Sizes): readonly Curve[] {
  const series = (
    id: string,
    kind: Scenario['kind'],
    amounts: readonly number[],
    optionsOf: (x: number) => Scenario['options'],
  ) =>
    amounts.map((x) => ({
      id: `grow-${id}-${x}`,
      title: `${id} ${x}`,
      kind,
      x,
      options: optionsOf(x),
    }));
  return [
    {
      ...{
        id: 'connections-max',
        title: 'Connections, as fast as it goes',
        axis: 'connections',
        withPeers: true,
      },
      scenarios: series('connections-max', 'headline', sizes.curveConnections, (connections) => ({
        ...{ connections, subscriptions: connections, rate: 'max' },
      })),
      charts: [
        {
          ...perSecond,
          file: 'connections-throughput',
          title: 'Throughput, one subscription each',
        },
        { ...memory, file: 'connections-memory', title: 'Resident memory under load' },
        { ...cpuEach, file: 'connections-cpu', title: 'Processor time of a message' },
      ],
    },
    {
      ...{
        id: 'connections-rate',
        title: 'Connections, at a fixed rate',
        axis: 'connections',
        withPeers: true,
      },
      scenarios: series('connections-rate', 'headline', sizes.curveConnections, (connections) => ({
        ...{ connections, subscriptions: connections, rate: 2_000 },
      })),
      charts: [
        {
          ...{ file: 'connections-latency', title: 'Latency (p99) at 2,000 messages a second' },
          ...{ measure: 'p99', unit: 'ms', scale: 1_000, linear: 1 },
        },
      ],
    },
    {
      ...{ id: 'subscriptions', title: 'Subscriptions', axis: 'subscriptions' },
      scenarios: series('subscriptions', 'headline', sizes.curveSubscriptions, (subscriptions) => ({
        ...{ connections: Math.min(1_000, subscriptions), subscriptions, rate: 'max' },
      })),
      charts: [
        { ...cpuEach, file: 'subscriptions-cpu', title: 'Processor time of a message' },
        { ...memory, file: 'subscriptions-memory', title: 'Resident memory under load' },
      ],
    },
    {
      ...{ id: 'levels', title: 'Topic levels', axis: 'levels of each topic' },
      scenarios: series('levels', 'pairs', sizes.curveLevels, (levels) => ({ pairs: 50, levels })),
      charts: [{ ...cpuEach, file: 'levels-cpu', title: 'Processor time of a message' }],
    },
    {
      ...{ id: 'fan-out', title: 'Fan-out', axis: 'subscribers of one topic' },
      scenarios: series('fan-out', 'fan-out', sizes.curveFanOut, (subscribers) => ({
        subscribers,
      })),
      charts: [
        { ...perSecond, file: 'fan-out-throughput', title: 'Messages delivered' },
        { ...cpuEach, linear: 0, file: 'fan-out-cpu', title: 'Processor time of a delivery' },
      ],
    },
    {
      ...{ id: 'payload', title: 'Payload', axis: 'bytes of each payload' },
      scenarios: series('payload', 'pairs', sizes.curvePayload, (payload) => ({
        ...{ pairs: 10, payload, window: payload > 100_000 ? 2 : 16 },
      })),
      charts: [{ ...cpuEach, file: 'payload-cpu', title: 'Processor time of a message' }],
    },
  ];
}
