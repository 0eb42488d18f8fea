/**
 * Outgoing buffers, lent to a connection while it has something to write and taken back when that is
 * written. An idle connection holds none, so fifty thousand of them hold none.
 *
 * Three sizes: most connections write an acknowledgement or a message or two in a turn, one of many
 * that get the same messages some more, and a busy one fills what a TLS record can carry.
 */
const SIZES = [1_024, 4_096, 16_384] as const;
export const LARGE_BUFFER_BYTES = 16_384;

/** What is kept of each size for the next turn, in bytes; more is left to the garbage collector. */
const KEPT_BYTES = 4 * 1024 * 1024;

export class BufferPool {
  readonly #kept: readonly Uint8Array[][] = SIZES.map(() => []);

  /** A buffer with room for `bytes`; at most `LARGE_BUFFER_BYTES`. */
  take(bytes: number): Uint8Array {
    const size = bytes <= SIZES[0] ? 0 : bytes <= SIZES[1] ? 1 : 2;
    return (this.#kept[size] as Uint8Array[]).pop() ?? new Uint8Array(SIZES[size]);
  }

  give(buffer: Uint8Array): void {
    const { length } = buffer;
    const kept = this.#kept[length === SIZES[0] ? 0 : length === SIZES[1] ? 1 : 2] as Uint8Array[];
    if (kept.length * length < KEPT_BYTES) kept.push(buffer);
  }
}
