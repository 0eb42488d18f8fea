/** What a run gets as `input`, before its schema has seen it: the payload, or what a hook or schedule tells. */
import type { Separator } from '../auth/user-topic.ts';
import { readUserTopic } from '../auth/user-topic.ts';
import { UNDELIVERED_PREFIX } from '../broker/hooks.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import type { Undelivered } from './context.ts';
import type { Handler } from './definition.ts';
import { decodePayload, guessPayload } from './payload.ts';

/** Throws a `PayloadProblem` where the payload cannot be read. */
export function readInput(handler: Handler, message: Message, separator: Separator): unknown {
  const { topic, payload, properties } = message;
  if (handler.rules.trigger.kind === 'command') {
    return decodePayload(payload, handler.decode, properties?.contentType);
  }
  if (topic.startsWith(UNDELIVERED_PREFIX)) return readUndelivered(topic, payload, separator);
  // Presence and Scheduled, as the broker wrote them.
  return decodePayload(payload, 'json', undefined);
}

function readUndelivered(
  hookTopic: TopicName,
  payload: Uint8Array,
  separator: Separator,
): Undelivered {
  const topic = hookTopic.slice(UNDELIVERED_PREFIX.length) as TopicName; // a message came on it
  const { user = '', name = topic } = readUserTopic(topic, separator) ?? {};
  return { to: user, name, topic, payload: guessPayload(payload) };
}
