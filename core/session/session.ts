/**
 * The Session State of one user's Client Identifier (section 4.1): its subscriptions, what is in
 * flight both ways, what waits, and when it ends. A session is state and may live for weeks; the
 * connection it is attached to comes and goes. `Link` is whatever the broker attaches.
 */
import type { Standing } from '../auth/rights.ts';
import type { Message, QoS } from '../mqtt/packet.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import type { SharedGroup } from '../routing/shared-group.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { Queue } from './queue.ts';
import type { RecentCommands } from './recent-commands.ts';

/** Session Expiry Interval that means "never" on the wire (section 3.1.2.11.2). */
export const NEVER_EXPIRES = 0xffff_ffff;

// Bits of the Subscription Options byte.
const MAXIMUM_QOS = 3;
const NO_LOCAL = 4;
const RETAIN_AS_PUBLISHED = 8;

/** One Topic Filter that a session holds, with its Subscription Options (section 3.8.3.1). */
export class Subscription<Link> {
  readonly session: Session<Link>;
  readonly filter: TopicFilter;
  /** The group, where this is a Shared Subscription. */
  readonly group: SharedGroup<Subscription<Link>> | undefined;
  /** Maximum QoS, No Local and Retain As Published, at their places in the Subscription Options byte. */
  #options = 0;
  /** Subscription Identifier; 0 where the client gave none. */
  identifier = 0;
  standing: Standing = 2;
  /** True where a handler holds it: the filter is a declared command then. */
  declares = false;

  constructor(
    session: Session<Link>,
    filter: TopicFilter,
    group: SharedGroup<Subscription<Link>> | undefined,
  ) {
    this.session = session;
    this.filter = filter;
    this.group = group;
  }

  /** Takes the Subscription Options of a SUBSCRIBE (section 3.8.3.1). */
  agree(maximumQoS: QoS, noLocal: boolean, retainAsPublished: boolean): void {
    this.#options =
      maximumQoS | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0);
  }

  get maximumQoS(): QoS {
    return (this.#options & MAXIMUM_QOS) as QoS;
  }

  get noLocal(): boolean {
    return (this.#options & NO_LOCAL) !== 0;
  }

  get retainAsPublished(): boolean {
    return (this.#options & RETAIN_AS_PUBLISHED) !== 0;
  }
}

/** A message on its way to one session: what the broker settled for this receiver. */
export interface Delivery<Link> {
  readonly message: Message;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** Its place in the ledger; 0 where the session is not stored. */
  readonly sequence: number;
  /** The group that it was for, so that another member can take it over. */
  readonly group: SharedGroup<Subscription<Link>> | undefined;
}

export class Session<Link> {
  readonly user: string;
  readonly clientIdentifier: string;
  /** Its number in the ledger; 0 where it is not stored. */
  number = 0;
  link: Link | undefined = undefined;
  /** Session Expiry Interval in seconds, as granted; 0 ends the session with its connection. */
  expirySeconds = 0;
  /** When the session ends, in milliseconds since the epoch; Infinity while it is attached. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  readonly subscriptions: Subscription<Link>[] = [];
  /** Made by the first message of QoS 1 or 2 from the client. */
  inbound: Inbound | undefined = undefined;
  readonly outbound: Outbound<Delivery<Link>>;
  readonly queue: Queue<Delivery<Link>>;
  /** Reads from disk that are under way for this connection: 0 or 1. */
  fetches = 0;
  /** Those for connections before it, whose answers come first and count for nothing. */
  staleFetches = 0;
  /** The last delivery of all when the tail was asked for: what is later went to it since. */
  askedAt = 0;
  /** The last delivery that was read from disk for this connection. */
  fetchedTo = 0;
  /** Its QoS 1 commands of late, where it is stored and has sent any. */
  recentCommands: RecentCommands | undefined = undefined;
  /** Retained messages that its subscriptions brought up, and that wait for room. */
  replay: Delivery<Link>[] | undefined = undefined;
  /** The publication it was last visited for, and where its entry stands: overlapping subscriptions meet here. */
  visit = 0;
  visitIndex = 0;

  constructor(user: string, clientIdentifier: string) {
    this.user = user;
    this.clientIdentifier = clientIdentifier;
    this.outbound = new Outbound();
    this.queue = new Queue();
  }

  openInbound(): Inbound {
    this.inbound ??= new Inbound();
    return this.inbound;
  }

  /** The subscription to `filter`, in the group `shareName` or in none. */
  find(filter: TopicFilter, shareName: string | undefined): Subscription<Link> | undefined {
    for (const subscription of this.subscriptions) {
      if (subscription.filter === filter && subscription.group?.shareName === shareName)
        return subscription;
    }
    return undefined;
  }
}

/** The key of a session: a Client Identifier holds no U+0000, so the first one ends it. [MQTT-1.5.4-2] */
export function sessionKey(user: string, clientIdentifier: string): string {
  return `${clientIdentifier}\0${user}`;
}
