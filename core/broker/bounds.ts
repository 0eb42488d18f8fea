/**
 * What a Topic Name, a filter or a payload has to be beyond its form: within our limits, and what it
 * says of itself.
 */
import { levelCount } from '../mqtt/topic.ts';
import type { State } from './state.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Why a Topic Name or filter is beyond our limits; undefined where it is not. */
export function checkTopic(state: State, topic: string): string | undefined {
  const { maximumTopicBytes, maximumTopicLevels } = state.limits;
  // A UTF-16 unit takes three bytes at most, so short topics need no second look.
  if (topic.length * 3 > maximumTopicBytes && Buffer.byteLength(topic) > maximumTopicBytes) {
    return `the topic has more than ${maximumTopicBytes} bytes`;
  }
  if (topic.length >= maximumTopicLevels && levelCount(topic) > maximumTopicLevels) {
    return `the topic has more than ${maximumTopicLevels} levels`;
  }
  return undefined;
}

/** Whether a payload is what its Payload Format Indicator 1 says. [MQTT-3.3.2-4] */
export function isUtf8(payload: Uint8Array): boolean {
  try {
    utf8.decode(payload);
    return true;
  } catch {
    return false;
  }
}
