/**
 * Commands that wait for a worker: bounded, first in, first out, and the commands of one publisher one
 * after the other. While a worker has some of a user's, it alone gets the others of that user; so
 * their order holds, and nobody waits for an order that nobody asked for.
 */
import type { MessageNumber } from '../broker/changes.ts';
import type { Message } from '../mqtt/packet.ts';
import type { CommandDropReason } from './events.ts';

/** What the broker is told once every handler of a message is done with it. */
export interface Receipt {
  /** 0 where the broker does not want to hear of it. */
  readonly number: MessageNumber;
  outstanding: number;
  /** Whether one of its handlers could not take it. */
  dropped: boolean;
}

/** A command for one handler. */
export interface Waiting {
  readonly message: Message;
  readonly receipt: Receipt;
  /** Place of its handler in the catalogue. */
  readonly handler: number;
  readonly invocation: string;
  /** Order of arrival. */
  readonly sequence: number;
}

/** What an entry costs beside its topic and payload, in bytes: an estimate for the limit. */
const ENTRY_BYTES = 256;

export function waitingBytes({ message }: Waiting): number {
  return ENTRY_BYTES + message.topic.length + message.payload.length;
}

interface Pin<Lane> {
  readonly lane: Lane;
  /** Entries of the user that the lane has: taken and not finished, or put aside for it. */
  count: number;
}

export class CommandQueue<Lane extends object> {
  readonly #mostCommands: number;
  readonly #mostBytes: number;
  readonly #common = new Fifo<Waiting>();
  /** What is put aside for a lane, because of its user. Older than what is in `#common`. */
  readonly #aside = new Map<Lane, Fifo<Waiting>>();
  readonly #pins = new Map<string, Pin<Lane>>();
  #size = 0;
  #bytes = 0;

  constructor(mostCommands: number, mostBytes: number) {
    this.#mostCommands = mostCommands;
    this.#mostBytes = mostBytes;
  }

  /** Entries that wait or are taken and not finished; and their bytes. */
  get size(): number {
    return this.#size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes an entry in; tells why where there is no room for it. */
  offer(entry: Waiting): CommandDropReason | undefined {
    if (this.#size >= this.#mostCommands) return 'queue-full';
    const bytes = waitingBytes(entry);
    if (this.#size > 0 && this.#bytes + bytes > this.#mostBytes) return 'queue-bytes';
    this.#size++;
    this.#bytes += bytes;
    this.#common.push(entry);
    return undefined;
  }

  /** The next entry for `lane`, which is to be finished or given back; undefined where none is for it now. */
  take(lane: Lane): Waiting | undefined {
    const aside = this.#aside.get(lane);
    if (aside !== undefined) {
      const entry = aside.shift();
      if (aside.length === 0) this.#aside.delete(lane);
      if (entry !== undefined) return entry;
    }
    for (let entry = this.#common.shift(); entry !== undefined; entry = this.#common.shift()) {
      const publisher = publisherOf(entry);
      const pin = this.#pins.get(publisher);
      if (pin === undefined) {
        this.#pins.set(publisher, { lane, count: 1 });
        return entry;
      }
      pin.count++;
      if (pin.lane === lane) return entry;
      this.#putAside(pin.lane, entry);
    }
    return undefined;
  }

  /** The entry that was taken is done with. */
  finished(entry: Waiting): void {
    this.#unpin(entry);
    this.#size--;
    this.#bytes -= waitingBytes(entry);
  }

  /** `lane` is no more: what it had taken and not begun, and what was put aside for it, is for others, before all else. */
  giveBack(lane: Lane, taken: readonly Waiting[]): void {
    const entries = [...taken, ...(this.#aside.get(lane)?.all() ?? [])];
    this.#aside.delete(lane);
    for (const entry of entries) this.#unpin(entry);
    this.#common.unshift(entries.sort((a, b) => a.sequence - b.sequence));
  }

  /** Whether `lane` could take something now. False may be wrong about others' users, true never. */
  isFor(lane: Lane): boolean {
    return this.#common.length > 0 || this.#aside.has(lane);
  }

  /** Removes and returns all that waits. */
  clear(): Waiting[] {
    const entries = [...this.#common.all()];
    for (const aside of this.#aside.values()) entries.push(...aside.all());
    this.#common.clear();
    this.#aside.clear();
    for (const entry of entries) {
      this.#size--;
      this.#bytes -= waitingBytes(entry);
    }
    return entries;
  }

  #putAside(lane: Lane, entry: Waiting): void {
    const aside = this.#aside.get(lane);
    if (aside !== undefined) return aside.push(entry);
    const fresh = new Fifo<Waiting>();
    fresh.push(entry);
    this.#aside.set(lane, fresh);
  }

  #unpin(entry: Waiting): void {
    const publisher = publisherOf(entry);
    const pin = this.#pins.get(publisher);
    if (pin !== undefined && --pin.count === 0) this.#pins.delete(publisher);
  }
}

/** Plugins have no user id; theirs are told apart by name. */
function publisherOf({ message: { publisher } }: Waiting): string {
  return publisher.user === '' ? `\0${publisher.clientIdentifier}` : publisher.user;
}

/** First in, first out, without moving what waits at each step. */
class Fifo<T> {
  #entries: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: T): void {
    this.#entries.push(entry);
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

  unshift(entries: readonly T[]): void {
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
