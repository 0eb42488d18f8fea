import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';
import { RetainedTree } from '../../core/routing/retained-tree.ts';
import { liveObjects } from '../live-objects.ts';
import { seed } from '../seed.ts';
import { filters, topics } from './topics.ts';

const filter = (text: string) => text as TopicFilter;
const topic = (text: string) => text as TopicName;

function matched<V>(tree: RetainedTree<V>, text: string): [string, V][] {
  const found: [string, V][] = [];
  tree.match(filter(text), (name, value) => found.push([name, value]));
  return found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

describe('against a map and the plain reading of section 4.7', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), topics, fc.nat()), { maxLength: 80 });

  test('it gives, replaces, deletes and finds what a map does', () => {
    fc.assert(
      fc.property(steps, fc.array(filters, { minLength: 1, maxLength: 10 }), (history, asked) => {
        const tree = new RetainedTree<number>();
        const model = new Map<TopicName, number>();
        for (const [set, name, value] of history) {
          const previous = model.get(name);
          expect(tree.get(name)).toBe(previous as number);
          if (set) {
            expect(tree.set(name, value)).toBe(previous as number);
            model.set(name, value);
          } else {
            expect(tree.delete(name)).toBe(previous as number);
            model.delete(name);
          }
          expect(tree.size).toBe(model.size);
        }
        for (const each of asked) {
          const expected = [...model].filter(([name]) => matches(each, name));
          expect(new Map(matched(tree, each))).toEqual(new Map(expected));
          expect(matched(tree, each)).toHaveLength(expected.length);
        }
      }),
      { seed, numRuns: 2_000 },
    );
  });
});

test('a tree from which every topic was deleted holds no node but its root', () => {
  const tree = new RetainedTree<number>();
  const names = fc.sample(topics, { seed, numRuns: 2_000 });
  const before = liveObjects();
  for (const name of names) tree.set(name, 1);
  const full = liveObjects() - before;
  for (const name of names) tree.delete(name);
  const left = liveObjects() - before;
  expect(tree.size).toBe(0);
  expect(full).toBeGreaterThan(500);
  expect(left).toBeLessThan(full / 20);
});

test('[MQTT-4.7.2-1] a filter that begins with a wildcard does not find a topic that begins with $', () => {
  const tree = new RetainedTree<number>();
  for (const name of ['$SYS/a', 'x/a', 'x/$SYS']) tree.set(topic(name), 1);
  expect(matched(tree, '#').map(([name]) => name)).toEqual(['x/$SYS', 'x/a']);
  expect(matched(tree, '+/a').map(([name]) => name)).toEqual(['x/a']);
  expect(matched(tree, '$SYS/+').map(([name]) => name)).toEqual(['$SYS/a']);
});

test('[MQTT-4.7.1-2] # finds its parent level too', () => {
  const tree = new RetainedTree<number>();
  for (const name of ['a', 'a/', 'a/b/c', 'b']) tree.set(topic(name), 1);
  expect(matched(tree, 'a/#').map(([name]) => name)).toEqual(['a', 'a/', 'a/b/c']);
});

test('the visitor may delete what it visits, and what it has not visited yet', () => {
  for (const held of ['#', '+/+', 'a/#', 'a/+']) {
    const tree = new RetainedTree<number>();
    for (const name of ['a/1', 'a/2', 'a/3']) tree.set(topic(name), 1);
    const visited: string[] = [];
    tree.match(filter(held), (name) => {
      visited.push(name);
      for (const each of ['a/1', 'a/2', 'a/3']) tree.delete(topic(each));
    });
    expect(visited).toHaveLength(1);
    expect(tree.size).toBe(0);
  }
});

test('among 100,000 topics, a filter looks only at the branches that it matches', () => {
  const tree = new RetainedTree<number>();
  for (let i = 0; i < 100_000; i++) tree.set(topic(`room${i % 1000}/device${i}/state`), i);
  // Counted where it costs: every branch entered asks its level map, or compares its bare child.
  const counts = { gets: 0, walks: 0 };
  const get = Map.prototype.get;
  const values = Map.prototype.values;
  let found: [string, number][];
  try {
    Map.prototype.get = function (key) {
      counts.gets++;
      return get.call(this, key);
    };
    Map.prototype.values = function () {
      counts.walks++;
      return values.call(this);
    };
    found = matched(tree, 'room7/device7/state');
    expect(counts).toEqual({ gets: 2, walks: 0 });
    matched(tree, 'room7/+/state');
    expect(counts).toEqual({ gets: 3, walks: 1 });
    matched(tree, 'room8/#');
    expect(counts).toEqual({ gets: 4, walks: 2 });
  } finally {
    Map.prototype.get = get;
    Map.prototype.values = values;
  }
  expect(found).toEqual([['room7/device7/state', 7]]);
  expect(matched(tree, 'room7/+/state')).toHaveLength(100);
});

test('65,535 bytes of / are a topic like any other', () => {
  const deep = topic('/'.repeat(65_535));
  const tree = new RetainedTree<number>();
  tree.set(deep, 1);
  tree.set(topic('/'), 2);
  expect(tree.get(deep)).toBe(1);
  expect(matched(tree, '#')).toHaveLength(2);
  expect(matched(tree, '+/+')).toEqual([['/', 2]]);
  expect(matched(tree, deep)).toEqual([[deep, 1]]);
  expect(matched(tree, `${deep}+`)).toEqual([[deep, 1]]);
  expect(tree.delete(deep)).toBe(1);
  expect(tree.get(deep)).toBeUndefined();
  expect(tree.delete(topic('/'))).toBe(2);
  expect(tree.size).toBe(0);
});
