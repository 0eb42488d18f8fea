/**
 * Everything that waits for a time, in one heap: the shell needs one timer, and the core no clock.
 *
 * Most deadlines move on and on and never come due (a Keep Alive moves with every packet), so moving
 * one to a later time only notes it: the heap learns of it when the deadline has come to the top.
 * Invariant: an entry's key in the heap is never after the time it stands for.
 */
import type { Millis } from './outbox.ts';

/** A time and what comes due then; belongs to the `Deadlines` that made it. */
export class Deadline<T> {
  readonly item: T;
  /** When it comes due. Changed by `Deadlines.move` alone. */
  atMs: Millis;
  /** Settles who of two at the same time comes first. */
  sequence: number;
  /** What the heap is ordered by: `atMs` and `sequence`, or what they were before. */
  keyMs: Millis;
  keySequence: number;
  /** Where in the heap; -1 where it is not waiting. */
  place = -1;

  constructor(item: T, atMs: Millis, sequence: number) {
    this.item = item;
    this.atMs = atMs;
    this.sequence = sequence;
    this.keyMs = atMs;
    this.keySequence = sequence;
  }
}

export class Deadlines<T> {
  readonly #heap: Deadline<T>[] = [];
  #sequence = 0;

  /** Deadlines that wait. */
  get size(): number {
    return this.#heap.length;
  }

  set(at: Millis, item: T): Deadline<T> {
    const deadline = new Deadline(item, at, this.#sequence++);
    this.#insert(deadline);
    return deadline;
  }

  /** Puts it to another time, as if set anew; one that was taken or cancelled waits again. */
  move(deadline: Deadline<T>, at: Millis): void {
    deadline.atMs = at;
    deadline.sequence = this.#sequence++;
    if (deadline.place === -1) {
      settleKey(deadline);
      this.#insert(deadline);
    } else if (at < deadline.keyMs) {
      settleKey(deadline);
      this.#rise(deadline);
    }
  }

  /** Nothing happens where it is not waiting. */
  cancel(deadline: Deadline<T>): void {
    const place = deadline.place;
    if (place === -1) return;
    deadline.place = -1;
    const last = this.#heap.pop() as Deadline<T>;
    if (last === deadline) return;
    this.#put(last, place);
    this.#rise(last);
    this.#sink(last);
  }

  /** When the first one comes due; undefined where none waits. */
  next(): Millis | undefined {
    return this.#first()?.atMs;
  }

  /**
   * Takes out the earliest item that is due, at `now` or before; undefined where none is. Items of
   * one time come in the order in which they were set.
   */
  take(now: Millis): T | undefined {
    const first = this.#first();
    if (first === undefined || first.atMs > now) return undefined;
    this.cancel(first);
    return first.item;
  }

  /** The top, once its key tells the truth. */
  #first(): Deadline<T> | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.keySequence === top.sequence) return top;
      settleKey(top);
      this.#sink(top);
    }
  }

  #insert(deadline: Deadline<T>): void {
    this.#put(deadline, this.#heap.length);
    this.#rise(deadline);
  }

  #rise(deadline: Deadline<T>): void {
    let place = deadline.place;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#heap[above] as Deadline<T>;
      if (!before(deadline, parent)) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(deadline, place);
  }

  #sink(deadline: Deadline<T>): void {
    const count = this.#heap.length;
    let place = deadline.place;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= count) break;
      let child = this.#heap[left] as Deadline<T>;
      const right = this.#heap[left + 1];
      if (right !== undefined && before(right, child)) child = right;
      if (!before(child, deadline)) break;
      const below = child.place;
      this.#put(child, place);
      place = below;
    }
    this.#put(deadline, place);
  }

  #put(deadline: Deadline<T>, place: number): void {
    this.#heap[place] = deadline;
    deadline.place = place;
  }
}

function settleKey<T>(deadline: Deadline<T>): void {
  deadline.keyMs = deadline.atMs;
  deadline.keySequence = deadline.sequence;
}

function before<T>(a: Deadline<T>, b: Deadline<T>): boolean {
  return a.keyMs < b.keyMs || (a.keyMs === b.keyMs && a.keySequence < b.keySequence);
}
