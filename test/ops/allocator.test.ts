import { expect, test } from 'bun:test';
import { toldEnvironment } from '../../core/ops/allocator.ts';

const OPTION = 'MIMALLOC_PURGE_HOLES_MIN_INTERVAL';

function environ(...entries: string[]): Uint8Array {
  return new TextEncoder().encode(entries.map((entry) => `${entry}\0`).join(''));
}

test('the option is added to the environment that a process began with', () => {
  expect(toldEnvironment(environ('HOME=/root', 'EMPTY=', 'SUM=1=1'))).toEqual({
    ...{ HOME: '/root', EMPTY: '', SUM: '1=1' },
    [OPTION]: '10000',
  });
});

test('of a name that is there twice the first counts, as for the system', () => {
  expect(toldEnvironment(environ('A=first', 'A=second'))?.A).toBe('first');
});

test('whoever has set the option has the last word, and nobody begins anew twice', () => {
  expect(toldEnvironment(environ(`${OPTION}=100`))).toBeUndefined();
  expect(toldEnvironment(environ(`${OPTION}=`))).toBeUndefined();
});

test('an environment that could not be handed on as it is stays', () => {
  expect(toldEnvironment(Uint8Array.of(0x41, 0x3d, 0xff, 0))).toBeUndefined();
});
