/**
 * The sans-IO core between a recording outbox, a clock that the test moves and a table of tokens: a
 * test sends bytes and looks at bytes, and nothing waits. Clients are in `test/client.ts`.
 *
 *     const harness = new Harness();
 *     const ann = harness.connected('ann');
 *     ann.subscribe('news/#');
 *     harness.connected('bob').publish('news/today', 'rain');
 *     expect(ann.next('publish').topic).toBe('news/today');
 */
import type { Grants, Identity, Policy } from '../core/auth/rights.ts';
import { type Broker, createBroker } from '../core/broker/broker.ts';
import type { Change, Sequence, SessionNumber, Snapshot } from '../core/broker/changes.ts';
import { defaultLimits, type Limits } from '../core/broker/limits.ts';
import type { BrokerEvent, ConnectionId, Millis, Outbox } from '../core/broker/outbox.ts';
import type { Connect, Message, ProtocolVersion } from '../core/mqtt/packet.ts';
import { ReasonCode } from '../core/mqtt/reason-code.ts';
import type { TopicFilter } from '../core/mqtt/topic.ts';
import { TestClient } from './client.ts';
import { MemoryStorage } from './storage.ts';

/** Where the clock stands when a harness is made. */
export const START: Millis = Date.UTC(2030, 0, 1);

export interface HarnessOptions {
  readonly limits?: Partial<Limits>;
  readonly policy?: Partial<Policy>;
  /** Whether there is storage. Where a test does not say, DURABLE=1 turns it on for all. */
  readonly durable?: boolean;
}

/** What a token of the table comes to; a token that is not in it is a bad one. */
export type TestVerdict =
  | { readonly kind: 'accept'; readonly identity: Identity }
  | { readonly kind: 'refuse'; readonly reasonCode: ReasonCode; readonly detail: string };

export interface ClientOptions {
  readonly version?: ProtocolVersion;
  /** Who the client's token says it is. `granted` unless the test is about rights. */
  readonly identity?: Partial<Identity>;
  readonly address?: string;
}

/** May do everything that ordinary MQTT clients do, so that rights do not get in the way of a test. */
export const everything: Grants = {
  publish: ['#'],
  subscribe: ['#'],
  retain: true,
  share: true,
};

/** A device with a grant on everything. */
export const granted: Identity = {
  user: 'somebody',
  role: 'device',
  expiresAtMs: Number.POSITIVE_INFINITY,
  grants: everything,
};

const badToken: TestVerdict = {
  kind: 'refuse',
  reasonCode: ReasonCode.BadUserNameOrPassword,
  detail: 'bad token',
};

export class Harness {
  readonly broker: Broker;
  now: Millis = START;
  readonly events: BrokerEvent[] = [];
  /** Commands for plugins, and messages for the bus. */
  readonly handled: Message[] = [];
  readonly forwarded: Message[] = [];
  /** All that was to last. */
  readonly kept: Change[] = [];
  /** What tokens come to: `accept` and `refuse` add to it. */
  readonly tokens = new Map<string, TestVerdict>();
  /** True: tokens wait for `verdicts()`. */
  holdVerdicts = false;
  /** True: nothing reaches the disk until `store()`. */
  holdStorage = false;
  readonly #clients = new Map<ConnectionId, TestClient>();
  readonly #awaitingVerdict: { connection: ConnectionId; token: string }[] = [];
  readonly #storage = new MemoryStorage();
  #stored = 0;
  readonly #wanted: [session: SessionNumber, after: Sequence, limit: number, bytes: number][] = [];
  #topics: readonly TopicFilter[] = [];
  #hooks: readonly string[] = [];
  #connections = 0;
  #assigned = 0;

  constructor(options: HarnessOptions = {}) {
    this.broker = createBroker({
      outbox: this.#outbox(),
      // `$SYS` would have a deadline every few seconds; tests of it turn it on.
      limits: { ...defaultLimits, sysIntervalSeconds: 0, ...options.limits },
      policy: { commands: [], roles: {}, separator: '_', ...options.policy },
      assignClientIdentifier: () => `assigned-${++this.#assigned}`,
      version: '0.0.0',
      startedAt: START,
      durable: options.durable ?? process.env.DURABLE === '1',
    });
  }

  /** A new connection that has said nothing yet. */
  client(clientIdentifier: string, options: ClientOptions = {}): TestClient {
    const connection = ++this.#connections;
    const identity = { ...granted, ...options.identity };
    const token = this.accept(identity);
    const client = new TestClient(
      this,
      connection,
      options.version ?? 5,
      clientIdentifier,
      token,
      identity,
    );
    this.#clients.set(connection, client);
    const origin = { transport: 'mqtts', address: options.address ?? '127.0.0.1' } as const;
    this.#enter(() => this.broker.opened(connection, origin, this.now));
    return client;
  }

  /** A new connection whose CONNECT was accepted. Clean Start unless `fields` say otherwise. */
  connected(
    clientIdentifier: string,
    fields: Partial<Connect> = {},
    options: ClientOptions = {},
  ): TestClient {
    const client = this.client(clientIdentifier, options);
    const { reasonCode } = client.connect(fields);
    if (reasonCode !== 0) throw new Error(`CONNECT of ${clientIdentifier}: 0x${hex(reasonCode)}`);
    return client;
  }

