/**
 * A message on its way through the broker, with the frames it was already encoded to: however many
 * receive it, each distinct form is encoded once, and per receiver only the Packet Identifier is
 * patched in.
 */
import type { Role } from '../auth/rights.ts';
import { copyOfBytes } from '../mqtt/bytes.ts';
import { encode } from '../mqtt/codec.ts';
import type {
  Message,
  MessageProperties,
  PacketIdentifier,
  ProtocolVersion,
  Publish,
  Publisher,
  QoS,
  Reach,
  UserProperty,
} from '../mqtt/packet.ts';
import type { PublishView } from '../mqtt/publish.ts';
import type { TopicName } from '../mqtt/topic.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import type { Outflow } from './outflow.ts';

/** The user properties that tell a remote handler who said it; clients cannot send names that begin so. */
export const STAMP_PREFIX = 'bellhop-';

/**
 * How a receiver gets a message, as bits: the QoS in the lowest two, then these. What two receivers
 * share in form they share as a frame.
 */
export type Form = number;
export const RETAIN_BIT = 4;
/** The receiver speaks 5.0, and so gets properties. */
export const VERSION_5_BIT = 8;
/** The receiver is told the publisher's identity. */
export const STAMPED_BIT = 16;
/** The receiver is told the number of the message: it may come again, and keeps its number then. */
export const NUMBERED_BIT = 32;

const PUBLISH = 0x30;
/** PUBLISH frames from this size on are shared with the outbox rather than copied into it, in bytes. */
export const SHARED_FROM = 2_048;

/** The form of a client that speaks `version5` and has `role`: handlers of 5.0 are told who said it. */
export function clientForm(version5: boolean, role: Role): Form {
  if (!version5) return 0;
  return role === 'handler' ? VERSION_5_BIT | STAMPED_BIT : VERSION_5_BIT;
}

export class Publication implements Message {
  readonly topic: TopicName;
  readonly qos: QoS;
  readonly retain: boolean;
  properties: MessageProperties | undefined;
  readonly expiresAtMs: Millis;
  readonly publisher: Publisher;
  readonly reach: Reach;
  /** Its number in the ledger; 0 until something that lasts refers to it. */
  number = 0;
  /** Deliveries to stored sessions that are not done with. */
  unfinished = 0;
  /** Whether it is to last for other reasons than deliveries: retained, or a command. */
  lasting = false;
  /** Whose acknowledgement waits until it is on disk, or done with by everybody. */
  awaitedBy: Connection | undefined = undefined;
  /** True once payload and Correlation Data no longer point into the chunk they came in. */
  #owned: boolean;
  /** Where the payload lies: in the chunk that it came in, in a frame, or alone. */
  #bytes: Uint8Array;
  #payloadAt: number;
  #end: number;
  /** A view of it, made when somebody asks: of a small array, that costs several times what a copy does. */
  #payload: Uint8Array | undefined = undefined;
  /** The packet that it came in, while that may be sent on as it is; `#asReceived` is its form, -1 where it may not. */
  #asReceived: Form = -1;
  #packetAt = 0;
  #packetIdentifierAt = 0;
  #lastForm = -1;
  #lastFrame: Uint8Array | undefined = undefined;
  #frames: Map<number, Uint8Array> | undefined = undefined;
  #encodedAtMs: Millis = 0;

  constructor(
    topic: TopicName,
    bytes: Uint8Array,
    payloadAt: number,
    end: number,
    qos: QoS,
    retain: boolean,
    properties: MessageProperties | undefined,
    expiresAtMs: Millis,
    publisher: Publisher,
    reach: Reach,
    owned: boolean,
  ) {
    this.topic = topic;
    this.#bytes = bytes;
    this.#payloadAt = payloadAt;
    this.#end = end;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.expiresAtMs = expiresAtMs;
    this.publisher = publisher;
    this.reach = reach;
    this.#owned = owned;
  }

