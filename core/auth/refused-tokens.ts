/**
 * Remembers tokens that were refused for good, so that a client which presents the same one every
 * second is answered without checking it again. Holds hashes, not tokens, and a bounded number.
 */
import type { Millis } from '../broker/outbox.ts';

interface Entry<T> {
  readonly verdict: T;
  /** The verdict holds from here on; before it, as when the clock was set back, nothing is known. */
  readonly sinceMs: Millis;
}

export class RefusedTokens<T> {
  readonly #capacity: number;
  /** In the order in which they were last of use, so that the first one is the one to forget. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(token: string, now: Millis): T | undefined {
    if (this.#entries.size === 0) return undefined;
    const key = keyOf(token);
    const entry = this.#entries.get(key);
    if (entry === undefined || now < entry.sinceMs) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.verdict;
  }

  add(token: string, verdict: T, sinceMs: Millis): void {
    if (this.#capacity === 0) return;
    this.#entries.set(keyOf(token), { verdict, sinceMs });
    if (this.#entries.size <= this.#capacity) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }
}

/** A cryptographic hash: with a weaker one, somebody could craft a bad token that shuts out a good one. */
function keyOf(token: string): string {
  return new Bun.CryptoHasher('sha256').update(token).digest('base64');
}
