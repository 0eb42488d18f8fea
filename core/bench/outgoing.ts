/**
 * What waits to be written to one socket: frames are appended, and leave together. A large buffer is let
 * go as soon as it is empty, so that memory follows what is under way.
 */
const SMALLEST = 512;
/** A buffer beyond this is let go once it is empty. */
const KEPT = 65_536;
const NOTHING = new Uint8Array(0);

export class Outgoing {
  /** What waits is `bytes` from `start` to `end`. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** Makes room for `size` more bytes and returns where they go in `bytes`; the caller fills them all. */
  reserve(size: number): number {
    if (this.end + size > this.bytes.length) this.#grow(size);
    const at = this.end;
    this.end += size;
    return at;
  }

  append(frame: Uint8Array): number {
    const at = this.reserve(frame.length);
    this.bytes.set(frame, at);
    return at;
  }

  /** `count` bytes have left. */
  taken(count: number): void {
    this.start += count;
    if (this.start < this.end) return;
    this.start = 0;
    this.end = 0;
    if (this.bytes.length > KEPT) this.bytes = NOTHING;
  }

  clear(): void {
    this.bytes = NOTHING;
    this.start = 0;
    this.end = 0;
  }

  #grow(size: number): void {
    const held = this.length;
    const room = Math.max(SMALLEST, held + size, this.bytes.length >= 2 * held ? 0 : 2 * held);
    const grown = room > this.bytes.length ? new Uint8Array(roundUp(room)) : this.bytes;
    if (grown === this.bytes) grown.copyWithin(0, this.start, this.end);
    else grown.set(this.bytes.subarray(this.start, this.end));
    this.bytes = grown;
    this.start = 0;
    this.end = held;
  }
}

function roundUp(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}
