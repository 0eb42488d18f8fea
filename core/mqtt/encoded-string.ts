/**
 * UTF-8 Encoded Strings (MQTT 5.0 section 1.5.4): read strictly, because a lenient reading lets two
 * different byte strings become one topic. U+FEFF is kept. [MQTT-1.5.4-3] Control characters and
 * non-characters, which a receiver may refuse, pass: what a topic may hold is decided elsewhere.
 */
import assert from 'node:assert';
import type { ProtocolVersion } from './packet.ts';
import { ProtocolViolation, ReasonCode } from './reason-code.ts';
import { MAXIMUM_STRING_BYTES } from './topic.ts';

/** What Buffer can do, which its published types leave out. They work on any Uint8Array. */
interface Slices {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(this: Uint8Array, text: string, at: number): number;
}
const { latin1Slice, utf8Write } = Buffer.prototype as unknown as Slices;
const strictly = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Topics that were read lately, by a hash of their bytes. A power of two, so that a mask finds the place. */
const recent: string[] = new Array(1024).fill('');
/** Longer topics are not remembered: what this costs is bounded whatever clients send. */
const LONGEST_RECENT = 128;

/**
 * The string in `bytes` from `start` to `end`. Throws MalformedPacket where it is not well-formed
 * UTF-8 or has U+0000 in it; `field` is what the detail calls it. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
 */
export function readString(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: string,
  version: ProtocolVersion,
): string {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === 0 || byte > 0x7f) return readUnusual(bytes, start, end, field, version);
  }
  return latin1Slice.call(bytes, start, end);
}

/**
 * The same for a Topic Name. The same few topics come again and again: those in use are found by
 * their bytes and need no new string, nor another hash of it where it is looked up.
 */
export function readTopic(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): string {
  let hash = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === 0 || byte > 0x7f) return readUnusual(bytes, start, end, 'Topic Name', version);
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  const length = end - start;
  if (length > LONGEST_RECENT) return latin1Slice.call(bytes, start, end);
  const place = (hash ^ (hash >>> 10)) & (recent.length - 1);
  const known = recent[place] as string;
  if (known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return known;
  }
  const topic = latin1Slice.call(bytes, start, end);
  recent[place] = topic;
  return topic;
}

/** Not ASCII alone, or a zero in it. */
function readUnusual(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: string,
  version: ProtocolVersion,
): string {
  for (let i = start; i < end; i++) {
    if (bytes[i] !== 0) continue;
    throw new ProtocolViolation(
      ReasonCode.MalformedPacket,
      version === 5 ? 'MQTT-1.5.4-2' : 'MQTT3-1.5.3-2',
      `the ${field} has U+0000 in it`,
    );
  }
  try {
    return strictly.decode(bytes.subarray(start, end));
  } catch {
    throw new ProtocolViolation(
      ReasonCode.MalformedPacket,
      version === 5 ? 'MQTT-1.5.4-1' : 'MQTT3-1.5.3-1',
      `the ${field} is not well-formed UTF-8`,
    );
  }
}

/**
 * How many bytes `text` takes in UTF-8, without its length prefix. Asserts that a UTF-8 Encoded
 * String can hold it; `field` is what the assertion calls it.
 */
export function stringSize(text: string, field: string): number {
  const size = Buffer.byteLength(text);
  assert(size <= MAXIMUM_STRING_BYTES, `${field} of ${size} bytes does not fit a packet`);
  return size;
}

/**
 * Writes `text`, which takes `size` bytes, at `at` with its length before it; returns the index
 * behind it.
 */
export function writeString(into: Uint8Array, at: number, text: string, size: number): number {
  into[at] = size >> 8;
  into[at + 1] = size & 0xff;
  const start = at + 2;
  if (size === text.length && size <= LONGEST_RECENT) {
    for (let i = 0; i < size; i++) into[start + i] = text.charCodeAt(i);
  } else {
    utf8Write.call(into, text, start);
  }
  return start + size;
}
