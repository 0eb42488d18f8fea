/**
 * Messages packed for the way between the loop and a worker: one column for each field, and all
 * payloads in one buffer that changes hands. Cloned one by one, a message costs the loop about four
 * times as much; sent one by one, about twenty times.
 */
import type { Message, MessageProperties, QoS, Reach } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';

export interface Packed {
  readonly topics: readonly TopicName[];
  readonly users: readonly string[];
  readonly clients: readonly string[];
  /** QoS in bits 0 and 1, RETAIN in bit 2, Reach in bits 3 and 4, published by a device in bit 5. */
  readonly flags: Uint8Array<ArrayBuffer>;
  readonly expiresAtMs: Float64Array<ArrayBuffer>;
  /** Undefined where no message has any. */
  readonly properties: readonly (MessageProperties | undefined)[] | undefined;
  readonly payloads: Uint8Array<ArrayBuffer>;
  /** Where each payload ends. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

export function pack(messages: readonly Message[]): Packed {
  let bytes = 0;
  let anyProperties = false;
  for (const { payload, properties } of messages) {
    bytes += payload.length;
    if (properties !== undefined) anyProperties = true;
  }
  const topics: TopicName[] = [];
  const users: string[] = [];
  const clients: string[] = [];
  const flags = new Uint8Array(messages.length);
  const expiresAtMs = new Float64Array(messages.length);
  const payloads = new Uint8Array(bytes);
  const ends = new Uint32Array(messages.length);
  let end = 0;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index] as Message;
    topics.push(message.topic);
    users.push(message.publisher.user);
    clients.push(message.publisher.clientIdentifier);
    flags[index] =
      message.qos |
      (message.retain ? 4 : 0) |
      (message.reach << 3) |
      (message.publisher.device ? 32 : 0);
    expiresAtMs[index] = message.expiresAtMs;
    payloads.set(message.payload, end);
    end += message.payload.length;
    ends[index] = end;
  }
  const properties = anyProperties ? messages.map((each) => detached(each.properties)) : undefined;
  return { topics, users, clients, flags, expiresAtMs, properties, payloads, ends };
}

/** What is handed over rather than copied. */
export function transferOf(packed: Packed): ArrayBuffer[] {
  return [packed.payloads.buffer];
}

/** The messages again. Their payloads point into the one buffer of the batch. */
export function unpack(packed: Packed): Message[] {
  let start = 0;
  return packed.topics.map((topic, index) => {
    const flags = packed.flags[index] as number;
    const end = packed.ends[index] as number;
    const payload = packed.payloads.subarray(start, end);
    start = end;
    return {
      topic,
      payload,
      qos: (flags & 3) as QoS,
      retain: (flags & 4) !== 0,
      properties: packed.properties?.[index],
      expiresAtMs: packed.expiresAtMs[index] as number,
      publisher: {
        user: packed.users[index] as string,
        clientIdentifier: packed.clients[index] as string,
        device: (flags & 32) !== 0,
      },
      reach: ((flags >> 3) & 3) as Reach,
    };
  });
}

/** A clone of a view takes its whole buffer along, which may be all that a socket brought. */
function detached(properties: MessageProperties | undefined): MessageProperties | undefined {
  if (properties?.correlationData === undefined) return properties;
  return { ...properties, correlationData: new Uint8Array(properties.correlationData) };
}
