/**
 * What the core counts as it goes: plain numbers, so that counting costs an addition. The shell reads
 * them for `/metrics`, the core for `$SYS`. Totals since the start unless the name says otherwise.
 */
import { type DropReason, dropReasons } from './outbox.ts';

export interface Counters {
  connectionsOpened: number;
  /** Now. */
  connections: number;
  /** Now: with CONNECT accepted. */
  clientsConnected: number;
  clientsMaximum: number;
  /** Now: stored sessions, connected or not. */
  sessions: number;
  subscriptions: number;
  sharedSubscriptions: number;
  retainedMessages: number;
  retainedBytes: number;
  queuedMessages: number;
  inflightMessages: number;
  bytesReceived: number;
  bytesSent: number;
  packetsReceived: number;
  packetsSent: number;
  publishReceived: number;
  publishSent: number;
  publishBytesReceived: number;
  publishBytesSent: number;
  commandsHandled: number;
  /** QoS 1 commands that came again over a new connection. */
  commandsRepeated: number;
  /** Dead letters, and those among them that could not be kept. */
  deadLetters: number;
  deadLettersLost: number;
  sessionsExpired: number;
  takeovers: number;
  /** CONNECT refusals, by name of the Reason Code; the next two the same for PUBLISH and single subscriptions. */
  readonly refused: Record<string, number>;
  readonly publishRefused: Record<string, number>;
  readonly subscribeRefused: Record<string, number>;
  /** Connections ended by the broker, by name of the Reason Code. */
  readonly disconnected: Record<string, number>;
  readonly dropped: Record<DropReason, number>;
}

/** All at zero. */
export function newCounters(): Counters {
  return {
    connectionsOpened: 0,
    connections: 0,
    clientsConnected: 0,
    clientsMaximum: 0,
    sessions: 0,
    subscriptions: 0,
    sharedSubscriptions: 0,
    retainedMessages: 0,
    retainedBytes: 0,
    queuedMessages: 0,
    inflightMessages: 0,
    bytesReceived: 0,
    bytesSent: 0,
    packetsReceived: 0,
    packetsSent: 0,
    publishReceived: 0,
    publishSent: 0,
    publishBytesReceived: 0,
    publishBytesSent: 0,
    commandsHandled: 0,
    commandsRepeated: 0,
    deadLetters: 0,
    deadLettersLost: 0,
    sessionsExpired: 0,
    takeovers: 0,
    refused: {},
    publishRefused: {},
    subscribeRefused: {},
    disconnected: {},
    dropped: Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<
      DropReason,
      number
    >,
  };
}

/** Adds one to what `counts` holds under `name`. */
export function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