  /**
   * What a client published, as it lies in the bytes that came. `properties` are those that go on. It
   * can be sent on as it came where there are no properties in it, some of which are for us alone.
   */
  static received(
    packet: PublishView,
    topic: TopicName,
    retain: boolean,
    properties: MessageProperties | undefined,
    expiresAtMs: Millis,
    publisher: Publisher,
    reach: Reach,
  ): Publication {
    const { bytes, start, payloadAt, end, qos, version } = packet;
    const publication = new Publication(
      topic,
      bytes,
      payloadAt,
      end,
      qos,
      retain,
      properties,
      expiresAtMs,
      publisher,
      reach,
      false,
    );
    if (
      end - start < SHARED_FROM &&
      payloadAt - packet.packetIdentifierAt === headAfterTopic(qos, version)
    ) {
      publication.#asReceived = version === 5 ? qos | VERSION_5_BIT : qos;
      publication.#packetAt = start;
      publication.#packetIdentifierAt = packet.packetIdentifierAt;
    }
    return publication;
  }

  /** A message read from disk, under its number there. */
  static restore(content: Message, number: number): Publication {
    const publication = Publication.adopt(content, content.reach);
    publication.number = number;
    return publication;
  }

  /** A message from outside the core, whose payload is its own. */
  static adopt(message: Message, reach: Reach): Publication {
    return new Publication(
      message.topic,
      message.payload,
      0,
      message.payload.length,
      message.qos,
      message.retain,
      message.properties,
      message.expiresAtMs,
      message.publisher,
      reach,
      true,
    );
  }

  get payload(): Uint8Array {
    if (this.#payload === undefined) {
      const whole = this.#payloadAt === 0 && this.#end === this.#bytes.length;
      this.#payload = whole ? this.#bytes : this.#bytes.subarray(this.#payloadAt, this.#end);
    }
    return this.#payload;
  }

  get payloadBytes(): number {
    return this.#end - this.#payloadAt;
  }

