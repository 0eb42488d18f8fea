/** Pieces of bytes that wait to be written, in order: each kept as it is, and let go once it is written. */
const WRITTEN = new Uint8Array(0);
const COMPACT_FROM = 1_024;

export class Chunks {
  readonly #list: Uint8Array[] = [];
  #first = 0;
  /** How much of the first is written. */
  offset = 0;

  push(bytes: Uint8Array): void {
    this.#list.push(bytes);
  }

  /** The first that is not written, or not in whole; undefined where all are. */
  get first(): Uint8Array | undefined {
    return this.#list[this.#first];
  }

  /** `count` more bytes of the first are written. */
  taken(count: number): void {
    this.offset += count;
    if (this.offset < (this.first?.length ?? 0)) return this.#compact();
    this.#list[this.#first++] = WRITTEN;
    this.offset = 0;
  }

  /** Lets go of the places of what is written, before a reader that never quite catches up makes them many. */
  #compact(): void {
    if (this.#first < COMPACT_FROM || this.#first * 2 < this.#list.length) return;
    this.#list.splice(0, this.#first);
    this.#first = 0;
  }
}
