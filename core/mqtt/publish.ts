/**
 * PUBLISH (MQTT 5.0 section 3.3), read and written by hand: it is the packet that comes by the
 * million, and mqtt-packet would lose the order of its User Properties. A test holds this reading
 * against that of mqtt-packet.
 */
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

/** The same field order each time, so that every PUBLISH is an object of one shape. */
function publishOf(
  flags: number,
  topic: string,
  packetIdentifier: PacketIdentifier,
  found: Properties | undefined,
  payload: Uint8Array,
): Publish {
  const qos = ((flags >> 1) & 3) as QoS;
  return {
    type: 'publish',
    dup: (flags & 8) !== 0 && qos > 0,
    qos,
    retain: (flags & 1) !== 0,
    topic,
    packetIdentifier,
    topicAlias: found?.topicAlias,
    messageExpiryInterval: found?.messageExpiryInterval,
    subscriptionIdentifiers: found?.subscriptionIdentifiers,
    properties: found === undefined ? undefined : messagePropertiesOf(found),
    payload,
  };
}

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

/**
 * Reads the PUBLISH whose first byte is `first`, and whose Variable Header begins at `position`. The
 * payload points into `bytes`. Whether the Topic Name may be published to is not asked here.
 */
export function decodePublish(
  first: number,
  bytes: Uint8Array,
  position: number,
  end: number,
  version: ProtocolVersion,
): Publish {
  const qos = (first >> 1) & 3;
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
  return publishOf(first, topic, packetIdentifier, found, bytes.subarray(at, end));
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
  const frame = Buffer.allocUnsafe(1 + lengthSize(size) + size);
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
  frame.set(payload, at);
  return frame;
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
