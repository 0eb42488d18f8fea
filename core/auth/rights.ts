/**
 * Who may say what to whom: role, grants and declared commands, compiled once per CONNECT into plain
 * decision functions. Default deny.
 *
 * The origin rule, which every path that carries a message obeys: a message has a Reach, decided
 * when it is published; a subscription has a Standing, decided when it is made; the message is
 * delivered only where `standing <= reach`. So what a device published by its default right goes to
 * staff alone, whatever a user id happens to spell.
 */
import type { Reach } from '../mqtt/packet.ts';
import { covers, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import type { DeclaredCommands } from './commands.ts';
import { matchesSplit, type SplitFilter, splitFilter } from './filter-levels.ts';
import { fillGrant, isSystemFilter } from './grants.ts';
import { encodeUser, isOwnFilter, isOwnTopic, type Separator } from './user-topic.ts';

/** Where a token is published to renew it; never routed, stored or logged. */
export const TOKEN_TOPIC = '$token';

export type Role = 'device' | 'handler' | 'admin';

/** The right by which a subscription stands: 0 staff (handler or admin), 1 an explicit grant, 2 own user topics. */
export type Standing = 0 | 1 | 2;

/** Explicit grants, from a token's `acl` claim or the policy file; filters before `${user}` and `${client}` are replaced. */
export interface Grants {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Whether RETAIN may be set on what is granted. */
  readonly retain: boolean;
  /** Whether a granted filter may be held as a Shared Subscription. */
  readonly share: boolean;
}

/** What a verified token says. */
export interface Identity {
  /** The user id, prefixed where its issuer has a prefix; never empty. */
  readonly user: string;
  readonly role: Role;
  /** Milliseconds since the epoch; Infinity where tokens without `exp` are allowed and this has none. */
  readonly expiresAtMs: number;
  /** From the token's acl claim; undefined where it has none. */
  readonly grants: Grants | undefined;
}

/** What the policy file says. */
export interface Policy {
  /** Declared commands beside those of plugins and remote handlers. */
  readonly commands: readonly TopicFilter[];
  /** Grants that replace a role's default rights. */
  readonly roles: { readonly [role in Role]?: Grants };
  /** What ends the user part of a user topic. */
  readonly separator: Separator;
}

/** The decisions for one connection. */
export interface Rights {
  readonly role: Role;
  /** Whether RETAIN has an effect on what this client publishes. */
  readonly mayRetain: boolean;
  /** How far a message of this client on `topic` reaches; undefined where it may not publish there. */
  mayPublish(topic: TopicName): Reach | undefined;
  /** By which standing this client may subscribe to `filter`; undefined where it may not. */
  maySubscribe(filter: TopicFilter, shared: boolean): Standing | undefined;
  /** Whether a message that waits for this client may still be handed to it, as after a resume with another token. */
  mayReceive(topic: TopicName, reach: Reach): boolean;
}

/**
 * Compiles what `identity` may do as `clientIdentifier`: the grants of its token, else those of the
 * policy for its role, else the role's defaults. `commands` is consulted at each decision, so that
 * what is declared later counts at once.
 */
export function compileRights(
  identity: Identity,
  clientIdentifier: string,
  policy: Policy,
  commands: DeclaredCommands,
): Rights {
  const encodedUser = encodeUser(identity.user);
  if (encodedUser === undefined) throw new Error('an identity without a usable user id');
  const grants = identity.grants ?? policy.roles[identity.role];
  if (grants !== undefined) return new GrantedRights(identity, clientIdentifier, grants, commands);
  if (identity.role === 'device') return new DeviceRights(encodedUser, policy.separator, commands);
  return new StaffRights(identity.role, commands);
}

/**
 * How far a message of staff (a handler, an admin, a plugin in this process) reaches: not through a
 * device's right to its own topics where `topic` is a declared command, since the command wins.
 */
export function staffReach(topic: TopicName, commands: DeclaredCommands): Reach {
  return commands.declares(topic) ? 1 : 2;
}

/** A device without explicit grants: publishes declared commands, subscribes to its own user topics. */
class DeviceRights implements Rights {
  readonly #encodedUser: string;
  readonly #separator: Separator;
  readonly #commands: DeclaredCommands;

  constructor(encodedUser: string, separator: Separator, commands: DeclaredCommands) {
    this.#encodedUser = encodedUser;
    this.#separator = separator;
    this.#commands = commands;
  }

  get role(): 'device' {
    return 'device';
  }

  get mayRetain(): boolean {
    return false;
  }

  mayPublish(topic: TopicName): Reach | undefined {
    return this.#commands.declares(topic) ? 0 : undefined;
  }

  maySubscribe(filter: TopicFilter, shared: boolean): Standing | undefined {
    return !shared && isOwnFilter(filter, this.#encodedUser, this.#separator) ? 2 : undefined;
  }

  mayReceive(topic: TopicName, reach: Reach): boolean {
    return reach === 2 && isOwnTopic(topic, this.#encodedUser, this.#separator);
  }
}

/** A handler or an admin without explicit grants. */
class StaffRights implements Rights {
  readonly role: 'handler' | 'admin';
  readonly #commands: DeclaredCommands;

  constructor(role: 'handler' | 'admin', commands: DeclaredCommands) {
    this.role = role;
    this.#commands = commands;
  }

  get mayRetain(): boolean {
    return true;
  }

  mayPublish(topic: TopicName): Reach | undefined {
    if (topic.charCodeAt(0) === 0x24 && (this.role === 'handler' || isReserved(topic))) {
      return undefined;
    }
    return staffReach(topic, this.#commands);
  }

  maySubscribe(filter: TopicFilter, _shared: boolean): Standing | undefined {
    return this.role === 'admin' || !isSystemFilter(filter) ? 0 : undefined;
  }

  mayReceive(topic: TopicName, _reach: Reach): boolean {
    return this.role === 'admin' || !isSystemFilter(topic);
  }
}

/** Explicit grants, in place of what the role has by default. */
class GrantedRights implements Rights {
  readonly role: Role;
  readonly mayRetain: boolean;
  readonly #mayShare: boolean;
  readonly #publish: readonly SplitFilter[];
  readonly #subscribe: readonly SplitFilter[];
  readonly #commands: DeclaredCommands;

  constructor(
    identity: Identity,
    clientIdentifier: string,
    grants: Grants,
    commands: DeclaredCommands,
  ) {
    this.role = identity.role;
    this.mayRetain = grants.retain;
    this.#mayShare = grants.share;
    this.#publish = fill(grants.publish, identity.user, clientIdentifier);
    this.#subscribe = fill(grants.subscribe, identity.user, clientIdentifier);
    this.#commands = commands;
  }

  mayPublish(topic: TopicName): Reach | undefined {
    if (topic.charCodeAt(0) === 0x24 && isReserved(topic)) return undefined;
    if (!matchesAny(this.#publish, topic)) return undefined;
    return this.role === 'device' ? 1 : staffReach(topic, this.#commands);
  }

  maySubscribe(filter: TopicFilter, shared: boolean): Standing | undefined {
    if (shared && !this.#mayShare) return undefined;
    if (this.role !== 'admin' && isSystemFilter(filter)) return undefined;
    if (!this.#subscribe.some((granted) => covers(granted.filter, filter))) return undefined;
    return this.role === 'device' ? 1 : 0;
  }

  mayReceive(topic: TopicName, reach: Reach): boolean {
    if (this.role === 'device' && reach < 1) return false;
    if (this.role !== 'admin' && isSystemFilter(topic)) return false;
    return matchesAny(this.#subscribe, topic);
  }
}

/**
 * What nobody publishes, admins included: `$SYS` and `$hook/…` are the broker's own, `$share/…` is never a
 * topic, and `$token` takes tokens before any right is asked, so that what is left, a Will, would be routed.
 */
function isReserved(topic: TopicName): boolean {
  return (
    isSystemFilter(topic) ||
    topic === TOKEN_TOPIC ||
    topic === '$hook' ||
    topic.startsWith('$hook/') ||
    topic === '$share' ||
    topic.startsWith('$share/')
  );
}

function fill(
  templates: readonly string[],
  user: string,
  clientIdentifier: string,
): readonly SplitFilter[] {
  const filled: SplitFilter[] = [];
  for (const template of templates) {
    const filter = fillGrant(template, user, clientIdentifier);
    if (filter !== undefined) filled.push(splitFilter(filter));
  }
  return filled;
}

function matchesAny(filters: readonly SplitFilter[], topic: TopicName): boolean {
  for (let index = 0; index < filters.length; index++) {
    if (matchesSplit(filters[index] as SplitFilter, topic)) return true;
  }
  return false;
}
