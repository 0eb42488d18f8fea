/**
 * What the model remembers: connections, sessions, messages, and for every message and receiver one
 * Delivery that says how far it has come. Plain records; what happens to them is in `model.ts` (what
 * comes in) and `observer.ts` (what goes out).
 */
import type { Identity, Standing } from '../../core/auth/rights.ts';
import type { ConnectionId, Millis } from '../../core/broker/outbox.ts';
import type {
  Connect,
  MessageProperties,
  Packet,
  ProtocolVersion,
  Publisher,
  QoS,
  Reach,
  Will,
} from '../../core/mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';

export interface ModelMessage {
  /** Counts publications. */
  readonly serial: number;
  readonly topic: TopicName;
  payload: string;
  /** Nobody has been seen to have it, and what it says is not known before. */
  isUnknown: boolean;
  readonly qos: QoS;
  /** What RETAIN may be where a subscription has it kept: either, where the publisher had no right to set it. */
  readonly retain: readonly boolean[];
  readonly expiresAtMs: Millis;
  readonly properties: MessageProperties | undefined;
  readonly publisher: Publisher;
  readonly reach: Reach;
}

/**
 * How far a message has come on its way to a receiver: not sent yet; sent, not acknowledged; PUBREC
 * received; over. Nothing comes back from `over`: what is sent then is sent once too often.
 */
export type Stage = 'waiting' | 'sent' | 'released' | 'over';

/** What a receiver may see of a message. */
export interface Terms {
  readonly qos: QoS;
  readonly retain: readonly boolean[];
  /** Subscription Identifiers, ascending. */
  readonly identifiers: readonly number[];
}

export class Delivery {
  /** Order of creation. */
  readonly serial: number;
  readonly message: ModelMessage;
  terms: Terms;
  /** Undefined while no member of the group has been seen to have it. */
  session: ModelSession | undefined;
  /** For a Shared Subscription: `group` text, and on which terms each member could get it. */
  readonly group: string | undefined;
  readonly members: Map<ModelSession, Terms>;
  stage: Stage = 'waiting';
  packetIdentifier = 0;
  /** Where its PUBLISH was last sent, and its PUBLISH or PUBREL. */
  publishedOn: ConnectionId = -1;
  sentOn: ConnectionId = -1;
  /** Order of first sending. */
  sentSerial = -1;
  /** A group's QoS 1 message whose holder is away: it may go to another member instead. */
  loose = false;
  /** Was with more than one member, so that its place in the order is lost. */
  moved = false;
  /** In flight since an earlier connection, and maybe too large for this one: dropped or sent again. */
  doubtful = false;
  /** Why it may never arrive; undefined where it must. */
  excuse: string | undefined = undefined;
  /** How often the client took it for a new message. */
  accepted = 0;
  /** A retained message that a subscription brought up: not a part of the order of live ones. */
  readonly replayed: boolean;

  constructor(
    serial: number,
    message: ModelMessage,
    terms: Terms,
    session: ModelSession | undefined,
    group: string | undefined,
    members: Map<ModelSession, Terms>,
    replayed = false,
  ) {
    this.serial = serial;
    this.message = message;
    this.terms = terms;
    this.session = session;
    this.group = group;
    this.members = members;
    this.replayed = replayed;
  }

  get inFlight(): boolean {
    return this.stage === 'sent' || this.stage === 'released';
  }

  toString(): string {
    const { topic, payload, publisher, reach } = this.message;
    const held = this.session === undefined ? `group ${this.group}` : this.session.key;
    return (
      `${payload || '(empty)'} on ${topic} from ${publisher.user}/${publisher.clientIdentifier} ` +
      `for ${held}, QoS ${this.terms.qos}, reach ${reach}, ${this.stage}` +
      (this.packetIdentifier > 0 ? ` as ${this.packetIdentifier}` : '') +
      (this.excuse === undefined ? '' : `, excused: ${this.excuse}`)
    );
  }
}

export interface ModelSubscription {
  /** As the client wrote it. */
  readonly text: string;
  readonly filter: TopicFilter;
  /** `text` for a Shared Subscription, undefined for others. */
  readonly group: string | undefined;
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  /** 0 where there is none. */
  identifier: number;
  standing: Standing;
  /** Held by a handler, so that its topics are declared commands. */
  declares: boolean;
}

/** A Will whose connection is gone. */
export interface DelayedWill {
  readonly will: Will;
  readonly identity: Identity;
  readonly dueMs: Millis;
}

