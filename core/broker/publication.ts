/**
 * A message on its way through the broker, with the frames it was already encoded to: however many
 * receive it, each distinct form is encoded once, and per receiver only the Packet Identifier is
 * patched in.
 */
import type { Role } from '../auth/rights.ts';
import { encode } from '../mqtt/codec.ts';
import type {
  Message,
  MessageProperties,
  Publish,
  Publisher,
  QoS,
  Reach,
  UserProperty,
} from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';

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

/** The form of a client that speaks `version5` and has `role`: handlers of 5.0 are told who said it. */
export function clientForm(version5: boolean, role: Role): Form {
  if (!version5) return 0;
  return role === 'handler' ? VERSION_5_BIT | STAMPED_BIT : VERSION_5_BIT;
}

export class Publication implements Message {
  readonly topic: TopicName;
  payload: Uint8Array;
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
  #lastForm = -1;
  #lastFrame: Uint8Array | undefined = undefined;
  #frames: Map<number, Uint8Array> | undefined = undefined;
  #encodedAtMs: Millis = 0;

  constructor(
    topic: TopicName,
    payload: Uint8Array,
    qos: QoS,
    retain: boolean,
    properties: MessageProperties | undefined,
    expiresAtMs: Millis,
    publisher: Publisher,
    reach: Reach,
    owned: boolean,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.expiresAtMs = expiresAtMs;
    this.publisher = publisher;
    this.reach = reach;
    this.#owned = owned;
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
      message.qos,
      message.retain,
      message.properties,
      message.expiresAtMs,
      message.publisher,
      reach,
      true,
    );
  }

  /**
   * Makes it good beyond the turn: a payload that points into a socket's chunk is found again at the
   * end of a frame that it was encoded to, or copied; Correlation Data are copied.
   */
  keep(): this {
    if (this.#owned) return this;
    const frame = this.#lastFrame;
    this.payload =
      frame === undefined
        ? new Uint8Array(this.payload)
        : frame.subarray(frame.length - this.payload.length);
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
    const stamped = (form & STAMPED_BIT) !== 0;
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
      properties: stamped ? stamp(this.properties, this.publisher) : this.properties,
      payload: this.payload,
    };
    return encode(packet, (form & VERSION_5_BIT) !== 0 ? 5 : 4);
  }
}

/** What is left of the Message Expiry Interval, in whole seconds; undefined where there is none. [MQTT-3.3.2-6] */
function remainingSeconds(expiresAtMs: Millis, now: Millis): number | undefined {
  if (expiresAtMs === Number.POSITIVE_INFINITY) return undefined;
  return Math.max(0, Math.ceil((expiresAtMs - now) / 1_000));
}

function stamp(properties: MessageProperties | undefined, publisher: Publisher): MessageProperties {
  return {
    ...properties,
    userProperties: [
      ...(properties?.userProperties ?? []),
      ['bellhop-user', publisher.user],
      ['bellhop-client', publisher.clientIdentifier],
    ],
  };
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
