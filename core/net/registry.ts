/**
 * The connections of this process by number. Fan-out looks one up per message and receiver, so this
 * is an array and not a Map: a number's low bits are its slot. Numbers are given out in ascending
 * order, passing over those whose slot is taken, so no two connections ever contend for a slot, and
 * none is used twice in the life of the process.
 */
import type { ConnectionId } from '../broker/outbox.ts';
import type { Link } from './link.ts';

const FIRST_SLOTS = 256;

export class Registry {
  #slots: (Link | undefined)[] = empty(FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #last: ConnectionId = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: ConnectionId): Link | undefined {
    const link = this.#slots[id & this.#mask];
    return link !== undefined && link.id === id ? link : undefined;
  }

  /** A number for a connection that `add` is about to be called with. */
  nextId(): ConnectionId {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    do this.#last++;
    while (this.#slots[this.#last & this.#mask] !== undefined);
    return this.#last;
  }

  add(link: Link): void {
    this.#slots[link.id & this.#mask] = link;
    this.#size++;
  }

  delete(link: Link): void {
    if (this.get(link.id) !== link) return;
    this.#slots[link.id & this.#mask] = undefined;
    this.#size--;
  }

  *[Symbol.iterator](): Iterator<Link> {
    for (const link of this.#slots) if (link !== undefined) yield link;
  }

  /** Twice the slots: two numbers that differ in the low bits still do with one bit more. */
  #grow(): void {
    const links = [...this];
    this.#slots = empty(this.#slots.length * 2);
    this.#mask = this.#slots.length - 1;
    for (const link of links) this.#slots[link.id & this.#mask] = link;
  }
}

function empty(length: number): (Link | undefined)[] {
  return new Array<Link | undefined>(length).fill(undefined);
}
