/**
 * One timer for the broker's next deadline. Deadlines move with every packet, nearly always to
 * later; a timer that is early does no harm, so it is set anew only where it would be late.
 */
import type { Millis } from '../broker/outbox.ts';
import type { SteadyClock } from './clock.ts';

/** The longest time that `setTimeout` takes. */
const LONGEST_MS = 2 ** 31 - 1;

export class Alarm {
  readonly #clock: SteadyClock;
  readonly #ring: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #at: Millis = Number.POSITIVE_INFINITY;
  #notBefore: Millis = 0;

  constructor(clock: SteadyClock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `deadline` or before, and then needs to be set again. */
  set(deadline: Millis | undefined): void {
    if (deadline === undefined) return;
    const at = Math.max(deadline, this.#notBefore);
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    const delay = Math.max(1, Math.ceil(at - this.#clock.now()));
    this.#timer = setTimeout(this.#rung, Math.min(delay, LONGEST_MS));
  }

  /** Does not ring before `ms` have passed, whatever is set. */
  rest(ms: number): void {
    this.#notBefore = this.#clock.now() + ms;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#at = Number.NEGATIVE_INFINITY;
  }

  #rung = (): void => {
    this.#at = Number.POSITIVE_INFINITY;
    this.#ring();
  };
}
