/**
 * What a connection is told only once it lasts: PUBACK and PUBREC, and the other steps that a crash
 * must not undo. They leave in the order in which they were due, which is that of the PUBLISH packets
 * that they answer. [MQTT-4.6.0-2] [MQTT-4.6.0-3] Without anything to wait for they leave at once.
 */
import { encodeAcknowledgement } from '../mqtt/codec.ts';
import type { Acknowledgement, PacketIdentifier, QoS } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { Delivery } from '../session/session.ts';
import type { Connection } from './connection.ts';
import { giveUp } from './delivery.ts';
import type { Position } from './ledger.ts';
import type { Millis } from './outbox.ts';
import type { Publication } from './publication.ts';
import type { State } from './state.ts';
import { transmit } from './transmit.ts';

/** Something to send once `position` changes are on disk. */
export type Receipt =
  | {
      readonly kind: 'acknowledgement';
      readonly position: Position;
      readonly type: Acknowledgement['type'];
      readonly packetIdentifier: PacketIdentifier;
      readonly reasonCode: ReasonCode;
      readonly detail: string | undefined;
      /** Of whom it leaves earlier, where all its receivers are done with it. */
      readonly publication: Publication | undefined;
    }
  | {
      readonly kind: 'publish';
      readonly position: Position;
      readonly packetIdentifier: PacketIdentifier;
      readonly delivery: Delivery<Connection>;
    }
  | { readonly kind: 'packet'; readonly position: Position; readonly bytes: Uint8Array };

/**
 * Answers a PUBLISH once `position` changes are on disk, or all that `publication` went to are done
 * with it; nothing is sent for QoS 0. A refused QoS 2 message gives its Packet Identifier free: the
 * next PUBLISH under it is a new message. [MQTT-4.3.3-9]
 */
export function acknowledge(
  state: State,
  connection: Connection,
  qos: QoS,
  packetIdentifier: PacketIdentifier,
  reasonCode: ReasonCode,
  detail?: string,
  position: Position = 0,
  publication?: Publication,
): void {
  if (qos === 0) return;
  if (qos === 2 && reasonCode >= ReasonCode.UnspecifiedError && connection.version5) {
    freeIdentifier(state, connection, packetIdentifier);
  }
  const type = qos === 1 ? 'puback' : 'pubrec';
  const { ledger } = state;
  if (position <= ledger.stored && connection.receipts === undefined) {
    return send(connection, type, packetIdentifier, reasonCode, detail);
  }
  wait(state, connection, {
    kind: 'acknowledgement',
    position,
    type,
    packetIdentifier,
    reasonCode,
    detail,
    publication,
  });
  if (publication !== undefined) publication.awaitedBy = connection;
}

/** Sends PUBREL or PUBCOMP once `position` changes are on disk. */
export function acknowledgeAfter(
  state: State,
  connection: Connection,
  type: 'pubrel' | 'pubcomp',
  packetIdentifier: PacketIdentifier,
  reasonCode: ReasonCode,
  position: Position,
): void {
  if (position <= state.ledger.stored && connection.receipts === undefined) {
    return send(connection, type, packetIdentifier, reasonCode, undefined);
  }
  wait(state, connection, {
    kind: 'acknowledgement',
    position,
    type,
    packetIdentifier,
    reasonCode,
    detail: undefined,
    publication: undefined,
  });
}

/** Sends a message in flight once its Packet Identifier is on disk. */
export function publishAfter(
  state: State,
  connection: Connection,
  delivery: Delivery<Connection>,
  packetIdentifier: PacketIdentifier,
  now: Millis,
): void {
  const { kept: position, stored } = state.ledger;
  const receipt: Receipt = { kind: 'publish', position, packetIdentifier, delivery };
  if (position <= stored && connection.receipts === undefined) {
    return release(state, connection, receipt, now);
  }
  wait(state, connection, receipt);
}

/** Whether `delivery`, in flight, has not been sent, because its Packet Identifier is not on disk yet. */
export function isHeldBack(connection: Connection, delivery: Delivery<Connection>): boolean {
  const receipts = connection.receipts ?? [];
  return receipts.some((each) => each.kind === 'publish' && each.delivery === delivery);
}

/** Sends an encoded packet once all that is kept so far is on disk. */
export function sendAfterAll(state: State, connection: Connection, bytes: Uint8Array): void {
  const { kept: position, stored } = state.ledger;
  if (position <= stored && connection.receipts === undefined) return connection.out.write(bytes);
  wait(state, connection, { kind: 'packet', position, bytes });
}

function wait(state: State, connection: Connection, receipt: Receipt): void {
  connection.receipts ??= [];
  connection.receipts.push(receipt);
  state.waiting.add(connection);
}

