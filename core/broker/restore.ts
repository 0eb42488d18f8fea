/**
 * What a start finds on disk becomes the state again: sessions with their subscriptions and expiry,
 * retained messages, Wills, commands that wait. What is queued stays on disk until its client is back.
 */

import { RecentCommands } from '../session/recent-commands.ts';
import { Session, Subscription } from '../session/session.ts';
import type { Snapshot, StoredSession, StoredSubscription } from './changes.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import { restorePresence } from './presence.ts';
import { Publication } from './publication.ts';
import { restoreRetained } from './retained.ts';
import { restoreSchedules } from './schedules.ts';
import { awaitEnd } from './sessions.ts';
import type { ClientSession, State } from './state.ts';
import { groupFor, insert } from './subscribe.ts';
import { WillMessage } from './will.ts';

/** What clients whose connection the crash ended have to come back before their Will is sent, in seconds. */
const GRACE_SECONDS = 30;

export function restore(state: State, snapshot: Snapshot, now: Millis): void {
  state.ledger.resume(snapshot.lastSession, snapshot.lastMessage, snapshot.lastSequence);
  for (const stored of snapshot.sessions) restoreSession(state, stored, now);
  for (const { message, content } of snapshot.retained) {
    restoreRetained(state, Publication.restore(content, message));
  }
  for (const { session: number, will: stored } of snapshot.wills) {
    const session = state.sessionsByNumber.get(number);
    if (session === undefined) continue;
    const { publisher, role, grants } = stored;
    const content = { ...stored, messageExpiryInterval: stored.messageExpirySeconds };
    const identity = { user: publisher.user, role, grants };
    const will = new WillMessage(state, content, publisher, identity);
    will.session = session;
    const standing = stored.dueAtMs === Number.POSITIVE_INFINITY;
    const graceSeconds = Math.max(stored.delaySeconds, GRACE_SECONDS);
    will.wait(session, standing ? now + graceSeconds * 1_000 : stored.dueAtMs);
  }
  for (const { message, content, state: known } of snapshot.commands) {
    state.outbox.handle(Publication.restore(content, message), message, known);
  }
  restoreSchedules(state, snapshot);
  // Behind the commands: among them may be earlier events.
  restorePresence(state, snapshot, now);
}

function restoreSession(state: State, stored: StoredSession, now: Millis): void {
  const session: ClientSession = new Session<Connection>(stored.user, stored.clientIdentifier);
  session.number = stored.session;
  session.expirySeconds = stored.expirySeconds;
  const attached = stored.expiresAtMs === Number.POSITIVE_INFINITY;
  session.expiresAtMs = attached ? now + stored.expirySeconds * 1_000 : stored.expiresAtMs;
  if (stored.received.length > 0) session.openInbound().restore(stored.received);
  if (stored.recentCommands.length > 0) {
    session.recentCommands = new RecentCommands(stored.recentCommands);
  }
  session.queue.pushToDisk(stored.queuedMessages, stored.queuedBytes);
  state.counters.queuedMessages += stored.queuedMessages;
  state.counters.sessions++;
  state.sessions.add(session);
  state.sessionsByNumber.set(stored.session, session);
  for (const subscription of stored.subscriptions)
    restoreSubscription(state, session, subscription);
  awaitEnd(state, session);
}

function restoreSubscription(
  state: State,
  session: ClientSession,
  stored: StoredSubscription,
): void {
  const { filter, shareName } = stored;
  const group = shareName === '' ? undefined : groupFor(state, shareName, filter);
  const subscription = new Subscription(session, filter, group);
  subscription.agree(stored.maximumQoS, stored.noLocal, stored.retainAsPublished);
  subscription.identifier = stored.identifier;
  subscription.standing = stored.standing;
  subscription.declares = stored.declares;
  if (stored.declares) state.commands.add(filter);
  insert(state, subscription);
}
