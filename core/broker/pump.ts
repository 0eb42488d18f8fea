/**
 * Sends what has room now: first, in order, what was in flight when the last connection ended, then
 * what is queued, in memory and on disk, then retained messages that wait.
 * [MQTT-4.4.0-1] [MQTT-4.6.0-1]
 */
import { encodeAcknowledgement } from '../mqtt/codec.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { queuedSize } from '../session/queue.ts';
import type { Delivery } from '../session/session.ts';
import type { FetchedDeliveries } from './changes.ts';
import type { Connection } from './connection.ts';
import { launch } from './deliver.ts';
import { drop, finish, giveUp, store } from './delivery.ts';
import type { Millis } from './outbox.ts';
import { Publication } from './publication.ts';
import { isCurrent } from './retained.ts';
import type { ClientSession, State } from './state.ts';
import { transmit } from './transmit.ts';

/** Deliveries that are read from disk at a time, and about how many bytes of them. */
const FETCH_LIMIT = 256;
const FETCH_BYTES = 1024 * 1024;

export function pump(state: State, session: ClientSession, now: Millis): void {
  const connection = session.link;
  if (connection === undefined) return;
  const { outbound, queue } = session;
  resend(state, session, connection, now);
  while (queue.memoryLength > 0 && outbound.open && !connection.out.congested) {
    const delivery = queue.shift();
    if (delivery === undefined) break;
    state.counters.queuedMessages--;
    const publication = delivery.message as Publication;
    if (publication.expired(now)) {
      drop(state, session, 'expired', publication.topic); // [MQTT-3.3.2-5]
      finish(state, session, delivery);
      continue;
    }
    const packetIdentifier = outbound.begin(delivery);
    if (packetIdentifier === undefined) break;
    state.counters.inflightMessages++;
    const { sequence } = delivery;
    if (sequence !== 0) {
      state.ledger.keep({ kind: 'sent', session: session.number, sequence, packetIdentifier });
    }
    launch(state, connection, session, delivery, packetIdentifier, now);
  }
  const thirsty = queue.memoryLength === 0 && outbound.open && !connection.out.congested;
  if (thirsty && queue.diskLength > 0 && session.fetches === 0) fetchMore(state, session);
  if (session.replay !== undefined) replay(state, session, connection, now);
  if (connection.out.congested) connection.out.stall(undefined, now);
}

function resend(state: State, session: ClientSession, connection: Connection, now: Millis): void {
  while (!connection.out.congested) {
    const entry = session.outbound.takeResend();
    if (entry === undefined) break;
    const { packetIdentifier, delivery } = entry;
    if (entry.released) {
      const version = connection.protocolVersion;
      connection.out.write(
        encodeAcknowledgement('pubrel', packetIdentifier, ReasonCode.Success, version),
      );
      continue;
    }
    const { qos, retain, subscriptionIdentifiers: ids } = delivery;
    const publication = delivery.message as Publication;
    if (!transmit(connection, publication, qos, retain, ids, packetIdentifier, true, now)) {
      giveUp(state, session, delivery, packetIdentifier, 'packet-too-large');
    }
  }
}

/** Has the next piece of the queue's tail read from disk. */
export function fetchMore(state: State, session: ClientSession): void {
  session.fetches++;
  session.askedAt = state.ledger.lastSequence;
  session.queue.reading();
  state.outbox.fetch(session.number, session.fetchedTo, FETCH_LIMIT, FETCH_BYTES);
}

/** A piece of a queue was read: what was in flight goes on under its Packet Identifier, the rest waits. */
export function fetched(state: State, result: FetchedDeliveries, now: Millis): void {
  const session = state.sessionsByNumber.get(result.session);
  if (session === undefined) return;
  if (session.staleFetches > 0) {
    // The client came and went meanwhile: a later read brings what counts.
    session.staleFetches--;
    return;
  }
  session.fetches--;
  const rights = session.link?.rights;
  if (rights === undefined) return;
  let bytes = 0;
  let late = 0;
  let lateBytes = 0;
  for (const { content, packetIdentifier, released, ...rest } of result.deliveries) {
    const publication = Publication.restore(content, rest.message);
    publication.unfinished = 1;
    const size = queuedSize(publication);
    bytes += size;
    if (rest.sequence > session.askedAt) {
      late++;
      lateBytes += size;
    }
    session.fetchedTo = rest.sequence;
    const { group } = rest;
    const delivery: Delivery<Connection> = {
      message: publication,
      qos: rest.qos,
      retain: rest.retain,
      subscriptionIdentifiers: rest.subscriptionIdentifiers,
      sequence: rest.sequence,
      group: group && state.groupsByName.get(`${group.shareName}/${group.filter}`),
    };
    if (!released && !rights.mayReceive(publication.topic, publication.reach)) {
      state.counters.queuedMessages--;
      const party = session.link?.party;
      const { topic } = publication;
      if (party) state.outbox.report({ kind: 'denied', party, action: 'stored-message', topic });
      drop(state, session, 'not-authorized', topic);
      finish(state, session, delivery);
    } else if (packetIdentifier === 0) {
      session.queue.push(delivery);
    } else {
      session.outbound.restore(packetIdentifier, delivery, released);
      state.counters.queuedMessages--;
      state.counters.inflightMessages++;
    }
  }
  session.queue.read(result.deliveries.length, bytes, result.more, late, lateBytes);
  pump(state, session, now);
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
        if (!transmit(connection, publication, 0, retain, ids, 0, false, now)) {
          drop(state, session, 'packet-too-large', publication.topic);
        }
      } else {
        if (session.queue.length > 0) break;
        const numbered =
          session.number === 0 ? delivery : { ...delivery, sequence: state.ledger.nextSequence() };
        const identifier = session.outbound.begin(numbered);
        if (identifier === undefined) break;
        state.counters.inflightMessages++;
        store(state, session, numbered, identifier);
        launch(state, connection, session, numbered, identifier, now);
      }
      publication.forgetFrames();
    }
    taken++;
  }
  session.replay = taken === waiting.length ? undefined : waiting.slice(taken);
}
