/**
 * Outgoing buffers, lent to a connection while it has something to write and taken back when that is
 * written. An idle connection holds none, so fifty thousand of them hold none.
 *
 * Two sizes: most connections write an acknowledgement or a message or two in a turn, and a busy one
 * fills what a TLS record can carry.
 */
export const SMALL_BUFFER_BYTES = 1_024;
export const LARGE_BUFFER_BYTES = 16_384;

/** What is kept for the next turn; more is left to the garbage collector. */
const KEPT_SMALL = 4_096;
const KEPT_LARGE = 512;

export class BufferPool {
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];

  /** A buffer with room for `bytes`; at most `LARGE_BUFFER_BYTES`. */
  take(bytes: number): Uint8Array {
    return bytes <= SMALL_BUFFER_BYTES
      ? (this.#small.pop() ?? new Uint8Array(SMALL_BUFFER_BYTES))
      : (this.#large.pop() ?? new Uint8Array(LARGE_BUFFER_BYTES));
  }

  give(buffer: Uint8Array): void {
    if (buffer.length === SMALL_BUFFER_BYTES) {
      if (this.#small.length < KEPT_SMALL) this.#small.push(buffer);
    } else if (this.#large.length < KEPT_LARGE) this.#large.push(buffer);
  }
}
