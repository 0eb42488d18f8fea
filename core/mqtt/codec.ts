/**
 * Control Packets from bytes and to bytes, in MQTT 3.1, 3.1.1 and 5.0, in either direction.
 * PUBLISH and what answers it go a direct way; the packets of which a connection sees a few are read in
 * `rare-packets.ts` and written in `control-packets.ts`.
 *
 * What 3.x says differently ends behind these functions: the core never sees a Return Code or a Clean
 * Session.
 */
import {
  decodeAcknowledgement,
  encodeAcknowledgement,
  encodeFullAcknowledgement,
} from './acknowledgement.ts';
import {
  encodeAuth,
  encodeConnack,
  encodeConnect,
  encodeDisconnect,
  encodeSubscribe,
  encodeSubscriptionAcknowledgement,
  encodeUnsubscribe,
} from './control-packets.ts';
import { checkFlags, peekProtocolVersion, variableHeaderStart } from './fixed-header.ts';
import type { Packet, ProtocolVersion, Publish } from './packet.ts';
import {
  decodePublish,
  encodePublish,
  type PublishView,
  patchPacketIdentifier,
  publishHeadLength,
  readPublish,
} from './publish.ts';
import { decodeRare } from './rare-packets.ts';
import { malformed } from './reader.ts';

export { encodeAcknowledgement, patchPacketIdentifier, peekProtocolVersion, publishHeadLength };

const pingreq: Exclude<Packet, Publish> = { type: 'pingreq' };
const pingresp: Exclude<Packet, Publish> = { type: 'pingresp' };

/**
 * Reads the packet in `bytes` from `start` to `end`, as the Framer cuts them. The payload of a
 * PUBLISH and its Correlation Data point into `bytes`; nothing else does. For a CONNECT, `version` is
 * not looked at.
 *
 * Throws a ProtocolViolation and nothing else.
 */
export function decode(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): Packet {
  if (!isPublish(bytes, start)) return decodeOther(bytes, start, end, version);
  return decodePublish(bytes, start, variableHeaderStart(bytes, start, end, version), end, version);
}

/** As `decode`, for a packet that is no PUBLISH. */
export function decodeOther(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): Exclude<Packet, Publish> {
  const position = variableHeaderStart(bytes, start, end, version);
  const first = bytes[start] as number;
  checkFlags(first, version);
  switch (first >> 4) {
    case 4:
      return decodeAcknowledgement('puback', bytes, position, end, version);
    case 5:
      return decodeAcknowledgement('pubrec', bytes, position, end, version);
    case 6:
      return decodeAcknowledgement('pubrel', bytes, position, end, version);
    case 7:
      return decodeAcknowledgement('pubcomp', bytes, position, end, version);
    case 12:
      return emptyPacket(pingreq, position, end, version);
    case 13:
      return emptyPacket(pingresp, position, end, version);
    default:
      return decodeRare(bytes, start, end, position, version);
  }
}

/** Whether the packet that begins at `start` is a PUBLISH, which `decodeView` reads. */
export function isPublish(bytes: Uint8Array, start: number): boolean {
  return (bytes[start] as number) >> 4 === 3;
}

/**
 * As `decode`, for a PUBLISH: what comes back is the same object each time, good until the next is
 * read, and nothing is made for it. Throws a ProtocolViolation and nothing else.
 */
export function decodeView(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): PublishView {
  return readPublish(bytes, start, variableHeaderStart(bytes, start, end, version), end, version);
}

function emptyPacket(
  packet: Exclude<Packet, Publish>,
  position: number,
  end: number,
  version: ProtocolVersion,
): Exclude<Packet, Publish> {
  if (position === end) return packet;
  throw malformed(version, '', '', `${packet.type.toUpperCase()} has something in it`);
}

/**
 * The bytes of `packet` for a peer of `version`; a CONNECT is written in the version that it names.
 *
 * Empty where the peer's version cannot say it, so that there is nothing to send: a CONNACK of 3.x
 * whose reason no Return Code stands for [MQTT3-3.2.2-6], and a DISCONNECT of 3.x with a reason to
 * tell. Properties, and all Reason Codes but those of CONNACK and SUBACK, are left out in 3.x.
 *
 * Asserts what only a mistake of ours can break: strings of at most 65 535 bytes, Reason Codes that
 * the packet may carry.
 */
export function encode(packet: Packet, version: ProtocolVersion): Uint8Array {
  switch (packet.type) {
    case 'publish':
      return encodePublish(packet, version);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return encodeFullAcknowledgement(packet, version);
    case 'connect':
      return encodeConnect(packet);
    case 'connack':
      return encodeConnack(packet, version);
    case 'subscribe':
      return encodeSubscribe(packet, version);
    case 'suback':
    case 'unsuback':
      return encodeSubscriptionAcknowledgement(packet, version);
    case 'unsubscribe':
      return encodeUnsubscribe(packet, version);
    case 'pingreq':
      return Buffer.from([0xc0, 0]);
    case 'pingresp':
      return Buffer.from([0xd0, 0]);
    case 'disconnect':
      return encodeDisconnect(packet, version);
    case 'auth':
      return encodeAuth(packet, version);
    default:
      return packet satisfies never;
  }
}
