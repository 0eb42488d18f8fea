import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  encodeLevel,
  encodeUser,
  isOwnFilter,
  isOwnTopic,
  MAXIMUM_USER_BYTES,
  readUserTopic,
  type Separator,
  userTopic,
} from '../../core/auth/user-topic.ts';
import {
  matches,
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';
import { seed } from '../seed.ts';
import { distinctUsers, filters, separators, topics, topicUnder, users } from './generators.ts';

fc.configureGlobal({ seed });

const encoded = (user: string) => encodeUser(user) as string;

/** What is this user's alone: what is sent to, and the bare prefix that a `#` takes in as its parent. */
function isIn(topic: string, user: string, separator: Separator): boolean {
  const prefix = encoded(user);
  return topic.startsWith(`${prefix}${separator}`) || (separator === '/' && topic === prefix);
}

describe('a user id in topics', () => {
  test.each([
    ['423144', '423144'],
    ['auth0|5f7c6ec8c9a1b2006f8e3d21', 'auth0|5f7c6ec8c9a1b2006f8e3d21'],
    ['google-oauth2|1@clients', 'google-oauth2|1@clients'],
    ['Zoë 😀', 'Zoë 😀'],
    ['1_2', '1%5F2'],
    ['a/b', 'a%2Fb'],
    ['+', '%2B'],
    ['#', '%23'],
    ['$SYS', '%24SYS'],
    ['100%', '100%25'],
    ['%5F', '%255F'],
    ['a\u0001b', 'a%01b'],
    ['\u001f\u007f', '%1F%7F'],
    ['\u0080\u009f', '%C2%80%C2%9F'],
    ['\u00a0', '\u00a0'],
  ])('%j is spelled %j', (user, spelled) => {
    expect(encodeUser(user)).toBe(spelled);
  });

  test.each([
    ['the empty id', ''],
    ['U+0000, which no string of the protocol can carry', 'a\0b'],
    ['half a surrogate pair', '\ud800'],
    ['the other half', 'a\udc00b'],
    ['one byte too many', 'x'.repeat(MAXIMUM_USER_BYTES + 1)],
    ['too many bytes in few characters', '😀'.repeat(64)],
  ])('%s is refused', (_, user) => {
    expect(encodeUser(user)).toBeUndefined();
    expect(userTopic(user, 'name', '_')).toBeUndefined();
  });

  test('of 255 bytes is taken, whatever they are', () => {
    expect(encodeUser('_'.repeat(255))).toBe('%5F'.repeat(255));
    expect(encodeUser(`${'😀'.repeat(63)}abc`)).toHaveLength(129);
  });

  test('is encoded injectively, and decodes to itself', () => {
    fc.assert(
      fc.property(users, (user) => {
        expect(decodeURIComponent(encoded(user))).toBe(user);
      }),
    );
    fc.assert(
      fc.property(distinctUsers, ([one, other]) => {
        expect(encoded(one)).not.toBe(encoded(other));
      }),
    );
  });

  test('holds nothing that has a meaning in a topic', () => {
    fc.assert(
      fc.property(users, (user) => {
        expect(encoded(user)).not.toMatch(/[_/+#$\p{Cc}]/u);
      }),
    );
  });

  test('the Client Identifier is encoded the same way, and may be as long as it likes', () => {
    expect(encodeLevel('+/#')).toBe('%2B%2F%23');
    expect(encodeLevel('_'.repeat(1000))).toBe('%5F'.repeat(1000));
    expect(encodeLevel('\ud800')).toBeUndefined();
  });
});

describe('a user topic', () => {
  test.each([
    ['423144', 'contact_list', '_', '423144_contact_list'],
    ['423144', 'contact_list', '/', '423144/contact_list'],
    ['1_2', 'x', '_', '1%5F2_x'],
    ['1', '2_x', '_', '1_2_x'],
    ['1', 'chat/7', '_', '1_chat/7'],
  ] as const)('of %j under %j with %j is %j', (user, name, separator, topic) => {
    expect(userTopic(user, name, separator)).toBe(topic as TopicName);
  });

  test.each(['', '+', 'a/#', 'a\0', '\ud800', 'x'.repeat(65_534)])(
    'is none under a name that makes no Topic Name (case %#)',
    (name) => {
      expect(userTopic('1', name, '_')).toBeUndefined();
      expect(userTopic('1', name, '/')).toBeUndefined();
    },
  );

  test('is its own user’s, and nobody else’s', () => {
    fc.assert(
      fc.property(distinctUsers, topics, separators, ([one, other], name, separator) => {
        const topic = userTopic(one, name, separator) as TopicName;
        expect(isOwnTopic(topic, encoded(one), separator)).toBe(true);
        expect(isOwnTopic(topic, encoded(other), separator)).toBe(false);
      }),
    );
  });
});

describe('a filter on own topics', () => {
  test.each([
    ['1_x', '_', true],
    ['1_x/#', '_', true],
    ['1_x/+/y', '_', true],
    ['1_/#', '_', true],
    ['1_2_x', '_', true],
    ['1', '_', false],
    ['1_', '_', false],
    ['1/x', '_', false],
    ['12_x', '_', false],
    ['1%5F2_x', '_', false],
    ['#', '_', false],
    ['+', '_', false],
    ['+/x', '_', false],
    ['/1_x', '_', false],
    ['$SYS/#', '_', false],
    ['1/#', '/', true],
    ['1/+', '/', true],
    ['1/x/#', '/', true],
    ['1', '/', false],
    ['1_x', '/', false],
    ['12/#', '/', false],
    ['+/x', '/', false],
    ['#', '/', false],
  ] as const)('user 1 on %j with separator %j: %j', (text, separator, own) => {
    expect(isOwnFilter(parseTopicFilter(text) as TopicFilter, '1', separator)).toBe(own);
  });

  test.each(['1_+', '1_#', '1_a+', '1_a#/x'])('%j is none, even if nobody parsed it', (text) => {
    expect(parseTopicFilter(text)).toBeUndefined();
    expect(isOwnFilter(text as TopicFilter, '1', '_')).toBe(false);
  });

  test('is nobody’s where the user part is empty', () => {
    expect(isOwnFilter('_x' as TopicFilter, '', '_')).toBe(false);
    expect(isOwnFilter('/x' as TopicFilter, '', '/')).toBe(false);
  });

  /** Filters that begin as the user's own do, or nearly. */
  const nearlyOwn = fc
    .tuple(distinctUsers, fc.constantFrom('_', '/', '', '%5F'), filters, separators)
    .map(([[one, other], joint, rest, separator]) => ({
      one,
      other,
      separator,
      filter: parseTopicFilter(`${encoded(one)}${joint}${rest}`),
    }));

  test('matches nothing that is not that user’s', () => {
    let own = 0;
    fc.assert(
      fc.property(
        nearlyOwn,
        topics,
        fc.array(fc.string({ maxLength: 3 })),
        (drawn, topic, fill) => {
          const { one, other, separator, filter } = drawn;
          if (filter === undefined || !isOwnFilter(filter, encoded(one), separator)) return;
          own++;
          const under = parseTopicName(topicUnder(filter, fill));
          for (const candidate of under === undefined ? [topic] : [topic, under]) {
            if (!matches(filter, candidate)) continue;
            expect(isIn(candidate, one, separator)).toBe(true);
            expect(isIn(candidate, other, separator)).toBe(false);
          }
        },
      ),
      { numRuns: 2_000 },
    );
    expect(own).toBeGreaterThan(300);
  });

  test('is never another user’s as well', () => {
    fc.assert(
      fc.property(nearlyOwn, ({ one, other, separator, filter }) => {
        if (filter === undefined) return;
        const both =
          isOwnFilter(filter, encoded(one), separator) &&
          isOwnFilter(filter, encoded(other), separator);
        expect(both).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test('with _, matches own topics and at most the bare prefix beside them', () => {
    fc.assert(
      fc.property(users, filters, fc.array(fc.string({ maxLength: 3 })), (user, rest, fill) => {
        const filter = parseTopicFilter(`${encoded(user)}_${rest}`);
        if (filter === undefined) return;
        const topic = parseTopicName(topicUnder(filter, fill));
        if (topic === undefined || !matches(filter, topic)) return;
        expect(topic === `${encoded(user)}_` || isOwnTopic(topic, encoded(user), '_')).toBe(true);
      }),
    );
  });
});

describe('whose topic it is', () => {
  test('is read back from what a user and a name make', () => {
    fc.assert(
      fc.property(users, topics, separators, (user, name, separator) => {
        const topic = userTopic(user, name, separator);
        if (topic !== undefined) expect(readUserTopic(topic, separator)).toEqual({ user, name });
      }),
    );
  });

  test('of any topic is nobody, or the one user whose own it is', () => {
    fc.assert(
      fc.property(topics, separators, (topic, separator) => {
        const read = readUserTopic(topic, separator);
        if (read === undefined) return;
        expect(userTopic(read.user, read.name, separator)).toBe(topic);
        expect(isOwnTopic(topic, encoded(read.user), separator)).toBe(true);
      }),
    );
  });

  test.each(['news', '_news', '1_', '$1_x', '%31_x', '1%5f2_x', '1%_x', '%FF_x', 'a/b_x', '%00_x'])(
    'of %s nobody',
    (topic) => expect(readUserTopic(topic as TopicName, '_')).toBeUndefined(),
  );
});
