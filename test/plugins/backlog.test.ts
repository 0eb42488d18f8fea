import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { Backlog } from '../../core/plugins/backlog.ts';
import { seed } from '../seed.ts';

describe('the backlog', () => {
  test('reads on behind what was taken, once at a time', () => {
    const asked: number[] = [];
    const backlog = new Backlog((after) => asked.push(after));
    backlog.read();
    expect(asked).toEqual([]);
    for (const number of [5, 6, 9]) expect(backlog.leave(number)).toBe(true);
    backlog.read();
    backlog.read();
    expect(asked).toEqual([4]);
    backlog.came(6, true);
    expect(backlog.waits).toBe(true);
    backlog.read();
    backlog.came(9, false);
    expect([asked, backlog.waits]).toEqual([[4, 6], false]);
  });

  test('is not done while something was left that the last reading could not see', () => {
    const asked: number[] = [];
    const backlog = new Backlog((after) => asked.push(after));
    backlog.leave(1);
    backlog.read();
    backlog.leave(2);
    backlog.came(1, false);
    expect(backlog.waits).toBe(true);
    backlog.read();
    expect(asked).toEqual([0, 1]);
  });

  test('begins with all that a start finds', () => {
    const asked: number[] = [];
    const backlog = new Backlog((after) => asked.push(after));
    backlog.found(100);
    expect(backlog.leave(101)).toBe(true);
    backlog.read();
    // Nothing was there, or none of it is a command.
    backlog.came(101, false);
    expect([asked, backlog.waits]).toEqual([[0], false]);
  });

  test('does not take what would come out of order', () => {
    const backlog = new Backlog(() => {});
    backlog.leave(5);
    expect(backlog.leave(3)).toBe(false);
  });

  test('gives each command once and in order, whatever comes when', () => {
    const steps = fc.array(fc.constantFrom('new', 'new', 'read', 'came'), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (all, limit) => {
        const disk: number[] = [];
        const taken: number[] = [];
        let last = 0;
        let reading: number[] | undefined;
        let more = false;
        const backlog = new Backlog((after) => {
          // What is on disk when it is asked for.
          const behind = disk.filter((number) => number > after);
          reading = behind.slice(0, limit);
          more = behind.length > limit;
        });
        const came = () => {
          if (reading === undefined) return;
          taken.push(...reading);
          const end = reading.at(-1);
          reading = undefined;
          backlog.came(end, more);
        };
        // The first one finds no room; all that follow go behind it while it is there.
        for (const step of all) {
          if (step === 'new') {
            disk.push(++last);
            if (last === 1 || backlog.waits) expect(backlog.leave(last)).toBe(true);
            else taken.push(last);
          } else if (step === 'read') backlog.read();
          else came();
        }
        while (backlog.waits) {
          backlog.read();
          came();
        }
        expect(taken).toEqual(disk);
      }),
      { seed },
    );
  });
});
