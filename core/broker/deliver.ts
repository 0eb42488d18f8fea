/**
 * The way out to one receiver (sections 4.3 to 4.6 and 4.9): sent now, or put in flight, or queued;
 * and what the client's acknowledgements set going. Within its Receive Maximum, in order, and never
 * more than the limits allow.
 */

import { encodeAcknowledgement, patchPacketIdentifier } from '../mqtt/codec.ts';
import type { Acknowledgement, PacketIdentifier, QoS } from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import { queuedSize } from '../session/queue.ts';
import type { Delivery } from '../session/session.ts';
import type { Connection } from './connection.ts';
import type { DropReason, Millis } from './outbox.ts';
import { type Form, type Publication, RETAIN_BIT, STAMPED_BIT } from './publication.ts';
import { isCurrent } from './retained.ts';
import { type ClientGroup, type ClientSession, partyOf, type State } from './state.ts';

const DUP_FLAG = 0x08;

/** Hands `publication` to `session` at `qos`: at once where its client can take it. */
export function deliver(
  state: State,
  session: ClientSession,
  publication: Publication,
  qos: QoS,
  retain: boolean,
  subscriptionIdentifiers: readonly number[] | undefined,
  group: ClientGroup | undefined,
  now: Millis,
): void {
  const connection = session.link;
  if (qos === 0) {
    if (connection === undefined) return; // QoS 0 is for those who are there
    if (connection.out.congested) {
      connection.out.stall(state.publisher, now);
      // With `slow-publishers` the publisher stops; what it had sent already still finds some room.
      if (state.limits.slowReader === 'disconnect' || connection.out.full) {
        return drop(state, session, 'slow-reader', publication.topic);
      }
    }
    send(
      state,
      connection,
      session,
      publication,
      0,
      retain,
      subscriptionIdentifiers,
      0,
      false,
      now,
    );
    return;
  }
  const delivery = { message: publication, qos, retain, subscriptionIdentifiers, group };
  if (connection?.out.congested) connection.out.stall(state.publisher, now);
  else if (connection !== undefined && session.queue.length === 0) {
    const identifier = session.outbound.begin(delivery);
    if (identifier !== undefined) {
      state.counters.inflightMessages++;
      launch(state, connection, session, delivery, identifier, now);
      return;
    }
  }
  enqueue(state, session, delivery);
}

/** Sends a message that was just put in flight; one that is too large for the client is dropped for it alone. */
function launch(
  state: State,
  connection: Connection,
  session: ClientSession,
  delivery: Delivery<Connection>,
  identifier: PacketIdentifier,
  now: Millis,
): void {
  const { qos, retain, subscriptionIdentifiers } = delivery;
  const publication = delivery.message as Publication;
  const ids = subscriptionIdentifiers;
  if (send(state, connection, session, publication, qos, retain, ids, identifier, false, now)) {
    publication.keep();
  } else {
    session.outbound.end(identifier);
    state.counters.inflightMessages--;
  }
}

/** Sends one PUBLISH. False where it is larger than the client takes: it is dropped. [MQTT-3.1.2-25] */
function send(
  state: State,
  connection: Connection,
  session: ClientSession,
  publication: Publication,
  qos: QoS,
  retain: boolean,
  subscriptionIdentifiers: readonly number[] | undefined,
  identifier: PacketIdentifier,
  dup: boolean,
  now: Millis,
): boolean {
  const form = formFor(connection, session, publication) | qos | (retain ? RETAIN_BIT : 0);
  const ids = connection.version5 ? subscriptionIdentifiers : undefined;
  const frame =
    ids !== undefined || connection.aliases.outboundMaximum > 0
      ? encodeAlone(connection, publication, form, ids, now)
      : publication.frame(form, now);
  if (frame.length > connection.maximumPacketSize) {
    drop(state, session, 'packet-too-large', publication.topic);
    return false;
  }
  if (qos > 0) patchPacketIdentifier(frame, identifier);
  if (dup) frame[0] = (frame[0] as number) | DUP_FLAG;
  connection.out.writePublish(frame, qos);
  if (dup) frame[0] = (frame[0] as number) & ~DUP_FLAG;
  return true;
}

