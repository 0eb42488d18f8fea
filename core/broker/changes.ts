/**
 * What must last, as a journal: each change that a restart has to know, in the order in which they
 * happened. The core keeps them with `Outbox.keep`; the storage thread applies them in groups, and
 * `stored` tells how many are on disk. What lasts of a session is section 4.1 of the standard.
 *
 * Sessions, messages and deliveries are numbered by the core. A message is kept once, before the
 * changes that refer to it, however many sessions it is for; it goes when the last reference does.
 */
import type { Grants, Role, Standing } from '../auth/rights.ts';
import type {
  Message,
  MessageProperties,
  PacketIdentifier,
  Publisher,
  QoS,
} from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import type { Millis } from './outbox.ts';

/** Numbers that are never used twice in the life of a data folder. */
export type SessionNumber = number;
export type MessageNumber = number;
/** A dead letter's; of one sequence with those of messages. */
export type LetterNumber = number;
/** The place of a delivery in its session's order: later ones are larger, over all sessions. */
export type Sequence = number;

/** A stored subscription. */
export interface StoredSubscription {
  readonly filter: TopicFilter;
  /** Empty where it is not shared. */
  readonly shareName: string;
  readonly maximumQoS: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Subscription Identifier; 0 where the client gave none. */
  readonly identifier: number;
  readonly standing: Standing;
  /** Whether a handler holds it, so that it declares a command. */
  readonly declares: boolean;
}

/** A message on its way to one session. */
export interface StoredDelivery {
  readonly sequence: Sequence;
  readonly message: MessageNumber;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** The group that it was for, as ShareName and filter; undefined where it was for the session itself. */
  readonly group: { readonly shareName: string; readonly filter: TopicFilter } | undefined;
  /** 0 while it waits; the Packet Identifier once it is in flight. */
  readonly packetIdentifier: PacketIdentifier;
  /** Whether PUBREC came, and PUBREL took its place. */
  readonly released: boolean;
}

/** The Will of a stored session, from CONNECT until it is sent or discarded. */
export interface StoredWill {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly messageExpirySeconds: number | undefined;
  readonly properties: MessageProperties | undefined;
  readonly publisher: Publisher;
  /** Seconds that it waits once the connection has ended. */
  readonly delaySeconds: number;
  /** Infinity while the connection stands: after a crash it counts as ended. */
  readonly dueAtMs: Millis;
  /** What its client's rights are compiled from when it is sent. */
  readonly role: Role;
  readonly grants: Grants | undefined;
}

/** What is known of a stored command beside its message. */
export interface CommandState {
  /** The one handler that it is for: a dead letter that is replayed, a schedule. Undefined: all that match its topic. */
  readonly only: string | undefined;
  /** Handlers that are done with it, or have tried. */
  readonly parts: readonly CommandPart[];
}

export interface CommandPart {
  readonly handler: string;
  /** How many runs of it have failed. */
  readonly attempts: number;
  readonly done: boolean;
}

/** A device that is connected, or was when the process died, while plugins are told of such. */
export interface StoredPresence {
  readonly user: string;
  readonly clientIdentifier: string;
}

/** Up to when a handler's time table is seen to. */
export interface StoredSchedule {
  readonly handler: string;
  /** The time table, as one text: with another one, due times count anew. */
  readonly table: string;
  /** The due time of its last run; before the first, when the time table was first seen. */
  readonly throughMs: Millis;
  /** The command of that run, while it waits; 0 for none. */
  readonly message: MessageNumber;
}

/** A command that one of its handlers gave up, with what happened at its last run. */
export interface DeadLetter {
  /** 0 where the command was not stored: its message gets a number with the letter. */
  readonly message: MessageNumber;
  readonly content: Message;
  /** Empty where there was none. */
  readonly handler: string;
  /** What went wrong, as `plugins/fault.ts` names it. */
  readonly kind: string;
  readonly detail: string;
  /** File and line in the plugin. */
  readonly at: string | undefined;
  readonly stack: string | undefined;
  readonly attempts: number;
  readonly invocation: string;
  readonly diedAtMs: Millis;
}

