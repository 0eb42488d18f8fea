/** The handlers there are, known by name, and which of them a command is for. */
import { matchesSplit, type SplitFilter, splitFilter } from '../auth/filter-levels.ts';
import { hasWildcard, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import type { LoadedHandler } from './exchange.ts';
import type { HookEvent } from './handler.ts';

/** What comes from the broker itself comes as a command under a topic that no client can publish to. */
const HOOK = '$hook/';
const UNDELIVERED = `${HOOK}undelivered/`;
const SCHEDULE = `${HOOK}schedule/`;

const none: readonly LoadedHandler[] = [];

export class Catalogue {
  /** By name, in the order in which they were loaded. */
  readonly handlers: ReadonlyMap<string, LoadedHandler>;
  /** Removed ones, for commands that were accepted while they were there and match nobody else. */
  readonly leaving: readonly LoadedHandler[];
  readonly #serving: Matcher;
  readonly #left: Matcher;

  constructor(handlers: readonly LoadedHandler[], leaving: readonly LoadedHandler[] = []) {
    this.handlers = new Map(handlers.map((handler) => [handler.name, handler]));
    this.leaving = leaving;
    this.#serving = new Matcher(handlers);
    this.#left = new Matcher(leaving);
  }

  /** The commands that devices may publish. */
  get topics(): readonly TopicFilter[] {
    return [...this.handlers.values()].flatMap(topicsOf);
  }

  /** The hooks that somebody wants. */
  get hooks(): readonly HookEvent[] {
    return [...new Set([...this.handlers.values()].flatMap(hooksOf))];
  }

  /** Names of all secrets that handlers have. */
  get secrets(): readonly string[] {
    return [...this.handlers.values()].flatMap(({ secrets }) => secrets);
  }

  /** One by its name, also while it is leaving. */
  named(name: string): LoadedHandler | undefined {
    return this.handlers.get(name) ?? this.leaving.find((handler) => handler.name === name);
  }

  /** Those that `topic` is for, each once; more than one where filters overlap. */
  matching(topic: TopicName): readonly LoadedHandler[] {
    const found = this.#serving.matching(topic);
    return found.length > 0 || this.leaving.length === 0 ? found : this.#left.matching(topic);
  }

  /** Those that are here and not in `handlers`: what leaves when those take over. */
  without(handlers: readonly LoadedHandler[]): readonly LoadedHandler[] {
    const names = new Set(handlers.map(({ name }) => name));
    return [...this.handlers.values(), ...this.leaving].filter(({ name }) => !names.has(name));
  }
}

class Matcher {
  /** Topics without wildcards; a command among them has one handler, a hook may have several. */
  readonly #exact = new Map<string, readonly LoadedHandler[]>();
  readonly #wildcards: { readonly split: SplitFilter; readonly handler: LoadedHandler }[] = [];

  constructor(handlers: readonly LoadedHandler[]) {
    for (const handler of handlers) {
      for (const topic of topicsOf(handler)) {
        if (hasWildcard(topic)) this.#wildcards.push({ split: splitFilter(topic), handler });
        else this.#add(topic, handler);
      }
      for (const hook of hooksOf(handler)) this.#add(HOOK + hook, handler);
      if (handler.rules.trigger.kind === 'schedule') this.#add(SCHEDULE + handler.name, handler);
    }
  }

  matching(topic: TopicName): readonly LoadedHandler[] {
    const key = topic.startsWith(UNDELIVERED) ? UNDELIVERED.slice(0, -1) : topic;
    const exact = this.#exact.get(key) ?? none;
    if (this.#wildcards.length === 0 || topic.startsWith('$')) return exact;
    const found = [...exact];
    for (const { split, handler } of this.#wildcards) {
      if (matchesSplit(split, topic) && !found.includes(handler)) found.push(handler);
    }
    return found;
  }

  #add(topic: string, handler: LoadedHandler): void {
    this.#exact.set(topic, [...(this.#exact.get(topic) ?? none), handler]);
  }
}

export function topicsOf({ rules }: LoadedHandler): readonly TopicFilter[] {
  return rules.trigger.kind === 'command' ? rules.trigger.topics : [];
}

function hooksOf({ rules }: LoadedHandler): readonly HookEvent[] {
  return rules.trigger.kind === 'hook' ? rules.trigger.events : [];
}
