/**
 * The hook `undelivered`: a message for a user none of whose devices is connected, for push
 * notifications. It is raised once for a message, whatever its QoS, and also where a stored session
 * queues it: the phone has it when it is back, and nobody knows when that is.
 *
 * Which topics are a user's is read from the topic alone, since nobody knows which users there are:
 * `app_news` is taken for the `news` of a user `app`, and the plugin has to tell.
 */
import { readUserTopic } from '../auth/user-topic.ts';
import type { Message, MessageProperties } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import { hookCommand, raise, UNDELIVERED_PREFIX } from './hooks.ts';
import type { Publication } from './publication.ts';
import type { State } from './state.ts';

/** Whether `cause` is such a command: what its run sends raises none, or a push that fails would go round. */
export function isUndelivered(cause: Message): boolean {
  return cause.topic.startsWith(UNDELIVERED_PREFIX);
}

/** `publication` was taken, from staff or a plugin and on no declared command: nobody else reaches a user's topics. */
export function raiseUndelivered(state: State, publication: Publication): void {
  const owner = readUserTopic(publication.topic, state.policy.separator);
  if (owner === undefined || state.devices.has(owner.user)) return;
  const { topic, payload, properties, publisher, expiresAtMs } = publication.keep();
  const hook = `${UNDELIVERED_PREFIX}${topic}` as TopicName;
  raise(state, hookCommand(hook, payload, publisher, withoutResponse(properties), expiresAtMs));
  // Its acknowledgement waits for this to be on disk, whatever its receivers do.
  publication.lasting = true;
}

/** It is for the device to respond, not for the plugin: what the plugin returns must not go there. */
function withoutResponse(properties: MessageProperties | undefined): typeof properties {
  return properties && { ...properties, responseTopic: undefined, correlationData: undefined };
}
