/**
 * Presence: which devices are connected, and the hooks `connect` and `disconnect` that tell plugins.
 * It is about every client whose role is device; handlers and admins are nobody's phone.
 *
 * Of one client the events alternate, unless the hooks were wanted only in between, and their numbers
 * grow, restarts included: they are the time, in thousandths of a millisecond, or one more than the last.
 * Of a takeover the old connection's `disconnect` comes first. Plugins are given them in this order, also
 * while nothing can be stored.
 *
 * While a plugin wants either hook, the file knows who is connected. So those whose connection ended
 * with a process that was killed are told as disconnected by the next one, with a stored session or
 * without. Without storage they are not known, and nobody is told of their end.
 */
import type { Publisher } from '../mqtt/packet.ts';
import { sessionKey } from '../session/session.ts';
import type { Snapshot } from './changes.ts';
import { releaseUnkept } from './commands.ts';
import type { Connection } from './connection.ts';
import { CONNECT_TOPIC, DISCONNECT_TOPIC, hookCommand, raise } from './hooks.ts';
import type { Millis } from './outbox.ts';
import type { State } from './state.ts';

const NUMBERS_A_MILLISECOND = 1_000;

/** What is known of a connection's presence: nothing; it is counted; the file knows it as well. */
export type PresenceMark = 'none' | 'counted' | 'kept';

const text = new TextEncoder();

/** A CONNECT was accepted. */
export function appear(state: State, connection: Connection, takeover: boolean, now: Millis): void {
  if (!connection.publisher.device) return;
  const { devices, hooks } = state;
  const { publisher } = connection;
  connection.presence = 'counted';
  devices.set(publisher.user, (devices.get(publisher.user) ?? 0) + 1);
  forgetLost(state, publisher);
  if (hooks.connect) tell(state, 'connect', publisher, takeover, now);
  if (hooks.connect || hooks.disconnect) keep(state, connection);
}

/** The connection is over. */
export function disappear(
  state: State,
  connection: Connection,
  takeover: boolean,
  now: Millis,
): void {
  const { presence, publisher } = connection;
  if (presence === 'none') return;
  const { devices, hooks } = state;
  const others = (devices.get(publisher.user) ?? 1) - 1;
  if (others === 0) devices.delete(publisher.user);
  else devices.set(publisher.user, others);
  if (hooks.disconnect) tell(state, 'disconnect', publisher, takeover, now);
  if (presence === 'kept') forget(state, publisher);
  connection.presence = 'none';
}

/** A new token may make a device of what was none, or the other way round. */
export function renewPresence(state: State, connection: Connection, now: Millis): void {
  const { device } = connection.publisher;
  if (device && connection.presence === 'none') appear(state, connection, false, now);
  if (!device) disappear(state, connection, false, now);
}

/** Which hooks plugins want, from now on. */
export function wantHooks(state: State, wanted: readonly string[], now: Millis): void {
  const { hooks } = state;
  const watched = hooks.connect || hooks.disconnect;
  hooks.connect = wanted.includes('connect');
  hooks.disconnect = wanted.includes('disconnect');
  hooks.undelivered = wanted.includes('undelivered');
  const watches = hooks.connect || hooks.disconnect;
  for (const connection of watches === watched ? [] : state.connections.values()) {
    if (watches && connection.presence === 'counted') keep(state, connection);
    if (!watches && connection.presence === 'kept') {
      forget(state, connection.publisher);
      connection.presence = 'counted';
    }
  }
  tellLost(state, now);
}

/** What a start found. Nobody is connected yet: whoever was is not any more. */
export function restorePresence(state: State, snapshot: Snapshot, now: Millis): void {
  state.lastPresence = Math.max(state.lastPresence, snapshot.lastPresence);
  for (const { user, clientIdentifier } of snapshot.present) {
    state.lost.set(sessionKey(user, clientIdentifier), { user, clientIdentifier, device: true });
  }
  tellLost(state, now);
}

/** Where nobody wants to know of them, they wait until somebody does: a plugin may not load just now. */
function tellLost(state: State, now: Millis): void {
  if (!state.hooks.disconnect) return;
  for (const [key, publisher] of state.lost) {
    state.lost.delete(key);
    tell(state, 'disconnect', publisher, false, now);
    forget(state, publisher);
  }
}

/** It is back before anybody wanted to know that it was gone. */
function forgetLost(state: State, publisher: Publisher): void {
  const { user, clientIdentifier } = publisher;
  if (state.lost.size === 0 || !state.lost.delete(sessionKey(user, clientIdentifier))) return;
  forget(state, publisher);
}

function keep(state: State, connection: Connection): void {
  const { user, clientIdentifier } = connection.publisher;
  const number = state.lastPresence;
  state.ledger.keep({ kind: 'present', user, clientIdentifier, number });
  connection.presence = 'kept';
}

function forget(state: State, { user, clientIdentifier }: Publisher): void {
  const number = state.lastPresence;
  state.ledger.keep({ kind: 'absent', user, clientIdentifier, number });
}

function tell(
  state: State,
  event: 'connect' | 'disconnect',
  publisher: Publisher,
  takeover: boolean,
  now: Millis,
): void {
  const number = Math.max(state.lastPresence + 1, now * NUMBERS_A_MILLISECOND);
  state.lastPresence = number;
  const payload = text.encode(JSON.stringify({ event, number, takeover, at: now }));
  const topic = event === 'connect' ? CONNECT_TOPIC : DISCONNECT_TOPIC;
  if (state.ledger.failure !== undefined) releaseEarlier(state);
  raise(state, hookCommand(topic, payload, publisher));
  if (state.ledger.failure === undefined) state.presenceKept = state.ledger.kept;
}

/**
 * Nothing can be stored, so that an event does not wait for the disk: those that do go before it. Like
 * it they are lost if the process dies, or told again where the disk took them after all.
 */
function releaseEarlier(state: State): void {
  if (state.presenceKept <= state.ledger.stored) return;
  releaseUnkept(state, ({ topic }) => topic === CONNECT_TOPIC || topic === DISCONNECT_TOPIC);
  state.presenceKept = state.ledger.stored;
}