  /** A token for `identity`. */
  accept(identity: Partial<Identity>, token = `token-${this.tokens.size}`): string {
    this.tokens.set(token, { kind: 'accept', identity: { ...granted, ...identity } });
    return token;
  }

  /** A token that is refused. */
  refuse(reasonCode: ReasonCode, detail: string, token = `token-${this.tokens.size}`): string {
    this.tokens.set(token, { kind: 'refuse', reasonCode, detail });
    return token;
  }

  /** Gives the verdicts that `holdVerdicts` held back. */
  verdicts(): void {
    this.holdVerdicts = false;
    this.#enter(() => {});
  }

  /** Lets what `holdStorage` held back reach the disk. */
  store(): void {
    this.holdStorage = false;
    this.#enter(() => {});
  }

  /** Lets `milliseconds` pass; the broker is woken at each of its deadlines in between. */
  advance(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const next = this.broker.nextDeadline();
      if (next === undefined || next > until) break;
      this.now = Math.max(this.now, next);
      this.#enter(() => this.broker.passed(this.now));
    }
    this.now = until;
  }

  /** The same in seconds. */
  advanceSeconds(seconds: number): void {
    this.advance(seconds * 1_000);
  }

  /** Bytes from a client. What of them outlives the call must have been copied: they are overwritten. */
  received(connection: ConnectionId, bytes: Uint8Array): void {
    const chunk = new Uint8Array(bytes);
    this.#enter(() => this.broker.received(connection, chunk, this.now));
    if (!this.holdVerdicts) chunk.fill(0xaa);
  }

  /** A client's connection breaks. */
  lost(connection: ConnectionId): void {
    this.#enter(() => this.broker.lost(connection, this.now));
  }

  /** A start finds this. */
  restore(snapshot: Snapshot): void {
    this.#enter(() => this.broker.restore(snapshot, this.now));
  }

  shutDown(): void {
    this.#enter(() => this.broker.shutDown(this.now));
  }

  /** Plugins handle `topics`, in place of those before. */
  handles(...topics: string[]): void {
    this.#topics = topics as TopicFilter[];
    this.#enter(() => this.broker.handles(this.#topics, this.#hooks, this.now));
  }

  /** Plugins want these hooks, in place of those before. */
  wants(...hooks: string[]): void {
    this.#hooks = hooks;
    this.#enter(() => this.broker.handles(this.#topics, hooks, this.now));
  }

  /** What the broker waits for comes, where a test has called it directly. */
  settle(): void {
    this.#enter(() => {});
  }

  /** The events of one kind, in the order in which they were reported. */
  eventsOf<K extends BrokerEvent['kind']>(kind: K): Extract<BrokerEvent, { kind: K }>[] {
    return this.events.filter((event) => event.kind === kind) as Extract<
      BrokerEvent,
      { kind: K }
    >[];
  }

  /**
   * Calls an entry point and what follows from it: tokens are verified, and the sockets take what
   * was sent. Throws where the broker reported a fault of its own.
   */
  #enter(entry: () => void): void {
    const before = this.events.length;
    entry();
    while (this.#answerOne());
    for (const [connection, client] of this.#clients) {
      if (!client.stuck && client.waitingBytes > 0) {
        client.waitingBytes = 0;
        this.broker.flushed(connection, 0, this.now);
      }
    }
    for (const event of this.events.slice(before)) {
      if (event.kind === 'fault') throw event.error;
    }
  }

  /** Answers one thing that the broker waits for; false where there is none. */
  #answerOne(): boolean {
    const asked = this.holdVerdicts ? undefined : this.#awaitingVerdict.shift();
    if (asked !== undefined) {
      const verdict = this.tokens.get(asked.token) ?? badToken;
      this.broker.verified({ ...verdict, connection: asked.connection }, this.now);
      return true;
    }
    if (this.holdStorage) return false;
    if (this.#stored < this.#storage.kept) {
      this.#stored = this.#storage.kept;
      this.broker.stored(this.#stored, this.now);
      return true;
    }
    const wanted = this.#wanted.shift();
    if (wanted === undefined) return false;
    this.broker.fetched(this.#storage.fetch(wanted[0], wanted[1], wanted[2]), this.now);
    return true;
  }

  #outbox(): Outbox {
    const clientOf = (connection: ConnectionId): TestClient => {
      const client = this.#clients.get(connection);
      if (client === undefined) throw new Error(`no connection ${connection}`);
      return client;
    };
    return {
      send: (to, bytes, start = 0, end = bytes.length) =>
        clientOf(to).take(bytes.subarray(start, end)),
      share: (to, bytes) => clientOf(to).take(bytes),
      close: (connection) => {
        clientOf(connection).closed = true;
      },
      pause: (connection) => {
        clientOf(connection).paused = true;
      },
      resume: (connection) => {
        clientOf(connection).paused = false;
      },
      probe: (connection) => {
        clientOf(connection).probed = true;
      },
      verify: (connection, token) => this.#awaitingVerdict.push({ connection, token }),
      handle: (command) => this.handled.push(command),
      keep: (change) => {
        this.kept.push(change);
        this.#storage.keep(change);
      },
      fetch: (...wanted) => this.#wanted.push(wanted),
      forward: (message) =>
        this.forwarded.push({ ...message, payload: new Uint8Array(message.payload) }),
      report: (event) => this.events.push(event),
    };
  }
}

/** Two digits: `0x` is for the caller to write. */
export function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
