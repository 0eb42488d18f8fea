/**
 * The rights property (design section 4): for any set of users, topics and filters, no device ever
 * receives a message whose topic is not its own user topic unless both sides hold an explicit grant;
 * and no device receives what another device said by anything but explicit grants on both sides.
 *
 * The real broker, over users, topics and filters made of what has a meaning in them; with stored
 * sessions, Wills, retained messages, groups, renewed tokens, plugins and commands that come and go.
 * What is allowed is worked out from the words of the design alone.
 */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Identity, Role } from '../../core/auth/rights.ts';
import { encodeUser } from '../../core/auth/user-topic.ts';
import type { Publish } from '../../core/mqtt/packet.ts';
import {
  matches,
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';
import type { TestClient } from '../client.ts';
import { publishPacket, subscribePacket, textOf, will } from '../client.ts';
import { Harness } from '../harness.ts';
import { seed } from '../seed.ts';
import { encodeUserPart } from './rights.ts';

const runs = Number(process.env.RIGHTS_RUNS ?? 1_000);

// What ids, topics and filters are made of: few parts, so that they meet.

const user = fc
  .oneof(
    {
      weight: 5,
      arbitrary: fc.constantFrom('1', '1_2', '2', 'a', 'a/b', 'request', 'get', '%5F', '1%5F2'),
    },
    {
      weight: 3,
      arbitrary: fc.string({
        unit: fc.constantFrom(
          '1',
          '2',
          'a',
          '_',
          '/',
          '+',
          '#',
          '$',
          '%',
          '5F',
          '\0',
          '\u0085',
          '|',
          'é',
        ),
        minLength: 1,
        maxLength: 5,
      }),
    },
  )
  .filter((text) => encodeUser(text) !== undefined);

const separator = fc.constantFrom('_' as const, '/' as const);
const word = fc.constantFrom('list', 'contact', '2_list', 'a', '', '$SYS', 'x', '1');
/** Text that a user might be spelled with, rightly or wrongly. */
const spelled = fc
  .tuple(user, fc.boolean())
  .map(([text, right]) => (right ? encodeUserPart(text) : text));
const prefixed = fc.tuple(spelled, separator, word).map((parts) => parts.join(''));
const level = fc.oneof(
  prefixed,
  spelled,
  word,
  fc.constantFrom('request_contact', 'get_list', 'room'),
);

const topic = fc
  .array(level, { minLength: 1, maxLength: 3 })
  .map((levels) => levels.join('/'))
  .filter((text) => parseTopicName(text) !== undefined)
  .map((text) => text as TopicName);

const filter = fc
  .tuple(
    fc.array(
      fc.oneof({ weight: 4, arbitrary: level }, { weight: 1, arbitrary: fc.constant('+') }),
      {
        maxLength: 3,
      },
    ),
    fc.boolean(),
  )
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  .filter((text) => parseTopicFilter(text) !== undefined)
  .map((text) => text as TopicFilter);

/** A Topic Filter of the world: by number, alone or in a group. */
const request = fc.record({
  filter: fc.nat({ max: 19 }),
  share: fc.constantFrom('', '', '$share/g/', '$share/h/'),
});

// People, grants and acts name topics and filters by number, from the few that a world has.
const grants = fc.record({
  publish: fc.array(fc.nat({ max: 19 }), { maxLength: 3 }),
  subscribe: fc.array(fc.nat({ max: 19 }), { maxLength: 3 }),
  retain: fc.boolean(),
  share: fc.boolean(),
});

const role: fc.Arbitrary<Role> = fc.constantFrom('device', 'device', 'device', 'handler', 'admin');
const person = fc.record({
  user,
  role,
  // Each connection or renewal has one of these.
  grants: fc.array(fc.option(grants, { nil: undefined, freq: 2 }), { minLength: 1, maxLength: 3 }),
  version: fc.constantFrom(3 as const, 4 as const, 5 as const),
});

const who = fc.nat({ max: 5 });
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const kind = <K extends string>(name: K) => fc.constant(name);
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: kind('publish'),
      who,
      topic: fc.nat({ max: 5 }),
      qos,
      retain: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: kind('subscribe'), who, request, qos }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('come'),
      who,
      clean: fc.boolean(),
      lose: fc.boolean(),
      grants: fc.nat({ max: 2 }),
      last: fc.option(fc.nat(), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('renew'), who, grants: fc.nat({ max: 2 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind('plugin'), topic: fc.nat({ max: 5 }), retain: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('handles'),
      filters: fc.array(fc.nat({ max: 19 }), { maxLength: 2 }),
    }),
  },
);

