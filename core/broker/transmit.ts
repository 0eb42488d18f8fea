/**
 * One PUBLISH to one client: in the form that it gets messages in, under a Topic Alias where one is
 * set or can be, and not at all where it is too large for it.
 */
import { patchPacketIdentifier } from '../mqtt/codec.ts';
import type { PacketIdentifier, QoS } from '../mqtt/packet.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import {
  type Form,
  NUMBERED_BIT,
  type Publication,
  RETAIN_BIT,
  STAMPED_BIT,
} from './publication.ts';

const DUP_FLAG = 0x08;

/** Sends a PUBLISH. False where it is larger than the client takes. [MQTT-3.1.2-24] [MQTT-3.1.2-25] */
export function transmit(
  connection: Connection,
  publication: Publication,
  qos: QoS,
  retain: boolean,
  subscriptionIdentifiers: readonly number[] | undefined,
  identifier: PacketIdentifier,
  dup: boolean,
  now: Millis,
): boolean {
  const form = formFor(connection, publication, qos) | qos | (retain ? RETAIN_BIT : 0);
  const ids = connection.version5 ? subscriptionIdentifiers : undefined;
  const alone = ids !== undefined || (connection.aliases?.outboundMaximum ?? 0) > 0;
  if (
    !alone &&
    publication.receivedSize <= connection.terms.maximumPacketSize &&
    publication.sendOn(connection.out, form, identifier, dup)
  ) {
    return true;
  }
  const frame = alone
    ? encodeAlone(connection, publication, form, ids, now)
    : publication.frame(form, now);
  if (frame.length > connection.terms.maximumPacketSize) return false;
  if (qos > 0) patchPacketIdentifier(frame, identifier);
  if (dup) frame[0] = (frame[0] as number) | DUP_FLAG;
  connection.out.writePublish(frame, qos);
  if (dup) frame[0] = (frame[0] as number) & ~DUP_FLAG;
  return true;
}

/**
 * A handler needs no stamp on what its own user said by a handler: there is nobody else to tell apart.
 * It is told the number of what is stored and may come again, so that it can tell a repetition.
 */
function formFor(connection: Connection, publication: Publication, qos: QoS): Form {
  const { form } = connection;
  if ((form & STAMPED_BIT) === 0) return form;
  const { publisher, number } = publication;
  const own = !publisher.device && publisher.user === connection.publisher.user;
  const stamped = own ? form & ~STAMPED_BIT : form;
  return qos > 0 && number !== 0 ? stamped | NUMBERED_BIT : stamped;
}

/** A frame for this connection alone, under a Topic Alias where one is set or can be. [MQTT-3.1.2-26] */
function encodeAlone(
  connection: Connection,
  publication: Publication,
  form: Form,
  ids: readonly number[] | undefined,
  now: Millis,
): Uint8Array {
  const { topic } = publication;
  const { aliases } = connection;
  const known = aliases?.outbound(topic);
  if (known !== undefined) return publication.encodeAs(form, now, '', known, ids);
  const alias = aliases?.nextOutbound();
  const frame = publication.encodeAs(form, now, topic, alias, ids);
  if (alias !== undefined && frame.length <= connection.terms.maximumPacketSize) {
    aliases?.setOutbound(topic, alias);
  }
  return frame;
}
