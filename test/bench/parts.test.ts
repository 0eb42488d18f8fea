/** The small parts of a load test: what waits to be written, stamps, the clock, order, what a report says. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { ageOf, ticksNow, ticksOfSeconds } from '../../core/bench/clock.ts';
import { Outgoing } from '../../core/bench/outgoing.ts';
import {
  STAMP_BYTES,
  stampPublisher,
  stampRun,
  stampSequence,
  stampTicks,
  writeStamp,
} from '../../core/bench/stamp.ts';
import { runs, seed } from '../seed.ts';

test('what is appended comes out in order, however it is taken', () => {
  const step = fc.oneof(
    fc.record({ append: fc.uint8Array({ maxLength: 3_000 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 4_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const outgoing = new Outgoing();
      const wanted: number[] = [];
      for (const each of steps) {
        if ('append' in each) {
          outgoing.append(each.append);
          wanted.push(...each.append);
        } else {
          const count = Math.min(each.take, outgoing.length);
          const { bytes, start } = outgoing;
          expect([...bytes.subarray(start, start + count)]).toEqual(wanted.splice(0, count));
          outgoing.taken(count);
        }
        expect(outgoing.length).toBe(wanted.length);
      }
    }),
    { seed, numRuns: runs(200) },
  );
});

test('a stamp comes back as it was written', () => {
  const whole = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(whole, whole, whole, whole, (run, publisher, sequence, ticks) => {
      const bytes = new Uint8Array(STAMP_BYTES + 3);
      writeStamp(bytes, 3, run, publisher, sequence, ticks + 2 ** 40);
      expect([
        stampRun(bytes, 3),
        stampPublisher(bytes, 3),
        stampSequence(bytes, 3),
        stampTicks(bytes, 3),
      ]).toEqual([run, publisher, sequence, ticks]);
    }),
    { seed, numRuns: runs(200) },
  );
});

test('an age is right across the turn of 32 bits, and never negative', () => {
  const now = ticksNow();
  for (const seconds of [0, 0.001, 1, 200]) {
    const sent = now - ticksOfSeconds(seconds);
    const stamp = sent >>> 0;
    expect(Math.abs(ageOf(stamp, now) - ticksOfSeconds(seconds))).toBeLessThan(2);
  }
  const ahead = (now + ticksOfSeconds(0.01)) >>> 0;
  expect(ageOf(ahead, now)).toBe(0);
});
