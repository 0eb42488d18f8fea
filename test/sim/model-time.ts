/** What time alone makes happen, as the model sees it: what may end by now, and what must have. */
import type { Model } from './model.ts';
import type { ModelConnection } from './state.ts';

/** By how much a simulated clock is set back at most. */
export const SET_BACK_MS = 1_500;

/** Something that should have happened by now. */
export function overdue({ connections, sessions, now }: Model): string | undefined {
  for (const connection of connections.values()) {
    if (!connection.open && connection.connectByMs <= now) return `CONNECT on ${connection.id}`;
  }
  for (const session of sessions.values()) {
    if (session.expiresAtMs <= now) return `the end of the session ${session.key}`;
    const due = session.delayedWill?.dueMs ?? Number.POSITIVE_INFINITY;
    if (due <= now) return `the Will of ${session.key}`;
  }
  return undefined;
}

/**
 * Whether the token lets the broker end the connection. The observer waits for it to happen: after a
 * jump of the clock many connections end at once, and in which order is not said.
 */
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
  const sinceMs = beyondDoubt ? connection.latestAtPacketMs : connection.lastPacketMs;
  return now - sinceMs >= connection.keepAliveSeconds * 1_500;
}
