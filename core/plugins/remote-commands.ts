/**
 * Commands that came to a remote handler process: which number each has here, which of them are being
 * carried out, and when the broker may be told. PUBACK goes once all handlers are done with a command,
 * committed, and the broker has acknowledged what they sent.
 *
 * A delivery can come again: on the next connection, or after a crash of the broker or of this process. The
 * broker tells a number with what it has stored, `bellhop-message`, so a repetition is known. The
 * number here is a hash of that number with the whole command and with the session: the number alone would
 * come to mean another command where the broker's data are replaced.
 */
import { encodeUser, isOwnTopic, type Separator } from '../auth/user-topic.ts';
import type { MessageNumber } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type {
  Message,
  PacketIdentifier,
  Publish,
  Publisher,
  UserProperty,
} from '../mqtt/packet.ts';
import { matches, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import { Fifo } from './fifo.ts';
import type { SendPosition } from './remote-sends.ts';

const STAMP_PREFIX = 'bellhop-';

/**
 * A command that was acknowledged does not come again once the connection has lived so long since: a
 * broker has it on disk by then, and what it did not get it delivers again when the connection begins.
 */
export const COMES_NO_MORE_MS = 60_000;

const NO_CONNECTION = -1;

/** A command that is to be carried out. */
export interface Command {
  readonly message: Message;
  /** 0 for QoS 0: nobody asks whether it is handled. */
  readonly number: MessageNumber;
}

interface Held {
  readonly number: MessageNumber;
  /** What its last delivery is called, and on which connection. */
  packetIdentifier: PacketIdentifier;
  connection: number;
  /** When it was handled, in the order of commands; 0 before. */
  position: Position;
  /** When the first of several handlers was done with it; 0 where there was none. */
  firstPosition: Position;
  /** What was sent, and what was kept here, until it was handled; undefined before. */
  after: Wants | undefined;
  /** When it was acknowledged, or would have been but for the connection; undefined before. */
  doneAtMs: number | undefined;
}

/** What has to be over before a command is acknowledged. */
interface Wants {
  /** The broker has acknowledged what was sent up to this. */
  readonly sent: SendPosition;
  /** What was kept in the file of this process up to this is on disk. */
  readonly kept: Position;
}

export interface Acknowledger {
  /** Counts connections. */
  readonly connection: number;
  acknowledge(packetIdentifier: PacketIdentifier): void;
}

export class RemoteCommands {
  readonly #acknowledger: Acknowledger;
  /** What the numbers of one session of the broker have in common, and no other's. */
  #session: string;
  /** Being carried out, or done and possible to come again. */
  readonly #held = new Map<MessageNumber, Held>();
  /** Those that were delivered to this session, by Packet Identifier: for brokers that tell no numbers. */
  readonly #byIdentifier = new Map<PacketIdentifier, Held>();
  /** Handled, in order. */
  readonly #handled = new Fifo<Held>();
  readonly #done = new Fifo<Held>();
  /** Those that had several handlers, until they are forgotten. */
  readonly #parted = new Set<Held>();
  #position: Position = 0;
  /** Numbers for what has none from the broker: beyond all hashes, and beyond those of an earlier process. */
  #lastOwn = 2 ** 52 + Date.now() * 1_024;
  #connectedAtMs = Number.POSITIVE_INFINITY;

  constructor(acknowledger: Acknowledger, session: string) {
    this.#acknowledger = acknowledger;
    this.#session = session;
  }

  /** Whether all that was handled is acknowledged. */
  get settledAll(): boolean {
    return this.#handled.length === 0;
  }

  /**
   * A connection is there. `session` is another than before where the broker did not know ours: what
   * comes from now on is nothing that came before.
   */
  connected(session: string, now: number): void {
    this.#connectedAtMs = now;
    if (session === this.#session) return;
    this.#session = session;
    this.#byIdentifier.clear();
  }

  lost(): void {
    this.#connectedAtMs = Number.POSITIVE_INFINITY;
  }

  /** The command of a delivery; undefined where it is not to be carried out once more. */
  delivered(packet: Publish, now: number): Command | undefined {
    const { stamp, message } = messageOf(packet, now);
    if (packet.qos === 0) return { message, number: 0 };
    const { packetIdentifier } = packet;
    const known =
      stamp === undefined
        ? this.#again(packet)
        : this.#held.get(numberOf(this.#session, stamp, message));
    if (known !== undefined) {
      known.packetIdentifier = packetIdentifier;
      known.connection = this.#acknowledger.connection;
      this.#byIdentifier.set(packetIdentifier, known);
      if (known.doneAtMs !== undefined) this.#acknowledger.acknowledge(packetIdentifier);
      return undefined;
    }
    const number = stamp === undefined ? ++this.#lastOwn : numberOf(this.#session, stamp, message);
    const held = this.#hold(number, packetIdentifier, this.#acknowledger.connection);
    this.#byIdentifier.set(packetIdentifier, held);
    return { message, number };
  }

  /** Acknowledges a delivery that nobody here is to carry out. */
  skip({ packetIdentifier, qos }: Publish): void {
    if (qos > 0) this.#acknowledger.acknowledge(packetIdentifier);
  }

  /** A command of this process itself: nobody is told that it is done. */
  adopt(number: MessageNumber): void {
    this.#hold(number, 0, NO_CONNECTION);
  }

  /** One of several handlers is done with it. Returns what `expire` will tell. */
  partHandled(number: MessageNumber): Position {
    const held = this.#held.get(number);
    if (held === undefined) return 0;
    const position = ++this.#position;
    if (held.firstPosition === 0) held.firstPosition = position;
    this.#parted.add(held);
    return position;
  }

  /** All handlers are done with it; what has to be over as well. Returns what `expire` will tell. */
  handled(number: MessageNumber, sent: SendPosition, kept: Position): Position {
    const held = this.#held.get(number);
    if (held === undefined || held.after !== undefined) return 0;
    held.after = { sent, kept };
    held.position = ++this.#position;
    this.#handled.push(held);
    return held.position;
  }

  /** The broker has acknowledged what was sent up to `sent`, and what was kept up to `kept` is on disk. */
  settled(sent: SendPosition, kept: Position, now: number): void {
    for (
      let held = this.#handled.peek();
      held?.after !== undefined && held.after.sent <= sent && held.after.kept <= kept;
      held = this.#handled.peek()
    ) {
      this.#handled.shift();
      held.doneAtMs = now;
      this.#done.push(held);
      // Of an earlier connection: the broker delivers it again, or has given it to another process.
      if (held.connection === this.#acknowledger.connection) {
        this.#acknowledger.acknowledge(held.packetIdentifier);
      }
    }
  }

  /** Forgets what cannot come again. All that was handled at up to the position that it returns is such. */
  expire(now: number): Position {
    const before = now - COMES_NO_MORE_MS;
    let position = 0;
    if (this.#connectedAtMs > before) return 0;
    for (
      let held = this.#done.peek();
      held?.doneAtMs !== undefined && held.doneAtMs <= before;
      held = this.#done.peek()
    ) {
      this.#done.shift();
      this.#held.delete(held.number);
      if (this.#byIdentifier.get(held.packetIdentifier) === held) {
        this.#byIdentifier.delete(held.packetIdentifier);
      }
      this.#parted.delete(held);
      position = held.position;
    }
    for (const { firstPosition } of this.#parted) position = Math.min(position, firstPosition - 1);
    return position;
  }

  /** Whether a connection has lived for so long that what this process has not heard of will not come again. */
  isQuiet(now: number): boolean {
    return this.#connectedAtMs <= now - COMES_NO_MORE_MS;
  }

  #hold(number: MessageNumber, packetIdentifier: PacketIdentifier, connection: number): Held {
    const held: Held = {
      number,
      packetIdentifier,
      connection,
      position: 0,
      firstPosition: 0,
      after: undefined,
      doneAtMs: undefined,
    };
    this.#held.set(number, held);
    return held;
  }

  /** What this delivery repeats, by its Packet Identifier: only while it is carried out is that certain. */
  #again(packet: Publish): Held | undefined {
    if (!packet.dup) return undefined;
    const held = this.#byIdentifier.get(packet.packetIdentifier);
    return held?.doneAtMs === undefined ? held : undefined;
  }
}

function numberOf(session: string, stamp: string, message: Message): MessageNumber {
  const { topic, publisher, payload } = message;
  const head = [session, stamp, topic, publisher.user, publisher.clientIdentifier].join('\0');
  const hash = Bun.hash.xxHash64(payload, Bun.hash.xxHash64(head));
  return Number(hash & 0xf_ffff_ffff_ffffn) + 1;
}

/** The message of a delivery, good for as long as it takes, and the number that the broker has for it. */
function messageOf(packet: Publish, now: number): { message: Message; stamp: string | undefined } {
  const { properties, messageExpiryInterval: seconds } = packet;
  const given = properties?.userProperties ?? [];
  // What the broker says comes last, and once.
  const told = (name: string) => given.findLast(([key]) => key === `${STAMP_PREFIX}${name}`)?.[1];
  const user = told('user') ?? '';
  const correlationData = properties?.correlationData;
  return {
    stamp: told('message'),
    message: {
      topic: packet.topic as TopicName,
      payload: new Uint8Array(packet.payload),
      qos: packet.qos,
      retain: packet.retain,
      properties: properties && {
        ...properties,
        correlationData: correlationData && new Uint8Array(correlationData),
        userProperties: withoutStamps(given),
      },
      expiresAtMs: seconds === undefined ? Number.POSITIVE_INFINITY : now + seconds * 1_000,
      publisher: { user, clientIdentifier: told('client') ?? '', device: user !== '' },
      reach: 0,
    },
  };
}

function withoutStamps(given: readonly UserProperty[]): readonly UserProperty[] | undefined {
  const kept = given.filter(([name]) => !name.startsWith(STAMP_PREFIX));
  return kept.length > 0 ? kept : undefined;
}

/**
 * Whether a delivery by the subscription to `filter` is the one to carry out. Where several of our
 * filters match a topic, the broker delivers once for each, perhaps to different processes: the first filter,
 * in the order of their names, counts, whoever gets that.
 */
export function isForFilter(
  filter: TopicFilter | undefined,
  topic: TopicName,
  filters: readonly TopicFilter[],
): boolean {
  if (filter === undefined) return true;
  return !filters.some((other) => other < filter && matches(other, topic));
}

/** Whether a response to `publisher` may go to `topic`: its rights are not known here, but for its own topics. */
export function mayReplyTo(publisher: Publisher, topic: TopicName, separator: Separator): boolean {
  const encoded = encodeUser(publisher.user);
  return encoded !== undefined && isOwnTopic(topic, encoded, separator);
}
