import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';
import { SubscriptionTree } from '../../core/routing/subscription-tree.ts';
import { liveObjects } from '../live-objects.ts';
import { seed } from '../seed.ts';
import { filters, topics } from './topics.ts';

const filter = (text: string) => text as TopicFilter;
const topic = (text: string) => text as TopicName;

function matched<T extends NonNullable<unknown>>(tree: SubscriptionTree<T>, name: string): T[] {
  const into: T[] = [];
  tree.match(topic(name), into);
  return into;
}

describe('against the plain reading of section 4.7', () => {
  const subscribers = fc.integer({ min: 0, max: 24 }); // beyond 16 of one filter they are indexed
  const steps = fc.array(
    fc.record({ add: fc.boolean(), filter: filters, subscriber: subscribers }),
    { maxLength: 80 },
  );

  test('whatever was added and removed, each subscriber is found once per filter that matches', () => {
    fc.assert(
      fc.property(steps, fc.array(topics, { minLength: 1, maxLength: 10 }), (history, asked) => {
        const tree = new SubscriptionTree<number>();
        const model = new Map<string, { filter: TopicFilter; subscriber: number }>();
        for (const step of history) {
          const key = `${step.subscriber} ${step.filter}`;
          if (step.add) {
            tree.add(step.filter, step.subscriber);
            model.set(key, step);
          } else {
            expect(tree.remove(step.filter, step.subscriber)).toBe(model.delete(key));
          }
          expect(tree.size).toBe(model.size);
        }
        for (const name of asked) {
          const expected = [...model.values()]
            .filter((held) => matches(held.filter, name))
            .map((held) => held.subscriber);
          expect(matched(tree, name).sort()).toEqual(expected.sort());
        }
      }),
      { seed, numRuns: 2_000 },
    );
  });

  test('many subscribers of one filter, added and removed in any order, are exactly who is left', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 60 })), { maxLength: 300 }),
        fc.constantFrom('a/b', 'a/+', 'a/#'),
        (history, held) => {
          const tree = new SubscriptionTree<number>();
          const model = new Set<number>();
          for (const [add, subscriber] of history) {
            if (add) tree.add(filter(held), subscriber);
            else expect(tree.remove(filter(held), subscriber)).toBe(model.has(subscriber));
            if (add) model.add(subscriber);
            else model.delete(subscriber);
          }
          expect(matched(tree, 'a/b').sort()).toEqual([...model].sort());
        },
      ),
      { seed, numRuns: 300 },
    );
  });
});

test('a tree from which everything was removed holds no branch and no subscriber', () => {
  const tree = new SubscriptionTree<object>();
  const held = fc.sample(filters, { seed, numRuns: 3_000 });
  const before = liveObjects();
  let subscribers = held.map(() => ({}));
  for (const [i, each] of held.entries()) tree.add(each, subscribers[i] as object);
  const full = liveObjects() - before;
  for (const [i, each] of held.entries()) tree.remove(each, subscribers[i] as object);
  subscribers = [];
  const left = liveObjects() - before;
  expect(tree.size).toBe(0);
  expect(full).toBeGreaterThan(3_500); // the subscribers and at least 500 branches
  expect(left).toBeLessThan(full / 20);
});

test('[MQTT-4.7.2-1] a filter that begins with a wildcard does not meet a topic that begins with $', () => {
  const tree = new SubscriptionTree<string>();
  for (const each of ['#', '+/uptime', '+/#', '$SYS/#', '$SYS/+']) tree.add(filter(each), each);
  expect(matched(tree, '$SYS/uptime').sort()).toEqual(['$SYS/#', '$SYS/+']);
  expect(matched(tree, 'x/uptime').sort()).toEqual(['#', '+/#', '+/uptime']);
  expect(matched(tree, 'x/$SYS').sort()).toEqual(['#', '+/#']);
});

test('[MQTT-4.7.1-2] # meets its parent level too', () => {
  const tree = new SubscriptionTree<string>();
  for (const each of ['a/#', 'a/+/#', '#']) tree.add(filter(each), each);
  expect(matched(tree, 'a').sort()).toEqual(['#', 'a/#']);
  expect(matched(tree, 'a/')).toContain('a/+/#');
  expect(matched(tree, 'a/b').sort()).toEqual(['#', 'a/#', 'a/+/#']);
});

test('subscribing again to the same filter changes nothing, and one removal ends it', () => {
  for (const each of ['a/b', 'a/+', '#']) {
    const tree = new SubscriptionTree<string>();
    tree.add(filter(each), 's');
    tree.add(filter(each), 's');
    expect(tree.size).toBe(1);
    expect(matched(tree, 'a/b')).toEqual(['s']);
    expect(tree.remove(filter(each), 's')).toBe(true);
    expect(tree.remove(filter(each), 's')).toBe(false);
    expect(matched(tree, 'a/b')).toEqual([]);
  }
});

test('what is appended comes behind what `into` already holds', () => {
  const tree = new SubscriptionTree<string>();
  tree.add(filter('a'), 's');
  const into = ['before'];
  tree.match(topic('a'), into);
  expect(into).toEqual(['before', 's']);
});

describe('65,535 bytes of /', () => {
  const deep = '/'.repeat(65_535);

  test('as a topic, they meet the filters that they should, and as filters they can be removed', () => {
    const tree = new SubscriptionTree<string>();
    const held = ['#', '/#', '+/#', deep, `${deep}+`, `${deep}#`, `${deep}/#`, '+/+', '/a'];
    for (const each of held) tree.add(filter(each), each);
    const expected = held.filter((each) => matches(filter(each), topic(deep)));
    expect(matched(tree, deep).sort()).toEqual(expected.sort());
    for (const each of held) expect(tree.remove(filter(each), each)).toBe(true);
    expect(tree.size).toBe(0);
    expect(matched(tree, deep)).toEqual([]);
  });

  test('with a + at every level beside the empty level, the walk stays within the trie', () => {
    const tree = new SubscriptionTree<number>();
    const held: string[] = [];
    for (let i = 0; i < 200; i++) {
      const levels = Array.from({ length: 200 }, (_, level) => ((i >> (level % 8)) & 1 ? '+' : ''));
      held.push(`${levels.join('/')}/#`);
    }
    for (const [index, each] of held.entries()) tree.add(filter(each), index);
    const expected = held.flatMap((each, i) => (matches(filter(each), topic(deep)) ? [i] : []));
    expect(matched(tree, deep).sort()).toEqual(expected.sort());
  });
});