  /**
   * Makes it good beyond the turn: a payload that points into a socket's chunk is found again at the
   * end of a frame that it was encoded to, or copied; Correlation Data are copied.
   */
  keep(): this {
    if (this.#owned) return this;
    const length = this.#end - this.#payloadAt;
    this.#bytes = this.#lastFrame ?? copyOfBytes(this.#bytes, this.#payloadAt, this.#end);
    this.#end = this.#bytes.length;
    this.#payloadAt = this.#end - length;
    this.#payload = undefined;
    this.#asReceived = -1;
    const correlationData = this.properties?.correlationData;
    if (correlationData !== undefined) {
      this.properties = { ...this.properties, correlationData: new Uint8Array(correlationData) };
    }
    this.#owned = true;
    return this;
  }

  /** Drops the encoded frames of a message that is kept for long. */
  forgetFrames(): void {
    this.#lastForm = -1;
    this.#lastFrame = undefined;
    this.#frames = undefined;
  }

  /** Whether the Message Expiry Interval has passed. [MQTT-3.3.2-5] */
  expired(now: Millis): boolean {
    return this.expiresAtMs <= now;
  }

  /**
   * The frame for `form`, with Packet Identifier 0 where it has one, made at most once per distinct
   * form and moment: the caller patches the identifier and sends it on at once.
   */
  frame(form: Form, now: Millis): Uint8Array {
    if (this.expiresAtMs !== Number.POSITIVE_INFINITY && now !== this.#encodedAtMs) {
      this.forgetFrames();
      this.#encodedAtMs = now;
    }
    if (form === this.#lastForm && this.#lastFrame !== undefined) return this.#lastFrame;
    let frame = this.#frames?.get(form);
    if (frame === undefined) {
      frame = this.encodeAs(form, now, this.topic, undefined, undefined);
      if (this.#lastFrame !== undefined) {
        this.#frames ??= new Map([[this.#lastForm, this.#lastFrame]]);
        this.#frames.set(form, frame);
      }
    }
    this.#lastForm = form;
    this.#lastFrame = frame;
    return frame;
  }

  /**
   * Sends on the packet that it came in, where that is what `form` comes to; false where it is not. Its
   * head is patched for as long as it is copied out.
   */
  sendOn(to: Outflow, form: Form, identifier: PacketIdentifier, dup: boolean): boolean {
    if ((form & ~RETAIN_BIT) !== this.#asReceived) return false;
    const bytes = this.#bytes;
    const start = this.#packetAt;
    const first = bytes[start] as number;
    const retainFlag = (form & RETAIN_BIT) === 0 ? 0 : 1;
    bytes[start] = PUBLISH | (dup ? 8 : 0) | (this.qos << 1) | retainFlag;
    if (this.qos === 0) {
      to.writePart(bytes, start, this.#end);
    } else {
      const at = this.#packetIdentifierAt;
      const high = bytes[at] as number;
      const low = bytes[at + 1] as number;
      bytes[at] = identifier >> 8;
      bytes[at + 1] = identifier;
      to.writePart(bytes, start, this.#end);
      bytes[at] = high;
      bytes[at + 1] = low;
    }
    bytes[start] = first;
    return true;
  }

  /** How long the packet is that it came in; 0 where it cannot be sent on. */
  get receivedSize(): number {
    return this.#asReceived < 0 ? 0 : this.#end - this.#packetAt;
  }

  /**
   * A frame for one receiver alone: with a Topic Alias (`topic` is empty where the alias stands for
   * it) or Subscription Identifiers.
   */
  encodeAs(
    form: Form,
    now: Millis,
    topic: string,
    topicAlias: number | undefined,
    subscriptionIdentifiers: readonly number[] | undefined,
  ): Uint8Array {
    const packet: Publish = {
      type: 'publish',
      dup: false,
      qos: (form & 3) as QoS,
      retain: (form & RETAIN_BIT) !== 0,
      topic,
      packetIdentifier: 0,
      topicAlias,
      messageExpiryInterval: remainingSeconds(this.expiresAtMs, now),
      subscriptionIdentifiers,
      properties: stamp(this, form),
      payload: this.payload,
    };
    return encode(packet, (form & VERSION_5_BIT) !== 0 ? 5 : 4);
  }
}

/** Bytes between Topic Name and payload where there are no properties. */
function headAfterTopic(qos: QoS, version: ProtocolVersion): number {
  return (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0);
}

/** What is left of the Message Expiry Interval, in whole seconds; undefined where there is none. [MQTT-3.3.2-6] */
function remainingSeconds(expiresAtMs: Millis, now: Millis): number | undefined {
  if (expiresAtMs === Number.POSITIVE_INFINITY) return undefined;
  return Math.max(0, Math.ceil((expiresAtMs - now) / 1_000));
}

function stamp(publication: Publication, form: Form): MessageProperties | undefined {
  const { properties, publisher, number } = publication;
  if ((form & (STAMPED_BIT | NUMBERED_BIT)) === 0) return properties;
  const userProperties: UserProperty[] = [...(properties?.userProperties ?? [])];
  if ((form & STAMPED_BIT) !== 0) {
    userProperties.push(['bellhop-user', publisher.user]);
    userProperties.push(['bellhop-client', publisher.clientIdentifier]);
  }
  if ((form & NUMBERED_BIT) !== 0) userProperties.push(['bellhop-message', String(number)]);
  return { ...properties, userProperties };
}

/** `properties` without the names that are the broker's to give. */
export function withoutStamps(properties: MessageProperties | undefined): typeof properties {
  const given = properties?.userProperties;
  if (properties === undefined || given === undefined || !given.some(isStamp)) return properties;
  const kept = given.filter((property) => !isStamp(property));
  return { ...properties, userProperties: kept.length > 0 ? kept : undefined };
}

function isStamp(property: UserProperty): boolean {
  return property[0].startsWith(STAMP_PREFIX);
}