const world = fc.record({
  separator,
  commands: fc.array(fc.nat({ max: 19 }), { maxLength: 2 }),
  people: fc.array(person, { minLength: 2, maxLength: 4, size: 'max' }),
  topics: fc.array(topic, { minLength: 1, maxLength: 2 }),
  filters: fc.array(filter, { minLength: 1, maxLength: 2 }),
  acts: fc.array(act, { minLength: 20, maxLength: 80, size: 'max' }),
});
type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

/** The topics of a world: its own, and two for each of its people. */
function topicsOf({ topics, people, separator: mark }: World): TopicName[] {
  const own = people.flatMap((each) =>
    ['list', 'a/b'].map((name) => `${encodeUserPart(each.user)}${mark}${name}`),
  );
  return [
    ...topics,
    ...own.map((text) => parseTopicName(text)).filter((name) => name !== undefined),
  ];
}

/** The filters of a world: its own, its topics, and its topics with a wildcard for the end. */
function filtersOf(given: World): TopicFilter[] {
  const names: string[] = topicsOf(given);
  const wide = names.flatMap((name) => [`${name}/#`, name.replace(/[^/]*$/, '+')]);
  return [...given.filters, ...(names as TopicFilter[]), ...(wide as TopicFilter[])];
}

/** A connected client and who it is. */
interface Guest {
  client: TestClient;
  identity: Identity;
}

/** Who said a message: undefined for a plugin. */
interface Said {
  readonly identity: Identity | undefined;
  readonly clientIdentifier: string;
}

function granted(
  templates: readonly string[] | undefined,
  identity: Identity,
  clientIdentifier: string,
  name: TopicName,
): boolean {
  return (templates ?? []).some((each) => {
    const filled = each
      .replaceAll('${client}', () => encodeUserPart(clientIdentifier))
      .replaceAll('${user}', () => encodeUserPart(identity.user));
    return matches(filled as TopicFilter, name);
  });
}

/** Why `guest` must not have got `message`; undefined where it may. */
function wrong(
  { client, identity }: Guest,
  message: Publish,
  said: Said,
  mark: '_' | '/',
): string | undefined {
  if (identity.role !== 'device') return undefined;
  const name = message.topic as TopicName;
  if (name.startsWith('$SYS')) return '$SYS for a device';
  const { grants: held } = identity;
  const reads = granted(held?.subscribe, identity, client.clientIdentifier, name);
  const from = said.identity;
  const writes = granted(from?.grants?.publish, from ?? identity, said.clientIdentifier, name);
  if (from?.role === 'device') {
    return reads && writes ? undefined : 'from a device, without a grant on both sides';
  }
  if (reads) return undefined;
  // Its own user topic: from staff, and by the right that a device has without grants.
  // A `#` takes in its parent level: the bare `1_`, or `1` with `/`, which nobody else has a right to.
  const user = encodeUserPart(identity.user);
  const own = name.startsWith(`${user}${mark}`) || (mark === '/' && name === user);
  return own && held === undefined ? undefined : 'not its own user topic, and not granted';
}

const tally = { messages: 0, toDevices: 0, betweenDevices: 0, refused: 0 };

