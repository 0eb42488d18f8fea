/**
 * A Topic Filter split once, to be matched many times without allocation: what declared commands and
 * explicit grants are held as. It gives what `matches` of `mqtt/topic.ts` gives.
 */
import { hasWildcard, type TopicFilter, type TopicName } from '../mqtt/topic.ts';

/** The levels of a filter; undefined in place of them where an equal string is all that matches. */
export interface SplitFilter {
  readonly filter: TopicFilter;
  readonly levels: readonly string[] | undefined;
}

export function splitFilter(filter: TopicFilter): SplitFilter {
  return { filter, levels: hasWildcard(filter) ? filter.split('/') : undefined };
}

/** Section 4.7, as in `matches`. [MQTT-4.7.2-1] */
export function matchesSplit(split: SplitFilter, topic: TopicName): boolean {
  const levels = split.levels;
  if (levels === undefined) return (split.filter as string) === topic;
  if (topic.charCodeAt(0) === 0x24 && (levels[0] === '#' || levels[0] === '+')) return false;
  let start = 0; // of the topic's current level; beyond its end once all levels are used up
  for (let index = 0; index < levels.length; index++) {
    const level = levels[index] as string;
    if (level === '#') return true;
    if (start > topic.length) return false;
    const slash = topic.indexOf('/', start);
    const end = slash === -1 ? topic.length : slash;
    if (level !== '+' && (end - start !== level.length || !topic.startsWith(level, start))) {
      return false;
    }
    start = end + 1;
  }
  return start > topic.length;
}
