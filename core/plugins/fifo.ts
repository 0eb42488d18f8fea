/** First in, first out, without moving what waits at each step. */
export class Fifo<T> {
  #entries: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** The next one, which stays. */
  peek(): T | undefined {
    return this.#entries[this.#head];
  }

  shift(): T | undefined {
    if (this.#head === this.#entries.length) return undefined;
    const entry = this.#entries[this.#head];
    this.#entries[this.#head++] = undefined;
    if (this.#head === this.#entries.length) this.clear();
    else if (this.#head >= 1_024 && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Puts them before all others, in their order. */
  unshift(entries: readonly T[]): void {
    if (entries.length === 0) return;
    if (entries.length === 1 && this.#head > 0) {
      this.#entries[--this.#head] = entries[0];
      return;
    }
    this.#entries = [...entries, ...this.all()];
    this.#head = 0;
  }

  all(): T[] {
    return this.#entries.slice(this.#head) as T[];
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
  }
}
