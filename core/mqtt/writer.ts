/**
 * The data types of the standard (MQTT 5.0 section 1.5), written one after the other. A writer is
 * filled, copied from and used again; what it was asked for is never longer than a packet may be.
 */
import assert from 'node:assert';
import { stringSize, writeString } from './encoded-string.ts';
import type { UserProperty } from './packet.ts';
import { Property } from './properties.ts';
import { MAXIMUM_STRING_BYTES } from './topic.ts';

const FIRST_ROOM = 1024;
/** More than this is given back after use. */
const KEPT_ROOM = 64 * 1024;
/** Largest Remaining Length (section 2.1.4). */
const MAXIMUM_LENGTH = 268_435_455;

export class Writer {
  #bytes: Uint8Array = Buffer.allocUnsafeSlow(FIRST_ROOM);
  length = 0;

  reset(): this {
    if (this.#bytes.length > KEPT_ROOM) this.#bytes = Buffer.allocUnsafeSlow(FIRST_ROOM);
    this.length = 0;
    return this;
  }

  byte(value: number): this {
    this.#need(1);
    this.#bytes[this.length++] = value;
    return this;
  }

  twoByteInteger(value: number): this {
    this.#need(2);
    this.#bytes[this.length++] = value >> 8;
    this.#bytes[this.length++] = value;
    return this;
  }

  fourByteInteger(value: number): this {
    return this.twoByteInteger(Math.floor(value / 0x10000)).twoByteInteger(value % 0x10000);
  }

  variableByteInteger(value: number): this {
    this.#need(lengthSize(value));
    this.length = writeLength(this.#bytes, this.length, value);
    return this;
  }

  string(text: string, field: string): this {
    const size = stringSize(text, field);
    this.#need(2 + size);
    this.length = writeString(this.#bytes, this.length, text, size);
    return this;
  }

  binary(data: Uint8Array, field: string): this {
    const size = data.length;
    assert(size <= MAXIMUM_STRING_BYTES, `${field} of ${size} bytes does not fit a packet`);
    return this.twoByteInteger(size).raw(data);
  }

  raw(data: Uint8Array): this {
    this.#need(data.length);
    this.#bytes.set(data, this.length);
    this.length += data.length;
    return this;
  }

  /** A property section: its length, then what `properties` holds. */
  section(properties: Writer): this {
    return this.variableByteInteger(properties.length).raw(properties.written);
  }

  /** What was written; good until the next call. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** A packet of its own: `first` byte, Remaining Length, and what was written. */
  packet(first: number): Uint8Array {
    const frame = Buffer.allocUnsafe(1 + lengthSize(this.length) + this.length);
    frame[0] = first;
    frame.set(this.written, writeLength(frame, 1, this.length));
    return frame;
  }

  // Properties. Each is left out where its value is undefined.

  flagProperty(property: Property, value: boolean | undefined): this {
    return this.byteProperty(property, value === undefined ? undefined : Number(value));
  }

  byteProperty(property: Property, value: number | undefined): this {
    return value === undefined ? this : this.byte(property).byte(value);
  }

  twoByteProperty(property: Property, value: number | undefined): this {
    return value === undefined ? this : this.byte(property).twoByteInteger(value);
  }

  fourByteProperty(property: Property, value: number | undefined): this {
    return value === undefined ? this : this.byte(property).fourByteInteger(value);
  }

  variableByteProperty(property: Property, value: number | undefined): this {
    return value === undefined ? this : this.byte(property).variableByteInteger(value);
  }

  stringProperty(property: Property, value: string | undefined, field: string): this {
    return value === undefined ? this : this.byte(property).string(value, field);
  }

  binaryProperty(property: Property, value: Uint8Array | undefined, field: string): this {
    return value === undefined ? this : this.byte(property).binary(value, field);
  }

  /** In their order. [MQTT-3.3.2-18] */
  userProperties(list: readonly UserProperty[] | undefined): this {
    if (list === undefined) return this;
    for (const [name, value] of list) {
      this.byte(Property.UserProperty).string(name, 'User Property');
      this.string(value, 'User Property');
    }
    return this;
  }

  #need(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.written);
    this.#bytes = larger;
  }
}

/** How many bytes `length` takes as a Variable Byte Integer. Asserts that it fits one. */
export function lengthSize(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  if (length < 2_097_152) return 3;
  assert(length <= MAXIMUM_LENGTH, `${length} bytes do not fit a packet`);
  return 4;
}

/** Writes `length` as a Variable Byte Integer at `at`; returns the index behind it. */
export function writeLength(into: Uint8Array, at: number, length: number): number {
  let rest = length;
  let position = at;
  while (rest > 127) {
    into[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[position++] = rest;
  return position;
}
