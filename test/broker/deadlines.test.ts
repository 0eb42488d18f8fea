import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Deadline, Deadlines } from '../../core/broker/deadlines.ts';
import { seed } from '../seed.ts';

test('items come due in the order of their times, and those of one time as they were set', () => {
  const deadlines = new Deadlines<string>();
  deadlines.set(20, 'late');
  for (const item of ['first', 'second', 'third']) deadlines.set(10, item);
  expect(deadlines.next()).toBe(10);
  expect(deadlines.take(9)).toBeUndefined();
  expect([1, 2, 3, 4].map(() => deadlines.take(10))).toEqual([
    'first',
    'second',
    'third',
    undefined,
  ]);
  expect(deadlines.next()).toBe(20);
  expect(deadlines.take(1_000)).toBe('late');
  expect(deadlines.next()).toBeUndefined();
});

test('one that was taken can be moved, and waits again; cancelled twice is cancelled once', () => {
  const deadlines = new Deadlines<string>();
  const deadline = deadlines.set(10, 'again');
  expect(deadlines.take(10)).toBe('again');
  deadlines.cancel(deadline);
  deadlines.move(deadline, 30);
  expect(deadlines.next()).toBe(30);
  deadlines.cancel(deadline);
  deadlines.cancel(deadline);
  expect([deadlines.next(), deadlines.size]).toEqual([undefined, 0]);
});

test('however they are set, moved, cancelled and taken, they come as from a sorted list', () => {
  const time = fc.integer({ min: 0, max: 12 }); // few times, so that many fall together
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), at: time }),
    fc.record({ kind: fc.constant('move' as const), at: time, which: fc.nat() }),
    fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }),
    fc.record({ kind: fc.constant('take' as const), at: time }),
  );
  interface Waiting {
    readonly item: number;
    readonly at: number;
    readonly sequence: number;
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const deadlines = new Deadlines<number>();
      const made: Deadline<number>[] = [];
      let model: Waiting[] = [];
      const sorted = () => model.sort((a, b) => a.at - b.at || a.sequence - b.sequence);
      for (const [sequence, each] of steps.entries()) {
        const item = made.length === 0 || !('which' in each) ? -1 : each.which % made.length;
        if (each.kind === 'set') {
          model.push({ item: made.length, at: each.at, sequence });
          made.push(deadlines.set(each.at, made.length));
        } else if (each.kind === 'move' && item >= 0) {
          deadlines.move(made[item] as Deadline<number>, each.at);
          model = model.filter((waiting) => waiting.item !== item);
          model.push({ item, at: each.at, sequence });
        } else if (each.kind === 'cancel' && item >= 0) {
          deadlines.cancel(made[item] as Deadline<number>);
          model = model.filter((waiting) => waiting.item !== item);
        } else if (each.kind === 'take') {
          const first = sorted()[0];
          const due = first !== undefined && first.at <= each.at ? model.shift()?.item : undefined;
          expect(deadlines.take(each.at)).toBe(due as number);
        }
        expect(deadlines.size).toBe(model.length);
        if (sequence % 3 === 0) expect(deadlines.next()).toBe(sorted()[0]?.at as number);
      }
      const rest = sorted().map((waiting) => waiting.item);
      expect(rest.map(() => deadlines.take(Infinity))).toEqual(rest);
      expect(deadlines.take(Infinity)).toBeUndefined();
    }),
    { seed, numRuns: 2_000 },
  );
});
