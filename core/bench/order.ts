/** Whether what one publisher sends to one receiver arrives in order, and once. */
import type { BenchOptions } from './options.ts';

/** Beyond this many pairs of publisher and receiver nothing is checked. */
const MOST = 4_000_000;

export class Order {
  /** Messages that came after a later one, or again. */
  violations = 0;
  /** By receiver and publisher: the last sequence number. Undefined where there are too many of them. */
  readonly #last: Uint32Array | undefined;
  readonly #publishers: number;
  /** Where a publisher has one receiver, the receiver does not matter. */
  readonly #isPaired: boolean;

  constructor(options: BenchOptions) {
    const { scenario, publishers, subscribers, connections } = options;
    this.#publishers = publishers;
    this.#isPaired = scenario === 'pairs' || scenario === 'command';
    const receivers = subscribers > 0 ? subscribers : connections;
    const pairs = this.#isPaired ? publishers : receivers * publishers;
    this.#last = pairs <= MOST ? new Uint32Array(pairs) : undefined;
  }

  get isChecked(): boolean {
    return this.#last !== undefined;
  }

  /** `receiver` and `publisher` count among all of all shares, `sequence` from 1. */
  note(receiver: number, publisher: number, sequence: number): void {
    if (this.#last === undefined) return;
    const at = this.#isPaired ? publisher : receiver * this.#publishers + publisher;
    if (sequence <= (this.#last[at] ?? 0)) this.violations++;
    else this.#last[at] = sequence;
  }
}
