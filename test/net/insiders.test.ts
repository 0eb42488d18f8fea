/** What parts of this process are told where the broker fails on what they said. */
import { expect, test } from 'bun:test';
import { stage } from './fake-broker.ts';

test('what the plugins are done with is never on disk where the broker failed to take note of it', () => {
  const { turn, broker, events } = stage();
  broker.handled = () => 7;
  expect(turn.inside.handled(1, undefined)).toBe(7);
  broker.handled = () => {
    throw new Error('assertion failed');
  };
  expect(turn.inside.handled(1, undefined)).toBe(Number.POSITIVE_INFINITY);
  expect(events.map(({ kind }) => kind)).toEqual(['fault']);
});

test('who deals with a dead letter hears that the broker failed: it is not dealt with', () => {
  const { turn, broker } = stage();
  broker.letterDropped = () => {
    throw new Error('assertion failed');
  };
  expect(() => turn.inside.letterDropped(1)).toThrow('assertion failed');
});
