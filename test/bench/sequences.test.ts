/** What came, what came late and what came again, beside a plain set of numbers. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Arrivals } from '../../core/bench/arrivals.ts';
import type { BenchOptions } from '../../core/bench/options.ts';
import { Sequences } from '../../core/bench/sequences.ts';
import { runs, seed } from '../seed.ts';

test('what is new, late or again is what a set of all that came says', () => {
  const arrival = fc.record({
    series: fc.integer({ min: 0, max: 2 }),
    sequence: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 200 }), (arrivals) => {
      const sequences = new Sequences(3);
      const model = [new Set<number>(), new Set<number>(), new Set<number>()];
      for (const { series, sequence } of arrivals) {
        const came = model[series] ?? new Set();
        const isNew = sequence > Math.max(0, ...came);
        const wanted = came.has(sequence) ? 'again' : isNew ? 'new' : 'late';
        expect(sequences.note(series, sequence)).toBe(wanted);
        came.add(sequence);
      }
    }),
    { seed, numRuns: runs(300) },
  );
});

function arrivalsOf(more: Partial<BenchOptions>): Arrivals {
  const options: BenchOptions = {
    ...{ scenario: 'fan-out', version: 4, qos: 0, payloadBytes: 16, rate: undefined, window: 1 },
    ...{ publishers: 2, subscribers: 3, connections: 0, subscriptions: 0, handler: true },
    ...{ levels: 1, command: 'ask', reply: 'answer', userTemplate: 'u-%d', separator: '_' },
    ...{ stored: false, absent: false, keepAliveSeconds: 0, warmUpSeconds: 0, durationSeconds: 0 },
    ...{ drainSeconds: 0, ...more },
  };
  return new Arrivals(options);
}

test('a copy for each receiver is no duplicate, and order is that of one publisher to one receiver', () => {
  const arrivals = arrivalsOf({});
  for (const receiver of [0, 1, 2]) {
    for (const publisher of [0, 1]) {
      for (const sequence of [2, 1, 3]) {
        expect(arrivals.note(receiver, publisher, sequence)).toBe(true);
      }
    }
  }
  expect([arrivals.duplicates, arrivals.outOfOrder]).toEqual([0, 6]);
  expect(arrivals.note(1, 1, 2)).toBe(false);
  expect([arrivals.duplicates, arrivals.outOfOrder]).toEqual([1, 6]);
});

test('where messages are scattered over connections, order is that of each, and a duplicate one of all', () => {
  const arrivals = arrivalsOf({ scenario: 'headline', publishers: 1, connections: 2 });
  expect(arrivals.note(0, 0, 2)).toBe(true);
  expect(arrivals.note(1, 0, 1)).toBe(true);
  expect([arrivals.duplicates, arrivals.outOfOrder]).toEqual([0, 0]);
  expect(arrivals.note(0, 0, 4)).toBe(true);
  expect(arrivals.note(0, 0, 3)).toBe(true);
  expect(arrivals.note(1, 0, 4)).toBe(false);
  expect([arrivals.duplicates, arrivals.outOfOrder]).toEqual([1, 1]);
});

test('what would take too much memory to check is said to be unchecked', () => {
  const many = arrivalsOf({ publishers: 3_000, subscribers: 3_000 });
  expect([many.areDuplicatesChecked, many.isOrderChecked]).toEqual([false, false]);
  expect([many.note(0, 0, 1), many.note(0, 0, 1), many.duplicates]).toEqual([true, true, 0]);
  const scattered = arrivalsOf({ scenario: 'headline', publishers: 3_000, connections: 3_000 });
  expect([scattered.areDuplicatesChecked, scattered.isOrderChecked]).toEqual([true, false]);
  expect([scattered.note(0, 0, 1), scattered.note(1, 0, 1)]).toEqual([true, false]);
});
