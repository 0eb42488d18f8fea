/**
 * Messages that wait for a client: while it is away, or while its Receive Maximum is used up. First
 * in, first out, bounded in count and bytes; what is dropped first is the caller's policy.
 */
import type { Message } from '../mqtt/packet.ts';

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

  get length(): number {
    return this.#entries === undefined ? 0 : this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(delivery: D): void {
    this.#entries ??= [];
    this.#entries.push(delivery);
    this.#bytes += queuedSize(delivery.message);
  }

  /** Removes and returns the oldest; undefined where none waits. */
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

  /** Removes and returns, in order, those for which `leave` is true. */
  removeWhere(leave: (delivery: D) => boolean): D[] {
    const removed: D[] = [];
    for (let rest = this.length; rest > 0; rest--) {
      const delivery = this.shift();
      if (delivery === undefined) break;
      if (leave(delivery)) removed.push(delivery);
      else this.push(delivery);
    }
    return removed;
  }
}
