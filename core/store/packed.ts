/**
 * Values packed one after the other into bytes: the form in which batches cross to the storage
 * thread, deliveries come back, and the head of a message lies in the file. A batch of plain objects
 * costs the event loop some fifty times as much to hand over.
 *
 * What lies in files is read again by later versions: a change of the form needs a migration.
 */
import assert from 'node:assert';

const FIRST_ROOM = 64 * 1024;
/** The most characters whose UTF-8 surely fits a length of one byte. */
const SHORT_TEXT = 42;

export class Packer {
  #bytes: Buffer;
  #view: DataView;
  length = 0;

  /** Fills `room`, which may have been used before; grows out of it where it is too small. */
  constructor(room: ArrayBuffer = new ArrayBuffer(FIRST_ROOM)) {
    this.#bytes = Buffer.from(room);
    this.#view = new DataView(room);
  }

  byte(value: number): void {
    this.#need(1);
    this.#bytes[this.length++] = value;
  }

  /** An integer up to 2^53, or Infinity. */
  number(value: number): void {
    this.#need(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** A length: 0 to 2^31 - 1, in as few bytes as it needs. */
  size(value: number): void {
    this.#need(5);
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.length++] = rest;
  }

  text(value: string): void {
    if (value.length <= SHORT_TEXT) {
      this.#need(1 + 3 * SHORT_TEXT);
      const size = this.#bytes.write(value, this.length + 1);
      this.#bytes[this.length] = size;
      this.length += 1 + size;
    } else {
      const size = Buffer.byteLength(value);
      this.size(size);
      this.#need(size);
      this.length += this.#bytes.write(value, this.length);
    }
  }

  data(value: Uint8Array): void {
    this.size(value.length);
    this.#need(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** The room that was filled, `length` bytes of it. The packer is done with: the room goes elsewhere. */
  release(): ArrayBuffer {
    return this.#view.buffer as ArrayBuffer;
  }

  /** What was written; good until the next call. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #need(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const room = new ArrayBuffer(Math.max(needed, 2 * this.#bytes.length));
    const larger = Buffer.from(room);
    larger.set(this.written);
    this.#bytes = larger;
    this.#view = new DataView(room);
  }
}

/** Reads what a `Packer` wrote. It trusts it: both are ours. */
export class Unpacker {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #position = 0;
  readonly #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
  }

  get done(): boolean {
    return this.#position === this.#end;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  number(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  size(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  text(): string {
    const size = this.size();
    const start = this.#take(size);
    return this.#bytes.toString('utf8', start, start + size);
  }

  /** Points into what is read. */
  data(): Uint8Array {
    const size = this.size();
    const start = this.#take(size);
    return this.#bytes.subarray(start, start + size);
  }

  #take(count: number): number {
    const start = this.#position;
    this.#position += count;
    assert(this.#position <= this.#end, 'packed values end too early');
    return start;
  }
}
