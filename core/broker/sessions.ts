/**
 * The life of sessions: made or resumed at CONNECT, taken over, left waiting when the connection
 * ends, and ended when their Session Expiry Interval has passed (sections 3.1.2.4, 3.1.2.11.2, 4.1).
 */
import type { Rights } from '../auth/rights.ts';
import type { Connect, QoS } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { queuedSize } from '../session/queue.ts';
import { type Delivery, Session } from '../session/session.ts';
import type { Connection } from './connection.ts';
import { deliver } from './deliver.ts';
import { drop, finish } from './delivery.ts';
import type { Millis, Party } from './outbox.ts';
import type { Publication } from './publication.ts';
import { isHeldBack } from './receipts.ts';
import {
  type ClientSession,
  type ClientSubscription,
  type Due,
  partyOf,
  type State,
} from './state.ts';
import { keepSubscription, removeSubscription, setStanding } from './subscribe.ts';
import { resumeWill, sessionEndsWill, startWill } from './will.ts';

/** Waits for a detached session's end. */
class SessionEnd implements Due {
  readonly state: State;
  readonly session: ClientSession;

  constructor(state: State, session: ClientSession) {
    this.state = state;
    this.session = session;
  }

  due(now: Millis): void {
    this.state.counters.sessionsExpired++;
    this.state.outbox.report({ kind: 'session-expired', party: partyOf(this.session) });
    endSession(this.state, this.session, now);
  }
}

/** Has a session that no connection is attached to end when its time has come. */
export function awaitEnd(state: State, session: ClientSession): void {
  const end = state.deadlines.set(session.expiresAtMs, new SessionEnd(state, session));
  state.sessionEnds.set(session, end);
}

function cancelEnd(state: State, session: ClientSession): void {
  const end = state.sessionEnds.get(session);
  if (end === undefined) return;
  state.deadlines.cancel(end);
  state.sessionEnds.delete(session);
}

interface Attached {
  readonly session: ClientSession;
  readonly sessionPresent: boolean;
  /** Whether another connection gave way. */
  readonly takeover: boolean;
}

/**
 * Gives `connection` its session: the one that waits or is in use under the same user and Client
 * Identifier, whose connection is ended with 0x8E [MQTT-3.1.4-3]; with Clean Start, or where there is
 * none, a new one. Undefined where the broker holds as many sessions as it may.
 */
export function attach(
  state: State,
  connection: Connection,
  packet: Connect,
  expirySeconds: number,
  now: Millis,
): Attached | undefined {
  const { user } = connection.publisher;
  const { clientIdentifier } = connection;
  const holder = state.sessions.get(user, clientIdentifier)?.link;
  if (holder !== undefined) {
    state.counters.takeovers++;
    state.outbox.report({ kind: 'taken-over', party: holder.party });
    holder.disconnect(ReasonCode.SessionTakenOver, 'session taken over', now);
  }
  let session = state.sessions.get(user, clientIdentifier);
  if (session !== undefined && packet.cleanStart) {
    endSession(state, session, now); // [MQTT-3.1.2-4]
    session = undefined;
  }
  const sessionPresent = session !== undefined;
  if (session === undefined) {
    if (state.sessions.size >= state.limits.maximumSessions) return undefined;
    session = new Session<Connection>(user, clientIdentifier);
    state.sessions.add(session);
    state.counters.sessions++;
    if (expirySeconds > 0) session.number = state.ledger.nextSession();
    if (session.number !== 0) state.sessionsByNumber.set(session.number, session);
  }
  session.link = connection;
  session.expirySeconds = expirySeconds;
  session.expiresAtMs = Number.POSITIVE_INFINITY;
  session.fetchedTo = 0;
  session.staleFetches += session.fetches;
  session.fetches = 0;
  keepSession(state, session);
  cancelEnd(state, session);
  connection.session = session;
  session.outbound.attach(Math.min(packet.receiveMaximum, state.limits.maximumInflight));
  if (sessionPresent) {
    resumeWill(state, session); // [MQTT-3.1.3-9]
    if (connection.rights !== undefined) {
      reauthorize(state, session, connection.rights, connection.party, now);
    }
  }
  return { session, sessionPresent, takeover: holder !== undefined };
}

