/**
 * User ids in topics. A user topic is `<user><separator><name>`, as in `423144_contact_list`, and the
 * user part is encoded so that the first separator always ends it: no two users' topics can meet,
 * and `1` can never read what belongs to `1_2`.
 *
 * Invariants, each with a property test: encoding is injective; what it gives holds no separator, no
 * wildcard and no control character, and does not begin with `$`; every topic belongs to one user at most.
 */
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import { MAXIMUM_STRING_BYTES, parseTopicName } from '../mqtt/topic.ts';

/** What ends the user part of a user topic. */
export type Separator = '_' | '/';

/**
 * Longest user id, in bytes of UTF-8, issuer prefix included. OpenID Connect Core section 2 allows 255
 * ASCII characters; encoded they are 765 at most, which leaves room in a topic for the name.
 */
export const MAXIMUM_USER_BYTES = 255;

/** `%`, `_`, `/`, `+`, `#`, `$`, C0, DEL and C1: what has a meaning in a topic, or is best not in one. */
const special = /[%_/+#$\p{Cc}]/gu;

/**
 * Percent-encodes what has a meaning in topics, as UTF-8 with uppercase digits; ordinary text comes
 * back unchanged, so `423144` and `auth0|5f7c` look in a topic as they do in the token. The result
 * is a level without wildcards. Undefined for text with half a surrogate pair, which UTF-8 cannot
 * carry: two such texts would meet in the same bytes.
 */
export function encodeLevel(text: string): string | undefined {
  if (!text.isWellFormed()) return undefined;
  return text.replace(special, percentEncoded);
}

function percentEncoded(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x80) return `%${hexByte(code)}`;
  return `%${hexByte(0xc0 | (code >> 6))}%${hexByte(0x80 | (code & 0x3f))}`; // C1 only
}

function hexByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}

/**
 * The user part of a user's topics; undefined where `user` cannot be a user id: empty, not
 * well-formed, longer than `MAXIMUM_USER_BYTES`, or with U+0000, which no string of the protocol can
 * carry, and handlers are told the id as it is. [MQTT-1.5.4-2]
 */
export function encodeUser(user: string): string | undefined {
  if (user.length === 0 || !isWithinBytes(user, MAXIMUM_USER_BYTES)) return undefined;
  if (user.includes('\0')) return undefined;
  return encodeLevel(user);
}

/**
 * The topic that reaches `user`'s devices under `name`; undefined where `user` is no user id, or
 * where the topic would be no Topic Name: `name` empty, with a wildcard, U+0000 or half a surrogate
 * pair in it, or the whole too long.
 */
export function userTopic(user: string, name: string, separator: Separator): TopicName | undefined {
  const encoded = encodeUser(user);
  if (encoded === undefined || name.length === 0 || !name.isWellFormed()) return undefined;
  const topic = `${encoded}${separator}${name}`;
  return isWithinBytes(topic, MAXIMUM_STRING_BYTES) ? parseTopicName(topic) : undefined;
}

/**
 * Whose topic `topic` is, and under which name: what `userTopic` made it of. Undefined where no user's
 * topics can spell it. Whether there is such a user is another question: `app_news` is the `news` of
 * the user `app`.
 */
export function readUserTopic(
  topic: TopicName,
  separator: Separator,
): { readonly user: string; readonly name: string } | undefined {
  const end = topic.indexOf(separator);
  if (end < 1 || end === topic.length - 1) return undefined;
  const encoded = topic.slice(0, end);
  const user = encoded.includes('%') ? decodeLevel(encoded) : encoded;
  // Only one spelling of an id is its own.
  if (user === undefined || encodeUser(user) !== encoded) return undefined;
  return { user, name: topic.slice(end + 1) };
}

function decodeLevel(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether `topic` is one of this user's topics: `<user>`, the separator, and a name.
 * `encodedUser` comes from `encodeUser`; nothing is owned where it is empty.
 */
export function isOwnTopic(
  topic: TopicName | TopicFilter,
  encodedUser: string,
  separator: Separator,
): boolean {
  const length = encodedUser.length;
  return (
    length > 0 &&
    topic.length > length + 1 &&
    topic.charCodeAt(length) === separator.charCodeAt(0) &&
    topic.startsWith(encodedUser)
  );
}

/**
 * Whether every topic that `filter` can match is this user's own. With `_` the first level is spelled
 * out, begins with `<user>_` and goes on from there; with `/` it is the user part, and a level follows.
 * Wildcards in later levels are fine: `1_chat/#` with `_`, `1/#` with `/`.
 *
 * A `#` matches its parent level too, so that `1/#` takes in the bare topic `1`, and `1_/#` takes in
 * `1_`. Both lie in what is this user's alone and neither is a name that is ever sent to; and what a
 * device publishes there, were it a command, stops at the origin rule of `rights.ts`.
 */
export function isOwnFilter(
  filter: TopicFilter,
  encodedUser: string,
  separator: Separator,
): boolean {
  if (!isOwnTopic(filter, encodedUser, separator)) return false;
  if (separator === '/') return true;
  // A wildcard fills its level, so none can follow `<user>_` in the first one of a valid filter; this
  // holds the rule for text that nobody parsed as well.
  const slash = filter.indexOf('/');
  const end = slash === -1 ? filter.length : slash;
  for (let i = encodedUser.length + 1; i < end; i++) {
    const code = filter.charCodeAt(i);
    if (code === 0x23 || code === 0x2b) return false;
  }
  return true;
}

/** Whether `text` takes `maximum` bytes of UTF-8 at most; `text` must be well-formed for an exact answer. */
function isWithinBytes(text: string, maximum: number): boolean {
  if (text.length * 3 <= maximum) return true;
  return text.length <= maximum && new TextEncoder().encode(text).length <= maximum;
}
