/**
 * Hooks: what the broker itself has to say to plugins, as commands under topics that no client can
 * publish to. They are made only while some plugin wants them.
 */
import type { Message, MessageProperties, Publisher } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import { handle } from './commands.ts';
import { Publication } from './publication.ts';
import type { State } from './state.ts';

export const CONNECT_TOPIC = '$hook/connect' as TopicName;
export const DISCONNECT_TOPIC = '$hook/disconnect' as TopicName;
/** The topic that the message was for follows. */
export const UNDELIVERED_PREFIX = '$hook/undelivered/';
/** The handler's name follows. */
export const SCHEDULE_PREFIX = '$hook/schedule/';

/** Which hooks somebody wants. */
export interface WantedHooks {
  connect: boolean;
  disconnect: boolean;
  undelivered: boolean;
}

/** A hook's command. Its payload must be good beyond the turn. */
export function hookCommand(
  topic: TopicName,
  payload: Uint8Array,
  publisher: Publisher,
  properties?: MessageProperties,
  expiresAtMs = Number.POSITIVE_INFINITY,
): Message {
  return {
    topic,
    payload,
    qos: 1,
    retain: false,
    properties,
    expiresAtMs,
    publisher,
    reach: 0,
  };
}

/** Hands a hook's command to the plugins, as `handle` does. */
export function raise(state: State, command: Message): void {
  handle(state, Publication.adopt(command, command.reach));
}
