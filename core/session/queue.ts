/**
 * Messages that wait for a client: while it is away, or while its Receive Maximum is used up. First
 * in, first out, bounded in count and bytes; what is dropped first is the caller's policy.
 *
 * The queue of a stored session has a tail on disk, of which only count and bytes are known here:
 * once something waits there, whatever is newer waits behind it.
 */
import type { Message } from '../mqtt/packet.ts';
import { Tail } from './tail.ts';

/** What a queued entry costs beside its topic and payload, in bytes: an estimate for the limit, and ours. */
const ENTRY_BYTES = 64;

/** The bytes that `message` counts for in a queue. */
export function queuedSize(message: Message): number {
  return ENTRY_BYTES + message.topic.length + message.payload.length;
}

export class Queue<D extends { readonly message: Message }> {
  #entries: (D | undefined)[] | undefined = undefined;
  #head = 0;
  #bytes = 0;
  /** Made by the first message that goes there. */
  #tail: Tail | undefined = undefined;

  /** Messages here, the tail on disk included, and in it what was in flight. */
  get length(): number {
    return this.memoryLength + this.diskLength;
  }

  /** Messages that wait and were never sent: what the limits are about, as far as is known. */
  get waiting(): number {
    return this.length - (this.#tail?.inflight ?? 0);
  }

  get waitingBytes(): number {
    const tail = this.#tail;
    return tail === undefined ? this.#bytes : this.#bytes + tail.bytes - tail.inflightBytes;
  }

  get memoryLength(): number {
    return this.#entries === undefined ? 0 : this.#entries.length - this.#head;
  }

  get diskLength(): number {
    return this.#tail?.length ?? 0;
  }

  push(delivery: D): void {
    this.#entries ??= [];
    this.#entries.push(delivery);
    this.#bytes += queuedSize(delivery.message);
  }

  /** Removes and returns the oldest in memory; undefined where none waits there. */
  shift(): D | undefined {
    const entries = this.#entries;
    const delivery = entries?.[this.#head];
    if (entries === undefined || delivery === undefined) return undefined;
    entries[this.#head++] = undefined;
    this.#bytes -= queuedSize(delivery.message);
    if (this.#head === entries.length) {
      this.#entries = undefined;
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= entries.length) {
      entries.splice(0, this.#head);
      this.#head = 0;
    }
    return delivery;
  }

  /** Removes and returns, in order, those in memory for which `leave` is true. */
  removeWhere(leave: (delivery: D) => boolean): D[] {
    const removed: D[] = [];
    for (let rest = this.memoryLength; rest > 0; rest--) {
      const delivery = this.shift();
      if (delivery === undefined) break;
      if (leave(delivery)) removed.push(delivery);
      else this.push(delivery);
    }
    return removed;
  }

  /** `count` messages of `bytes` are on disk alone, behind all others. */
  pushToDisk(count: number, bytes: number): void {
    if (count > 0) this.#openTail().push(count, bytes);
  }

  /** The same for messages in flight, whose client has gone. */
  parkInflight(count: number, bytes: number): void {
    if (count > 0) this.#openTail().park(count, bytes);
  }

  /** The oldest that waits on disk is dropped. */
  dropFromDisk(): void {
    this.#tail?.drop();
  }

  /** What is in memory stays on disk alone: nobody is there to send it to. */
  park(): void {
    const length = this.memoryLength;
    const bytes = this.#bytes;
    this.#entries = undefined;
    this.#head = 0;
    this.#bytes = 0;
    this.pushToDisk(length, bytes);
  }

  /** The tail is about to be read: what goes there from now on may not be in what is read. */
  reading(): void {
    this.#tail?.reading();
  }

  /**
   * `count` messages of `bytes` were read from the tail, `late` of them of `lateBytes` gone there since
   * it was asked for; unless there are `more`, the rest is known exactly.
   */
  read(count: number, bytes: number, more: boolean, late: number, lateBytes: number): void {
    const tail = this.#openTail();
    tail.read(count, bytes, more, late, lateBytes);
    if (tail.length === 0) this.#tail = undefined;
  }

  #openTail(): Tail {
    this.#tail ??= new Tail();
    return this.#tail;
  }
}
