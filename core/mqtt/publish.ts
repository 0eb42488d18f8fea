/**
 * PUBLISH (MQTT 5.0 section 3.3), read and written by hand: it is the packet that comes by the
 * million, and mqtt-packet would lose the order of its User Properties. A test holds this reading
 * against that of mqtt-packet.
 */
import { copyBytes } from './bytes.ts';
import { readTopic, stringSize, writeString } from './encoded-string.ts';
import type {
  MessageProperties,
  PacketIdentifier,
  ProtocolVersion,
  Publish,
  QoS,
} from './packet.ts';
import { type Properties, Property, readProperties } from './properties.ts';
import { malformed, protocolError, Reader } from './reader.ts';
import { lengthSize, Writer, writeLength } from './writer.ts';

const PUBLISH = 0x30;
const reader = new Reader();
const section = new Writer();

/**
 * A PUBLISH where it lies in the bytes that came. `readPublish` fills one and the same again and
 * again: who wants something of it for longer copies it.
 */
export class PublishView implements Publish {
  readonly type = 'publish';
  dup = false;
  qos: QoS = 0;
  retain = false;
  topic = '';
  packetIdentifier: PacketIdentifier = 0;
  topicAlias: number | undefined = undefined;
  messageExpiryInterval: number | undefined = undefined;
  subscriptionIdentifiers: readonly number[] | undefined = undefined;
  properties: MessageProperties | undefined = undefined;
  version: ProtocolVersion = 4;
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the fixed header is, the Packet Identifier if there is one, and the payload up to `end`. */
  start = 0;
  packetIdentifierAt = 0;
  payloadAt = 0;
  end = 0;

  get payload(): Uint8Array {
    return this.bytes.subarray(this.payloadAt, this.end);
  }
}

const view = new PublishView();

/** Those that a server passes on; undefined where there is none of them. */
export function messagePropertiesOf(found: Properties): MessageProperties | undefined {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    found;
  if (
    payloadFormatIndicator === undefined &&
    contentType === undefined &&
    responseTopic === undefined &&
    correlationData === undefined &&
    userProperties === undefined
  ) {
    return undefined;
  }
  return { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties };
}

/** The PUBLISH in `bytes` from `start` to `end`, as an object of its own, whose payload points into `bytes`. */
export function decodePublish(
  bytes: Uint8Array,
  start: number,
  position: number,
  end: number,
  version: ProtocolVersion,
): Publish {
  const { type, dup, qos, retain, topic, packetIdentifier, topicAlias, ...more } = readPublish(
    bytes,
    start,
    position,
    end,
    version,
  );
  const { messageExpiryInterval, subscriptionIdentifiers, properties } = more;
  return {
    type,
    dup,
    qos,
    retain,
    topic,
    packetIdentifier,
    topicAlias,
    messageExpiryInterval,
    subscriptionIdentifiers,
    properties,
    payload: view.payload,
  };
}

/**
 * Reads the PUBLISH in `bytes` from `start` to `end`, whose Variable Header begins at `position`. What
 * comes back is good until the next one is read. Whether the Topic Name may be published to is not
 * asked here.
 */
export function readPublish(
  bytes: Uint8Array,
  start: number,
  position: number,
  end: number,
  version: ProtocolVersion,
): PublishView {
  const first = bytes[start] as number;
  const qos = ((first >> 1) & 3) as QoS | 3;
  if (qos === 3) {
    throw malformed(version, 'MQTT-3.3.1-4', 'MQTT3-3.3.1-4', 'PUBLISH has both QoS bits set');
  }
  if (qos === 0 && (first & 8) !== 0 && version !== 3) {
    throw malformed(version, 'MQTT-3.3.1-2', 'MQTT3-3.3.1-2', 'PUBLISH of QoS 0 has DUP set');
  }
  let at = position + 2;
  const topicEnd = at + (((bytes[position] as number) << 8) | (bytes[position + 1] as number));
  if (!(topicEnd <= end)) {
    throw malformed(version, 'MQTT-3.3.2-1', 'MQTT3-3.3.2-1', 'PUBLISH ends within its Topic Name');
  }
  const topic = readTopic(bytes, at, topicEnd, version);
  at = topicEnd;
  view.packetIdentifierAt = at;
  let packetIdentifier = 0;
  if (qos > 0) {
    if (at + 2 > end) throw malformed(version, '', '', 'PUBLISH ends within its Packet Identifier');
    packetIdentifier = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    if (packetIdentifier === 0) {
      const detail = `PUBLISH of QoS ${qos} has Packet Identifier 0`;
      throw protocolError(version, 'MQTT-2.2.1-3', 'MQTT3-2.3.1-1', detail);
    }
    at += 2;
  }
  let found: Properties | undefined;
  if (version === 5) {
    if (bytes[at] === 0 && at < end) {
      at++;
    } else {
      found = readProperties(reader.reset(bytes, at, end, version), 'PUBLISH');
      at = reader.position;
    }
  }
  if (topic.length === 0 && found?.topicAlias === undefined) {
    const detail = 'PUBLISH has neither a Topic Name nor a Topic Alias';
    throw protocolError(version, 'MQTT-4.7.3-1', 'MQTT3-4.7.3-1', detail);
  }
  view.dup = (first & 8) !== 0 && qos > 0;
  view.qos = qos;
  view.retain = (first & 1) !== 0;
  view.topic = topic;
  view.packetIdentifier = packetIdentifier;
  view.topicAlias = found?.topicAlias;
  view.messageExpiryInterval = found?.messageExpiryInterval;
  view.subscriptionIdentifiers = found?.subscriptionIdentifiers;
  view.properties = found === undefined ? undefined : messagePropertiesOf(found);
  view.version = version;
  view.bytes = bytes;
  view.start = start;
  view.payloadAt = at;
  view.end = end;
  return view;
}

