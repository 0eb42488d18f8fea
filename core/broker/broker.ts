/**
 * The broker's entry points: everything that can happen to it, as plain calls. Time comes in as a
 * number; nothing here or below reads a clock, opens a socket, rolls a die or awaits.
 */
import { staffReach } from '../auth/rights.ts';
import type { Message, Publisher } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import { checkTopic } from './bounds.ts';
import type {
  DeadLetter,
  FetchedDeliveries,
  LetterNumber,
  MessageNumber,
  Snapshot,
  StoredSchedule,
} from './changes.ts';
import { bury, drop, enqueue, finish, releaseCommands, retried } from './commands.ts';
import { acceptConnect, refuse } from './connect.ts';
import { Connection } from './connection.ts';
import { type Counters, count } from './counters.ts';
import type { Position, StorageFailure } from './ledger.ts';
import type { ConnectionId, Millis, Origin, Verification } from './outbox.ts';
import { wantHooks } from './presence.ts';
import { Publication } from './publication.ts';
import { fetched, pump } from './pump.ts';
import { failReceipts, settleReceipts } from './receipts.ts';
import { endRenewal } from './renewal.ts';
import { mayReply } from './reply.ts';
import { restore } from './restore.ts';
import { retain } from './retained.ts';
import { route, submit } from './route.ts';
import { beginSchedule, endSchedule, endTick, tick } from './schedules.ts';
import { type BrokerOptions, State } from './state.ts';
import { SysTicker } from './sys.ts';
import { isUndelivered } from './undelivered.ts';

export type { BrokerOptions } from './state.ts';

export interface Broker {
  readonly counters: Counters;
  opened(connection: ConnectionId, origin: Origin, now: Millis): void;
  received(connection: ConnectionId, bytes: Uint8Array, now: Millis): void;
  /** The socket ended without our asking. */
  lost(connection: ConnectionId, now: Millis): void;
  /** The shell wrote to the socket, and `waitingBytes` are still to go: 0 once it has drained. */
  flushed(connection: ConnectionId, waitingBytes: number, now: Millis): void;
  verified(result: Verification, now: Millis): void;
  /** From the bus: never forwarded again. */
  arrived(message: Message, now: Millis): void;
  /**
   * From a plugin in this process, whose run was for the command `cause`. Undefined where it was taken,
   * else why it was not.
   */
  sent(message: Message, now: Millis, cause?: Message): string | undefined;
  /** Whether the response to a command of `publisher` may go to `topic`. */
  mayReply(publisher: Publisher, topic: TopicName): boolean;
  /** Whether `topic` is a declared command now: a send to a user topic that spells one is refused. */
  declares(topic: TopicName): boolean;
  /**
   * The topics that plugins handle, in place of those named before: declared commands; and the hooks
   * that they want, of `connect`, `disconnect` and `undelivered`.
   */
  handles(topics: readonly TopicFilter[], hooks: readonly string[], now: Millis): void;
  /** What is known of a handler's time table; undefined where it is new. */
  scheduleOf(handler: string): StoredSchedule | undefined;
  /** A handler's time table is `table` from now on, and its due times count from `throughMs`. */
  schedules(handler: string, table: string, throughMs: Millis, now: Millis): void;
  /** It has none any more. */
  unschedules(handler: string, now: Millis): void;
  /** It is due: `command` is enqueued for `handler` alone, and with it is kept that it was. */
  tick(handler: string, table: string, dueMs: Millis, command: Message, now: Millis): void;
  /** The first `count` changes of all that were kept are on disk. */
  stored(count: number, now: Millis): void;
  /** Deliveries that were asked for were read from disk. */
  fetched(result: FetchedDeliveries, now: Millis): void;
  /** Whether the disk can be written: undefined again once it can. */
  storage(failure: StorageFailure | undefined, now: Millis): void;
  /**
   * A handler is done with a command, by its number; undefined: all that it is for are. Once as many
   * changes are stored as it returns, this is on disk; 0 where nothing is kept.
   */
  handled(number: MessageNumber, handler: string | undefined, now: Millis): Position;
  /** A handler has failed with a command `attempts` times, and is to try again. */
  tried(number: MessageNumber, handler: string, attempts: number, now: Millis): void;
  /** A handler gave a command up. `handled` in the same turn makes it one change. */
  buried(letter: DeadLetter, now: Millis): void;
  /** A dead letter is of no more use. Returns what `handled` does. */
  letterDropped(letter: LetterNumber, now: Millis): Position;
  /**
   * A command from within, such as a schedule or a dead letter that is replayed: kept like one of
   * QoS 1, and handed to the plugins; to the handler `only` where that is given. Returns its number.
   */
  enqueue(command: Message, only: string | undefined, now: Millis): MessageNumber;
  /** What a start found on disk: before anything else, in as many pieces as there are. */
  restore(snapshot: Snapshot, now: Millis): void;
  /** Deadlines have come due. */
  passed(now: Millis): void;
  /** When `passed` is next wanted. */
  nextDeadline(): Millis | undefined;
  /** Accept nothing more, and end every connection with 0x8B Server shutting down. */
  shutDown(now: Millis): void;
}

