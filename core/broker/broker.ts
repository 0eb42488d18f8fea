/**
 * The broker's state and its entry points: everything that can happen to it, as plain calls. Time
 * comes in as a number; nothing here reads a clock, opens a socket or awaits.
 */
import type { Policy } from '../auth/rights.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import type { Counters } from './counters.ts';
import type { Limits } from './limits.ts';
import type { ConnectionId, Millis, Origin, Outbox, Verification } from './outbox.ts';

export interface BrokerOptions {
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly policy: Policy;
  /** A fresh Client Identifier for clients that send none; the core rolls no dice. [MQTT-3.1.3-6] */
  readonly assignClientIdentifier: () => string;
  /** For `$SYS/broker/version`. */
  readonly version: string;
  readonly startedAt: Millis;
}

export interface Broker {
  readonly counters: Counters;
  opened(connection: ConnectionId, origin: Origin, now: Millis): void;
  received(connection: ConnectionId, bytes: Uint8Array, now: Millis): void;
  /** The socket ended without our asking. */
  lost(connection: ConnectionId, now: Millis): void;
  /** The shell wrote to the socket, and `waitingBytes` are still to go: 0 once it has drained. */
  flushed(connection: ConnectionId, waitingBytes: number, now: Millis): void;
  verified(result: Verification, now: Millis): void;
  /** From the bus: never forwarded again. */
  arrived(message: Message, now: Millis): void;
  /** From a plugin in this process. Undefined where it was taken, else why it was not. */
  sent(message: Message, now: Millis): string | undefined;
  /** The topics that plugins handle, in place of those named before: declared commands. */
  handles(topics: readonly TopicFilter[], now: Millis): void;
  /** Deadlines have come due. */
  passed(now: Millis): void;
  /** When `passed` is next wanted. */
  nextDeadline(): Millis | undefined;
  /** Stop accepting, and end every connection with 0x8B Server shutting down. */
  shutDown(now: Millis): void;
}
