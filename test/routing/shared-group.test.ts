import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import { SharedGroup } from '../../core/routing/shared-group.ts';
import { seed } from '../seed.ts';

const all = () => true;

function groupOf(...members: string[]): SharedGroup<string> {
  const group = new SharedGroup<string>('g', 'a/+' as TopicFilter);
  for (const member of members) group.add(member);
  return group;
}

test('members take turns in the order in which they joined', () => {
  const group = groupOf('a', 'b', 'c');
  expect(Array.from({ length: 7 }, () => group.pick(all))).toEqual([...'abcabca']);
});

test('who cannot take a message is passed over, and the turn goes on behind who could', () => {
  const group = groupOf('a', 'b', 'c', 'd');
  const picks = Array.from({ length: 6 }, () => group.pick((member) => member !== 'b'));
  expect(picks).toEqual([...'acdacd']);
  expect(group.pick(() => false)).toBeUndefined();
  expect(groupOf().pick(all)).toBeUndefined();
});

test('who joins comes after everybody else, and who joins twice is a member once', () => {
  const group = groupOf('a', 'b');
  group.pick(all);
  group.add('c');
  group.add('a');
  expect(group.size).toBe(3);
  expect(Array.from({ length: 4 }, () => group.pick(all))).toEqual([...'bacb']);
});

test('whoever comes and goes, no member waits longer than it takes all others to have a turn', () => {
  const members = fc.integer({ min: 0, max: 9 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('pick' as const) }),
    fc.record({ kind: fc.constantFrom('add' as const, 'remove' as const), member: members }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const group = new SharedGroup<number>('g', 'a' as TopicFilter);
      const model = new Set<number>();
      for (const each of steps) {
        if (each.kind === 'pick') {
          const picked = group.pick(all);
          if (model.size === 0) expect(picked).toBeUndefined();
          else expect(model.has(picked as number)).toBe(true);
        } else if (each.kind === 'add') {
          group.add(each.member);
          model.add(each.member);
        } else {
          expect(group.remove(each.member)).toBe(model.delete(each.member));
        }
        expect(group.size).toBe(model.size);
      }
      const round = Array.from({ length: model.size }, () => group.pick(all));
      expect(round.sort()).toEqual([...model].sort());
    }),
    { seed, numRuns: 500 },
  );
});

test('when a member leaves, nobody else loses a turn or gets two', () => {
  const group = groupOf('a', 'b', 'c', 'd');
  expect([group.pick(all), group.pick(all)]).toEqual(['a', 'b']);
  group.remove('a');
  expect([group.pick(all), group.pick(all), group.pick(all)]).toEqual(['c', 'd', 'b']);
  group.remove('c');
  expect([group.pick(all), group.pick(all), group.pick(all)]).toEqual(['d', 'b', 'd']);
});
