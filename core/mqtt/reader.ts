/**
 * The data types of the standard (MQTT 5.0 section 1.5), read one after the other out of one packet.
 * Nothing is read beyond `end`: what would need it is a Malformed Packet.
 */
import { readString } from './encoded-string.ts';
import type { PacketIdentifier, ProtocolVersion } from './packet.ts';
import { ProtocolViolation, ReasonCode } from './reason-code.ts';

const NOTHING = new Uint8Array(0);

/**
 * The statement that decides, in the numbering of the peer's standard. `legacy` is that of 3.1.1, and
 * where it is empty the general one, that a protocol violation ends the connection.
 */
function statementFor(version: ProtocolVersion, statement: string, legacy: string): string {
  if (version === 5) return statement === '' ? 'MQTT-4.13.1-1' : statement;
  return legacy === '' ? 'MQTT3-4.8.0-1' : legacy;
}

/** A packet that cannot be read as the standard says (section 1.2). */
export function malformed(
  version: ProtocolVersion,
  statement: string,
  legacy: string,
  detail: string,
): ProtocolViolation {
  const decided = statementFor(version, statement, legacy);
  return new ProtocolViolation(ReasonCode.MalformedPacket, decided, detail);
}

/** A packet that can be read, and says what the standard does not allow (section 1.2). */
export function protocolError(
  version: ProtocolVersion,
  statement: string,
  legacy: string,
  detail: string,
): ProtocolViolation {
  const decided = statementFor(version, statement, legacy);
  return new ProtocolViolation(ReasonCode.ProtocolError, decided, detail);
}

export class Reader {
  bytes: Uint8Array = NOTHING;
  position = 0;
  end = 0;
  version: ProtocolVersion = 5;

  reset(bytes: Uint8Array, position: number, end: number, version: ProtocolVersion): this {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
    this.version = version;
    return this;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  byte(field: string): number {
    this.#need(1, field);
    return this.bytes[this.position++] as number;
  }

  twoByteInteger(field: string): number {
    this.#need(2, field);
    const at = this.position;
    this.position += 2;
    return ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number);
  }

  fourByteInteger(field: string): number {
    return this.twoByteInteger(field) * 0x10000 + this.twoByteInteger(field);
  }

  /** Of the fewest bytes that hold it, four at most. [MQTT-1.5.5-1] */
  variableByteInteger(field: string): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte(field);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte !== 0 || scale === 1) return value;
        throw this.malformed('MQTT-1.5.5-1', '', `the ${field} is longer than it need be`);
      }
      if (scale === 128 ** 3) {
        throw this.malformed('MQTT-1.5.5-1', '', `the ${field} has more than four bytes`);
      }
    }
  }

  /**
   * A UTF-8 Encoded String. [MQTT-1.5.4-1] [MQTT-1.5.4-2] The statements, where there are such, are
   * those that want the field to be there.
   */
  string(field: string, statement = '', legacy = ''): string {
    const length = this.#length(field, statement, legacy);
    const start = this.position;
    this.position += length;
    return readString(this.bytes, start, this.position, field, this.version);
  }

  /** Binary Data; it points into what is read. */
  binary(field: string, statement = '', legacy = ''): Uint8Array {
    const length = this.#length(field, statement, legacy);
    const start = this.position;
    this.position += length;
    return this.bytes.subarray(start, this.position);
  }

  /** Never 0. [MQTT-2.2.1-3] [MQTT3-2.3.1-1] */
  packetIdentifier(): PacketIdentifier {
    const identifier = this.twoByteInteger('Packet Identifier');
    if (identifier !== 0) return identifier;
    throw this.protocolError('MQTT-2.2.1-3', 'MQTT3-2.3.1-1', 'the Packet Identifier is 0');
  }

  /** Throws where something is left behind the last field of `packet`. */
  finish(packet: string, statement = '', legacy = ''): void {
    const left = this.end - this.position;
    if (left === 0) return;
    throw this.malformed(statement, legacy, `${left} bytes behind the end of ${packet}`);
  }

  malformed(statement: string, legacy: string, detail: string): ProtocolViolation {
    return malformed(this.version, statement, legacy, detail);
  }

  protocolError(statement: string, legacy: string, detail: string): ProtocolViolation {
    return protocolError(this.version, statement, legacy, detail);
  }

  /** The length before a string or binary, all of which is there. */
  #length(field: string, statement: string, legacy: string): number {
    this.#need(2, field, statement, legacy);
    const length = this.twoByteInteger(field);
    this.#need(length, field, statement, legacy);
    return length;
  }

  #need(count: number, field: string, statement = '', legacy = ''): void {
    if (this.position + count <= this.end) return;
    throw this.malformed(statement, legacy, `the packet ends within the ${field}`);
  }
}
