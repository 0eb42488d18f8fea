/**
 * The way out to one session (sections 4.3 to 4.6): a message is sent now, or put in flight, or
 * queued, never more than the limits allow. For a stored session each step is kept in the ledger.
 */
import type { PacketIdentifier, QoS } from '../mqtt/packet.ts';
import { queuedSize } from '../session/queue.ts';
import type { Delivery } from '../session/session.ts';
import type { Connection } from './connection.ts';
import { drop, finish, giveUp, store } from './delivery.ts';
import type { DropReason, Millis } from './outbox.ts';
import type { Publication } from './publication.ts';
import { publishAfter } from './receipts.ts';
import type { ClientGroup, ClientSession, State } from './state.ts';
import { transmit } from './transmit.ts';

/** Messages of a stored session that wait in memory; what is newer waits on disk alone. */
const MEMORY_QUEUE = 1_000;

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
    // QoS 0 is for those who are there.
    if (connection === undefined) return;
    if (connection.out.congested) {
      connection.out.stall(state.publisher, now);
      // With `slow-publishers` the publisher stops; what it had sent already still finds some room.
      if (state.limits.slowReader === 'disconnect' || connection.out.full) {
        return drop(state, session, 'slow-reader', publication.topic);
      }
    }
    const ids = subscriptionIdentifiers;
    if (!transmit(connection, publication, 0, retain, ids, 0, false, now)) {
      drop(state, session, 'packet-too-large', publication.topic);
    }
    return;
  }
  const delivery: Delivery<Connection> = {
    message: publication,
    qos,
    retain,
    subscriptionIdentifiers,
    sequence: session.number === 0 ? 0 : state.ledger.nextSequence(),
    group,
  };
  if (connection?.out.congested) connection.out.stall(state.publisher, now);
  else if (connection !== undefined && session.queue.length === 0 && session.fetches === 0) {
    const identifier = session.outbound.begin(delivery);
    if (identifier !== undefined) {
      state.counters.inflightMessages++;
      store(state, session, delivery, identifier);
      launch(state, connection, session, delivery, identifier, now);
      return;
    }
  }
  enqueue(state, session, delivery);
}

/**
 * Sends a message that was just put in flight. QoS 2 to a stored session waits until its Packet
 * Identifier is on disk: after a crash it must go on under the same one. One that is too large for
 * the client is dropped for it alone.
 */
export function launch(
  state: State,
  connection: Connection,
  session: ClientSession,
  delivery: Delivery<Connection>,
  identifier: PacketIdentifier,
  now: Millis,
): void {
  const publication = delivery.message as Publication;
  if (delivery.qos === 2 && delivery.sequence !== 0) {
    publication.keep();
    return publishAfter(state, connection, delivery, identifier, now);
  }
  const { qos, retain, subscriptionIdentifiers: ids } = delivery;
  if (transmit(connection, publication, qos, retain, ids, identifier, false, now)) {
    publication.keep();
  } else {
    giveUp(state, session, delivery, identifier, 'packet-too-large');
  }
}

/** Whether `session` could neither send nor keep `publication` now. */
export function refuses(state: State, session: ClientSession, publication: Publication): boolean {
  const { link, queue, outbound } = session;
  if (link !== undefined && !link.out.congested && queue.length === 0 && outbound.open) {
    return false;
  }
  if (link === undefined && session.expirySeconds === 0) return false;
  return isFull(state, session, publication) !== undefined;
}

function isFull(
  state: State,
  session: ClientSession,
  publication: Publication,
): DropReason | undefined {
  const { limits } = state;
  if (session.queue.waiting >= limits.queuedMessages) return 'queue-full';
  if (state.counters.queuedMessages >= limits.queuedMessagesInAll) return 'queue-full';
  if (session.queue.waitingBytes + queuedSize(publication) > limits.queuedBytes)
    return 'queue-bytes';
  return undefined;
}

/** Keeps a message for later, or drops this or the oldest one where the queue is full. */
function enqueue(state: State, session: ClientSession, delivery: Delivery<Connection>): void {
  const { queue } = session;
  const publication = delivery.message as Publication;
  for (;;) {
    const reason = isFull(state, session, publication);
    if (reason === undefined) break;
    // The oldest cannot be dropped while it is being read from the disk: then it is the newest.
    const reading = queue.memoryLength === 0 && session.fetches > 0;
    if (state.limits.queuePolicy !== 'drop-oldest' || queue.waiting === 0 || reading) {
      return drop(state, session, reason, publication.topic);
    }
    dropOldest(state, session, reason);
  }
  publication.keep();
  store(state, session, delivery, 0);
  state.counters.queuedMessages++;
  // What comes while the tail is being read may be in what is read.
  const behind = session.link === undefined || queue.diskLength > 0 || session.fetches > 0;
  if (delivery.sequence !== 0 && (behind || queue.memoryLength >= MEMORY_QUEUE)) {
    queue.pushToDisk(1, queuedSize(publication));
  } else {
    queue.push(delivery);
  }
}

function dropOldest(state: State, session: ClientSession, reason: DropReason): void {
  const oldest = session.queue.shift();
  state.counters.queuedMessages--;
  if (oldest !== undefined) {
    drop(state, session, reason, oldest.message.topic);
    finish(state, session, oldest);
  } else {
    // On disk, where only the storage knows which one it is.
    session.queue.dropFromDisk();
    state.ledger.keep({ kind: 'oldest-dropped', session: session.number });
    drop(state, session, reason, '');
  }
}
