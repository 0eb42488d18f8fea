/** What a load test is asked for, and what each scenario does where nothing else is said. */
import type { Separator } from '../auth/user-topic.ts';
import type { QoS } from '../mqtt/packet.ts';

export const scenarios = [
  'fan-out',
  'fan-in',
  'pairs',
  'command',
  'headline',
  'storm',
  'idle',
] as const;
export type Scenario = (typeof scenarios)[number];

export interface BenchOptions {
  readonly scenario: Scenario;
  readonly version: 4 | 5;
  readonly qos: QoS;
  readonly payloadBytes: number;
  /** Messages a second over all publishers; undefined for as fast as they come back. */
  readonly rate: number | undefined;
  /** Messages of one publisher that are under way, where there is no rate. */
  readonly window: number;
  readonly publishers: number;
  readonly subscribers: number;
  /** Connections that carry no load, or that `headline`, `storm` and `idle` consist of. */
  readonly connections: number;
  /** Subscriptions of these connections. */
  readonly subscriptions: number;
  /** Whether `command` brings its own handler. */
  readonly handler: boolean;
  /** Levels of each topic. */
  readonly levels: number;
  readonly command: string;
  readonly reply: string;
  /** `%d` becomes a number. */
  readonly userTemplate: string;
  readonly separator: Separator;
  /** Whether sessions outlive their connections. */
  readonly stored: boolean;
  /** Whether subscribers with stored sessions go away before the load begins, which waits for them at the broker. */
  readonly absent: boolean;
  readonly keepAliveSeconds: number;
  readonly warmUpSeconds: number;
  readonly durationSeconds: number;
  /** Longest time that messages under way are waited for. */
  readonly drainSeconds: number;
}

interface Defaults {
  readonly publishers: number;
  readonly subscribers: number;
  readonly connections: number;
  readonly subscriptionsEach: number;
  readonly payloadBytes: number;
  readonly rate: number | undefined;
  readonly window: number;
}

const some = {
  publishers: 0,
  subscribers: 0,
  connections: 0,
  subscriptionsEach: 1,
  payloadBytes: 64,
  rate: undefined,
  window: 32,
};

export const defaults: Readonly<Record<Scenario, Defaults>> = {
  'fan-out': { ...some, publishers: 1, subscribers: 100, window: 64 },
  'fan-in': { ...some, publishers: 50, subscribers: 1 },
  pairs: { ...some, publishers: 50, subscribers: 50 },
  command: { ...some, publishers: 200, window: 1 },
  headline: {
    ...some,
    publishers: 20,
    connections: 15_000,
    subscriptionsEach: 50_000 / 15_000,
    payloadBytes: 256,
    rate: 5_000,
    window: 50,
  },
  storm: { ...some, connections: 10_000, subscriptionsEach: 0 },
  idle: { ...some, publishers: 1, connections: 10_000, window: 256 },
};

/** A window that holds what `subscribers` of a fan-out get within reason. */
export function fanOutWindow(subscribers: number): number {
  return subscribers >= 1_000 ? 16 : 64;
}
