/**
 * What the broker knows: connections, sessions, subscriptions, retained messages, commands. Plain
 * data that the other files of this folder work on, each with the part that is its concept.
 */
import { DeclaredCommands } from '../auth/commands.ts';
import type { Policy } from '../auth/rights.ts';
import type { Publisher } from '../mqtt/packet.ts';
import { RetainedTree } from '../routing/retained-tree.ts';
import type { SharedGroup } from '../routing/shared-group.ts';
import { SubscriptionTree } from '../routing/subscription-tree.ts';
import type { Session, Subscription } from '../session/session.ts';
import { SessionIndex } from '../session/session-index.ts';
import type { MessageNumber, SessionNumber, StoredSchedule } from './changes.ts';
import type { UnstoredCommand } from './commands.ts';
import type { Connection } from './connection.ts';
import { type Counters, newCounters } from './counters.ts';
import { type Deadline, Deadlines } from './deadlines.ts';
import type { WantedHooks } from './hooks.ts';
import { Ledger, type Position } from './ledger.ts';
import type { Limits } from './limits.ts';
import type { ConnectionId, Millis, Outbox, Party } from './outbox.ts';
import type { Retained } from './retained.ts';
import { SharedTerms } from './terms.ts';
import type { WillMessage } from './will.ts';

export type ClientSession = Session<Connection>;
export type ClientSubscription = Subscription<Connection>;
export type ClientGroup = SharedGroup<ClientSubscription>;

/** An address, and how many connections there are from it. */
export interface Place {
  readonly address: string;
  connections: number;
}

/** Something that waits for a time. */
export interface Due {
  due(now: Millis): void;
}

export interface BrokerOptions {
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly policy: Policy;
  /** A fresh Client Identifier for clients that send none; the core rolls no dice. [MQTT-3.1.3-6] */
  readonly assignClientIdentifier: () => string;
  /** For `$SYS/broker/version`. */
  readonly version: string;
  readonly startedAt: Millis;
  /** Whether there is storage behind `Outbox.keep`; false where all is in memory alone. */
  readonly durable?: boolean;
}

export class State {
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly policy: Policy;
  readonly assignClientIdentifier: () => string;
  readonly version: string;
  readonly startedAt: Millis;
  readonly counters: Counters = newCounters();
  readonly terms = new SharedTerms();
  readonly deadlines = new Deadlines<Due>();
  readonly connections = new Map<ConnectionId, Connection>();
  /** Those that connections come from now, by address. */
  readonly places = new Map<string, Place>();
  readonly sessions = new SessionIndex<ClientSession>();
  /** The stored ones, by their number. */
  readonly sessionsByNumber = new Map<SessionNumber, ClientSession>();
  readonly ledger: Ledger;
  readonly subscriptions = new SubscriptionTree<ClientSubscription>();
  readonly groups = new SubscriptionTree<ClientGroup>();
  /** The groups by ShareName and filter, which a `/` keeps apart. */
  readonly groupsByName = new Map<string, ClientGroup>();
  readonly retained = new RetainedTree<Retained>();
  /** When sessions without a connection end. */
  readonly sessionEnds = new Map<ClientSession, Deadline<Due>>();
  /** Wills whose connection has ended and whose delay has not. */
  readonly delayedWills = new Map<ClientSession, WillMessage>();
  /** Topics that a plugin of this process handles. */
  readonly handled = new DeclaredCommands();
  /** Declared commands: those of plugins, of remote handlers' subscriptions and of the policy file. */
  readonly commands = new DeclaredCommands();
  readonly hooks: WantedHooks = { connect: false, disconnect: false, undelivered: false };
  /** How many devices of each user are connected; nobody is in it with none. */
  readonly devices = new Map<string, number>();
  /** By `sessionKey`: who was connected when the last process ended, and is not told as gone yet. */
  readonly lost = new Map<string, Publisher>();
  /** The number of the last presence event. */
  lastPresence = 0;
  /** All presence events that were kept are on disk when this is. */
  presenceKept: Position = 0;
  /** By handler. */
  readonly schedules = new Map<string, StoredSchedule>();
  /** Runs of schedules that wait, and whose they are. */
  readonly ticks = new Map<MessageNumber, string>();
  /** In the order in which they were kept. */
  readonly unstored: UnstoredCommand[] = [];
  /** Connections with so much pending that they end with the turn. */
  readonly overrun = new Set<Connection>();
  /** Connections that are to be told something once it is on disk. */
  readonly waiting = new Set<Connection>();
  /** Those among them whose wait may be over, because receivers are done with a message. */
  readonly settled = new Set<Connection>();
  /** Sessions whose window opened otherwise than by an acknowledgement: something may go out. */
  readonly eased = new Set<ClientSession>();
  /** Whose packet is being worked on: who is slowed down where a reader is too slow. */
  publisher: Connection | undefined = undefined;
  /** Counts publications, so that a session knows whether it was visited for this one. */
  visits = 0;
  draining = false;

  constructor(options: BrokerOptions) {
    this.outbox = options.outbox;
    this.ledger = new Ledger(options.durable ?? false, options.outbox);
    this.limits = options.limits;
    this.policy = options.policy;
    this.assignClientIdentifier = options.assignClientIdentifier;
    this.version = options.version;
    this.startedAt = options.startedAt;
    for (const command of options.policy.commands) this.commands.add(command);
  }
}

/** Who a session belongs to, where no connection is at hand. */
export function partyOf(session: ClientSession): Party {
  return (
    session.link?.party ?? {
      connection: undefined,
      address: undefined,
      user: session.user,
      clientIdentifier: session.clientIdentifier,
    }
  );
}
