/** Where a worker stands, in numbers that the pool can read even while the worker answers nothing. */
import { Phase, Progress, SlotState } from './exchange.ts';

/** How often it shows that it yields. */
const BEAT_MS = 50;

export class Standing {
  readonly #progress: Int32Array<SharedArrayBuffer>;
  #timer: NodeJS.Timeout | undefined = undefined;
  #condemned = false;

  constructor(progress: Int32Array<SharedArrayBuffer>) {
    this.#progress = progress;
  }

  /** Whether the pool is about to end this worker: it may not change anything any more. */
  get condemned(): boolean {
    return this.#condemned;
  }

  /** The run in `slot` has the thread. */
  begins(slot: number): void {
    Atomics.store(this.#progress, Progress.Slots + slot, SlotState.Begun);
    Atomics.store(this.#progress, Progress.Running, slot + 1);
    this.#beat();
  }

  /** No run is known to have it. */
  yields(): void {
    Atomics.store(this.#progress, Progress.Running, 0);
    this.#beat();
  }

  /** Whatever the run in `slot` did can be taken for not begun, until it settles. */
  unbegins(slot: number): void {
    Atomics.store(this.#progress, Progress.Slots + slot, SlotState.Free);
  }

  settles(slot: number): void {
    Atomics.store(this.#progress, Progress.Slots + slot, SlotState.Settled);
  }

  /** Takes the right to commit; false where the pool has condemned this worker. */
  claims(): boolean {
    const { Running, Settling } = Phase;
    const before = Atomics.compareExchange(this.#progress, Progress.Phase, Running, Settling);
    this.#condemned ||= before !== Running;
    return before === Running;
  }

  /** What `claims` was for is done, and posted. */
  goesOn(): void {
    Atomics.store(this.#progress, Progress.Phase, Phase.Running);
    this.#beat();
  }

  /** Whether it waits for another worker to be done with the store. */
  waits(waiting: boolean): void {
    Atomics.store(this.#progress, Progress.Waiting, waiting ? 1 : 0);
  }

  /** Beats by itself, or no longer. */
  beats(regularly: boolean): void {
    if (!regularly) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#beat(), BEAT_MS);
    }
  }

  #beat(): void {
    Atomics.add(this.#progress, Progress.Beat, 1);
  }
}