/** More is on disk, or done with: sends what waited for it. */
export function settleReceipts(state: State, connection: Connection, now: Millis): void {
  const receipts = connection.receipts;
  if (receipts === undefined) return;
  let settled = 0;
  while (settled < receipts.length && isSettled(state, receipts[settled] as Receipt)) {
    release(state, connection, receipts[settled] as Receipt, now);
    settled++;
  }
  if (connection.phase === 'closed' || settled === receipts.length) forget(state, connection);
  else if (settled > 0) receipts.splice(0, settled);
}

function isSettled(state: State, receipt: Receipt): boolean {
  if (receipt.position <= state.ledger.stored) return true;
  return receipt.kind === 'acknowledgement' && receipt.publication?.unfinished === 0;
}

function release(state: State, connection: Connection, receipt: Receipt, now: Millis): void {
  switch (receipt.kind) {
    case 'acknowledgement':
      return send(
        connection,
        receipt.type,
        receipt.packetIdentifier,
        receipt.reasonCode,
        receipt.detail,
      );
    case 'packet':
      return connection.out.write(receipt.bytes);
    case 'publish': {
      const { delivery, packetIdentifier: identifier } = receipt;
      const { session } = connection;
      // It may be over already, with the rights or the session that it was for.
      if (session?.outbound.get(identifier)?.delivery !== delivery) return;
      const { qos, retain, subscriptionIdentifiers: ids } = delivery;
      const publication = delivery.message as Publication;
      const expired = publication.expired(now);
      if (!expired && transmit(connection, publication, qos, retain, ids, identifier, false, now)) {
        return;
      }
      const reason = expired ? 'expired' : 'packet-too-large';
      giveUp(state, session, delivery, identifier, reason);
      state.eased.add(session);
      return;
    }
    default:
      receipt satisfies never;
  }
}

function send(
  connection: Connection,
  type: Acknowledgement['type'],
  packetIdentifier: PacketIdentifier,
  reasonCode: ReasonCode,
  detail: string | undefined,
): void {
  if (type === 'puback') connection.session?.inbound?.acknowledged();
  const reasonString = connection.reason(detail);
  if (reasonString === undefined) {
    const version = connection.protocolVersion;
    connection.out.write(encodeAcknowledgement(type, packetIdentifier, reasonCode, version));
  } else {
    connection.out.writePacket({ type, packetIdentifier, reasonCode, reasonString });
  }
}

/** Drops what waits: the connection is over. */
export function forget(state: State, connection: Connection): void {
  connection.receipts = undefined;
  state.waiting.delete(connection);
}

/**
 * The disk fails. Nobody is told that something lasts which may not: a PUBLISH that waits is answered
 * with the failure. A 3.x client, for which there is no such answer, is disconnected; and so is who
 * waits for PUBREC with a stored session: the message may yet be stored, so that its identifier must
 * stay taken, and the same message, sent again, be known for a duplicate. [MQTT-4.3.3-10]
 */
export function failReceipts(state: State, connection: Connection, now: Millis): void {
  const { failure } = state.ledger;
  const receipts = connection.receipts;
  if (failure === undefined || receipts === undefined) return;
  const promises = (receipt: Receipt): boolean =>
    receipt.kind === 'acknowledgement' &&
    (receipt.type === 'puback' || receipt.type === 'pubrec') &&
    receipt.reasonCode < ReasonCode.UnspecifiedError &&
    !isSettled(state, receipt);
  if (!receipts.some(promises)) return;
  const stored = connection.session !== undefined && connection.session.number !== 0;
  const exactlyOnce = stored && receipts.some((each) => promises(each) && isPubrec(each));
  if (!connection.version5 || exactlyOnce) {
    return connection.disconnect(failure.reasonCode, failure.detail, now);
  }
  connection.receipts = receipts.map((receipt) => {
    if (receipt.kind !== 'acknowledgement' || !promises(receipt)) return receipt;
    if (receipt.type === 'pubrec') freeIdentifier(state, connection, receipt.packetIdentifier);
    const { reasonCode, detail } = failure;
    return { ...receipt, position: 0, reasonCode, detail, publication: undefined };
  });
  settleReceipts(state, connection, now);
}

/** A QoS 2 message was refused: the next PUBLISH under its identifier is a new one. [MQTT-4.3.3-9] */
function freeIdentifier(
  state: State,
  connection: Connection,
  packetIdentifier: PacketIdentifier,
): void {
  const { session } = connection;
  if (!session?.inbound?.release(packetIdentifier) || session.number === 0) return;
  state.ledger.keep({ kind: 'freed', session: session.number, packetIdentifier });
}

function isPubrec(receipt: Receipt): boolean {
  return receipt.kind === 'acknowledgement' && receipt.type === 'pubrec';
}
