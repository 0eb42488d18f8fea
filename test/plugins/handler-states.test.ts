import { expect, test } from 'bun:test';
import { Catalogue } from '../../core/plugins/catalogue.ts';
import type { LoadedHandler } from '../../core/plugins/exchange.ts';
import { HandlerStates } from '../../core/plugins/handler-states.ts';
import type { HandlerState } from '../../core/plugins/waiting.ts';
import { Hand, plainRules } from './waiting.ts';

const loaded: LoadedHandler = {
  name: 'a',
  file: { plugin: 'a', path: '/plugins/a.ts', root: '/plugins' },
  position: 0,
  rules: plainRules,
  secrets: [],
};
const there = new Catalogue([loaded]);
const empty = new Catalogue([]);

test('a handler that is gone and comes back is the same to what waits for it', () => {
  const states = new HandlerStates(1);
  states.become(there);
  const [state] = states.of([loaded]) as [HandlerState];
  state.waiting = 1;
  states.become(empty);
  expect([state.gone, states.isBusy('a')]).toEqual([true, true]);
  states.become(there);
  expect([states.of([loaded])[0] === state, state.gone]).toEqual([true, false]);
});

test('a handler that is gone is forgotten when nothing waits for it', () => {
  const states = new HandlerStates(1);
  states.become(there);
  const [state] = states.of([loaded]) as [HandlerState];
  state.waiting = 1;
  states.become(empty);
  state.waiting = 0;
  states.become(empty);
  expect([...states]).toEqual([]);
});

test('whoever has a removed handler is wanted while something waits for it, or may wait on disk', () => {
  const states = new HandlerStates(1);
  states.become(there);
  const [state] = states.of([loaded]) as [HandlerState];
  const hand = new Hand();
  expect([states.wants(hand, true), states.wants(hand, false)]).toEqual([false, false]);
  states.become(new Catalogue([], [loaded]));
  expect([states.wants(hand, true), states.wants(hand, false)]).toEqual([true, false]);
  state.waiting = 1;
  expect(states.wants(hand, false)).toBe(true);
});
