/**
 * Stored commands that found no room in memory: they stay on disk, and are read again, in order, when there
 * is room. While some are there, all that come later go behind them.
 */
import type { MessageNumber } from '../broker/changes.ts';

/** So many are read at a time, and about so many bytes. */
const FETCH_LIMIT = 1_000;
const FETCH_BYTES = 4 * 1024 * 1024;

export type Fetch = (after: MessageNumber, limit: number, bytes: number) => void;

export class Backlog {
  readonly #fetch: Fetch;
  /** All up to here have been taken into memory. */
  #after: MessageNumber = 0;
  /** The last one on disk; none where that is not behind `#after`. */
  #last: MessageNumber = 0;
  /** `#last` when it was read last. */
  #asked: MessageNumber = 0;
  #reading = false;
  /** The last one that a read has brought. */
  #broughtTo: MessageNumber = 0;

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  get waits(): boolean {
    return this.#last > this.#after;
  }

  /**
   * Whether a read has brought a command that is only now handed over. The broker hands over what is on disk when
   * its turn settles, and a read that ends within that turn finds it on disk as well. Numbers are kept in
   * their order, so whatever is up to the last that a read brought was there for it.
   */
  brought(number: MessageNumber): boolean {
    return number <= this.#broughtTo;
  }

  /** Leaves a command on disk; false where it would come out of order there, and has to be taken now. */
  leave(number: MessageNumber): boolean {
    if (!this.waits) this.#after = Math.max(this.#after, number - 1);
    if (number <= this.#after) return false;
    this.#last = Math.max(this.#last, number);
    return true;
  }

  /** All commands up to `last` that a start found are on disk. */
  found(last: MessageNumber): void {
    this.#last = last;
  }

  /** There is room: reads the next ones, unless they are on their way. */
  read(): void {
    if (!this.waits || this.#reading) return;
    this.#reading = true;
    this.#asked = this.#last;
    this.#fetch(this.#after, FETCH_LIMIT, FETCH_BYTES);
  }

  /** They were read up to `last`, with more behind it or not. */
  came(last: MessageNumber | undefined, more: boolean): void {
    this.#reading = false;
    this.#broughtTo = Math.max(this.#broughtTo, last ?? 0);
    // What was left and is not among them any more is done with.
    this.#after = Math.max(this.#after, last ?? 0, more ? 0 : this.#asked);
  }
}
