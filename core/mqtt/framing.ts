/**
 * Cuts complete Control Packets out of a byte stream (MQTT 5.0 section 2.1). It knows the fixed
 * header and nothing else: what is too large ends here, before its body arrives, and memory grows
 * with the bytes that came, never with the length that was announced.
 */
import { ProtocolViolation, ReasonCode } from './reason-code.ts';

const NOTHING = new Uint8Array(0);
/** Least room for a partial packet, so that a slow drip does not move it byte by byte. */
const SMALLEST_ROOM = 64;

export class Framer {
  /** Largest packet that is let in, fixed header included. May be raised once the client is known. */
  maximumPacketSize: number;
  /** Where the packet that `next` found begins, in `bytes`. */
  start = 0;
  /** What came and was not cut yet is `#input` from `#at` to `#limit`. */
  #input: Uint8Array = NOTHING;
  #at = 0;
  #limit = 0;
  /** True where `#input` is our own copy, with room to append behind `#limit`. */
  #owned = false;
  /** Bytes of the packet at `#at`; 0 until its Remaining Length is known. */
  #wanted = 0;

  constructor(maximumPacketSize: number) {
    this.maximumPacketSize = maximumPacketSize;
  }

  /** What the packet that `next` found lies in, until `push` or `next` is called again. */
  get bytes(): Uint8Array {
    return this.#input;
  }

  /** Where that packet ends: its last byte is before it. */
  get end(): number {
    return this.#at;
  }

  /** Bytes that wait here: a partial packet, and whatever was not asked for yet. */
  get heldBytes(): number {
    return this.#limit - this.#at;
  }

  /**
   * Takes the next bytes of the stream. They are not copied while nothing waits: the packets that
   * `next` then finds lie in `chunk` itself, so it must not be reused before they are done with.
   */
  push(chunk: Uint8Array): void {
    if (this.#at === this.#limit) {
      this.#input = chunk;
      this.#at = 0;
      this.#limit = chunk.length;
      this.#owned = false;
    } else {
      this.#append(chunk);
    }
  }

  /**
   * True: a complete packet lies in `bytes` from `start` to `end`, and stays unchanged there for as
   * long as anybody refers to it. False: more must come first.
   *
   * Throws PacketTooLarge [MQTT-3.2.2-15] as soon as the Remaining Length tells, and MalformedPacket
   * for a Remaining Length of more than four bytes, or longer than it need be. [MQTT-1.5.5-1]
   */
  next(): boolean {
    const held = this.#limit - this.#at;
    if (this.#wanted === 0 && held >= 2) this.#wanted = this.#measure();
    if (this.#wanted === 0 || held < this.#wanted) {
      this.#keepRest(held);
      return false;
    }
    this.start = this.#at;
    this.#at += this.#wanted;
    this.#wanted = 0;
    return true;
  }

  /** The size of the packet at `#at`, fixed header included; 0 while its Remaining Length is cut off. */
  #measure(): number {
    const bytes = this.#input;
    let at = this.#at + 1;
    let remaining = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at === this.#limit) return 0;
      const byte = bytes[at++] ?? 0;
      remaining += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw malformedLength('is longer than it need be');
        break;
      }
      if (scale === 128 ** 3) throw malformedLength('has more than four bytes');
    }
    const size = at - this.#at + remaining;
    if (size > this.maximumPacketSize) {
      throw new ProtocolViolation(
        ReasonCode.PacketTooLarge,
        'MQTT-3.2.2-15',
        `a packet of ${size} bytes, where at most ${this.maximumPacketSize} are accepted`,
      );
    }
    return size;
  }

  /** Puts what is left of somebody else's chunk, or of a buffer that is used up, where it can grow. */
  #keepRest(held: number): void {
    if (held === 0) {
      this.#input = NOTHING; // an idle connection holds no chunk
      this.#at = 0;
      this.#limit = 0;
      this.#owned = false;
    } else if (!this.#owned || this.#at > 0) {
      this.#move(Math.max(held, SMALLEST_ROOM));
    }
  }

  /** Behind what waits. The room doubles, so that every byte is moved a bounded number of times. */
  #append(chunk: Uint8Array): void {
    const held = this.#limit - this.#at;
    const total = held + chunk.length;
    if (!this.#owned || this.#limit + chunk.length > this.#input.length) {
      const doubled = Math.max(2 * total, SMALLEST_ROOM);
      this.#move(total <= this.#wanted ? Math.min(doubled, this.#wanted) : doubled);
    }
    this.#input.set(chunk, this.#limit);
    this.#limit += chunk.length;
  }

  /** Into a new buffer: packets that were found in the old one stay as they are. */
  #move(room: number): void {
    const buffer = Buffer.allocUnsafeSlow(room);
    buffer.set(this.#input.subarray(this.#at, this.#limit));
    this.#input = buffer;
    this.#limit -= this.#at;
    this.#at = 0;
    this.#owned = true;
  }
}

function malformedLength(what: string): ProtocolViolation {
  return new ProtocolViolation(
    ReasonCode.MalformedPacket,
    'MQTT-1.5.5-1',
    `the Remaining Length ${what}`,
  );
}
