/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0 sections 3.4 to 3.7), read and written by hand like
 * the PUBLISH that they answer.
 */
import assert from 'node:assert';
import type { Acknowledgement, PacketIdentifier, ProtocolVersion } from './packet.ts';
import { Property, type PropertyHolder, readProperties } from './properties.ts';
import { malformed, protocolError, Reader } from './reader.ts';
import { isReasonCodeOf, ReasonCode } from './reason-code.ts';
import { Writer } from './writer.ts';

type AcknowledgementType = Acknowledgement['type'];

interface Form {
  readonly first: number;
  readonly name: PropertyHolder;
  /** Who must use one of which Reason Codes. */
  readonly statement: string;
}

const forms: Readonly<Record<AcknowledgementType, Form>> = {
  puback: { first: 0x40, name: 'PUBACK', statement: 'MQTT-3.4.2-1' },
  pubrec: { first: 0x50, name: 'PUBREC', statement: 'MQTT-3.5.2-1' },
  pubrel: { first: 0x62, name: 'PUBREL', statement: 'MQTT-3.6.2-1' },
  pubcomp: { first: 0x70, name: 'PUBCOMP', statement: 'MQTT-3.7.2-1' },
};

const reader = new Reader();
const section = new Writer();
const body = new Writer();
/** Of the sizes that an acknowledgement without properties has: 4, and 6 with a Reason Code. */
const short = Buffer.allocUnsafeSlow(4);
const long = Buffer.allocUnsafeSlow(6);

/** Reads the packet of `type` whose Variable Header begins at `position`. */
export function decodeAcknowledgement(
  type: AcknowledgementType,
  bytes: Uint8Array,
  position: number,
  end: number,
  version: ProtocolVersion,
): Acknowledgement {
  const length = end - position;
  const { name, statement } = forms[type];
  if (length < 2) throw malformed(version, '', '', `${name} ends within its Packet Identifier`);
  const packetIdentifier = ((bytes[position] as number) << 8) | (bytes[position + 1] as number);
  if (packetIdentifier === 0) {
    const detail = `${name} has Packet Identifier 0`;
    throw protocolError(version, 'MQTT-2.2.1-5', 'MQTT3-2.3.1-6', detail);
  }
  if (length === 2) {
    return {
      type,
      packetIdentifier,
      reasonCode: ReasonCode.Success,
      reasonString: undefined,
      userProperties: undefined,
    };
  }
  if (version !== 5)
    throw malformed(version, '', '', `${name} is longer than its Packet Identifier`);
  const reasonCode = bytes[position + 2] as number;
  if (!isReasonCodeOf(type, reasonCode)) {
    const detail = `${name} has Reason Code 0x${reasonCode.toString(16)}`;
    throw protocolError(version, statement, '', detail);
  }
  if (length === 3) {
    return {
      type,
      packetIdentifier,
      reasonCode,
      reasonString: undefined,
      userProperties: undefined,
    };
  }
  const found = readProperties(reader.reset(bytes, position + 3, end, version), name);
  reader.finish(name);
  return {
    type,
    packetIdentifier,
    reasonCode,
    reasonString: found.reasonString,
    userProperties: found.userProperties,
  };
}

/**
 * An acknowledgement without properties, in a buffer that the next call overwrites. In 3.x it has no
 * Reason Code, and in 5.0 Success goes without saying: four bytes, else six.
 */
export function encodeAcknowledgement(
  type: AcknowledgementType,
  packetIdentifier: PacketIdentifier,
  reasonCode: ReasonCode,
  version: ProtocolVersion,
): Uint8Array {
  const plain = version !== 5 || reasonCode === ReasonCode.Success;
  const frame = plain ? short : long;
  frame[0] = forms[type].first;
  frame[1] = frame.length - 2;
  frame[2] = packetIdentifier >> 8;
  frame[3] = packetIdentifier;
  if (!plain) {
    assert(isReasonCodeOf(type, reasonCode), `${type} cannot carry 0x${reasonCode.toString(16)}`);
    frame[4] = reasonCode;
    frame[5] = 0; // no properties
  }
  return frame;
}

/** Any acknowledgement, in a frame of its own. */
export function encodeFullAcknowledgement(
  packet: Acknowledgement,
  version: ProtocolVersion,
): Uint8Array {
  const { type, packetIdentifier, reasonCode, reasonString, userProperties } = packet;
  section.reset().stringProperty(Property.ReasonString, reasonString, 'Reason String');
  section.userProperties(userProperties);
  if (version !== 5 || section.length === 0) {
    return Buffer.from(encodeAcknowledgement(type, packetIdentifier, reasonCode, version));
  }
  assert(isReasonCodeOf(type, reasonCode), `${type} cannot carry 0x${reasonCode.toString(16)}`);
  body.reset().twoByteInteger(packetIdentifier).byte(reasonCode).section(section);
  return body.packet(forms[type].first);
}
