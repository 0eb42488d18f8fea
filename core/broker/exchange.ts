/**
 * What the client's acknowledgements set going: the exchange of a message that we sent goes its next
 * step, and the window opens for the next message (section 4.3, as sender).
 */
import type { Acknowledgement } from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import type { Connection } from './connection.ts';
import { finish } from './delivery.ts';
import type { Millis } from './outbox.ts';
import { pump } from './pump.ts';
import { acknowledgeAfter } from './receipts.ts';
import type { ClientSession, State } from './state.ts';

/**
 * PUBACK or PUBCOMP came: the exchange is over, by a refusal as well. What nothing holds is passed over.
 * [MQTT-4.3.2-3] [MQTT-4.3.3-7]
 */
export function concluded(
  state: State,
  connection: Connection,
  packet: Acknowledgement,
  now: Millis,
): void {
  const { session } = connection;
  const entry = session?.outbound.get(packet.packetIdentifier);
  if (session === undefined || entry === undefined) return;
  if (packet.type === 'puback' && entry.delivery.qos !== 1) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.3-3', 'PUBACK for QoS 2');
  }
  if (packet.type === 'pubcomp' && !entry.released) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.3-5', 'PUBCOMP before PUBREL');
  }
  end(state, session, packet, now);
}

/**
 * PUBREC came: PUBREL takes the message's place, also for an identifier that nothing holds, so that
 * the client can end its part. A refusal ends the exchange. [MQTT-4.3.3-4] [MQTT-4.3.3-6]
 */
export function received(
  state: State,
  connection: Connection,
  packet: Acknowledgement,
  now: Millis,
): void {
  const { session } = connection;
  if (session === undefined) return;
  const { packetIdentifier } = packet;
  const entry = session.outbound.get(packetIdentifier);
  const refused = packet.reasonCode >= ReasonCode.UnspecifiedError;
  if (entry === undefined) {
    if (refused) return;
    const code = ReasonCode.PacketIdentifierNotFound;
    return acknowledgeAfter(state, connection, 'pubrel', packetIdentifier, code, 0);
  }
  const { delivery } = entry;
  if (delivery.qos !== 2) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.2-2', 'PUBREC for QoS 1');
  }
  if (refused) return end(state, session, packet, now);
  const { sequence } = delivery;
  if (!entry.released && sequence !== 0) {
    state.ledger.keep({ kind: 'released', session: session.number, sequence });
  }
  entry.released = true;
  // After a crash the client must not get the message again: it has let go of it by then.
  const position = sequence === 0 ? 0 : state.ledger.kept;
  acknowledgeAfter(state, connection, 'pubrel', packetIdentifier, ReasonCode.Success, position);
}

function end(state: State, session: ClientSession, packet: Acknowledgement, now: Millis): void {
  const entry = session.outbound.end(packet.packetIdentifier);
  if (entry === undefined) return;
  state.counters.inflightMessages--;
  finish(state, session, entry.delivery);
  pump(state, session, now);
}
