/**
 * Section 4 of the design as it reads: who may publish where, and how far it reaches; who may
 * subscribe to what, and how he stands. Deliberately without a look at `core/auth/rights.ts`, and
 * without any cleverness: the model asks it for every message and every receiver.
 */
import type { Grants, Identity, Policy, Standing } from '../../core/auth/rights.ts';
import type { Reach } from '../../core/mqtt/packet.ts';
import { covers, matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';

/** Whether somebody handles a topic now, so that devices may publish to it. */
export type Declares = (topic: TopicName) => boolean;

/** `%`, `_`, `/`, `+`, `#`, `$` and control characters as their bytes in UTF-8, each `%XX`. */
export function encodeUserPart(text: string): string {
  return [...text]
    .map((character) =>
      /[%_/+#$\p{Cc}]/u.test(character)
        ? [...new TextEncoder().encode(character)]
            .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
            .join('')
        : character,
    )
    .join('');
}

function grantsOf(identity: Identity, policy: Policy): Grants | undefined {
  return identity.grants ?? policy.roles[identity.role];
}

function fill(templates: readonly string[], identity: Identity, client: string): TopicFilter[] {
  return templates.map(
    (template) =>
      template
        .split('${user}')
        .map((part) => part.split('${client}').join(encodeUserPart(client)))
        .join(encodeUserPart(identity.user)) as TopicFilter,
  );
}

const isSystem = (text: string) => text === '$SYS' || text.startsWith('$SYS/');

/** How far a message of this client on `topic` reaches; undefined where it may not publish there. */
export function publishReach(
  identity: Identity,
  client: string,
  policy: Policy,
  declares: Declares,
  topic: TopicName,
): Reach | undefined {
  if (isSystem(topic) || topic === '$share' || topic.startsWith('$share/')) return undefined;
  // The command wins: where staff publishes to a declared command, no user-topic right reads it.
  const staff: Reach = declares(topic) ? 1 : 2;
  const grants = grantsOf(identity, policy);
  if (grants !== undefined) {
    const granted = fill(grants.publish, identity, client).some((each) => matches(each, topic));
    if (!granted) return undefined;
    return identity.role === 'device' ? 1 : staff;
  }
  switch (identity.role) {
    case 'device':
      return declares(topic) ? 0 : undefined;
    case 'handler':
      return topic.startsWith('$') ? undefined : staff;
    case 'admin':
      return staff;
    default:
      return identity.role satisfies never;
  }
}

/** By which standing this client may subscribe to `filter`; undefined where it may not. */
export function subscribeStanding(
  identity: Identity,
  client: string,
  policy: Policy,
  filter: TopicFilter,
  shared: boolean,
): Standing | undefined {
  if (identity.role !== 'admin' && isSystem(filter)) return undefined;
  const grants = grantsOf(identity, policy);
  if (grants !== undefined) {
    if (shared && !grants.share) return undefined;
    const granted = fill(grants.subscribe, identity, client).some((each) => covers(each, filter));
    if (!granted) return undefined;
    return identity.role === 'device' ? 1 : 0;
  }
  if (identity.role !== 'device') return 0;
  if (shared) return undefined;
  return isOwn(identity, policy, filter) ? 2 : undefined;
}

/** Whether a message that waits for this client may be handed to it. */
export function mayReceive(
  identity: Identity,
  client: string,
  policy: Policy,
  topic: TopicName,
  reach: Reach,
): boolean {
  // A shared subscription and a plain one read the same topics.
  const standing = subscribeStanding(
    identity,
    client,
    policy,
    topic as string as TopicFilter,
    false,
  );
  return standing !== undefined && standing <= reach;
}

/** Whether RETAIN has an effect on what this client publishes. */
export function mayRetain(identity: Identity, policy: Policy): boolean {
  return grantsOf(identity, policy)?.retain ?? identity.role !== 'device';
}

/** `<user>_<name>`, and with the separator `/` also `<user>/#`: nothing else is a device's own. */
function isOwn(identity: Identity, policy: Policy, filter: TopicFilter): boolean {
  const prefix = `${encodeUserPart(identity.user)}${policy.separator}`;
  return filter.startsWith(prefix) && filter.length > prefix.length;
}
