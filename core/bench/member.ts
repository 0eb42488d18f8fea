/**
 * One process's share of a load test, step by step as its leader says: connect, load, measure, stop. The
 * same steps are taken in the leader's own process or over a pipe in another (`remote-member.ts`).
 */
import { Client, type ClientIdentity } from './client.ts';
import { secondsOf, ticksNow } from './clock.ts';
import { Dialer, type DialOptions } from './dialer.ts';
import { Histogram, type PackedHistogram } from './histogram.ts';
import { Load } from './load.ts';
import type { BenchOptions } from './options.ts';
import { type ClientPlan, makePlan, type Share } from './plan.ts';
import { ownCpuSeconds } from './proc.ts';

const LAG_INTERVAL_MS = 20;

export interface Credentials {
  readonly userName: string | undefined;
  readonly password: string | undefined;
}

/** What a member needs beside the options: who its clients are, and where they connect to. */
export interface Surroundings {
  readonly dial: DialOptions;
  /** Tells this run's messages from those of another. */
  readonly run: number;
  readonly credentials: (plan: ClientPlan) => Promise<Credentials>;
}

export interface Counts {
  readonly connected: number;
  readonly sent: number;
  /** Copies that should arrive, and those that did, each once. */
  readonly expected: number;
  readonly received: number;
  /** PINGREQs without their PINGRESP. */
  readonly pingsAwaited: number;
}

export interface MemberResult {
  readonly counts: Counts;
  /** Seconds that connecting took. */
  readonly connectSeconds: number;
  readonly connections: number;
  readonly connectTimes: PackedHistogram;
  /** Of the time that was measured. */
  readonly seconds: number;
  readonly sent: number;
  readonly received: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly cpuSeconds: number;
  readonly latency: PackedHistogram;
  readonly lateness: PackedHistogram;
  /** How late timers ran while it measured. */
  readonly lag: PackedHistogram;
  /** Of the whole run. */
  readonly duplicates: number;
  readonly areDuplicatesChecked: boolean;
  readonly outOfOrder: number;
  readonly isOrderChecked: boolean;
  readonly foreign: number;
  readonly refused: number;
  readonly stalls: number;
  readonly disconnects: number;
  readonly firstFailure: string | undefined;
}

export interface Member {
  /** Connects all but the publishers, or the publishers. Rejects where a connection cannot be had. */
  connect(who: 'receivers' | 'publishers'): Promise<void>;
  begin(): Promise<void>;
  /** From here on it counts. */
  measure(): Promise<void>;
  /** Until here. */
  stop(): Promise<void>;
  /** Has each connection send a PINGREQ. What the broker sent before it answers has come with the answer. */
  ping(): Promise<void>;
  counts(): Promise<Counts>;
  finish(): Promise<MemberResult>;
  /** Ends its connections; also where something failed on the way. */
  end(): void;
}

interface Mark {
  readonly at: number;
  readonly sent: number;
  readonly received: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly cpuSeconds: number;
}

export class LocalMember implements Member {
  readonly #options: BenchOptions;
  readonly #surroundings: Surroundings;
  readonly #plan: readonly ClientPlan[];
  readonly #dialer: Dialer;
  readonly #load: Load;
  readonly #lag = new Histogram();
  #connectSeconds = 0;
  #connections = 0;
  #from: Mark | undefined;
  #to: Mark | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  /** Whether all connections stand and messages are sent, or were. */
  hasBegun = false;

  constructor(options: BenchOptions, share: Share, surroundings: Surroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#plan = makePlan(options, share);
    this.#dialer = new Dialer(surroundings.dial);
    this.#load = new Load(options, share, surroundings.run, this.#dialer);
  }