function play(given: World): void {
  const { separator: mark, people, acts } = given;
  const topics = topicsOf(given);
  const filters = filtersOf(given);
  const topicAt = (index: number): TopicName => topics[index % topics.length] as TopicName;
  const filterAt = (index: number): TopicFilter => filters[index % filters.length] as TopicFilter;
  const templates = ['${user}_list', '${user}/#', 'own/${client}/+', '#'];
  const template = (index: number): string =>
    index % 7 === 0 ? (templates[index % templates.length] as string) : filterAt(index);
  const commands = given.commands.map(filterAt);
  const harness = new Harness({ policy: { separator: mark, commands }, durable: false });
  const guests: Guest[] = [];
  const said = new Map<string, () => Said>();
  let count = 0;

  const say = (source: () => Said): string => {
    const payload = `m${++count}`;
    said.set(payload, source);
    return payload;
  };

  /** Reads whatever has come, and answers it. */
  const look = (): void => {
    for (let moved = true; moved; ) {
      moved = false;
      for (const guest of guests) {
        const { client } = guest;
        for (const packet of client.packets()) {
          moved = true;
          if (packet.type === 'suback') {
            tally.refused += packet.reasonCodes.filter((code) => code >= 0x80).length;
          }
          if (packet.type === 'pubrel') client.acknowledge('pubcomp', packet.packetIdentifier);
          if (packet.type !== 'publish') continue;
          const source = said.get(textOf(packet));
          if (source === undefined) throw new Error(`nobody said ${textOf(packet)}`);
          const { identity } = source();
          const problem = wrong(guest, packet, source(), mark);
          if (problem !== undefined) {
            const from = identity === undefined ? 'a plugin' : JSON.stringify(identity);
            const to = JSON.stringify(guest.identity);
            throw new Error(`${problem}: ${JSON.stringify(packet.topic)} from ${from} to ${to}`);
          }
          tally.messages++;
          if (guest.identity.role === 'device') {
            tally.toDevices++;
            if (identity?.role === 'device') tally.betweenDevices++;
          }
          if (client.closed) continue;
          if (packet.qos === 1) client.acknowledge('puback', packet.packetIdentifier);
          if (packet.qos === 2) client.acknowledge('pubrec', packet.packetIdentifier);
        }
      }
    }
  };

  const identityOf = (index: number, which: number): Identity => {
    const { user: name, role: as, grants: may } = people[index] as World['people'][number];
    const some = may[which % may.length];
    const filled = some && {
      ...some,
      publish: some.publish.map(template),
      subscribe: some.subscribe.map(template),
    };
    return { user: name, role: as, grants: filled, expiresAtMs: Infinity };
  };

  const come = (
    index: number,
    which: number,
    clean: boolean,
    last: TopicName | undefined,
  ): void => {
    const { version } = people[index] as World['people'][number];
    const identity = identityOf(index, which);
    // Two people may well be one user, and all use one Client Identifier.
    const client = harness.client('phone', { version, identity });
    const guest: Guest = { client, identity };
    guests[index] = guest;
    const payload = say(() => ({ identity: guest.identity, clientIdentifier: 'phone' }));
    client.send(
      client.connectPacket({
        cleanStart: clean,
        sessionExpiryInterval: clean && version !== 5 ? 0 : 0xffff_ffff,
        will: last === undefined ? undefined : will(last, payload, { qos: 1 }),
      }),
    );
  };

  /** The guest, back again where the broker has ended its connection. */
  const guestAt = (index: number): Guest => {
    const at = index % people.length;
    if (guests[at] === undefined || guests[at].client.closed) come(at, 0, false, undefined);
    look();
    if (guests[at]?.client.closed) come(at, 0, true, undefined); // refused for its Will, perhaps
    look();
    return guests[at] as Guest;
  };

  for (let index = 0; index < people.length; index++) guestAt(index);
  for (const step of acts) {
    switch (step.kind) {
      case 'publish': {
        const { client, identity } = guestAt(step.who);
        if (client.closed) break;
        const payload = say(() => ({ identity, clientIdentifier: 'phone' }));
        const { qos: quality, retain } = step;
        const packetIdentifier = quality === 0 ? 0 : client.nextIdentifier();
        const fields = { qos: quality, retain, packetIdentifier };
        client.send(publishPacket(topicAt(step.topic), payload, fields));
        break;
      }
      case 'subscribe': {
        const { client } = guestAt(step.who);
        if (client.closed) break;
        const packetIdentifier = client.nextIdentifier();
        const { filter: index, share } = step.request;
        const topicFilter = `${share}${filterAt(index)}`;
        const subscription = { topicFilter, maximumQoS: step.qos };
        client.send(subscribePacket([subscription], { packetIdentifier }));
        break;
      }
      case 'come': {
        const { client } = guestAt(step.who);
        if (!client.closed && step.lose) client.lose();
        look();
        const last = step.last === undefined ? undefined : topicAt(step.last);
        come(step.who % people.length, step.grants, step.clean, last);
        break;
      }
      case 'renew': {
        const guest = guestAt(step.who);
        if (guest.client.closed) break;
        const identity = identityOf(step.who % people.length, step.grants);
        const token = harness.accept(identity);
        const packetIdentifier = guest.client.nextIdentifier();
        look(); // what came before came by the old token
        guest.identity = identity;
        guest.client.send(publishPacket('$token', token, { qos: 1, packetIdentifier }));
        break;
      }
      case 'plugin': {
        const payload = say(() => ({ identity: undefined, clientIdentifier: '' }));
        harness.broker.sent(
          {
            topic: topicAt(step.topic),
            payload: new TextEncoder().encode(payload),
            qos: 1,
            retain: step.retain,
            properties: undefined,
            expiresAtMs: Infinity,
            publisher: { user: 'plugin', clientIdentifier: '', device: false },
            reach: 2,
          },
          harness.now,
        );
        break;
      }
      case 'handles':
        harness.handles(...step.filters.map(filterAt));
        break;
      default:
        step satisfies never;
    }
    look();
  }
}

test('no device receives a message whose topic is not its own user topic unless both sides hold an explicit grant', () => {
  fc.assert(fc.property(world, play), { seed, numRuns: runs, includeErrorInReport: true });
  console.info(`${runs} worlds:`, JSON.stringify(tally));
  // The property would hold of a broker that delivers nothing.
  expect(tally.toDevices).toBeGreaterThan(runs / 5);
  expect(tally.betweenDevices).toBeGreaterThan(runs / 20);
  expect(tally.refused).toBeGreaterThan(runs);
}, 120_000);
