/**
 * What comes before CONNECT is accepted: CONNECT is the first packet [MQTT-3.1.0-1], and AUTH may go on
 * from it.
 */
import { decode, decodeOther, peekProtocolVersion } from '../mqtt/codec.ts';
import type { Connect } from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import { beginConnect, continueAuthentication } from './connect.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import type { State } from './state.ts';

/** What is known of a client before its CONNECT is accepted. */
export interface Greeting {
  /** When it must have been accepted. */
  readonly byMs: Millis;
  /** Set where the broker is full: CONNECT is answered with it. */
  readonly refusal: ReasonCode | undefined;
  /** True once the peer has shown which version it speaks, and so can be answered. */
  introduced: boolean;
  /** The CONNECT that waits for its token to be checked, without the token. */
  connect: Connect | undefined;
}

const CONNECT_TYPE = 1;

/** A packet came from somebody who is not let in yet; it is the one that `connection.framer` found. */
export function greet(state: State, connection: Connection, now: Millis): void {
  const { bytes, start, end } = connection.framer;
  if (connection.phase === 'authenticating') {
    const packet = decode(bytes, start, end, connection.protocolVersion);
    if (packet.type === 'auth') return continueAuthentication(state, connection, packet);
    if (packet.type === 'disconnect') return connection.leave(packet, now);
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-3.1.2-30',
      `${packet.type} during authentication`,
    );
  }
  if ((bytes[start] ?? 0) >> 4 !== CONNECT_TYPE) {
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-3.1.0-1',
      'the first packet is not CONNECT',
    );
  }
  const level = peekProtocolVersion(bytes, start, end);
  if (level !== undefined) {
    // A refusal of a level that nobody speaks yet is put in the newest words that we have. The top
    // bit is that of bridges of some brokers, which understand the refusal in their own words.
    const spoken = level & 0x7f;
    connection.protocolVersion = spoken >= 5 ? 5 : spoken === 3 ? 3 : 4;
    if (connection.greeting !== undefined) connection.greeting.introduced = true;
  }
  const packet = decodeOther(bytes, start, end, connection.protocolVersion);
  if (packet.type !== 'connect') return;
  connection.protocolVersion = packet.protocolVersion;
  beginConnect(state, connection, packet, now);
}
