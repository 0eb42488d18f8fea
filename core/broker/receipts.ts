/**
 * PUBACK and PUBREC, in the order in which their PUBLISH packets came. [MQTT-4.6.0-2] [MQTT-4.6.0-3]
 * What they promise is settled by then; they leave from here alone.
 */
import { encodeAcknowledgement } from '../mqtt/codec.ts';
import type { PacketIdentifier, QoS } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { Connection } from './connection.ts';
import type { State } from './state.ts';

/**
 * Answers a PUBLISH; nothing is sent for QoS 0. A refused QoS 2 message gives its Packet Identifier
 * free: the next PUBLISH under it is a new message. [MQTT-4.3.3-9]
 */
export function acknowledge(
  _state: State,
  connection: Connection,
  qos: QoS,
  packetIdentifier: PacketIdentifier,
  reasonCode: ReasonCode,
  detail?: string,
): void {
  if (qos === 0) return;
  const inbound = connection.session?.inbound;
  if (qos === 1) inbound?.acknowledged();
  else if (reasonCode >= ReasonCode.UnspecifiedError && connection.version5) {
    inbound?.release(packetIdentifier);
  }
  const type = qos === 1 ? 'puback' : 'pubrec';
  const reasonString = connection.reason(detail);
  if (reasonString === undefined) {
    connection.out.write(
      encodeAcknowledgement(type, packetIdentifier, reasonCode, connection.protocolVersion),
    );
  } else {
    connection.writePacket({ type, packetIdentifier, reasonCode, reasonString });
  }
}