/** Writes `packet` into a frame of just its size. For 3.x its properties and Topic Alias are left out. */
export function encodePublish(packet: Publish, version: ProtocolVersion): Uint8Array {
  const { topic, payload, qos } = packet;
  const topicSize = stringSize(topic, 'Topic Name');
  let size = 2 + topicSize + payload.length;
  if (qos > 0) size += 2;
  if (version === 5) {
    writeSection(packet);
    size += lengthSize(section.length) + section.length;
  }
  const frame = newFrame(1 + lengthSize(size) + size);
  frame[0] = PUBLISH | (packet.dup ? 8 : 0) | (qos << 1) | (packet.retain ? 1 : 0);
  let at = writeString(frame, writeLength(frame, 1, size), topic, topicSize);
  if (qos > 0) {
    frame[at++] = packet.packetIdentifier >> 8;
    frame[at++] = packet.packetIdentifier;
  }
  if (version === 5) {
    at = writeLength(frame, at, section.length);
    if (section.length > 0) {
      frame.set(section.written, at);
      at += section.length;
    }
  }
  copyBytes(payload, 0, payload.length, frame, at);
  return frame;
}

/** Up to here a plain array costs half of what an uninitialised Buffer does. */
const SMALL_FRAME_BYTES = 1_024;

function newFrame(size: number): Uint8Array {
  return size <= SMALL_FRAME_BYTES ? new Uint8Array(size) : Buffer.allocUnsafeSlow(size);
}

function writeSection(packet: Publish): void {
  const { messageExpiryInterval, subscriptionIdentifiers, topicAlias, properties } = packet;
  section.reset();
  section.byteProperty(Property.PayloadFormatIndicator, properties?.payloadFormatIndicator);
  section.fourByteProperty(Property.MessageExpiryInterval, messageExpiryInterval);
  if (properties !== undefined) writeMessageStrings(section, properties);
  if (subscriptionIdentifiers !== undefined) {
    for (const identifier of subscriptionIdentifiers) {
      section.variableByteProperty(Property.SubscriptionIdentifier, identifier);
    }
  }
  section.twoByteProperty(Property.TopicAlias, topicAlias);
  section.userProperties(properties?.userProperties);
}

/** Content Type, Response Topic and Correlation Data: of a PUBLISH, or of a Will. */
export function writeMessageStrings(into: Writer, properties: MessageProperties): void {
  const { contentType, responseTopic, correlationData } = properties;
  into.stringProperty(Property.ContentType, contentType, 'Content Type');
  into.stringProperty(Property.ResponseTopic, responseTopic, 'Response Topic');
  into.binaryProperty(Property.CorrelationData, correlationData, 'Correlation Data');
}

/**
 * Overwrites the Packet Identifier in `frame`, a PUBLISH of QoS 1 or 2 that `encodePublish` made: one
 * frame serves many receivers, each under its own identifier.
 */
export function patchPacketIdentifier(frame: Uint8Array, packetIdentifier: PacketIdentifier): void {
  const end = publishHeadLength(frame);
  frame[end - 2] = packetIdentifier >> 8;
  frame[end - 1] = packetIdentifier;
}

/** The index just behind the Packet Identifier of `frame`, a PUBLISH of QoS 1 or 2. */
export function publishHeadLength(frame: Uint8Array): number {
  let at = 1;
  while ((frame[at++] as number) > 127);
  return at + 4 + (((frame[at] as number) << 8) | (frame[at + 1] as number));
}
