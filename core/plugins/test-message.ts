/** The command that a test gives to a handler: what a device, a hook or a schedule of the broker would bring. */
import { userTopic } from '../auth/user-topic.ts';
import type { Message } from '../mqtt/packet.ts';
import { hasWildcard, matches, parseTopicName, type TopicName } from '../mqtt/topic.ts';
import type { Presence, Scheduled, Undelivered } from './context.ts';
import type { Handler } from './definition.ts';
import type { HookEvent } from './handler.ts';
import type { Given } from './kit.ts';
import { encodePayload } from './payload.ts';

export const SEPARATOR = '_';

/** Throws a `TypeError` where what is given makes no command of this handler. */
export function messageFor(handler: Handler, given: Given, name: string): Message {
  const { trigger } = handler.rules;
  switch (trigger.kind) {
    case 'command':
      return askedFor(
        handler,
        message(given, commandTopic(handler, given.topic), payloadOf(handler, given)),
      );
    case 'schedule': {
      const due: Scheduled = { due: given.now ?? Date.now(), missed: 0, ...fieldsOf(given.input) };
      return message({ ...given, user: '' }, `$hook/schedule/${name}`, encodePayload(due));
    }
    case 'hook':
      return hookMessage(given, trigger.events);
    default:
      return trigger satisfies never;
  }
}

function message(given: Given, topic: string, payload: Uint8Array): Message {
  const { user = 'user', client = 'client', contentType } = given;
  return {
    topic: topic as TopicName,
    payload,
    qos: 1,
    retain: false,
    properties: contentType === undefined ? undefined : { contentType },
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user, clientIdentifier: client, device: true },
    reach: 0,
  };
}

/** Where a handler names no topic for its answers, whoever asks names one. */
function askedFor({ reply }: Handler, asked: Message): Message {
  if (reply !== undefined) return asked;
  return { ...asked, properties: { ...asked.properties, responseTopic: 'user_response' } };
}

function commandTopic({ rules }: Handler, written: string | undefined): TopicName {
  const topics = rules.trigger.kind === 'command' ? rules.trigger.topics : [];
  const [first] = topics;
  if (written === undefined && topics.length === 1 && first !== undefined && !hasWildcard(first)) {
    return parseTopicName(first) as TopicName;
  }
  if (written === undefined) throw new TypeError(`give \`topic\`: one of ${topics.join(', ')}`);
  const topic = parseTopicName(written);
  if (topic !== undefined && topics.some((filter) => matches(filter, topic))) return topic;
  throw new TypeError(`the handler is for ${topics.join(', ')}, not for ${written}`);
}

function payloadOf({ decode }: Handler, { input, payload, contentType }: Given): Uint8Array {
  if (payload !== undefined) {
    if (input !== undefined) throw new TypeError('give `input` or `payload`, not both');
    return encodePayload(payload);
  }
  const isText = decode === 'text' || contentType?.startsWith('text/');
  if (input === undefined || input instanceof Uint8Array || isText) return encodePayload(input);
  const isCbor = decode === 'cbor' || (decode === undefined && contentType === 'application/cbor');
  // A text is JSON as well, in its quotes.
  return isCbor ? encodePayload(input, 'application/cbor') : encodePayload(JSON.stringify(input));
}

function hookMessage(given: Given, events: readonly HookEvent[]): Message {
  const fields = fieldsOf(given.input);
  const event = (fields as Partial<Presence>).event ?? events[0] ?? 'connect';
  if (event === 'undelivered') {
    const { to = 'user', name = 'name', payload } = fields as Partial<Undelivered>;
    const topic = userTopic(to, name, SEPARATOR);
    if (topic === undefined) throw new TypeError(`${to} with the name ${name} makes no user topic`);
    return message({ user: '', ...given }, `$hook/undelivered/${topic}`, encodePayload(payload));
  }
  const at = given.now ?? Date.now();
  const presence: Presence = { number: 1, takeover: false, at, ...fields, event };
  return message(given, `$hook/${event}`, encodePayload(presence));
}

function fieldsOf(input: unknown): object {
  if (input === undefined) return {};
  if (typeof input === 'object' && input !== null) return input;
  throw new TypeError('the `input` of a hook or a schedule is an object with some of its fields');
}
