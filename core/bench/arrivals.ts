/** Whether what one publisher sends to one receiver arrives in order, and once. */
import type { BenchOptions } from './options.ts';
import { Sequences } from './sequences.ts';

/** Beyond this many pairs of publisher and receiver nothing is checked. */
const MOST = 4_000_000;

export class Arrivals {
  duplicates = 0;
  /** Messages that came for the first time after a later one. */
  outOfOrder = 0;
  readonly #publishers: number;
  /** Where a publisher's messages have one receiver each, the receiver does not matter to what is missing. */
  readonly #hasOneReceiver: boolean;
  /** Undefined where there would be too many series. */
  readonly #sequences: Sequences | undefined;
  /** Where that one is another each time: the last sequence number, by receiver and publisher. */
  readonly #last: Uint32Array | undefined;
  readonly isOrderChecked: boolean;

  constructor(options: BenchOptions) {
    const { scenario, publishers, subscribers, connections } = options;
    const isScattered = scenario === 'headline' || scenario === 'idle';
    this.#publishers = publishers;
    this.#hasOneReceiver = isScattered || scenario === 'pairs' || scenario === 'command';
    const series = this.#hasOneReceiver ? publishers : publishers * subscribers;
    this.#sequences = series <= MOST ? new Sequences(series) : undefined;
    const scattered = connections * publishers;
    this.#last = isScattered && scattered <= MOST ? new Uint32Array(scattered) : undefined;
    this.isOrderChecked = isScattered ? this.#last !== undefined : this.areDuplicatesChecked;
  }

  get areDuplicatesChecked(): boolean {
    return this.#sequences !== undefined;
  }

  /**
   * Whether the message came for the first time; true where that is not checked. `receiver` and
   * `publisher` count among all of all shares, `sequence` from 1.
   */
  note(receiver: number, publisher: number, sequence: number): boolean {
    if (this.#sequences === undefined) return true;
    const pair = receiver * this.#publishers + publisher;
    const standing = this.#sequences.note(this.#hasOneReceiver ? publisher : pair, sequence);
    if (standing === 'again') {
      this.duplicates++;
      return false;
    }
    if (this.#last !== undefined) {
      if (sequence < (this.#last[pair] as number)) this.outOfOrder++;
      else this.#last[pair] = sequence;
    } else if (this.isOrderChecked && standing === 'late') this.outOfOrder++;
    return true;
  }
}
