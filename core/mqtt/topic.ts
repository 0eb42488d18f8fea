/**
 * Topic Names, Topic Filters and Shared Subscription filters (MQTT 5.0 section 4.7 and 4.8), with the
 * plain reading of matching that the clever structures under `routing/` are tested against.
 */
declare const brand: unique symbol;
/** A name without wildcards that a message is published to. */
export type TopicName = string & { readonly [brand]: 'TopicName' };
/** What a subscription matches on, wildcards in their places, never with the `$share/…/` prefix. */
export type TopicFilter = string & { readonly [brand]: 'TopicFilter' };

/** What a client wrote in SUBSCRIBE: a filter, and the ShareName where it began with `$share/`. */
export interface FilterRequest {
  readonly filter: TopicFilter;
  readonly shareName: string | undefined;
}

/** Most bytes a UTF-8 Encoded String of the standard holds (section 1.5.4). */
export const MAXIMUM_STRING_BYTES = 65_535;

/**
 * Reads `text` as a Topic Name; undefined where it is none: empty, a wildcard or U+0000 in it.
 * [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
 */
export function parseTopicName(text: string): TopicName | undefined {
  if (text.length === 0) return undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x23 || code === 0x2b || code === 0) return undefined;
  }
  return text as TopicName;
}

/**
 * Reads `text` as a Topic Filter: at least one character, no U+0000, `#` alone in the last level,
 * `+` alone in its level. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
 */
export function parseTopicFilter(text: string): TopicFilter | undefined {
  if (text.length === 0 || text.includes('\0')) return undefined;
  if (text.includes('#') || text.includes('+')) {
    const levels = text.split('/');
    for (const [index, level] of levels.entries()) {
      if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) return undefined;
      if (level.includes('+') && level !== '+') return undefined;
    }
  }
  return text as TopicFilter;
}

/**
 * Reads what a SUBSCRIBE or UNSUBSCRIBE names: a filter, or `$share/{ShareName}/{filter}` with a
 * ShareName of at least one character without `/`, `+` or `#`. [MQTT-4.8.2-1] [MQTT-4.8.2-2]
 */
export function parseFilterRequest(text: string): FilterRequest | undefined {
  if (!text.startsWith('$share/')) {
    const filter = parseTopicFilter(text);
    return filter === undefined ? undefined : { filter, shareName: undefined };
  }
  const end = text.indexOf('/', 7);
  if (end <= 7) return undefined;
  const shareName = text.slice(7, end);
  const filter = parseTopicFilter(text.slice(end + 1));
  if (filter === undefined || /[+#\0]/.test(shareName)) return undefined;
  return { filter, shareName };
}

/** True where the filter has a wildcard, and so needs more than an equal string to match. */
export function hasWildcard(filter: TopicFilter): boolean {
  return filter.includes('#') || filter.includes('+');
}

/** How many levels a name or filter has: one more than its `/` characters. */
export function levelCount(text: string): number {
  let count = 1;
  for (let i = text.indexOf('/'); i !== -1; i = text.indexOf('/', i + 1)) count++;
  return count;
}

/**
 * Section 4.7 as it reads: does `filter` match `topic`? `#` covers its parent level too; a filter
 * that begins with a wildcard matches no topic that begins with `$`. [MQTT-4.7.2-1]
 */
export function matches(filter: TopicFilter, topic: TopicName): boolean {
  if (topic.startsWith('$') && (filter.startsWith('#') || filter.startsWith('+'))) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    if (index >= levels.length) return false;
    if (level !== '+' && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

/**
 * True where every topic that `inner` can match is matched by `outer` too: the rule that grants are
 * compared with. `#` does not cover `$…` here either, so a grant of `#` never opens `$SYS`.
 */
export function covers(outer: TopicFilter, inner: TopicFilter): boolean {
  if (inner.startsWith('$') && (outer.startsWith('#') || outer.startsWith('+'))) return false;
  const wide = outer.split('/');
  const narrow = inner.split('/');
  for (const [index, level] of wide.entries()) {
    if (level === '#') return true;
    const other = narrow[index];
    if (other === undefined) return false;
    if (other === '#') {
      // `#` has one topic more than `+/#`, its parent level; but above `#` and `/#` there is none.
      const parent = narrow.slice(0, index).join('/');
      return parent === '' && level === '+' && wide[index + 1] === '#';
    }
    if (level !== '+' && level !== other) return false;
  }
  return wide.length === narrow.length;
}
