/** The handlers as the pool knows them: each by its name, from one version of its plugin to the next. */
import type { Catalogue } from './catalogue.ts';
import { newHandlerCounters } from './events.ts';
import { type LoadedHandler, SLOTS } from './exchange.ts';
import type { Taker } from './lane.ts';
import { HandlerState } from './waiting.ts';

/** No handler has more than this part of all slots, so that what one awaits keeps no other from running. */
const LARGEST_SHARE = 0.75;

export class HandlerStates {
  readonly #mostRuns: number;
  readonly #states = new Map<string, HandlerState>();

  constructor(workers: number) {
    this.#mostRuns = Math.floor(LARGEST_SHARE * SLOTS) * workers;
  }

  /** In the order in which they came to be known. */
  [Symbol.iterator](): Iterator<HandlerState> {
    return this.#states.values();
  }

  /** Whether a command waits for it, is under way, or is to be tried again. */
  isBusy(name: string): boolean {
    return this.#states.get(name)?.busy === true;
  }

  of(handlers: readonly LoadedHandler[]): HandlerState[] {
    return handlers.map(({ name }) => this.#states.get(name) as HandlerState);
  }

  /** Those of `catalogue` are the ones there are; others are gone, until they come back to what waits for them. */
  become(catalogue: Catalogue): void {
    for (const state of this.#states.values()) state.gone = true;
    for (const handler of catalogue.handlers.values()) this.#take(handler, false);
    for (const handler of catalogue.leaving) this.#take(handler, true);
    for (const { gone, busy, name } of this.#states.values()) {
      if (gone && !busy) this.#states.delete(name);
    }
  }

  /** Whether something waits for a removed handler that `taker` has, or may where `more` commands wait on disk. */
  wants(taker: Taker, more: boolean): boolean {
    for (const { leaving, busy, name } of this.#states.values()) {
      if (leaving && (busy || more) && taker.has(name)) return true;
    }
    return false;
  }

  #take({ name, file, rules }: LoadedHandler, leaving: boolean): void {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = new HandlerState(name, file.plugin, rules, newHandlerCounters());
      this.#states.set(name, state);
    }
    state.plugin = file.plugin;
    state.rules = rules;
    state.limit = Math.min(rules.concurrency, this.#mostRuns);
    state.leaving = leaving;
    state.gone = false;
  }
}
