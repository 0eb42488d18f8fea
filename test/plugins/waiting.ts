/** Handlers and entries for tests of what lies between the loop and the workers. */
import type { HandlerRules } from '../../core/plugins/definition.ts';
import { newHandlerCounters } from '../../core/plugins/events.ts';
import type { Taker } from '../../core/plugins/lane.ts';
import { HandlerState, Waiting } from '../../core/plugins/waiting.ts';
import { by, command } from './folder.ts';

export const plainRules: HandlerRules = {
  trigger: { kind: 'command', topics: [] },
  timeoutMs: undefined,
  concurrency: Number.POSITIVE_INFINITY,
  ordered: false,
  attempts: 5,
  firstDelayMs: 1_000,
  longestDelayMs: 300_000,
};

export function handlerState(name: string, rules: Partial<HandlerRules> = {}): HandlerState {
  const state = new HandlerState(name, name, { ...plainRules, ...rules }, newHandlerCounters());
  state.limit = state.rules.concurrency;
  return state;
}

/** A handler of which runs are known to be short. */
export function quick(name: string, rules: Partial<HandlerRules> = {}): HandlerState {
  const handler = handlerState(name, rules);
  handler.pace.durationMs = 0.1;
  return handler;
}

let sequence = 0;

/** An entry of `user` for `handler`, of a stored command where `number` is not 0. */
export function entryOf(user: string, handler: HandlerState, payload = '', number = 0): Waiting {
  const message = command('a', payload, by(user));
  const receipt = { number, outstanding: 1 };
  return new Waiting(message, receipt, handler, { invocation: '', trace: '' }, ++sequence, 0, 0);
}

/** Who takes commands. */
export class Hand implements Taker {
  retired = false;
  lost = false;
  readonly held: Waiting[] = [];
  has(): boolean {
    return true;
  }
}

export const userOf = (each: Waiting): string => each.message.publisher.user;