/**
 * The connection is gone: the session waits for its Session Expiry Interval, or ends. What was in
 * flight or queued for a shared subscription goes to a member that is there. The Will is sent, or
 * waits for its delay. [MQTT-3.1.2-8]
 */
export function detach(state: State, connection: Connection, now: Millis): void {
  const { session } = connection;
  if (session === undefined) return;
  session.link = undefined;
  session.inbound?.detach();
  session.recentCommands?.detach();
  session.outbound.detach();
  if (session.expirySeconds === 0) {
    startWill(state, connection, 0, now);
    endSession(state, session, now);
    return;
  }
  session.expiresAtMs = now + session.expirySeconds * 1_000;
  keepSession(state, session);
  awaitEnd(state, session);
  handOver(state, session, false, now);
  if (session.number !== 0) park(state, session);
  startWill(state, connection, session.expirySeconds, now);
}

/** The session is no more: its subscriptions go, its delayed Will is sent. [MQTT-3.1.2-8] */
export function endSession(state: State, session: ClientSession, now: Millis): void {
  if (!state.sessions.delete(session)) return;
  state.counters.sessions--;
  cancelEnd(state, session);
  if (session.number !== 0) {
    state.sessionsByNumber.delete(session.number);
    state.ledger.keep({ kind: 'session-ended', session: session.number });
  }
  for (const subscription of [...session.subscriptions]) removeSubscription(state, subscription);
  handOver(state, session, true, now);
  state.counters.inflightMessages -= session.outbound.size;
  state.counters.queuedMessages -= session.queue.length;
  state.counters.dropped['session-ended'] += session.queue.length;
  sessionEndsWill(state, session, now);
}

/**
 * Messages of a Shared Subscription that `session` has not acknowledged go to another member: those
 * that wait, and QoS 1 in flight. QoS 2 in flight stays with the member that it was sent to.
 * [MQTT-4.8.2-4] [MQTT-4.8.2-5]
 */
function handOver(state: State, session: ClientSession, ended: boolean, now: Millis): void {
  const { outbound, queue } = session;
  for (const entry of outbound.entries()) {
    const { delivery } = entry;
    if (delivery.group === undefined || delivery.qos !== 1) continue;
    // One that expired after it was sent stays with the client, which may have it. [MQTT-4.4.0-1]
    if (!ended && (delivery.message as Publication).expired(now)) continue;
    if (offer(state, session, delivery, ended, now)) {
      outbound.end(entry.packetIdentifier);
      state.counters.inflightMessages--;
      finish(state, session, delivery);
    }
  }
  if (queue.memoryLength === 0) return;
  const moved = queue.removeWhere(
    (delivery) => delivery.group !== undefined && offer(state, session, delivery, ended, now),
  );
  state.counters.queuedMessages -= moved.length;
  for (const delivery of moved) finish(state, session, delivery);
}

/** What a stored session has in memory stays on disk alone until its client is back. */
function park(state: State, session: ClientSession): void {
  const { outbound, queue } = session;
  const inflight = outbound.entries();
  let bytes = 0;
  for (const { delivery } of inflight) bytes += queuedSize(delivery.message);
  state.counters.inflightMessages -= inflight.length;
  state.counters.queuedMessages += inflight.length;
  outbound.park();
  queue.park();
  queue.parkInflight(inflight.length, bytes);
}

/** Keeps what the session itself is: whose, and until when. */
function keepSession(state: State, session: ClientSession): void {
  if (session.number === 0) return;
  const { number, user, clientIdentifier, expirySeconds, expiresAtMs } = session;
  state.ledger.keep({
    kind: 'session',
    session: number,
    user,
    clientIdentifier,
    expirySeconds,
    expiresAtMs,
  });
}