  async connect(who: 'receivers' | 'publishers'): Promise<void> {
    const plans = this.#plan.filter(
      ({ kind }) => (kind === 'publisher') === (who === 'publishers'),
    );
    // Tokens are minted before the clock starts.
    const clients = await Promise.all(plans.map((plan) => this.#clientOf(plan)));
    for (const client of clients)
      if (client.plan.kind === 'publisher') this.#load.addPublisher(client);
    this.#every(1_000, () => this.#dialer.keepAlive(ticksNow()));
    const begunAt = ticksNow();
    await this.#dialer.connect(clients);
    this.#connectSeconds += secondsOf(ticksNow() - begunAt);
    this.#connections += clients.length;
    if (this.#options.absent && who === 'receivers') this.#dialer.leave(clients);
  }

  async begin(): Promise<void> {
    this.hasBegun = true;
    this.#load.begin();
    this.#every(1_000, () => this.#load.unstall());
  }

  async measure(): Promise<void> {
    this.#load.isMeasuring = true;
    this.#from = this.#mark();
    let expected = performance.now() + LAG_INTERVAL_MS;
    this.#every(LAG_INTERVAL_MS, () => {
      const now = performance.now();
      if (this.#load.isMeasuring)
        this.#lag.record(Math.max(0, Math.round((now - expected) * 10_000)));
      expected = now + LAG_INTERVAL_MS;
    });
  }

  async stop(): Promise<void> {
    this.#load.stop();
    this.#load.isMeasuring = false;
    this.#to = this.#mark();
  }

  async ping(): Promise<void> {
    this.#dialer.ping();
  }

  async counts(): Promise<Counts> {
    return this.#counts();
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#load.stop();
    this.#dialer.close();
  }

  async finish(): Promise<MemberResult> {
    const dialer = this.#dialer;
    const load = this.#load;
    const from = this.#from ?? this.#mark();
    const to = this.#to ?? from;
    return {
      counts: this.#counts(),
      connectSeconds: this.#connectSeconds,
      connections: this.#connections,
      connectTimes: dialer.connectTimes.pack(),
      seconds: secondsOf(to.at - from.at),
      sent: to.sent - from.sent,
      received: to.received - from.received,
      bytesSent: to.bytesSent - from.bytesSent,
      bytesReceived: to.bytesReceived - from.bytesReceived,
      cpuSeconds: to.cpuSeconds - from.cpuSeconds,
      latency: load.latency.pack(),
      lateness: load.lateness.pack(),
      lag: this.#lag.pack(),
      duplicates: load.arrivals.duplicates,
      areDuplicatesChecked: load.arrivals.areDuplicatesChecked,
      outOfOrder: load.arrivals.outOfOrder,
      isOrderChecked: load.arrivals.isOrderChecked,
      foreign: load.foreign,
      refused: load.refused,
      stalls: load.stalls,
      disconnects: dialer.disconnects,
      firstFailure: dialer.firstFailure,
    };
  }

  async #clientOf(plan: ClientPlan): Promise<Client> {
    const { version, qos, stored, keepAliveSeconds } = this.#options;
    const { userName, password } = await this.#surroundings.credentials(plan);
    const clientIdentifier = `bench-${this.#surroundings.run.toString(36)}-${plan.kind}-${plan.index}`;
    const identity: ClientIdentity = {
      version,
      clientIdentifier,
      userName,
      password,
      keepAliveSeconds,
      stored: stored && plan.filters.length > 0,
      qos,
    };
    return new Client(plan, identity, this.#load);
  }

  #counts(): Counts {
    const { sent, expected, received } = this.#load;
    const { size: connected, pingsAwaited } = this.#dialer;
    return { connected, sent, expected, received, pingsAwaited };
  }

  #mark(): Mark {
    return {
      at: ticksNow(),
      sent: this.#load.sent,
      received: this.#load.received,
      bytesSent: this.#dialer.bytesSent,
      bytesReceived: this.#dialer.bytesReceived,
      cpuSeconds: ownCpuSeconds(),
    };
  }

  #every(milliseconds: number, act: () => void): void {
    this.#timers.push(setInterval(act, milliseconds));
  }
}
