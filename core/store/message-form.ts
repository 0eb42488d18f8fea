/**
 * Messages and Wills as they lie in the broker's file. Topic and payload have columns of their own;
 * the rest is the head, packed, which only the event loop's side reads and writes. User properties
 * keep their order and everything its bytes. [MQTT-3.3.2-18]
 */
import type { Standing } from '../auth/rights.ts';
import type { StoredDelivery, StoredSubscription, StoredWill } from '../broker/changes.ts';
import type {
  Message,
  MessageProperties,
  Publisher,
  QoS,
  Reach,
  UserProperty,
} from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import { Packer, Unpacker } from './packed.ts';

/** Bits of a head's first byte: QoS in the lowest two, and these. */
const RETAIN = 0x04;
const REACH_SHIFT = 3; // two bits
const HAS_EXPIRY = 0x20;
const HAS_PROPERTIES = 0x40;
const FROM_DEVICE = 0x80;

/** Bits of the byte that says which properties follow. */
const HAS_FORMAT = 0x01;
const FORMAT = 0x02;
const HAS_CONTENT_TYPE = 0x04;
const HAS_RESPONSE_TOPIC = 0x08;
const HAS_CORRELATION_DATA = 0x10;
const HAS_USER_PROPERTIES = 0x20;

const scratch = new Packer();

/** The head of `message`; good until the next call. */
export function packHead(message: Message): Uint8Array {
  const { qos, retain, reach, expiresAtMs, properties, publisher } = message;
  const into = scratch;
  into.length = 0;
  const expires = expiresAtMs !== Number.POSITIVE_INFINITY;
  into.byte(
    qos |
      (retain ? RETAIN : 0) |
      (reach << REACH_SHIFT) |
      (expires ? HAS_EXPIRY : 0) |
      (properties === undefined ? 0 : HAS_PROPERTIES) |
      (publisher.device ? FROM_DEVICE : 0),
  );
  if (expires) into.number(expiresAtMs);
  into.text(publisher.user);
  into.text(publisher.clientIdentifier);
  if (properties !== undefined) packProperties(properties, into);
  return into.written;
}

/** The message whose head is `head`. The payload is taken as it is. */
export function unpackMessage(topic: string, head: Uint8Array, payload: Uint8Array): Message {
  const from = new Unpacker(head);
  const flags = from.byte();
  const expiresAtMs = (flags & HAS_EXPIRY) === 0 ? Number.POSITIVE_INFINITY : from.number();
  const publisher: Publisher = {
    user: from.text(),
    clientIdentifier: from.text(),
    device: (flags & FROM_DEVICE) !== 0,
  };
  return {
    topic: topic as TopicName, // it was one when it was kept
    payload,
    qos: (flags & 3) as QoS,
    retain: (flags & RETAIN) !== 0,
    properties: (flags & HAS_PROPERTIES) === 0 ? undefined : unpackProperties(from),
    expiresAtMs,
    publisher,
    reach: ((flags >> REACH_SHIFT) & 3) as Reach,
  };
}

function packProperties(properties: MessageProperties, into: Packer): void {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    properties;
  into.byte(
    (payloadFormatIndicator === undefined ? 0 : HAS_FORMAT) |
      (payloadFormatIndicator === 1 ? FORMAT : 0) |
      (contentType === undefined ? 0 : HAS_CONTENT_TYPE) |
      (responseTopic === undefined ? 0 : HAS_RESPONSE_TOPIC) |
      (correlationData === undefined ? 0 : HAS_CORRELATION_DATA) |
      (userProperties === undefined ? 0 : HAS_USER_PROPERTIES),
  );
  if (contentType !== undefined) into.text(contentType);
  if (responseTopic !== undefined) into.text(responseTopic);
  if (correlationData !== undefined) into.data(correlationData);
  if (userProperties === undefined) return;
  into.size(userProperties.length);
  for (const [name, value] of userProperties) {
    into.text(name);
    into.text(value);
  }
}

