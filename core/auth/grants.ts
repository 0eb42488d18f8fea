/**
 * A granted Topic Filter as it is written, where `${user}` and `${client}` stand for who holds it.
 * Both are percent-encoded as in user topics, so that a `+`, `#` or `/` in a user id or a Client
 * Identifier stays text and widens nothing: the class of CVE-2017-7650.
 */
import { parseTopicFilter, type TopicFilter } from '../mqtt/topic.ts';
import { encodeLevel, encodeUser } from './user-topic.ts';

const userPlaceholder = `\${user}`;
const clientPlaceholder = `\${client}`;

/**
 * Says what is wrong with a granted filter; undefined where nothing is. The answer needs neither
 * user nor client: what takes their places is always part of a level and never a wildcard.
 */
export function grantProblem(template: string): string | undefined {
  const filled = template.replaceAll(userPlaceholder, 'x').replaceAll(clientPlaceholder, 'x');
  if (filled.includes('${')) return `only \${user} and \${client} are replaced`;
  if (filled.startsWith('$share/')) return 'a grant names the filter without $share/<group>/';
  if (!filled.isWellFormed() || parseTopicFilter(filled) === undefined) return 'no Topic Filter';
  return undefined;
}

/**
 * The filter that `template` grants to this user's client; undefined where it grants nothing:
 * `grantProblem` objects to it, or an id that it names is none.
 */
export function fillGrant(
  template: string,
  user: string,
  clientIdentifier: string,
): TopicFilter | undefined {
  if (grantProblem(template) !== undefined) return undefined;
  let filled = template;
  if (filled.includes(userPlaceholder)) {
    const encodedUser = encodeUser(user);
    if (encodedUser === undefined) return undefined;
    filled = filled.replaceAll(userPlaceholder, () => encodedUser);
  }
  // What was filled in holds no `$` any more, and so no second placeholder.
  if (filled.includes(clientPlaceholder)) {
    const encodedClient = encodeLevel(clientIdentifier);
    if (encodedClient === undefined || encodedClient.length === 0) return undefined;
    filled = filled.replaceAll(clientPlaceholder, () => encodedClient);
  }
  return parseTopicFilter(filled);
}

/**
 * `$SYS` and all below it, as a filter or a topic: it stays with admins, whatever is granted. Only
 * filters that spell it out reach it, for a wildcard in the first level matches no `$…`. [MQTT-4.7.2-1]
 */
export function isSystemFilter(filter: string): boolean {
  return filter === '$SYS' || filter.startsWith('$SYS/');
}
