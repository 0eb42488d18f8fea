/**
 * The tail of a stored session's queue: what waits on disk alone. Only count and bytes are known here,
 * and where messages were dropped or read while others came, the bytes are an estimate.
 */
export class Tail {
  length = 0;
  bytes = 0;
  /** Of those, what was in flight when the client went away: first in the tail, and not waiting. */
  inflight = 0;
  inflightBytes = 0;
  /** What went to the tail since it was last read from. */
  #lengthSince = 0;
  #bytesSince = 0;

  /** `count` messages of `bytes` go behind all others. */
  push(count: number, bytes: number): void {
    this.length += count;
    this.bytes += bytes;
    this.#lengthSince += count;
    this.#bytesSince += bytes;
  }

  /** The same for messages in flight, whose client has gone. */
  park(count: number, bytes: number): void {
    this.push(count, bytes);
    this.inflight += count;
    this.inflightBytes += bytes;
  }

  /** The oldest that waits is dropped; its size is not known, so the mean stands for it. */
  drop(): void {
    const waiting = this.length - this.inflight;
    if (waiting === 0) return;
    this.bytes -= (this.bytes - this.inflightBytes) / waiting;
    this.length--;
  }

  /** It is about to be read: what goes there from now on may not be in what is read. */
  reading(): void {
    this.#lengthSince = 0;
    this.#bytesSince = 0;
  }

  /** `count` messages of `bytes` were read: see `Queue.read`. */
  read(count: number, bytes: number, more: boolean, late: number, lateBytes: number): void {
    this.inflight = more ? Math.max(0, this.inflight - count) : 0;
    this.inflightBytes = more ? Math.max(0, this.inflightBytes - bytes) : 0;
    this.length = more ? Math.max(1, this.length - count) : this.#lengthSince - late;
    this.bytes = more ? Math.max(0, this.bytes - bytes) : this.#bytesSince - lateBytes;
  }
}