/** A broker without connections, sessions or messages. */
export function createBroker(options: BrokerOptions): Broker {
  return new SansIoBroker(options);
}

class SansIoBroker implements Broker {
  readonly #state: State;
  #handled: readonly TopicFilter[] = [];

  constructor(options: BrokerOptions) {
    this.#state = new State(options);
    new SysTicker(this.#state);
  }

  get counters(): Counters {
    return this.#state.counters;
  }

  opened(id: ConnectionId, { address }: Origin, now: Millis): void {
    const { connections, counters, limits, outbox, places } = this.#state;
    counters.connectionsOpened++;
    // A tenth more than allowed gets as far as CONNECT, to be told why it is refused.
    const tolerated = Math.ceil(limits.maximumConnections * 1.1);
    if (this.#state.draining || counters.connections >= tolerated) {
      count(counters.refused, 'ServerBusy');
      return outbox.close(id);
    }
    const isFull = counters.connections >= limits.maximumConnections;
    const place = places.get(address) ?? { address, connections: 0 };
    const isCrowd = ++place.connections > limits.maximumConnectionsPerAddress;
    const refusal = isFull ? ReasonCode.ServerBusy : isCrowd ? ReasonCode.QuotaExceeded : undefined;
    connections.set(id, new Connection(this.#state, id, place, refusal, now));
    if (place.connections === 1) places.set(address, place);
    counters.connections++;
  }

  received(id: ConnectionId, bytes: Uint8Array, now: Millis): void {
    this.#state.connections.get(id)?.receive(bytes, now);
    this.#afterwards(now);
  }

  lost(id: ConnectionId, now: Millis): void {
    const connection = this.#state.connections.get(id);
    connection?.over('network', ReasonCode.UnspecifiedError, 'connection lost', now);
    this.#afterwards(now);
  }

  flushed(id: ConnectionId, waitingBytes: number, now: Millis): void {
    this.#state.connections.get(id)?.out.flushed(waitingBytes, now);
    this.#afterwards(now);
  }

  verified(result: Verification, now: Millis): void {
    const connection = this.#state.connections.get(result.connection);
    if (connection === undefined) return;
    if (connection.phase === 'renewing') {
      endRenewal(this.#state, connection, result, now);
    } else if (connection.phase === 'verifying') {
      if (result.kind === 'accept') {
        acceptConnect(this.#state, connection, result.identity, now);
        connection.proceed(now);
      } else {
        refuse(this.#state, connection, result.reasonCode, result.detail, now);
      }
    }
    this.#afterwards(now);
  }

  arrived(message: Message, now: Millis): void {
    const publication = Publication.adopt(message, message.reach);
    if (publication.retain) retain(this.#state, publication);
    route(this.#state, publication, undefined, now);
    publication.forgetFrames();
    this.#afterwards(now);
  }

  sent(message: Message, now: Millis, cause?: Message): string | undefined {
    const { topic } = message;
    if (topic.startsWith('$')) return `nobody may publish to ${topic}`;
    const unfit = checkTopic(this.#state, topic);
    if (unfit !== undefined) return unfit;
    const publication = Publication.adopt(message, staffReach(topic, this.#state.commands));
    const quiet = cause !== undefined && isUndelivered(cause);
    const outcome = submit(this.#state, publication, undefined, now, quiet);
    this.#afterwards(now);
    if (outcome === 'full') return 'a queue or the store of retained messages is full';
    return outcome === 'unstorable' ? this.#state.ledger.failure?.detail : undefined;
  }

  declares(topic: TopicName): boolean {
    return this.#state.commands.declares(topic);
  }

  mayReply(publisher: Publisher, topic: TopicName): boolean {
    return mayReply(this.#state, publisher, topic);
  }

  handles(topics: readonly TopicFilter[], hooks: readonly string[], now: Millis): void {
    const { commands, handled } = this.#state;
    for (const topic of topics) {
      commands.add(topic);
      handled.add(topic);
    }
    for (const topic of this.#handled) {
      commands.remove(topic);
      handled.remove(topic);
    }
    this.#handled = [...topics];
    wantHooks(this.#state, hooks, now);
  }

  scheduleOf(handler: string): StoredSchedule | undefined {
    return this.#state.schedules.get(handler);
  }

  schedules(handler: string, table: string, throughMs: Millis, _now: Millis): void {
    beginSchedule(this.#state, handler, table, throughMs);
  }

  unschedules(handler: string, _now: Millis): void {
    endSchedule(this.#state, handler);
  }

  tick(handler: string, table: string, dueMs: Millis, command: Message, _now: Millis): void {
    tick(this.#state, handler, table, dueMs, command);
  }

  stored(position: number, now: Millis): void {
    const { ledger, waiting } = this.#state;
    ledger.stored = position;
    releaseCommands(this.#state);
    for (const connection of waiting) settleReceipts(this.#state, connection, now);
    this.#afterwards(now);
  }

  fetched(result: FetchedDeliveries, now: Millis): void {
    fetched(this.#state, result, now);
    this.#afterwards(now);
  }

  storage(failure: StorageFailure | undefined, now: Millis): void {
    this.#state.ledger.failure = failure;
    if (failure === undefined) return;
    for (const connection of [...this.#state.waiting]) {
      failReceipts(this.#state, connection, now);
    }
    this.#afterwards(now);
  }

  handled(message: MessageNumber, handler: string | undefined, _now: Millis): Position {
    endTick(this.#state, message);
    return finish(this.#state, message, handler);
  }

  tried(message: MessageNumber, handler: string, attempts: number, _now: Millis): void {
    retried(this.#state, message, handler, attempts);
  }

  buried(letter: DeadLetter, _now: Millis): void {
    bury(this.#state, letter);
  }

  letterDropped(letter: LetterNumber, _now: Millis): Position {
    return drop(this.#state, letter);
  }

  enqueue(command: Message, only: string | undefined, _now: Millis): MessageNumber {
    return enqueue(this.#state, command, only);
  }

  restore(snapshot: Snapshot, now: Millis): void {
    restore(this.#state, snapshot, now);
  }

  passed(now: Millis): void {
    for (let due = this.#state.deadlines.take(now); due; due = this.#state.deadlines.take(now)) {
      due.due(now);
    }
    this.#afterwards(now);
  }

  nextDeadline(): Millis | undefined {
    return this.#state.deadlines.next();
  }

  shutDown(now: Millis): void {
    this.#state.draining = true;
    for (const connection of [...this.#state.connections.values()]) {
      connection.disconnect(ReasonCode.ServerShuttingDown, 'server shutting down', now);
    }
  }

  /**
   * What was put off to the end of an input: telling those whose message is done with everywhere,
   * sending on where a window opened, and ending the connections whose pending bytes went out of
   * proportion.
   */
  #afterwards(now: Millis): void {
    const { eased, overrun, settled } = this.#state;
    for (const connection of settled) {
      settled.delete(connection);
      settleReceipts(this.#state, connection, now);
    }
    for (const session of eased) {
      eased.delete(session);
      pump(this.#state, session, now);
    }
    for (const connection of overrun) {
      overrun.delete(connection);
      connection.disconnect(ReasonCode.QuotaExceeded, 'the client reads too slowly', now);
    }
  }
}
