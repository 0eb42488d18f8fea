/**
 * Messages packed for the way between the loop and a worker: one column for each field, names joined to
 * one text, and all topics and payloads in one buffer that changes hands. Cloned one by one, a message
 * costs the loop about four times as much; sent one by one, about twenty times. A text that is cloned
 * by itself costs about three times what it costs as a part of another.
 */
import { copyBytes, copyOfBytes } from '../mqtt/bytes.ts';
import type { Message, MessageProperties, QoS, Reach } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';

export interface Packed {
  /** Empty where each message has its own, in `bytes`. */
  readonly topic: TopicName | '';
  readonly users: Texts;
  readonly clients: Texts;
  /** Undefined where no message has any. */
  readonly properties: readonly (MessageProperties | undefined)[] | undefined;
  /** The topic of each message, unless they have one in common, and its payload. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * `Column.Count` numbers for each message. In one array, since each array costs about as much on
   * its way as ten messages do.
   */
  readonly numbers: Float64Array<ArrayBuffer>;
}

const Column = {
  /** QoS in bits 0 and 1, RETAIN in bit 2, Reach in bits 3 and 4, published by a device in bit 5. */
  Flags: 0,
  ExpiresAtMs: 1,
  /** Where in `bytes` its topic ends, and its payload. */
  TopicEnd: 2,
  End: 3,
  Count: 4,
} as const;

/** Texts with U+0000 between them; the one text where all are the same; a list where one holds U+0000. */
export type Texts = string | readonly string[];

const SEPARATOR = '\0';
/** Most bytes of UTF-8 that one unit of UTF-16 takes. */
const UNIT_BYTES = 3;
/** A payload up to this size is copied out of its batch, which costs less than a view of it. */
const COPIED_BYTES = 4_096;

const { utf8Write, utf8Slice } = Buffer.prototype;

export function pack(messages: readonly Message[]): Packed {
  const count = messages.length;
  const common = commonTopic(messages);
  let most = 0;
  let anyProperties = false;
  for (const { topic, payload, properties } of messages) {
    most += payload.length + (common === '' ? UNIT_BYTES * topic.length : 0);
    if (properties !== undefined) anyProperties = true;
  }
  const users: string[] = [];
  const clients: string[] = [];
  const bytes = new Uint8Array(most);
  const numbers = new Float64Array(Column.Count * count);
  let end = 0;
  for (let index = 0; index < count; index++) {
    const message = messages[index] as Message;
    const { payload, publisher } = message;
    users.push(publisher.user);
    clients.push(publisher.clientIdentifier);
    const row = Column.Count * index;
    numbers[row + Column.Flags] =
      message.qos | (message.retain ? 4 : 0) | (message.reach << 3) | (publisher.device ? 32 : 0);
    numbers[row + Column.ExpiresAtMs] = message.expiresAtMs;
    if (common === '') end += utf8Write.call(bytes, message.topic, end);
    numbers[row + Column.TopicEnd] = end;
    copyBytes(payload, 0, payload.length, bytes, end);
    end += payload.length;
    numbers[row + Column.End] = end;
  }
  return {
    topic: common,
    users: joined(users),
    clients: joined(clients),
    properties: anyProperties ? messages.map((each) => detached(each.properties)) : undefined,
    bytes,
    numbers,
  };
}

/** What is handed over rather than copied. */
export function transferOf(packed: Packed): ArrayBuffer[] {
  return [packed.bytes.buffer];
}

/** The messages again. Their payloads may point into the one buffer of the batch: see `owned`. */
export function unpack({ topic, bytes, numbers, ...columns }: Packed): Message[] {
  const count = numbers.length / Column.Count;
  const users = parted(columns.users, count);
  const clients = parted(columns.clients, count);
  const messages: Message[] = [];
  let start = 0;
  for (let index = 0; index < count; index++) {
    const row = Column.Count * index;
    const flags = numbers[row + Column.Flags] as number;
    const from = numbers[row + Column.TopicEnd] as number;
    const end = numbers[row + Column.End] as number;
    messages.push({
      topic: topic === '' ? (utf8Slice.call(bytes, start, from) as TopicName) : topic,
      payload:
        end - from > COPIED_BYTES ? bytes.subarray(from, end) : copyOfBytes(bytes, from, end),
      qos: (flags & 3) as QoS,
      retain: (flags & 4) !== 0,
      properties: columns.properties?.[index],
      expiresAtMs: numbers[row + Column.ExpiresAtMs] as number,
      publisher: {
        user: users[index] as string,
        clientIdentifier: clients[index] as string,
        device: (flags & 32) !== 0,
      },
      reach: ((flags >> 3) & 3) as Reach,
    });
    start = end;
  }
  return messages;
}

/** The payload of an unpacked message, such that it does not hold on to the whole batch. */
export function owned(payload: Uint8Array): Uint8Array {
  return payload.length > COPIED_BYTES ? payload.slice() : payload;
}

export function joined(texts: readonly string[]): Texts {
  const first = texts[0] ?? '';
  let same = true;
  for (const text of texts) {
    if (text.includes(SEPARATOR)) return texts;
    if (text !== first) same = false;
  }
  return same ? first : texts.join(SEPARATOR);
}

/** What was joined: so many texts. They share the memory of the whole. */
export function parted(texts: Texts, count: number): readonly string[] {
  if (typeof texts !== 'string') return texts;
  const parts = texts.split(SEPARATOR);
  return parts.length === count ? parts : new Array<string>(count).fill(texts);
}

function commonTopic(messages: readonly Message[]): TopicName | '' {
  const topic = messages[0]?.topic ?? '';
  return messages.every((message) => message.topic === topic) ? topic : '';
}

/** A clone of a view takes its whole buffer along, which may be all that a socket brought. */
function detached(properties: MessageProperties | undefined): MessageProperties | undefined {
  if (properties?.correlationData === undefined) return properties;
  return { ...properties, correlationData: new Uint8Array(properties.correlationData) };
}
