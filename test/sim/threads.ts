/**
 * The storage thread and the workers of plugins, as far as the core notices them: they are done later,
 * in order, and never fail.
 */
import type { MessageNumber } from '../../core/broker/changes.ts';
import type { MemoryStorage } from '../storage.ts';
import type { Wanted } from './notes.ts';
import type { Simulation } from './simulation.ts';

export class Threads {
  /** Commands that plugins are at work on. */
  readonly commands: MessageNumber[] = [];
  readonly #simulation: Simulation;
  readonly #storage: MemoryStorage | undefined;
  readonly #fetches: Wanted[];
  #stored = 0;

  /** `fetches` are what the core wants to be read, and are taken from there. */
  constructor(simulation: Simulation, storage: MemoryStorage | undefined, fetches: Wanted[]) {
    this.#simulation = simulation;
    this.#storage = storage;
    this.#fetches = fetches;
  }

  /** What was kept is stored, a command is done, deliveries are read: false where nothing was to do. */
  work(): boolean {
    const { broker, now } = this.#simulation;
    const kept = this.#storage?.kept ?? 0;
    const stored = kept > this.#stored;
    if (stored) {
      this.#stored = kept;
      this.#turn(`${kept} changes are stored`, () => broker.stored(kept, now));
    }
    const command = this.commands.shift();
    if (command !== undefined) {
      this.#turn(`command ${command} is done`, () => broker.handled(command, undefined, now));
    }
    const wanted = this.#fetches.shift();
    if (wanted === undefined || this.#storage === undefined) return stored || command !== undefined;
    const [session, after, limit] = wanted;
    const result = this.#storage.fetch(session, after, limit);
    const what = `${result.deliveries.length} deliveries are read`;
    this.#turn(what, () => broker.fetched(result, now));
    return true;
  }

  /** The model is told of the time alone: to it, all this is as good as done at once. */
  #turn(what: string, call: () => void): void {
    const { model, now } = this.#simulation;
    this.#simulation.turn(what, call, () => {
      model.now = now;
    });
  }
}
