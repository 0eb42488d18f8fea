/**
 * What parts of this process tell the broker: the storage, the plugins, the desk of dead letters, the bus.
 * Each call begins a turn where none is under way. What the broker throws is a bug, and is told; where
 * nothing else is said, its caller does not hear of it.
 */
import type { Broker } from '../broker/broker.ts';
import type {
  DeadLetter,
  FetchedDeliveries,
  LetterNumber,
  MessageNumber,
  Snapshot,
} from '../broker/changes.ts';
import type { Position, StorageFailure } from '../broker/ledger.ts';
import type { Millis } from '../broker/outbox.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter } from '../mqtt/topic.ts';

export class Insiders {
  readonly #broker: Broker;
  readonly #begin: () => Millis;
  readonly #fault: (thrown: unknown) => void;

  /** `begin` tells the turn's time. */
  constructor(broker: Broker, begin: () => Millis, fault: (thrown: unknown) => void) {
    this.#broker = broker;
    this.#begin = begin;
    this.#fault = fault;
  }

  arrived(message: Message): void {
    this.#guarded((now) => this.#broker.arrived(message, now));
  }

  /** Undefined where the broker took the message of a run for `cause`, else why it did not. */
  sent(message: Message, cause?: Message): string | undefined {
    const now = this.#begin();
    try {
      return this.#broker.sent(message, now, cause);
    } catch (error) {
      this.#fault(error);
      return 'internal error';
    }
  }

  handles(topics: readonly TopicFilter[], hooks: readonly string[]): void {
    this.#guarded((now) => this.#broker.handles(topics, hooks, now));
  }

  /** These are what `Broker` has under the same names. */
  schedules(handler: string, table: string, throughMs: Millis): void {
    this.#guarded((now) => this.#broker.schedules(handler, table, throughMs, now));
  }

  unschedules(handler: string): void {
    this.#guarded((now) => this.#broker.unschedules(handler, now));
  }

  tick(handler: string, table: string, dueMs: Millis, command: Message): void {
    this.#guarded((now) => this.#broker.tick(handler, table, dueMs, command, now));
  }

  /** The storage has the first `count` changes on disk. */
  stored(count: number): void {
    this.#guarded((now) => this.#broker.stored(count, now));
  }

  /** The storage read what was asked for. */
  fetched(result: FetchedDeliveries): void {
    this.#guarded((now) => this.#broker.fetched(result, now));
  }

  /** The disk fails, or with undefined works again. */
  storageStatus(failure: StorageFailure | undefined): void {
    this.#guarded((now) => this.#broker.storage(failure, now));
  }

  /** What a start found on disk. */
  restore(snapshot: Snapshot): void {
    this.#guarded((now) => this.#broker.restore(snapshot, now));
  }

  /** Returns what `Broker.handled` does; Infinity, which never comes, where that failed. */
  handled(number: MessageNumber, handler: string | undefined): Position {
    let position = Number.POSITIVE_INFINITY;
    this.#guarded((now) => {
      position = this.#broker.handled(number, handler, now);
    });
    return position;
  }

  tried(number: MessageNumber, handler: string, attempts: number): void {
    this.#guarded((now) => this.#broker.tried(number, handler, attempts, now));
  }

  buried(letter: DeadLetter): void {
    this.#guarded((now) => this.#broker.buried(letter, now));
  }

  /** A command from within. */
  enqueue(command: Message, only: string | undefined): void {
    this.#guarded((now) => this.#broker.enqueue(command, only, now));
  }

  /** Returns what `Broker.letterDropped` does; throws where that fails. */
  letterDropped(letter: LetterNumber): Position {
    return this.#broker.letterDropped(letter, this.#begin());
  }

  /** In place of a dead letter there is a command, for the handler `only` where that is given: one change. */
  replayed(letter: LetterNumber, command: Message, only: string | undefined): Position {
    this.#broker.enqueue(command, only, this.#begin());
    return this.letterDropped(letter);
  }

  #guarded(call: (now: Millis) => void): void {
    const now = this.#begin();
    try {
      call(now);
    } catch (error) {
      this.#fault(error);
    }
  }
}
