/**
 * The same handlers served over MQTT from another process: the host of a `Pool` that has a connection
 * to a broker in place of the broker itself. Commands come through shared subscriptions, one of as
 * many processes as there are gets each; what handlers send is published.
 *
 * The connection is made again for as long as it takes, and the session at the broker stays
 * meanwhile, so that nothing is lost: see `remote-commands.ts` for what is acknowledged when.
 */
import type { Separator } from '../auth/user-topic.ts';
import type { DeadLetter, MessageNumber } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { Millis } from '../broker/outbox.ts';
import type { Message, Publish, Publisher } from '../mqtt/packet.ts';
import { reasonName } from '../mqtt/reason-code.ts';
import { covers, matches, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import type { PluginEvent } from './events.ts';
import type { HookEvent } from './handler.ts';
import { Pool, type PoolOptions } from './pool.ts';
import type { PoolHost } from './pool-host.ts';
import { RemoteClient } from './remote-client.ts';
import { isForFilter, mayReplyTo, RemoteCommands } from './remote-commands.ts';
import { type Found, type KeeperStorage, RemoteKeeper } from './remote-keeper.ts';
import type { Target } from './remote-line.ts';
import { type RemoteEvent, RemoteLink } from './remote-link.ts';
import type { RemoteState } from './remote-state.ts';
import type { TokenSource } from './remote-token.ts';
import { Schedules } from './schedule.ts';

export interface RemoteOptions {
  readonly pool: PoolOptions;
  readonly target: Target;
  readonly token: TokenSource;
  /** The ShareName: processes of one group share the commands. */
  readonly group: string;
  /** Most commands that are not acknowledged. */
  readonly inflight: number;
  readonly sessionExpirySeconds: number;
  readonly keepAliveSeconds: number;
  readonly state: RemoteState;
  readonly storage: KeeperStorage;
  readonly found: Found;
  /** Whether this process runs the schedules of its handlers: of several, one should. */
  readonly schedules: boolean;
  now(): Millis;
  report(event: PluginEvent | RemoteEvent): void;
}

/** How often what time brings is looked at. */
const TICK_MS = 500;

export class Remote implements PoolHost {
  readonly pool: Pool;
  /** The broker keeps what waits. */
  readonly fetch = undefined;
  readonly #options: RemoteOptions;
  readonly #separator: Separator;
  readonly #client: RemoteClient;
  readonly #link: RemoteLink;
  readonly #commands: RemoteCommands;
  readonly #keeper: RemoteKeeper;
  #topics: readonly TopicFilter[] = [];
  /** Those of them that are subscribed to, in order: what the others match is among them. */
  #filters: readonly TopicFilter[] = [];
  #schedules: Schedules | undefined = undefined;
  #restored = false;
  #stopping = false;
  #flushing = false;
  #ticking: NodeJS.Timeout | undefined = undefined;
  #whenSettled: (() => void) | undefined = undefined;

  constructor(options: RemoteOptions) {
    const { state, inflight, sessionExpirySeconds, keepAliveSeconds } = options;
    this.#options = options;
    this.#separator = options.pool.separator;
    this.#client = new RemoteClient(
      {
        clientIdentifier: state.clientIdentifier,
        receiveMaximum: inflight,
        sessionExpirySeconds,
        keepAliveSeconds,
      },
      {
        write: (bytes) => this.#link.write(bytes),
        connected: (sessionPresent) => this.#connected(sessionPresent),
        ended: (reasonCode, detail, connected) => this.#link.ended(reasonCode, detail, connected),
        violated: (detail) => this.#link.fail(detail),
        delivered: (packet) => this.#delivered(packet),
        settled: () => this.#settle(),
        refused: ({ topic }, reasonCode, detail) => {
          const { redactor } = this.pool;
          this.report({
            kind: 'publish-refused',
            topic: redactor.text(topic),
            reason: reasonName(reasonCode),
            detail: detail && redactor.text(detail),
          });
        },
        subscribed: (filter, reasonCode) => this.#link.subscribed(filter, reasonCode),
        unsubscribed: (filters) => state.unsubscribed(filters),
        renewed: (reasonCode, detail) => this.#link.renewed(reasonCode, detail),
      },
    );
    this.#commands = new RemoteCommands(this.#client, state.session);
    this.#keeper = new RemoteKeeper(options.storage, options.found);
    this.#link = new RemoteLink(options, this.#client, {
      lost: () => this.#commands.lost(),
      report: (event) => this.report(event),
    });
    this.pool = new Pool(options.pool, this);
  }

  /**
   * Loads the plugins and connects. Rejects with a `RemoteRefused` where the broker does not let us in, or
   * not have the commands; for a broker that cannot be reached it waits.
   */
  async start(): Promise<void> {
    await this.pool.start();
    for (const { message, content, state } of this.#options.found.commands) {
      this.#commands.adopt(message);
      this.pool.dispatch(content, message, state);
    }
    this.#startSchedules();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    await this.#link.start();
  }

  /**
   * Takes no more commands, gives those that are under way until `timeoutMs` to be done and
   * acknowledged, and disconnects. What is not done then is the broker's to deliver again. Tells
   * whether all was done.
   */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#stopping = true;
    const deadline = performance.now() + timeoutMs;
    this.#schedules?.stop();
    await this.pool.stop(timeoutMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenSettled = resolve;
    this.#settle();
    const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
    await promise;
    clearTimeout(timer);
    await this.#link.stop();
    clearInterval(this.#ticking);
    return this.#commands.settledAll;
  }

  /** What was kept up to `count` is on disk. */
  stored(count: Position): void {
    this.#keeper.stored = count;
    this.#settle();
  }

  now(): Millis {
    return this.#options.now();
  }

  sent(message: Message): string | undefined {
    const refusal = this.#client.send(message, this.now());
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#client.flush(this.now());
        this.#settle();
      });
    }
    return refusal;
  }

  declares(topic: TopicName): boolean {
    return this.#topics.some((filter) => matches(filter, topic));
  }

  mayReply(publisher: Publisher, topic: TopicName): boolean {
    return mayReplyTo(publisher, topic, this.#separator);
  }

  storageFails(): boolean {
    return false;
  }

  handled(number: MessageNumber, handler: string | undefined): Position {
    this.#keeper.handled(number, handler);
    if (handler !== undefined) return this.#commands.partHandled(number);
    const position = this.#commands.handled(number, this.#client.sends.last, this.#keeper.kept);
    queueMicrotask(() => this.#settle());
    return position;
  }

  tried(number: MessageNumber, handler: string, attempts: number): void {
    this.#keeper.tried(number, handler, attempts);
  }

  buried(letter: DeadLetter): void {
    this.#keeper.bury(letter);
  }

  serves(topics: readonly TopicFilter[], hooks: readonly HookEvent[]): void {
    if (hooks.length > 0) this.report({ kind: 'hooks-without-broker', hooks });
    this.#topics = topics;
    this.#filters = widest(topics);
    if (this.#client.open) this.#subscribe();
    this.#schedules?.replace(this.pool.schedules);
  }

  enqueue(content: Message, only: string | undefined): MessageNumber {
    const { number, state } = this.#keeper.enqueue(content, only);
    this.#commands.adopt(number);
    this.pool.dispatch(content, number, state);
    return number;
  }

  report(event: PluginEvent | RemoteEvent): void {
    this.#options.report(event);
  }

  #startSchedules(): void {
    const { schedules } = this.pool;
    if (!this.#options.schedules) {
      const handlers = schedules.map(({ handler }) => handler);
      if (handlers.length > 0) this.report({ kind: 'schedules-off', handlers });
      return;
    }
    const keeper = this.#keeper;
    const known = (handler: string) => keeper.scheduleOf(handler);
    this.#schedules = new Schedules({
      known,
      begin: (handler, table, throughMs) =>
        keeper.schedule({ handler, table, throughMs, message: known(handler)?.message ?? 0 }),
      end: (handler) => keeper.unschedule(handler),
      busy: (handler) => keeper.has(known(handler)?.message ?? 0) || this.pool.isBusy(handler),
      tick: (handler, table, throughMs, command) => {
        const message = this.enqueue(command, handler);
        keeper.schedule({ handler, table, throughMs, message });
      },
    });
    this.#schedules.replace(schedules);
  }

  #connected(sessionPresent: boolean): void {
    const { state } = this.#options;
    if (!sessionPresent) state.begin();
    this.#commands.connected(state.session, this.now());
    this.#link.connected(sessionPresent);
    this.#subscribe();
  }

  /** Asks for what is wanted, also where the broker should have it; and takes back what is not. */
  #subscribe(): void {
    const { state, group } = this.#options;
    const wanted = this.#filters.map((filter) => shared(group, filter));
    const unwanted = state.filters.filter((filter) => !wanted.includes(filter));
    this.#link.expect(wanted);
    this.#client.subscribe(state.subscribe(wanted));
    this.#client.unsubscribe(unwanted);
  }

  #delivered(packet: Publish): void {
    if (this.#stopping) return; // the broker gives it to another process, or keeps it for us
    if (!this.#isOurs(packet)) return this.#commands.skip(packet);
    const command = this.#commands.delivered(packet, this.now());
    if (command !== undefined) this.pool.dispatch(command.message, command.number, undefined);
  }

  /** Whether it is not a second copy, by another of our subscriptions. */
  #isOurs({ topic, subscriptionIdentifiers }: Publish): boolean {
    const [identifier] = subscriptionIdentifiers ?? [];
    if (identifier === undefined || this.#filters.length < 2) return true;
    const { state, group } = this.#options;
    const by = state.filterOf(identifier);
    const filter = this.#filters.find((each) => shared(group, each) === by);
    return isForFilter(filter, topic as TopicName, this.#filters);
  }

  #settle(): void {
    this.#commands.settled(this.#client.sends.settled, this.#keeper.stored, this.now());
    if (this.#commands.settledAll) this.#whenSettled?.();
  }

  #tick(): void {
    const now = this.now();
    this.#link.tick(now);
    const position = this.#commands.expire(now);
    if (position > 0) this.pool.stored(position);
    if (this.#restored || !this.#commands.isQuiet(now)) return;
    this.#restored = true;
    this.pool.restore(0);
  }
}

function shared(group: string, filter: TopicFilter): string {
  return `$share/${group}/${filter}`;
}

/** In order, without those that another one covers: a topic would be delivered for each. */
function widest(topics: readonly TopicFilter[]): readonly TopicFilter[] {
  const distinct = [...new Set(topics)].sort();
  return distinct.filter(
    (filter) => !distinct.some((other) => other !== filter && covers(other, filter)),
  );
}
