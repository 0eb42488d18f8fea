/** Checks what a handler sends, and makes a message of it. */
import { userTopic } from '../auth/user-topic.ts';
import type { Message, MessageProperties } from '../mqtt/packet.ts';
import { MAXIMUM_STRING_BYTES, parseTopicName, type TopicName } from '../mqtt/topic.ts';
import type { SendOptions } from './context.ts';
import { encodePayload } from './payload.ts';
import { TRACE_PROPERTY } from './trace.ts';

/** The separator of user topics, and whether a topic is a command of some plugin. */
export interface TopicRules {
  readonly separator: Parameters<typeof userTopic>[2];
  declares(topic: TopicName): boolean;
}

/** The topic that reaches `user` under `name`. Throws where there is none, or where it is a command. */
export function topicForUser(user: unknown, name: unknown, rules: TopicRules): TopicName {
  if (typeof user !== 'string' || typeof name !== 'string') {
    throw new TypeError('send takes a user id and a name, both text');
  }
  const topic = userTopic(user, name, rules.separator);
  if (topic === undefined) {
    const what = `${JSON.stringify(user)} with the name ${JSON.stringify(name)}`;
    throw new TypeError(`${what} makes no user topic`);
  }
  if (rules.declares(topic))
    throw new Error(`${topic} is a declared command, and never a user topic`);
  return topic;
}

/** Throws where handlers may not publish to it, or it is no topic. */
export function topicToPublish(topic: unknown): TopicName {
  const name = isString(topic) ? parseTopicName(topic) : undefined;
  if (name === undefined) throw new TypeError(`${JSON.stringify(topic)} is no topic`);
  if (name.startsWith('$')) throw new Error(`nobody may publish to ${name}`);
  return name;
}

/** What goes along with a message beside what its handler says. */
export interface Carried {
  readonly correlationData?: Uint8Array | undefined;
  /** The trace to be carried on, unless the handler names another. */
  readonly traceParent?: string | undefined;
}

/**
 * The message, as published by `plugin`. A plugin has no user id: nobody's is empty, so that it can
 * be taken for none. `expiresAtMs` counts from now.
 */
export function messageOf(
  plugin: string,
  topic: TopicName,
  payload: unknown,
  options: SendOptions,
  carried: Carried = {},
): Message {
  const { qos = 1, retain = false, messageExpiryInterval: seconds } = options;
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new TypeError('`qos` must be 0, 1 or 2');
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0 && seconds < 2 ** 32)) {
    throw new TypeError('`messageExpiryInterval` must be a number of whole seconds');
  }
  return {
    topic,
    payload: encoded(payload, options.contentType),
    qos,
    retain: retain === true,
    properties: propertiesOf(options, carried),
    expiresAtMs: seconds === undefined ? Number.POSITIVE_INFINITY : seconds * 1_000,
    publisher: { user: '', clientIdentifier: plugin, device: false },
    reach: 2,
  };
}

/** A handler may go on to change what it gave. */
function encoded(payload: unknown, contentType: string | undefined): Uint8Array {
  const bytes = encodePayload(payload, typeof contentType === 'string' ? contentType : undefined);
  return bytes === payload || payload instanceof ArrayBuffer ? bytes.slice() : bytes;
}

function propertiesOf(
  { contentType, userProperties }: SendOptions,
  { correlationData, traceParent }: Carried,
): MessageProperties | undefined {
  if (contentType !== undefined && !isString(contentType)) {
    throw new TypeError('`contentType` must be a text');
  }
  if (userProperties !== undefined && !isPairs(userProperties)) {
    throw new TypeError('`userProperties` must be a list of [name, value], both text');
  }
  if (userProperties?.some(([name]) => name.startsWith('bellhop-'))) {
    throw new TypeError("user properties that begin with `bellhop-` are the broker's own");
  }
  const traced =
    traceParent === undefined || userProperties?.some(([name]) => name === TRACE_PROPERTY);
  const all = traced
    ? userProperties
    : [...(userProperties ?? []), [TRACE_PROPERTY, traceParent] as const];
  if (contentType === undefined && all === undefined && correlationData === undefined) {
    return undefined;
  }
  return { contentType, userProperties: all, ...(correlationData && { correlationData }) };
}

function isPairs(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isString))
  );
}

/** Whether it can go into a packet as a UTF-8 Encoded String (section 1.5.4). */
function isString(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.isWellFormed() &&
    !value.includes('\0') &&
    Buffer.byteLength(value) <= MAXIMUM_STRING_BYTES
  );
}