/** A handler needs no stamp on what its own user said by a handler: there is nobody else to tell apart. */
function formFor(connection: Connection, session: ClientSession, publication: Publication): Form {
  const { publisher } = publication;
  const own = !publisher.device && publisher.user === session.user;
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

/** Whether `session` could neither send nor keep `publication` now. */
export function refuses(state: State, session: ClientSession, publication: Publication): boolean {
  const { link, queue, outbound } = session;
  if (link !== undefined && !link.out.congested && queue.length === 0 && outbound.open)
    return false;
  if (link === undefined && session.expirySeconds === 0) return false;
  return isFull(state, session, publication) !== undefined;
}

function isFull(
  state: State,
  session: ClientSession,
  publication: Publication,
): DropReason | undefined {
  const { limits } = state;
  if (session.queue.length >= limits.queuedMessages) return 'queue-full';
  if (session.queue.bytes + queuedSize(publication) > limits.queuedBytes) return 'queue-bytes';
  return undefined;
}

/** Keeps a message for later, or drops this or the oldest one where the queue is full. */
function enqueue(state: State, session: ClientSession, delivery: Delivery<Connection>): void {
  const publication = delivery.message as Publication;
  for (;;) {
    const reason = isFull(state, session, publication);
    if (reason === undefined) break;
    const oldest = state.limits.queuePolicy === 'drop-oldest' ? session.queue.shift() : undefined;
    if (oldest === undefined) return drop(state, session, reason, publication.topic);
    state.counters.queuedMessages--;
    drop(state, session, reason, oldest.message.topic);
  }
  publication.keep();
  session.queue.push(delivery);
  state.counters.queuedMessages++;
}

/** Counts and reports a message that does not reach `session`. */
export function drop(
  state: State,
  session: ClientSession,
  reason: DropReason,
  topic: string,
): void {
  state.counters.dropped[reason]++;
  state.outbox.report({ kind: 'dropped', party: partyOf(session), reason, topic });
}

/**
 * Sends what has room now: first, in order, what was in flight when the last connection ended, then
 * what is queued, then retained messages that wait. [MQTT-4.4.0-1] [MQTT-4.6.0-1]
 */
export function pump(state: State, session: ClientSession, now: Millis): void {
  const connection = session.link;
  if (connection === undefined) return;
  const { outbound, queue } = session;
  while (!connection.out.congested) {
    const entry = outbound.takeResend();
    if (entry === undefined) break;
    const { packetIdentifier, delivery } = entry;
    if (entry.released) {
      connection.out.write(
        encodeAcknowledgement(
          'pubrel',
          packetIdentifier,
          ReasonCode.Success,
          connection.protocolVersion,
        ),
      );
      continue;
    }
    const { qos, retain, subscriptionIdentifiers: ids } = delivery;
    const publication = delivery.message as Publication;
    if (
      !send(state, connection, session, publication, qos, retain, ids, packetIdentifier, true, now)
    ) {
      outbound.end(packetIdentifier);
      state.counters.inflightMessages--;
    }
  }
  while (queue.length > 0 && outbound.open && !connection.out.congested) {
    const delivery = queue.shift();
    if (delivery === undefined) break;
    state.counters.queuedMessages--;
    const publication = delivery.message as Publication;
    if (publication.expired(now)) {
      drop(state, session, 'expired', publication.topic); // [MQTT-3.3.2-5]
      continue;
    }
    const identifier = outbound.begin(delivery);
    if (identifier === undefined) break;
    state.counters.inflightMessages++;
    launch(state, connection, session, delivery, identifier, now);
  }
  if (session.replay !== undefined) replay(state, session, connection, now);
  if (connection.out.congested) connection.out.stall(undefined, now);
}

/** Sends retained messages that wait, while there is room. */
function replay(state: State, session: ClientSession, connection: Connection, now: Millis): void {
  const waiting = session.replay ?? [];
  let taken = 0;
  // Half the limit leaves room for what is published meanwhile.
  const limit = state.limits.outboundBytes / 2;
  while (taken < waiting.length && connection.out.pendingBytes <= limit) {
    const delivery = waiting[taken] as Delivery<Connection>;
    const publication = delivery.message as Publication;
    if (isCurrent(state, publication, now)) {
      const { qos, retain, subscriptionIdentifiers: ids } = delivery;
      if (qos === 0) {
        send(state, connection, session, publication, 0, retain, ids, 0, false, now);
      } else {
        if (session.queue.length > 0) break;
        const identifier = session.outbound.begin(delivery);
        if (identifier === undefined) break;
        state.counters.inflightMessages++;
        launch(state, connection, session, delivery, identifier, now);
      }
      publication.forgetFrames();
    }
    taken++;
  }
  session.replay = taken === waiting.length ? undefined : waiting.slice(taken);
}

/** PUBACK came. A refusal ends the exchange as well. [MQTT-4.3.2-3] */
export function acknowledged(
  state: State,
  connection: Connection,
  packet: Acknowledgement,
  now: Millis,
): void {
  const { session } = connection;
  const entry = session?.outbound.get(packet.packetIdentifier);
  if (session === undefined || entry === undefined) return;
  if (entry.delivery.qos !== 1) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.3-3', 'PUBACK for QoS 2');
  }
  session.outbound.end(packet.packetIdentifier);
  state.counters.inflightMessages--;
  pump(state, session, now);
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
  if (entry !== undefined && entry.delivery.qos !== 2) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.2-2', 'PUBREC for QoS 1');
  }
  if (entry !== undefined && packet.reasonCode >= ReasonCode.UnspecifiedError) {
    session.outbound.end(packetIdentifier);
    state.counters.inflightMessages--;
    return pump(state, session, now);
  }
  if (entry === undefined && packet.reasonCode >= ReasonCode.UnspecifiedError) return;
  if (entry !== undefined) entry.released = true;
  const code = entry === undefined ? ReasonCode.PacketIdentifierNotFound : ReasonCode.Success;
  connection.out.write(
    encodeAcknowledgement('pubrel', packetIdentifier, code, connection.protocolVersion),
  );
}

/** PUBCOMP came: the exchange is over. [MQTT-4.3.3-7] */
export function completed(
  state: State,
  connection: Connection,
  packet: Acknowledgement,
  now: Millis,
): void {
  const { session } = connection;
  const entry = session?.outbound.get(packet.packetIdentifier);
  if (session === undefined || entry === undefined) return;
  if (!entry.released) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.3.3-5', 'PUBCOMP before PUBREL');
  }
  session.outbound.end(packet.packetIdentifier);
  state.counters.inflightMessages--;
  pump(state, session, now);
}
