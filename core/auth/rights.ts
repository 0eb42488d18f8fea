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
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';

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
  readonly separator: '_' | '/';
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
