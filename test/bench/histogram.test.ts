import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Histogram } from '../../core/bench/histogram.ts';
import { runs, seed } from '../seed.ts';

const values = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff })),
  { minLength: 1, maxLength: 300 },
);

function histogramOf(list: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of list) histogram.record(value);
  return histogram;
}

/** The value that `share` of all do not exceed, by sorting them. */
function exact(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? 0;
}

test('a percentile is within 1 % of the exact one, and exact up to 127', () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, share) => {
      const found = histogramOf(list).percentile(share);
      const wanted = exact(list, share);
      expect(Math.abs(found - wanted)).toBeLessThanOrEqual(wanted < 128 ? 0 : wanted * 0.01);
    }),
    { seed, numRuns: runs(500) },
  );
});

test('what goes over a pipe in parts is what one histogram would hold', () => {
  fc.assert(
    fc.property(values, values, (one, other) => {
      const merged = new Histogram();
      for (const part of [one, other]) {
        merged.add(JSON.parse(JSON.stringify(histogramOf(part).pack())));
      }
      const whole = histogramOf([...one, ...other]);
      expect(merged.pack()).toEqual(whole.pack());
      expect(merged.count).toBe(whole.count);
      expect(merged.percentile(0.5)).toBe(whole.percentile(0.5));
    }),
    { seed, numRuns: runs(200) },
  );
});

test('smallest, largest and mean are exact, and 0 where there is nothing', () => {
  const histogram = histogramOf([7, 1_000_003, 20]);
  expect([histogram.minimum, histogram.maximum, histogram.mean]).toEqual([
    7,
    1_000_003,
    1_000_030 / 3,
  ]);
  expect(histogram.percentile(1)).toBe(1_000_003);
  histogram.reset();
  expect([histogram.minimum, histogram.maximum, histogram.mean, histogram.percentile(0.5)]).toEqual(
    [0, 0, 0, 0],
  );
  expect(histogram.pack().buckets).toEqual([]);
});
