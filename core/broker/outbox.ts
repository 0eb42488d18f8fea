/**
 * What the core asks of the outside world. Each call takes a note; none answers or fails, and none
 * calls back into the broker: what comes of it arrives through the broker's own entry points.
 */
import type { Identity } from '../auth/rights.ts';
import type { Message, ProtocolVersion } from '../mqtt/packet.ts';
import type { ReasonCode } from '../mqtt/reason-code.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import type { Change, CommandState, MessageNumber, Sequence, SessionNumber } from './changes.ts';

/** Milliseconds since the epoch. */
export type Millis = number;
/** A Network Connection, numbered by the shell; a number is never used twice in the life of a process. */
export type ConnectionId = number;

export interface Outbox {
  /** Bytes for the connection's socket, those from `start` to `end` where that is said. Copied before it returns: the caller reuses them. */
  send(to: ConnectionId, bytes: Uint8Array, start?: number, end?: number): void;
  /** The same for bytes that never change again, such as a payload that goes to many: kept, not copied. */
  share(to: ConnectionId, bytes: Uint8Array): void;
  /** Flush what was sent, then close. `lost` does not follow. */
  close(connection: ConnectionId): void;
  /** Stop reading from the connection's socket until `resume`. */
  pause(connection: ConnectionId): void;
  resume(connection: ConnectionId): void;
  /** Silence says nothing, or for hours: have the network find out whether the peer is still there. */
  probe(connection: ConnectionId): void;
  /** Check a token; `verified` tells the outcome. */
  verify(connection: ConnectionId, token: string): void;
  /**
   * A command for the plugins that named its topic. Its payload is good beyond the turn. `number` is 0
   * where it is not stored; else it is on disk, and `handled` tells when it is done with. `state` is what is known of one
   * that a start found, or that is for one handler alone; undefined where it is fresh.
   */
  handle(command: Message, number: MessageNumber, state: CommandState | undefined): void;
  /** A change that must last; `stored` tells when it does. What it refers to never changes again. */
  keep(change: Change): void;
  /**
   * Read deliveries of a session from disk, in order, those behind `after`: at most `limit` of them and
   * about `bytes` bytes, one whatever its size. `fetched` brings them.
   */
  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void;
  /** A message for the other nodes. Its payload is good only during the turn. */
  forward(message: Message): void;
  /** For the log. Nothing that happens per message in good order is reported. */
  report(event: BrokerEvent): void;
}

/** What came of `Outbox.verify`. */
export type Verification =
  | { readonly kind: 'accept'; readonly connection: ConnectionId; readonly identity: Identity }
  | {
      readonly kind: 'refuse';
      readonly connection: ConnectionId;
      /** BadUserNameOrPassword for a bad token, NotAuthorized for one that expired or is not for us, ServerUnavailable where no key could be fetched. */
      readonly reasonCode: ReasonCode;
      /** For the client's Reason String: `token expired`; never a part of the token. */
      readonly detail: string;
    };

/** Where a connection came from. */
export interface Origin {
  readonly transport: 'mqtts' | 'mqtt' | 'wss';
  /** The peer's address without its port, as PROXY protocol told it where that is on. */
  readonly address: string;
}

/** Who an event is about, as far as it is known. */
export interface Party {
  readonly connection: ConnectionId | undefined;
  readonly address: string | undefined;
  readonly user: string | undefined;
  readonly clientIdentifier: string | undefined;
}

export type BrokerEvent =
  | {
      readonly kind: 'connected';
      readonly party: Party;
      readonly protocolVersion: ProtocolVersion;
      readonly sessionPresent: boolean;
    }
  | {
      readonly kind: 'disconnected';
      readonly party: Party;
      /** The Reason Code that either side gave, Success where the peer just left after DISCONNECT. */
      readonly reasonCode: ReasonCode;
      /** Who ended it: the client with DISCONNECT, the network, or the broker. */
      readonly by: 'client' | 'network' | 'broker';
      readonly detail: string;
    }
  | {
      readonly kind: 'refused'; // a CONNECT
      readonly party: Party;
      readonly reasonCode: ReasonCode;
      readonly detail: string;
    }
  | {
      readonly kind: 'violation';
      readonly party: Party;
      readonly reasonCode: ReasonCode;
      readonly statement: string;
      readonly detail: string;
    }
  | {
      readonly kind: 'denied';
      readonly party: Party;
      readonly action: 'publish' | 'subscribe' | 'will' | 'stored-subscription' | 'stored-message';
      readonly topic: string;
    }
  | {
      readonly kind: 'dropped';
      readonly party: Party;
      readonly reason: DropReason;
      readonly topic: string;
    }
  | { readonly kind: 'taken-over'; readonly party: Party }
  | { readonly kind: 'session-expired'; readonly party: Party }
  | {
      readonly kind: 'topic-collision'; // a user id whose topics spell a declared command
      readonly party: Party;
      readonly command: TopicFilter;
    }
  | { readonly kind: 'fault'; readonly party: Party; readonly error: Error };

/** Why a message did not reach somebody it was for. */
export const dropReasons = [
  'queue-full',
  'queue-bytes',
  'slow-reader',
  'packet-too-large',
  'expired',
  'retained-full',
  'session-ended',
  'not-authorized',
] as const;
export type DropReason = (typeof dropReasons)[number];