function unpackProperties(from: Unpacker): MessageProperties {
  const has = from.byte();
  return {
    payloadFormatIndicator: (has & HAS_FORMAT) === 0 ? undefined : (has & FORMAT) === 0 ? 0 : 1,
    contentType: (has & HAS_CONTENT_TYPE) === 0 ? undefined : from.text(),
    responseTopic: (has & HAS_RESPONSE_TOPIC) === 0 ? undefined : from.text(),
    correlationData: (has & HAS_CORRELATION_DATA) === 0 ? undefined : new Uint8Array(from.data()),
    userProperties: (has & HAS_USER_PROPERTIES) === 0 ? undefined : unpackUserProperties(from),
  };
}

function unpackUserProperties(from: Unpacker): readonly UserProperty[] {
  const list: UserProperty[] = [];
  for (let count = from.size(); count > 0; count--) list.push([from.text(), from.text()]);
  return list;
}

/** All of a Will but its topic, payload and time. It is rare: what is plain goes as JSON. */
export function packWill(will: StoredWill): Uint8Array {
  const { topic: _topic, payload: _payload, dueAtMs: _dueAtMs, properties, ...plain } = will;
  const into = new Packer();
  into.text(JSON.stringify(plain));
  if (properties !== undefined) packProperties(properties, into);
  return into.written;
}

/** `messageExpirySeconds` and `grants` are missing where they are undefined. */
type PlainWill = Omit<StoredWill, 'topic' | 'payload' | 'dueAtMs' | 'properties'>;

export function unpackWill(
  topic: string,
  head: Uint8Array,
  payload: Uint8Array,
  dueAtMs: number,
): StoredWill {
  const from = new Unpacker(head);
  const plain = JSON.parse(from.text()) as PlainWill;
  const properties = from.done ? undefined : unpackProperties(from);
  return { ...plain, topic, payload, dueAtMs, properties };
}

/** `delivery.options`: QoS in the lowest two bits, RETAIN and whether PUBREC came in the next. */
export const RELEASED = 0x08;

export function packDeliveryOptions(qos: QoS, retain: boolean, released: boolean): number {
  return qos | (retain ? RETAIN : 0) | (released ? RELEASED : 0);
}

/** `delivery.extra`: what few deliveries have. Empty where it has none of it. */
export function packExtra(delivery: StoredDelivery): string {
  const { subscriptionIdentifiers, group } = delivery;
  if (subscriptionIdentifiers === undefined && group === undefined) return '';
  return JSON.stringify({ subscriptionIdentifiers, group });
}

type Extra = Pick<StoredDelivery, 'subscriptionIdentifiers' | 'group'>;

export function unpackDelivery(
  sequence: number,
  message: number,
  options: number,
  packetIdentifier: number,
  extra: string,
): StoredDelivery {
  const { subscriptionIdentifiers, group } = (
    extra === '' ? {} : JSON.parse(extra)
  ) as Partial<Extra>;
  return {
    sequence,
    message,
    qos: (options & 3) as QoS,
    retain: (options & RETAIN) !== 0,
    subscriptionIdentifiers,
    group,
    packetIdentifier,
    released: (options & RELEASED) !== 0,
  };
}

/**
 * `subscription.options`: as the Subscription Options of section 3.8.3.1 as far as they last, then
 * the standing in bits 4 and 5, and bit 6 where it declares a command.
 */
export function packSubscriptionOptions(subscription: StoredSubscription): number {
  const { maximumQoS, noLocal, retainAsPublished, standing, declares } = subscription;
  return (
    maximumQoS |
    (noLocal ? 0x04 : 0) |
    (retainAsPublished ? 0x08 : 0) |
    (standing << 4) |
    (declares ? 0x40 : 0)
  );
}

export function unpackSubscription(
  filter: string,
  shareName: string,
  options: number,
  identifier: number,
): StoredSubscription {
  return {
    filter: filter as TopicFilter,
    shareName,
    maximumQoS: (options & 3) as QoS,
    noLocal: (options & 0x04) !== 0,
    retainAsPublished: (options & 0x08) !== 0,
    identifier,
    standing: ((options >> 4) & 3) as Standing,
    declares: (options & 0x40) !== 0,
  };
}