export type Change =
  | {
      /** A session is new, or its expiry or its attachment changed. */
      readonly kind: 'session';
      readonly session: SessionNumber;
      readonly user: string;
      readonly clientIdentifier: string;
      readonly expirySeconds: number;
      /** Infinity while a connection is attached: after a crash it counts from the restart. */
      readonly expiresAtMs: Millis;
    }
  /** The session is over, with all that belongs to it. */
  | { readonly kind: 'session-ended'; readonly session: SessionNumber }
  /** A subscription is new or replaced. */
  | {
      readonly kind: 'subscribed';
      readonly session: SessionNumber;
      readonly subscription: StoredSubscription;
    }
  | {
      readonly kind: 'unsubscribed';
      readonly session: SessionNumber;
      readonly filter: TopicFilter;
      readonly shareName: string;
    }
  /**
   * A message that the changes behind this one refer to. Its payload must be good for as long as it
   * takes. Once a turn ends with nothing that refers to it, it is gone and its number means nothing.
   */
  | { readonly kind: 'message'; readonly message: MessageNumber; readonly content: Message }
  | { readonly kind: 'queued'; readonly session: SessionNumber; readonly delivery: StoredDelivery }
  /** A delivery that waited is in flight. */
  | {
      readonly kind: 'sent';
      readonly session: SessionNumber;
      readonly sequence: Sequence;
      readonly packetIdentifier: PacketIdentifier;
    }
  /** PUBREC came for it. */
  | { readonly kind: 'released'; readonly session: SessionNumber; readonly sequence: Sequence }
  /** It is acknowledged, dropped, expired or handed to another. */
  | { readonly kind: 'done'; readonly session: SessionNumber; readonly sequence: Sequence }
  /** The oldest delivery that waits is dropped, wherever it is. No `done` follows for that one. */
  | { readonly kind: 'oldest-dropped'; readonly session: SessionNumber }
  /** A QoS 2 message of the client was taken: its Packet Identifier is in use. */
  | {
      readonly kind: 'received';
      readonly session: SessionNumber;
      readonly packetIdentifier: PacketIdentifier;
    }
  /** QoS 1 commands of the client of late, in place of those kept before: as `RecentCommands` has them. */
  | {
      readonly kind: 'recent-commands';
      readonly session: SessionNumber;
      readonly marks: Uint32Array<ArrayBuffer>;
    }
  /** PUBREL came: the identifier is free. */
  | {
      readonly kind: 'freed';
      readonly session: SessionNumber;
      readonly packetIdentifier: PacketIdentifier;
    }
  /** The retained message of `topic` is this one now. */
  | { readonly kind: 'retained'; readonly topic: TopicName; readonly message: MessageNumber }
  | { readonly kind: 'cleared'; readonly topic: TopicName }
  | { readonly kind: 'will'; readonly session: SessionNumber; readonly will: StoredWill }
  | { readonly kind: 'will-gone'; readonly session: SessionNumber }
  /** A command waits for the plugins: for `only`, or for all that match its topic. */
  | {
      readonly kind: 'command';
      readonly message: MessageNumber;
      readonly only: string | undefined;
    }
  /** A handler has failed with it so many times, and is to try again. */
  | {
      readonly kind: 'command-tried';
      readonly message: MessageNumber;
      readonly handler: string;
      readonly attempts: number;
    }
  /** One of its handlers is done with it, others are not. */
  | {
      readonly kind: 'command-part-done';
      readonly message: MessageNumber;
      readonly handler: string;
    }
  | { readonly kind: 'command-done'; readonly message: MessageNumber }
  /** A handler gave a command up. `letter.message` is not 0 here. The oldest letters go where they are too many. */
  | { readonly kind: 'dead'; readonly number: LetterNumber; readonly letter: DeadLetter }
  /** A letter is dropped, or its message is a new command. It may be gone already. */
  | { readonly kind: 'dead-dropped'; readonly number: LetterNumber }
  /** A device is connected, or not any more; in turns for each. `number` is that of the last presence event. */
  | ({ readonly kind: 'present' | 'absent'; readonly number: number } & StoredPresence)
  | ({ readonly kind: 'scheduled' } & StoredSchedule)
  | { readonly kind: 'unscheduled'; readonly handler: string };

/** A session as a start finds it: what routing needs, without what is queued. */
export interface StoredSession {
  readonly session: SessionNumber;
  readonly user: string;
  readonly clientIdentifier: string;
  readonly expirySeconds: number;
  readonly expiresAtMs: Millis;
  readonly subscriptions: readonly StoredSubscription[];
  /** Packet Identifiers of QoS 2 messages that the client has not released. */
  readonly received: readonly PacketIdentifier[];
  /** As `RecentCommands` has them. */
  readonly recentCommands: readonly number[];
  /** Deliveries that wait or are in flight, and their bytes as `session/queue.ts` counts them. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
}

/** A command that waits for the plugins. */
export interface StoredCommand {
  readonly message: MessageNumber;
  readonly content: Message;
  readonly state: CommandState;
}

/**
 * What a start finds in the broker's file. It comes in pieces, sessions before their Wills; what is
 * queued stays on disk.
 */
export interface Snapshot {
  readonly sessions: readonly StoredSession[];
  readonly retained: readonly { readonly message: MessageNumber; readonly content: Message }[];
  readonly wills: readonly { readonly session: SessionNumber; readonly will: StoredWill }[];
  readonly commands: readonly StoredCommand[];
  readonly present: readonly StoredPresence[];
  readonly schedules: readonly StoredSchedule[];
  /** Of presence events. */
  readonly lastPresence: number;
  /** The largest numbers in use. */
  readonly lastSession: SessionNumber;
  readonly lastMessage: MessageNumber;
  readonly lastSequence: Sequence;
}

/** Deliveries of one session, read from disk in order, each with its message. */
export interface FetchedDeliveries {
  readonly session: SessionNumber;
  readonly deliveries: readonly (StoredDelivery & { readonly content: Message })[];
  /** Whether there are more behind these. */
  readonly more: boolean;
}
