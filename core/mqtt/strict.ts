/**
 * What the standard forbids and mqtt-packet lets through, in the packets that it reads for us: each
 * check walks one packet from end to end and gives back its properties, of which mqtt-packet keeps
 * neither the order nor what is said twice. PUBLISH and its acknowledgements are strict by themselves.
 */
import type { ProtocolVersion } from './packet.ts';
import { Properties, readProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import {
  isReasonCodeOf,
  ProtocolViolation,
  ReasonCode,
  type ReasonCodePacket,
  reasonOfReturnCode,
} from './reason-code.ts';

const NONE = new Properties();

const USER_NAME = 0x80;
const PASSWORD = 0x40;
const WILL_RETAIN = 0x20;
const WILL_QOS = 0x18;
const WILL = 0x04;

export interface CheckedConnect {
  readonly version: ProtocolVersion;
  readonly properties: Properties;
  readonly willProperties: Properties;
  readonly password: Uint8Array | undefined;
  /** Where the Connect Flags are, and what they come to once those that 3.1 disregards are cleared. */
  readonly flagsAt: number;
  readonly flags: number;
}

/** Section 3.1, up to the end of the payload. What the fields mean is not asked here. */
export function checkConnect(reader: Reader): CheckedConnect {
  const version = checkVersion(reader);
  reader.version = version;
  const flagsAt = reader.position;
  let flags = reader.byte('Connect Flags');
  // 3.1 disregards Will QoS and Will Retain without a Will.
  if (version === 3 && (flags & WILL) === 0) flags &= ~(WILL_QOS | WILL_RETAIN);
  checkConnectFlags(reader, flags);
  reader.twoByteInteger('Keep Alive');
  const properties = version === 5 ? readProperties(reader, 'CONNECT') : NONE;
  checkAuthentication(reader, properties);
  reader.string('Client Identifier', 'MQTT-3.1.3-3', 'MQTT3-3.1.3-3');
  let willProperties = NONE;
  if ((flags & WILL) !== 0) {
    if (version === 5) willProperties = readProperties(reader, 'Will');
    reader.string('Will Topic', 'MQTT-3.1.2-9', 'MQTT3-3.1.2-9');
    reader.binary('Will Payload', 'MQTT-3.1.2-9', 'MQTT3-3.1.2-9');
  }
  // 3.1 lets the flags promise what the payload no longer has: the Remaining Length takes precedence.
  if (version === 3 && reader.done) flags &= ~(USER_NAME | PASSWORD);
  if ((flags & USER_NAME) !== 0) reader.string('User Name', 'MQTT-3.1.2-17', 'MQTT3-3.1.2-19');
  if (version === 3 && reader.done) flags &= ~PASSWORD;
  const password =
    (flags & PASSWORD) === 0
      ? undefined
      : reader.binary('Password', 'MQTT-3.1.2-19', 'MQTT3-3.1.2-21');
  reader.finish('CONNECT', 'MQTT-3.1.4-1', 'MQTT3-3.1.4-1');
  return { version, properties, willProperties, password, flagsAt, flags };
}

/** `MQIsdp` at level 3, `MQTT` at 4 or 5; the bridge bit that some brokers set in the level is no level. */
function checkVersion(reader: Reader): ProtocolVersion {
  const name = reader.string('Protocol Name');
  const level = reader.byte('Protocol Version');
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  if (name === 'MQIsdp' && level === 3) return level;
  const known = name === 'MQTT' || name === 'MQIsdp';
  throw new ProtocolViolation(
    ReasonCode.UnsupportedProtocolVersion,
    known && level !== 3 && level !== 4 && level !== 5 ? 'MQTT-3.1.2-2' : 'MQTT-3.1.2-1',
    `${known ? `protocol ${name}` : 'an unknown protocol'} at level ${level}`,
  );
}

function checkConnectFlags(reader: Reader, flags: number): void {
  if ((flags & 1) !== 0) {
    const detail = 'the reserved Connect Flag is set';
    throw reader.malformed('MQTT-3.1.2-3', 'MQTT3-3.1.2-3', detail);
  }
  if ((flags & WILL_QOS) === WILL_QOS) {
    throw reader.malformed('MQTT-3.1.2-12', 'MQTT3-3.1.2-14', 'the Will QoS is 3');
  }
  if ((flags & WILL) === 0 && (flags & WILL_QOS) !== 0) {
    throw reader.malformed('MQTT-3.1.2-11', 'MQTT3-3.1.2-13', 'a Will QoS without a Will');
  }
  if ((flags & WILL) === 0 && (flags & WILL_RETAIN) !== 0) {
    throw reader.malformed('MQTT-3.1.2-13', 'MQTT3-3.1.2-15', 'Will Retain without a Will');
  }
  if (reader.version !== 5 && (flags & USER_NAME) === 0 && (flags & PASSWORD) !== 0) {
    throw reader.malformed('', 'MQTT3-3.1.2-22', 'a Password without a User Name');
  }
}

function checkAuthentication(reader: Reader, properties: Properties): void {
  if (properties.authenticationData === undefined) return;
  if (properties.authenticationMethod !== undefined) return;
  throw reader.protocolError('', '', 'Authentication Data without an Authentication Method');
}

/** Section 3.2. */
export function checkConnack(reader: Reader): Properties {
  const flags = reader.byte('Connect Acknowledge Flags');
  if (flags > 1) {
    throw reader.malformed('MQTT-3.2.2-1', '', 'reserved Connect Acknowledge Flags are set');
  }
  if (reader.version === 5) checkReasonCode(reader, 'connack', 'MQTT-3.2.2-8');
  else if (reasonOfReturnCode(reader.byte('Connect Return Code')) === undefined) {
    throw reader.protocolError('', '', 'the Connect Return Code is not in the table');
  }
  const properties = reader.version === 5 ? readProperties(reader, 'CONNACK') : NONE;
  checkAuthentication(reader, properties);
  reader.finish('CONNACK');
  return properties;
}

/** Section 3.8. */
export function checkSubscribe(reader: Reader): Properties {
  reader.packetIdentifier();
  const properties = reader.version === 5 ? readProperties(reader, 'SUBSCRIBE') : NONE;
  if (reader.done) {
    const detail = 'SUBSCRIBE has no Topic Filter';
    throw reader.protocolError('MQTT-3.8.3-2', 'MQTT3-3.8.3-3', detail);
  }
  while (!reader.done) {
    const filter = reader.string('Topic Filter');
    checkSubscriptionOptions(reader, filter, reader.byte('Subscription Options'));
  }
  return properties;
}

function checkSubscriptionOptions(reader: Reader, filter: string, options: number): void {
  if ((options & (reader.version === 5 ? 0xc0 : 0xfc)) !== 0) {
    const detail = 'reserved bits are set in the Subscription Options';
    throw reader.malformed('MQTT-3.8.3-5', 'MQTT3-3.8.3-4', detail);
  }
  if ((options & 3) === 3) {
    if (reader.version !== 5) throw reader.malformed('', 'MQTT3-3.8.3-4', 'the QoS is 3');
    throw reader.protocolError('', '', 'the Maximum QoS is 3');
  }
  if ((options & 0x30) === 0x30) throw reader.protocolError('', '', 'Retain Handling is 3');
  if ((options & 4) !== 0 && filter.startsWith('$share/')) {
    throw reader.protocolError('MQTT-3.8.3-4', '', 'No Local on a Shared Subscription');
  }
}

/** Sections 3.9 and 3.11. UNSUBACK has no codes before 5.0. */
export function checkSubscriptionAcknowledgement(
  reader: Reader,
  packet: 'suback' | 'unsuback',
): Properties {
  const holder = packet === 'suback' ? 'SUBACK' : 'UNSUBACK';
  const statement = packet === 'suback' ? 'MQTT-3.9.3-2' : 'MQTT-3.11.3-2';
  reader.packetIdentifier();
  if (packet === 'unsuback' && reader.version !== 5) {
    reader.finish(holder);
    return NONE;
  }
  const properties = reader.version === 5 ? readProperties(reader, holder) : NONE;
  if (reader.done) throw reader.protocolError('', '', `${holder} has no Reason Code`);
  while (!reader.done) {
    if (reader.version === 5) checkReasonCode(reader, packet, statement);
    else checkReturnCode(reader, reader.byte('Return Code'));
  }
  return properties;
}

function checkReturnCode(reader: Reader, code: number): void {
  if (code <= 2 || code === 0x80) return;
  throw reader.protocolError('', 'MQTT3-3.9.3-2', `SUBACK has Return Code ${code}`);
}

/** Section 3.10. */
export function checkUnsubscribe(reader: Reader): Properties {
  reader.packetIdentifier();
  const properties = reader.version === 5 ? readProperties(reader, 'UNSUBSCRIBE') : NONE;
  if (reader.done) {
    const detail = 'UNSUBSCRIBE has no Topic Filter';
    throw reader.protocolError('MQTT-3.10.3-2', 'MQTT3-3.10.3-2', detail);
  }
  while (!reader.done) reader.string('Topic Filter');
  return properties;
}

/** Section 3.14. Without anything, or with a Reason Code alone, it has no properties. */
export function checkDisconnect(reader: Reader): Properties {
  if (reader.version !== 5) reader.finish('DISCONNECT');
  if (reader.done) return NONE;
  checkReasonCode(reader, 'disconnect', 'MQTT-3.14.2-1');
  const properties = reader.done ? NONE : readProperties(reader, 'DISCONNECT');
  reader.finish('DISCONNECT');
  return properties;
}

/**
 * Section 3.15. An AUTH without anything is Success and names no method, which that section allows
 * in one place and forbids in another; whether one is welcome is for the state of the connection.
 */
export function checkAuth(reader: Reader): Properties {
  if (reader.version !== 5) throw reader.protocolError('', '', 'AUTH before MQTT 5.0');
  if (reader.done) return NONE;
  checkReasonCode(reader, 'auth', 'MQTT-3.15.2-1');
  const properties = readProperties(reader, 'AUTH');
  reader.finish('AUTH');
  if (properties.authenticationMethod === undefined) {
    throw reader.protocolError('', '', 'AUTH without an Authentication Method');
  }
  return properties;
}

function checkReasonCode(reader: Reader, packet: ReasonCodePacket, statement: string): void {
  const code = reader.byte('Reason Code');
  if (isReasonCodeOf(packet, code)) return;
  const detail = `${packet.toUpperCase()} has Reason Code 0x${code.toString(16)}`;
  throw reader.protocolError(statement, '', detail);
}
