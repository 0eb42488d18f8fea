/**
 * The time that the broker lives by: epoch milliseconds that never jump and never run backwards.
 *
 * The core holds keep-alive and retry deadlines as plain numbers, so a wall clock that is set forward
 * by an hour would end every connection at once, and one that is set back would keep dead ones for an
 * hour. This clock therefore runs on the monotonic one and follows the wall clock by at most a tenth
 * of the time that passes: Keep Alive has half its length to spare [MQTT-3.1.2-22], so no client
 * notices. Times that come from elsewhere as wall time, such as a token's expiry, are brought onto
 * this clock with `fromWall`.
 */
import type { Millis } from '../broker/outbox.ts';

const SLEW = 0.1;
const COMPARE_EVERY_MS = 1_000;

export class SteadyClock {
  readonly #monotonic: () => number;
  readonly #wall: () => Millis;
  #base: Millis;
  #baseMonotonic: number;
  /** How far the wall clock was ahead at the base, still to be made up. */
  #behind = 0;

  constructor(monotonic: () => number = () => performance.now(), wall: () => Millis = Date.now) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#base = wall();
    this.#baseMonotonic = monotonic();
  }

  now(): Millis {
    const monotonic = this.#monotonic();
    const elapsed = monotonic - this.#baseMonotonic;
    const most = elapsed * SLEW;
    const correction = Math.max(-most, Math.min(most, this.#behind));
    const now = this.#base + elapsed + correction;
    if (elapsed >= COMPARE_EVERY_MS) {
      this.#base = now;
      this.#baseMonotonic = monotonic;
      this.#behind = this.#wall() - now;
    }
    return Math.floor(now);
  }

  /** The moment on this clock that is as far from now as `wallMs` is on the wall clock. */
  fromWall(wallMs: Millis): Millis {
    const ahead = this.#wall() - this.now();
    return Math.abs(ahead) < COMPARE_EVERY_MS ? wallMs : wallMs - ahead;
  }
}
