import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { Retries, retryDelayMs } from '../../core/plugins/retries.ts';
import { seed } from '../seed.ts';
import { TestClock } from './folder.ts';

const rules = { firstDelayMs: 1_000, longestDelayMs: 300_000 };

describe('the wait', () => {
  test('doubles with each attempt, up to the longest', () => {
    const waits = [1, 2, 3, 8, 9, 10, 100].map((attempts) => retryDelayMs(rules, attempts, 0.5));
    expect(waits).toEqual([1_000, 2_000, 4_000, 128_000, 256_000, 300_000, 300_000]);
  });

  test('is up to a quarter shorter or longer by chance', () => {
    expect([0, 0.25, 1].map((chance) => retryDelayMs(rules, 1, chance))).toEqual([750, 875, 1_250]);
  });
});

describe('what waits', () => {
  test('is due when its time has come, and not before', () => {
    const clock = new TestClock();
    const due: string[] = [];
    const retries = new Retries<{ name: string }>(clock, ({ name }) => due.push(name));
    expect(retries.add({ name: 'late' }, rules, 3)).toBe(4_000);
    expect(retries.add({ name: 'soon' }, rules, 1)).toBe(1_000);
    clock.pass(999);
    expect(due).toEqual([]);
    clock.pass(1);
    expect(due).toEqual(['soon']);
    clock.pass(3_000);
    expect([due, retries.size]).toEqual([['soon', 'late'], 0]);
  });

  test('longer than a timer can be set for is due all the same', () => {
    const clock = new TestClock();
    let due = 0;
    const retries = new Retries<object>(clock, () => due++);
    retries.add({}, { firstDelayMs: 2 ** 32, longestDelayMs: 2 ** 33 }, 1);
    clock.pass(2 ** 31);
    expect(due).toBe(0);
    clock.pass(2 ** 31);
    expect(due).toBe(1);
  });

  test('can be taken out', () => {
    const clock = new TestClock();
    let due = 0;
    const retries = new Retries<object>(clock, () => due++);
    const items = [{}, {}];
    for (const [index, item] of items.entries()) retries.add(item, rules, index + 1);
    expect(retries.takeAll()).toEqual(items);
    clock.pass(1_000_000);
    expect([due, retries.size]).toEqual([0, 0]);
  });

  test('is due once each, in the order of the times', () => {
    const step = fc.record({ attempts: fc.integer({ min: 1, max: 6 }), passMs: fc.nat(20_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const clock = new TestClock();
        const due: number[] = [];
        const added: number[] = [];
        const retries = new Retries<{ atMs: number }>(clock, ({ atMs }) => {
          expect(atMs).toBeLessThanOrEqual(clock.now());
          due.push(atMs);
        });
        for (const { attempts, passMs } of steps) {
          const item = { atMs: 0 };
          item.atMs = clock.now() + retries.add(item, rules, attempts);
          added.push(item.atMs);
          clock.pass(passMs);
          expect(due.length).toBe(added.filter((atMs) => atMs <= clock.now()).length);
        }
        clock.pass(1_000_000);
        expect(due.toSorted((a, b) => a - b)).toEqual(added.toSorted((a, b) => a - b));
      }),
      { seed },
    );
  });
});
