/**
 * What time alone makes happen, as the model sees it: what may end by now, and what must have. After a
 * jump of the clock much is due at once. What has a time of its own (the end of a session, a delayed
 * Will) comes in the order of these times. Where among them a silent client, a slow reader or an
 * expired token ends a connection, nothing says, and yet it decides what a Will finds: which commands
 * are declared, and which of two retained Wills is the last. So the model follows the broker there.
 */
import type { Millis } from '../../core/broker/outbox.ts';
import { check } from './failure.ts';
import type { Model } from './model.ts';
import type { Note } from './notes.ts';
import type { ModelConnection, ModelSession } from './state.ts';

/** By how much a simulated clock is set back at most. */
export const SET_BACK_MS = 1_500;

/** Something that should have happened before `atMs`. */
export function overdue({ connections, sessions }: Model, atMs: Millis): string | undefined {
  for (const connection of connections.values()) {
    if (connection.phase === 'closed' || connection.open) continue;
    if (connection.connectByMs < atMs) return `CONNECT on ${connection.id}`;
  }
  for (const session of sessions.values()) {
    if (session.expiresAtMs < atMs) return `the end of the session ${session.key}`;
    if (willDueMs(session) < atMs) return `the Will of ${session.key}`;
  }
  return undefined;
}

/** Whether it is the turn of `what`, which is due at `dueMs`. */
export function checkTurn(model: Model, dueMs: Millis, what: string): void {
  check(dueMs <= model.now, `${what} comes too early`);
  const late = overdue(model, dueMs);
  check(late === undefined, () => `${what} comes before ${late}`);
}

/** The session whose delayed Will `note` is the first sign of, or the word that it may not be sent. */
export function sessionOfWill(model: Model, note: Note): ModelSession | undefined {
  for (const session of model.sessions.values()) {
    if (willDueMs(session) <= model.now && isSignOf(session, note)) return session;
  }
  return undefined;
}

function isSignOf(session: ModelSession, note: Note): boolean {
  const will = session.delayedWill?.will;
  switch (note.kind) {
    case 'packet':
      return note.packet.type === 'publish' && isSame(note.packet.payload, will?.payload);
    case 'handle':
    case 'forward':
      return isSame(note.message.payload, will?.payload);
    case 'report': {
      const { event } = note;
      if (event.kind !== 'denied' || event.action !== 'will') return false;
      const { user, clientIdentifier } = event.party;
      return session.key === `${user}/${clientIdentifier}`;
    }
    default:
      return false;
  }
}

/** Every Will has a payload of its own. */
function isSame(payload: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(payload, other) === 0;
}

function willDueMs(session: ModelSession): Millis {
  return session.delayedWill?.dueMs ?? Number.POSITIVE_INFINITY;
}

/** Whether the token lets the broker end the connection. */
export function tokenExpired({ now }: Model, connection: ModelConnection): boolean {
  const expiresAtMs = connection.identity?.expiresAtMs ?? Number.POSITIVE_INFINITY;
  return connection.open && expiresAtMs <= now;
}

/**
 * Whether Keep Alive lets the broker end the connection [MQTT-3.1.2-22]; with `beyondDoubt`, whether
 * it must have, however the clock was set. A client whose token is checked is not read from, so
 * that it cannot be silent.
 */
export function silent({ now }: Model, connection: ModelConnection, beyondDoubt = false): boolean {
  if (connection.keepAliveSeconds === 0 || connection.phase !== 'open') return false;
  if (connection.isPaused) return false;
  const sinceMs = beyondDoubt ? connection.latestAtPacketMs : connection.lastPacketMs;
  return now - sinceMs >= connection.keepAliveSeconds * 1_500;
}
