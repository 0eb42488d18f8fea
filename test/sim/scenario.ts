/** Who and what takes part in a simulated run: people and their tokens, clients, topics, limits. */
import type { Grants, Identity, Policy, Role } from '../../core/auth/rights.ts';
import type { Separator } from '../../core/auth/user-topic.ts';
import { defaultLimits, type Limits } from '../../core/broker/limits.ts';
import type { ProtocolVersion } from '../../core/mqtt/packet.ts';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import type { Random } from './random.ts';
import { encodeUserPart } from './rights.ts';

export interface Person {
  readonly user: string;
  readonly role: Role;
  /** What a token may grant; the first is the usual one. */
  readonly grants: readonly (Grants | undefined)[];
}

const rooms: Grants = {
  publish: ['room/#', 'get_list', 'own/${user}/${client}'],
  subscribe: ['room/#', 'own/+/+', '${user}_list'],
  retain: true,
  share: true,
};
const oneRoom: Grants = {
  publish: ['room/1', 'room/2'],
  subscribe: ['room/1', 'room/+'],
  retain: false,
  share: false,
};
const nothing: Grants = { publish: [], subscribe: [], retain: false, share: false };

export const people: readonly Person[] = [
  { user: '1', role: 'device', grants: [undefined, undefined, nothing] },
  { user: '1_2', role: 'device', grants: [undefined] },
  { user: 'request', role: 'device', grants: [undefined, rooms] },
  { user: 'ann', role: 'device', grants: [rooms, undefined, oneRoom] },
  { user: 'bob', role: 'device', grants: [rooms, oneRoom] },
  { user: 'serve', role: 'handler', grants: [undefined] },
  { user: 'audit', role: 'handler', grants: [undefined, rooms] },
  { user: 'root', role: 'admin', grants: [undefined] },
];

const names = ['list', 'chat/a', '2_list'];
const userTopics = people
  .slice(0, 4)
  .flatMap(({ user }) => names.map((name) => `${encodeUserPart(user)}_${name}`));
export const commands = ['request_contact', 'get_list', 'job/run', 'job/stop'];
const roomTopics = ['room/1', 'room/2', 'room/1/x', 'own/ann/c1'];

export const topics: readonly string[] = [...userTopics, ...commands, ...roomTopics, 'misc', 'ann'];

const wildcards = [
  '#',
  '+',
  'room/#',
  'room/+',
  '+/1',
  '+/+',
  'job/+',
  'job/#',
  '1_chat/#',
  '1_chat/+',
  '1/#',
  'ann/+',
];
const sharedFilters = ['room/#', 'room/1', 'request_contact', 'job/+', 'get_list', '1_list', '#'];

const systemFilters = ['$SYS/#', '$SYS/broker/+', '$SYS/broker/clients/+', '+/broker/version'];

export const filters: readonly string[] = [
  ...topics,
  ...wildcards,
  ...systemFilters,
  ...sharedFilters.flatMap((filter) => [`$share/g/${filter}`, `$share/h/${filter}`]),
];

const ownTopic = new RegExp(
  `^(\\$share/[gh]/)?(${people.map(({ user }) => encodeUserPart(user)).join('|')})_(?!contact$)`,
);

/** A topic or filter of the lists above as it is with `separator`: `1/list` in place of `1_list`. */
export function respell(text: string, separator: Separator): string {
  return commands.includes(text) ? text : text.replace(ownTopic, `$1$2${separator}`);
}

/** Topics and filters that `person` has some use for, so that runs do not consist of refusals. */
export function likely(
  person: Person,
  random: Random,
  separator: Separator,
): { topic: string; filter: string } {
  const part = encodeUserPart(person.user);
  const own = `${part}_`;
  const whole = separator === '/' ? [`${part}/#`, `${part}/+`, part] : [];
  switch (person.role) {
    case 'device': {
      const granted = person.grants[0] !== undefined;
      return {
        topic: random.pick(granted ? roomTopics : [...commands, 'room/1', 'room/2']),
        filter: random.pick(
          granted
            ? ['room/#', 'room/1', 'room/+', '$share/g/room/#', '$share/g/room/1', `${own}list`]
            : [`${own}list`, `${own}chat/#`, `${own}2_list`, `${own}chat/a`, ...whole],
        ),
      };
    }
    case 'handler':
      return {
        topic: random.pick([...userTopics, ...roomTopics]),
        filter: random.pick([...commands, ...sharedFilters.map((filter) => `$share/g/${filter}`)]),
      };
    case 'admin':
      return {
        topic: random.pick(topics),
        filter: random.pick(random.chance(0.3) ? systemFilters : [...wildcards, ...commands]),
      };
    default:
      return person.role satisfies never;
  }
}

export interface ClientPlan {
  readonly person: Person;
  readonly clientIdentifier: string;
  readonly version: ProtocolVersion;
  /** The one Shared Subscription of a 3.x client, which then has no others; undefined where it has none. */
  readonly sharedFilter: string | undefined;
}

export interface Scenario {
  readonly clients: readonly ClientPlan[];
  readonly limits: Limits;
  readonly policy: Policy;
}

export function makeScenario(random: Random): Scenario {
  const cast = people.filter(() => random.chance(0.6));
  if (cast.length < 2) cast.splice(0, 2, people[3] as Person, people[5] as Person);
  const clients: ClientPlan[] = [];
  for (const person of cast) {
    for (let i = random.between(1, 2); i > 0; i--) {
      // Different users use the same Client Identifiers.
      const clientIdentifier = `c${i}`;
      const version = random.pick([3, 4, 5, 5, 5] as const);
      const shares = version !== 5 && random.chance(0.3);
      const sharedFilter = shares ? `$share/g/${random.pick(sharedFilters)}` : undefined;
      clients.push({ person, clientIdentifier, version, sharedFilter });
    }
  }
  // With a room declared, what reaches staff alone meets groups that devices are members of.
  const declared = [...commands.slice(0, 3), ...(random.chance(0.4) ? ['room/1', 'room/2'] : [])];
  const roles = random.chance(0.2) ? { device: oneRoom } : {};
  return {
    clients,
    policy: {
      commands: declared as TopicFilter[],
      roles,
      separator: random.chance(0.25) ? '/' : '_',
    },
    limits: {
      ...defaultLimits,
      connectTimeoutMs: 10_000,
      receiveMaximum: random.pick([2, 5, 1_000]),
      maximumInflight: random.pick([3, 1_000]),
      queuedMessages: random.chance(0.2) ? random.between(1, 6) : 10_000,
      queuePolicy: random.pick(['drop-oldest', 'drop-newest'] as const),
      outboundBytes: random.chance(0.5) ? random.between(500, 4_000) : 1_000_000,
      slowReader: random.pick(['disconnect', 'slow-publishers'] as const),
      slowReaderTimeoutMs: 5_000,
      topicAliasMaximum: random.pick([0, 2, 10]),
      outboundTopicAliases: random.pick([0, 2, 10]),
      maximumSessionExpirySeconds: 24 * 3600,
      legacyRefusal: random.pick(['acknowledge', 'acknowledge', 'close'] as const),
      sysIntervalSeconds: random.chance(0.4) ? random.pick([10, 60]) : 0,
    },
  };
}

/** Identities in the world of a run: what tokens stand for. */
export function identityOf(
  person: Person,
  grants: Grants | undefined,
  expiresAtMs: number,
): Identity {
  return { user: person.user, role: person.role, grants, expiresAtMs };
}