/**
 * Hands `delivery` to another member of its group that may have it; one that is away takes it only
 * where `session` can keep it no longer. False where there is nobody. One that has expired goes to
 * nobody: it is over. [MQTT-3.3.2-5]
 */
function offer(
  state: State,
  session: ClientSession,
  delivery: Delivery<Connection>,
  toAway: boolean,
  now: Millis,
): boolean {
  if (delivery.group === undefined) return false;
  // The group of that name now: the one that the message was for may have had its last member leave.
  const { shareName, filter } = delivery.group;
  const group = state.groupsByName.get(`${shareName}/${filter}`);
  if (group === undefined) return false;
  const publication = delivery.message as Publication;
  if (publication.expired(now)) {
    drop(state, session, 'expired', publication.topic);
    return true;
  }
  const mayHave = (other: ClientSubscription): boolean =>
    other.session !== session && other.standing <= publication.reach;
  const member =
    group.pick((other) => mayHave(other) && other.session.link !== undefined) ??
    (toAway ? group.pick((other) => mayHave(other) && other.maximumQoS > 0) : undefined);
  if (member === undefined) return false;
  const qos = Math.min(publication.qos, member.maximumQoS) as QoS;
  const retain = member.retainAsPublished && publication.retain;
  const identifiers = member.identifier === 0 ? undefined : [member.identifier];
  deliver(state, member.session, publication, qos, retain, identifiers, group, now);
  return true;
}

/**
 * Holds what the session has stored against the rights of the token that it is now used with:
 * subscriptions that these do not cover are dropped, and so are messages that wait and could not be
 * asked for any more. Each is reported.
 */
export function reauthorize(
  state: State,
  session: ClientSession,
  rights: Rights,
  party: Party,
  now: Millis,
): void {
  const denied = (action: 'stored-subscription' | 'stored-message', topic: string): void => {
    state.outbox.report({ kind: 'denied', party, action, topic });
  };
  for (const subscription of [...session.subscriptions]) {
    const standing = rights.maySubscribe(subscription.filter, subscription.group !== undefined);
    if (standing === undefined) {
      removeSubscription(state, subscription);
      denied('stored-subscription', subscription.filter);
    } else {
      setStanding(state, subscription, standing, rights.role);
      keepSubscription(state, subscription);
    }
  }
  const mayNot = (delivery: Delivery<Connection>): boolean =>
    !rights.mayReceive(delivery.message.topic, delivery.message.reach);
  for (const delivery of session.queue.removeWhere(mayNot)) {
    state.counters.queuedMessages--;
    const taken = offer(state, session, delivery, true, now);
    finish(state, session, delivery);
    if (taken) continue;
    drop(state, session, 'not-authorized', delivery.message.topic);
    denied('stored-message', delivery.message.topic);
  }
  for (const entry of session.outbound.entries()) {
    const { delivery } = entry;
    if (entry.released || !mayNot(delivery)) continue;
    // What was sent over this connection, or is past PUBREC, is with the client already: only the
    // handshake is left, and its Packet Identifier stays taken until then.
    const isUnsent = session.link !== undefined && isHeldBack(session.link, delivery);
    if (!isUnsent && !session.outbound.waits(entry)) continue;
    session.outbound.end(entry.packetIdentifier);
    state.counters.inflightMessages--;
    state.eased.add(session);
    const taken = (delivery.qos === 1 || isUnsent) && offer(state, session, delivery, true, now);
    finish(state, session, delivery);
    if (taken) continue;
    drop(state, session, 'not-authorized', delivery.message.topic);
    denied('stored-message', delivery.message.topic);
  }
  session.replay = session.replay?.filter((delivery) => !mayNot(delivery));
}