export class ModelSession {
  readonly user: string;
  readonly clientIdentifier: string;
  /** Whether it is kept on disk: as it began, with whatever Session Expiry Interval it goes on. */
  readonly isStored: boolean;
  link: ModelConnection | undefined = undefined;
  expirySeconds = 0;
  expiresAtMs: Millis = Number.POSITIVE_INFINITY;
  readonly subscriptions = new Map<string, ModelSubscription>();
  /** Every form that its Shared Subscriptions ever had. */
  readonly shares: ModelSubscription[] = [];
  /** Those that are not over, in order. */
  deliveries: Delivery[] = [];
  /** QoS 2 messages of the client that are not released. */
  readonly unreleased = new Set<number>();
  /** Its QoS 1 commands for plugins of late, by Packet Identifier, and on which connection they came. */
  readonly recentCommands = new Map<number, { readonly content: string; readonly on: number }>();
  delayedWill: DelayedWill | undefined = undefined;
  ended = false;

  constructor(user: string, clientIdentifier: string, isStored: boolean) {
    this.isStored = isStored;
    this.user = user;
    this.clientIdentifier = clientIdentifier;
  }

  get key(): string {
    return `${this.user}/${this.clientIdentifier}`;
  }
}

export type Phase = 'fresh' | 'verifying' | 'open' | 'renewing' | 'closed';

/** An acknowledgement that a connection must still see. */
export interface Owed {
  readonly type: Packet['type'];
  readonly packetIdentifier: number;
  /** Each position's allowed Reason Codes. */
  readonly codes: readonly (readonly number[])[];
}

/** A packet on its way in, or bytes that no client may send. */
export type Incoming = { readonly packet: Packet } | { readonly violation: number };

export class ModelConnection {
  readonly id: ConnectionId;
  readonly version: ProtocolVersion;
  phase: Phase = 'fresh';
  /** Complete packets that wait until a token is checked. */
  readonly inbox: Incoming[] = [];
  connect: Connect | undefined = undefined;
  /** The token that is being checked, and what is answered when it is. */
  verifying: { readonly token: string; readonly answer: 'connack' | 'auth' | Owed } | undefined;
  verifySeen = true;
  identity: Identity | undefined = undefined;
  clientIdentifier = '';
  session: ModelSession | undefined = undefined;
  will: Will | undefined = undefined;
  readonly connectByMs: Millis;
  lastPacketMs: Millis;
  /** The latest time there had been by then: the clock may have been set back before. */
  latestAtPacketMs: Millis;
  keepAliveSeconds = 0;
  /** The broker does not read from it for now. */
  isPaused = false;
  /** Topic Aliases, in and out. */
  readonly aliasesIn = new Map<number, TopicName>();
  readonly aliasesOut = new Map<number, TopicName>();
  /** CONNACK that must come: allowed codes, and Session Present. */
  connack:
    | { readonly codes: readonly number[] | undefined; readonly sessionPresent: boolean }
    | undefined;
  connackSeen = false;
  readonly owed: Owed[] = [];
  readonly owedReleases: {
    readonly packetIdentifier: number;
    readonly codes: readonly number[];
  }[] = [];
  owedAuth = 0;
  /** Why it is over: what a 5.0 client is told in DISCONNECT, where it is told. */
  ending: { readonly codes: readonly number[] | undefined; readonly why: string } | undefined;
  disconnectSeen = false;
  closeSeen = false;
  /** Bytes sent that the socket has not taken, and since when they are over the limit. */
  pendingBytes = 0;
  /** More was sent while twice the limit was pending already. */
  overrun = false;
  /** The most that were pending in this turn. */
  pendingPeak = 0;
  overSinceMs: Millis = Number.POSITIVE_INFINITY;

  constructor(id: ConnectionId, version: ProtocolVersion, now: Millis, connectTimeoutMs: number) {
    this.id = id;
    this.version = version;
    this.lastPacketMs = now;
    this.latestAtPacketMs = now;
    this.connectByMs = now + connectTimeoutMs;
  }

  /** A packet came. */
  heard({ now, latest }: { readonly now: Millis; readonly latest: Millis }): void {
    this.lastPacketMs = now;
    this.latestAtPacketMs = latest;
  }

  get open(): boolean {
    return this.phase === 'open' || this.phase === 'renewing';
  }

  get receiveMaximum(): number {
    return this.connect?.receiveMaximum ?? 65_535;
  }

  get maximumPacketSize(): number {
    return this.connect?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  }
}
