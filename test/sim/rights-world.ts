/**
 * Worlds for the rights property: users, topics and filters made of what has a meaning in them, and
 * what people with few or many grants do.
 */
import fc from 'fast-check';
import type { Role } from '../../core/auth/rights.ts';
import { encodeUser } from '../../core/auth/user-topic.ts';
import {
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';
import { encodeUserPart } from './rights.ts';

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

/** What happens, and among whom. */
export const world = fc.record({
  separator,
  commands: fc.array(fc.nat({ max: 19 }), { maxLength: 2 }),
  people: fc.array(person, { minLength: 2, maxLength: 4, size: 'max' }),
  topics: fc.array(topic, { minLength: 1, maxLength: 2 }),
  filters: fc.array(filter, { minLength: 1, maxLength: 2 }),
  acts: fc.array(act, { minLength: 20, maxLength: 80, size: 'max' }),
});
export type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

/** The topics of a world: its own, and two for each of its people. */
export function topicsOf({ topics, people, separator: mark }: World): TopicName[] {
  const own = people.flatMap((each) =>
    ['list', 'a/b'].map((name) => `${encodeUserPart(each.user)}${mark}${name}`),
  );
  return [
    ...topics,
    ...own.map((text) => parseTopicName(text)).filter((name) => name !== undefined),
  ];
}

/** The filters of a world: its own, its topics, and its topics with a wildcard for the end. */
export function filtersOf(given: World): TopicFilter[] {
  const names: string[] = topicsOf(given);
  const wide = names.flatMap((name) => [`${name}/#`, name.replace(/[^/]*$/, '+')]);
  return [...given.filters, ...(names as TopicFilter[]), ...(wide as TopicFilter[])];
}
