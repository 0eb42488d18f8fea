/** What `scripts/profile.ts` makes of profiles and thread times. */
import { expect, test } from 'bun:test';
import { type CpuProfile, ownTimes } from '../../scripts/profile/cpu-profile.ts';
import { sharesBetween, ticksByPurpose } from '../../scripts/profile/threads.ts';

const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 1 });

test('functions are told by their own time in the second half, waiting left out', () => {
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)', '') },
      { id: 2, callFrame: frame('write', '') },
      { id: 3, callFrame: frame('route', 'file:///somewhere/core/broker/route.ts') },
      { id: 4, callFrame: frame('compile', '') },
    ],
    samples: [4, 1, 2, 3, 2],
    timeDeltas: [70, 20, 40, 10, 10],
  };
  expect(ownTimes(profile)).toEqual([
    { name: 'write', share: 50 / 60 },
    { name: 'route (broker/route.ts)', share: 10 / 60 },
  ]);
});

test('threads are told by what they are there for, as shares of what was added', () => {
  const before = new Map([['the loop', 100]]);
  const after = new Map([
    ['the loop', 130],
    ['compiling', 10],
    ['cryptography', 0],
  ]);
  expect(sharesBetween(before, after)).toEqual([
    { name: 'the loop', share: 0.75 },
    { name: 'compiling', share: 0.25 },
  ]);
});

test.if(process.platform === 'linux')('the loop of this process has taken time', () => {
  expect(ticksByPurpose(process.pid).get('the loop')).toBeGreaterThan(0);
});
