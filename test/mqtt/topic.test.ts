import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import fc from 'fast-check';
import {
  covers,
  hasWildcard,
  levelCount,
  matches,
  parseFilterRequest,
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';
import { filters, topics } from '../routing/topics.ts';
import { patienceMs, runs, seed } from '../seed.ts';

setDefaultTimeout(patienceMs);

const filter = (text: string) => text as TopicFilter;
const topic = (text: string) => text as TopicName;

describe('reading', () => {
  const names: readonly [string, boolean][] = [
    ['a', true],
    ['a/b', true],
    ['/', true],
    ['//', true],
    ['a b', true],
    ['$SYS/x', true],
    ['é/🚀', true],
    ['', false],
    ['a/+', false],
    ['#', false],
    ['a#b', false],
    ['a\0', false],
  ];
  test.each(names)(
    '[MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2] %j as a Topic Name',
    (text, sound) => {
      expect(parseTopicName(text)).toBe(sound ? topic(text) : undefined);
    },
  );

  const filterTexts: readonly [string, boolean][] = [
    ['a', true],
    ['#', true],
    ['+', true],
    ['/', true],
    ['+/+', true],
    ['/+', true],
    ['a/#', true],
    ['+/#', true],
    ['$SYS/#', true],
    ['', false],
    ['a#', false],
    ['#/', false],
    ['#/a', false],
    ['a/#/b', false],
    ['##', false],
    ['a+', false],
    ['+a/b', false],
    ['++', false],
    ['a/b+/c', false],
    ['a/+\0', false],
  ];
  test.each(filterTexts)(
    '[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] %j as a Topic Filter',
    (text, sound) => {
      expect(parseTopicFilter(text)).toBe(sound ? filter(text) : undefined);
    },
  );

  const requests: readonly [string, string | undefined, string | undefined][] = [
    ['a/+', 'a/+', undefined],
    ['$share/g/a', 'a', 'g'],
    ['$share/g/#', '#', 'g'],
    ['$share/g//a', '/a', 'g'],
    ['$share/g/$SYS/#', '$SYS/#', 'g'],
    ['$SHARE/g/a', '$SHARE/g/a', undefined],
    ['$shared/g', '$shared/g', undefined],
    ['$share', '$share', undefined],
    ['$share/', undefined, undefined],
    ['$share/g', undefined, undefined],
    ['$share/g/', undefined, undefined],
    ['$share//a', undefined, undefined],
    ['$share/+/a', undefined, undefined],
    ['$share/g#/a', undefined, undefined],
    ['$share/g/a#', undefined, undefined],
  ];
  test.each(requests)(
    '[MQTT-4.8.2-1] [MQTT-4.8.2-2] %j names filter %j in group %j',
    (text, wanted, shareName) => {
      const request = parseFilterRequest(text);
      expect(request).toEqual(
        wanted === undefined ? undefined : { filter: filter(wanted), shareName },
      );
    },
  );

  test('levels and wildcards are counted as section 4.7 has them', () => {
    expect(['a', '/', 'a/b/', '//'].map(levelCount)).toEqual([1, 2, 3, 3]);
    expect(['a', 'a/+', '#', '$a/b'].map((text) => hasWildcard(filter(text)))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

describe('matching', () => {
  const examples: readonly [string, string, boolean][] = [
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/uptime', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/uptime', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['a', 'A', false],
    ['a/', 'a', false],
  ];
  test.each(examples)('[MQTT-4.7.2-1] %j and %j', (wide, name, expected) => {
    expect(matches(filter(wide), topic(name))).toBe(expected);
  });
});

describe('covering', () => {
  /** Every topic of up to four levels of few words, one of them in no filter. */
  const words = ['', 'a', 'b', '$a', 'zz'];
  const all: TopicName[] = [];
  let level: string[][] = [[]];
  for (let depth = 1; depth <= 4; depth++) {
    level = level.flatMap((path) => words.map((word) => [...path, word]));
    all.push(
      ...level
        .map((path) => path.join('/'))
        .filter((name) => name !== '')
        .map(topic),
    );
  }
  const filterWords = fc.constantFrom('', 'a', 'b', '$a', '+');
  const small = fc
    .tuple(fc.array(filterWords, { maxLength: 3 }), fc.boolean())
    .map(([levels, hash]) => (hash ? [...levels, '#'] : levels).join('/'))
    .filter((text) => text.length > 0)
    .map(filter);

  test('one filter covers another just where it matches every topic that the other matches', () => {
    fc.assert(
      fc.property(small, small, (outer, inner) => {
        const wider = all.every((name) => !matches(inner, name) || matches(outer, name));
        expect([outer, inner, covers(outer, inner)]).toEqual([outer, inner, wider]);
      }),
      { seed, numRuns: runs(1_500) },
    );
  });

  test('of a name it is matching', () => {
    fc.assert(
      fc.property(filters, topics, (outer, name) => {
        expect(covers(outer, filter(name))).toBe(matches(outer, name));
      }),
      { seed, numRuns: runs(2_000) },
    );
  });

  test('it is reflexive and transitive', () => {
    fc.assert(
      fc.property(filters, filters, filters, (first, second, third) => {
        expect(covers(first, first)).toBe(true);
        if (covers(first, second) && covers(second, third)) expect(covers(first, third)).toBe(true);
      }),
      { seed, numRuns: runs(2_000) },
    );
  });

  test('# never opens what begins with $', () => {
    for (const outer of ['#', '+/#', '+/+']) {
      expect(covers(filter(outer), filter('$SYS/#'))).toBe(false);
      expect(covers(filter(outer), filter('$SYS/a'))).toBe(false);
    }
  });
});
