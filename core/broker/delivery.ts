/**
 * The books of one delivery: kept where its session is stored, and closed when it is done with,
 * acknowledged or dropped.
 */
import type { PacketIdentifier } from '../mqtt/packet.ts';
import type { Delivery } from '../session/session.ts';
import type { Connection } from './connection.ts';
import type { DropReason } from './outbox.ts';
import type { Publication } from './publication.ts';
import { type ClientSession, partyOf, type State } from './state.ts';

/** Keeps a delivery to a stored session, in flight under `identifier` or, with 0, waiting. */
export function store(
  state: State,
  session: ClientSession,
  delivery: Delivery<Connection>,
  identifier: PacketIdentifier,
): void {
  if (delivery.sequence === 0) return;
  const { qos, retain, subscriptionIdentifiers, sequence, group } = delivery;
  const publication = delivery.message as Publication;
  const { ledger } = state;
  publication.unfinished++;
  const message = ledger.numberOf(publication);
  ledger.keep({
    kind: 'queued',
    session: session.number,
    delivery: {
      sequence,
      message,
      qos,
      retain,
      subscriptionIdentifiers,
      group: group === undefined ? undefined : { shareName: group.shareName, filter: group.filter },
      packetIdentifier: identifier,
      released: false,
    },
  });
}

/** A delivery is done with, by whatever: where it was the last of its message, nobody waits for the disk. */
export function finish(state: State, session: ClientSession, delivery: Delivery<Connection>): void {
  if (delivery.sequence === 0) return;
  state.ledger.keep({ kind: 'done', session: session.number, sequence: delivery.sequence });
  const publication = delivery.message as Publication;
  publication.unfinished--;
  if (publication.unfinished === 0 && publication.awaitedBy !== undefined) {
    state.settled.add(publication.awaitedBy);
  }
}

/**
 * A message that is in flight and does not reach the client is over: it takes no packets of that size,
 * or the message expired before it could be sent. [MQTT-3.1.2-25] [MQTT-3.3.2-5]
 */
export function giveUp(
  state: State,
  session: ClientSession,
  delivery: Delivery<Connection>,
  identifier: PacketIdentifier,
  reason: DropReason,
): void {
  session.outbound.end(identifier);
  state.counters.inflightMessages--;
  drop(state, session, reason, delivery.message.topic);
  finish(state, session, delivery);
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
