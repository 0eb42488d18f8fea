/**
 * What waits to be tried again, by time. The wait doubles with each attempt, up to a longest one, and is
 * a quarter longer or shorter by chance, so that what failed together does not come back together.
 */
import { Deadlines } from '../broker/deadlines.ts';
import type { HandlerRules } from './definition.ts';

type Waits = Pick<HandlerRules, 'firstDelayMs' | 'longestDelayMs'>;

/** How long to wait after the `attempts`th run failed; `chance` is from 0 to 1. */
export function retryDelayMs(
  { firstDelayMs, longestDelayMs }: Waits,
  attempts: number,
  chance: number,
): number {
  const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** (attempts - 1));
  return delayMs * (0.75 + chance / 2);
}

/** Where time and chance come from. */
export interface RetryClock {
  /** Milliseconds, never going back. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  /** Calls back after so long; what is returned takes it back. */
  after(delayMs: number, call: () => void): () => void;
}

export const realClock: RetryClock = {
  now: () => performance.now(),
  random: Math.random,
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A timer cannot be set for longer than this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Retries<T extends object> {
  readonly #clock: RetryClock;
  readonly #due: (item: T) => void;
  readonly #waiting = new Deadlines<T>();
  #cancel: (() => void) | undefined = undefined;
  #wakesAtMs = Number.POSITIVE_INFINITY;

  /** `due` is called for each item when its time has come. */
  constructor(clock: RetryClock, due: (item: T) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Tries `item` again once `attempts` runs of it have failed. Returns the wait in milliseconds. */
  add(item: T, rules: Waits, attempts: number): number {
    const delayMs = retryDelayMs(rules, attempts, this.#clock.random());
    this.#waiting.set(this.#clock.now() + delayMs, item);
    this.#schedule();
    return delayMs;
  }

  /** Takes out all that waits. */
  takeAll(): T[] {
    const taken: T[] = [];
    const { POSITIVE_INFINITY } = Number;
    for (let item = this.#waiting.take(POSITIVE_INFINITY); item; ) {
      taken.push(item);
      item = this.#waiting.take(POSITIVE_INFINITY);
    }
    this.#schedule();
    return taken;
  }

  #schedule(): void {
    const atMs = this.#waiting.next() ?? Number.POSITIVE_INFINITY;
    if (atMs === this.#wakesAtMs) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#wakesAtMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.max(0, atMs - this.#clock.now()));
    this.#cancel = this.#clock.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    this.#cancel = undefined;
    this.#wakesAtMs = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let item = this.#waiting.take(now); item; item = this.#waiting.take(now)) this.#due(item);
    this.#schedule();
  }
}
