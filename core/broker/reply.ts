/** Who may have the response to a command where: on a topic that its publisher could subscribe to. */

import { encodeUser, isOwnTopic } from '../auth/user-topic.ts';
import type { Publisher } from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import type { State } from './state.ts';

/**
 * Whether a response to `publisher` may go to `topic`: by the rights of its connection, and where it has
 * none any more, only to its user's own topics. Never to a declared command, which handlers would take
 * for one, and never to `$…`.
 */
export function mayReply(state: State, publisher: Publisher, topic: TopicName): boolean {
  if (topic.startsWith('$') || state.commands.declares(topic)) return false;
  const { user, clientIdentifier } = publisher;
  const connection = state.sessions.get(user, clientIdentifier)?.link;
  if (connection?.rights !== undefined) {
    const filter: string = topic; // one without wildcards
    return connection.rights.maySubscribe(filter as TopicFilter, false) !== undefined;
  }
  return isOwnTopic(topic, encodeUser(user) ?? '', state.policy.separator);
}
