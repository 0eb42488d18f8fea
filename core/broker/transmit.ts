/**
 * One PUBLISH to one client: in the form that it gets messages in, under a Topic Alias where one is
 * set or can be, and not at all where it is too large for it.
 */
import { patchPacketIdentifier } from '../mqtt/codec.ts';
import type { PacketIdentifier, QoS } from '../mqtt/packet.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import { type Form, type Publication, RETAIN_BIT, STAMPED_BIT } from './publication.ts';

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
  const form = formFor(connection, publication) | qos | (retain ? RETAIN_BIT : 0);
  const ids = connection.version5 ? subscriptionIdentifiers : undefined;
  const frame =
    ids !== undefined || connection.aliases.outboundMaximum > 0
      ? encodeAlone(connection, publication, form, ids, now)
      : publication.frame(form, now);
  if (frame.length > connection.maximumPacketSize) return false;
  if (qos > 0) patchPacketIdentifier(frame, identifier);
  if (dup) frame[0] = (frame[0] as number) | DUP_FLAG;
  connection.out.writePublish(frame, qos);
  if (dup) frame[0] = (frame[0] as number) & ~DUP_FLAG;
  return true;
}

/** A handler needs no stamp on what its own user said by a handler: there is nobody else to tell apart. */
function formFor(connection: Connection, publication: Publication): Form {
  const { publisher } = publication;
  const own = !publisher.device && publisher.user === connection.publisher.user;
  return own ? connection.form & ~STAMPED_BIT : connection.form;
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
  const known = aliases.outbound(topic);
  if (known !== undefined) return publication.encodeAs(form, now, '', known, ids);
  const alias = aliases.nextOutbound();
  const frame = publication.encodeAs(form, now, topic, alias, ids);
  if (alias !== undefined && frame.length <= connection.maximumPacketSize) {
    aliases.setOutbound(topic, alias);
  }
  return frame;
}
