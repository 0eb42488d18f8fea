/** The handlers there are, and which of them a command is for. */
import { matchesSplit, type SplitFilter, splitFilter } from '../auth/filter-levels.ts';
import { hasWildcard, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import type { LoadedHandler } from './exchange.ts';

export class Catalogue {
  readonly handlers: readonly LoadedHandler[];
  /** Place in `handlers` by topic; a topic without wildcards has one handler at most. */
  readonly #exact = new Map<string, number>();
  readonly #wildcards: { readonly split: SplitFilter; readonly handler: number }[] = [];

  constructor(handlers: readonly LoadedHandler[]) {
    this.handlers = handlers;
    for (const [handler, { topics }] of handlers.entries()) {
      for (const topic of topics) {
        if (hasWildcard(topic)) this.#wildcards.push({ split: splitFilter(topic), handler });
        else this.#exact.set(topic, handler);
      }
    }
  }

  get topics(): readonly TopicFilter[] {
    return this.handlers.flatMap((handler) => handler.topics);
  }

  /** The places of those that `topic` is for, each once; more than one where filters overlap. */
  matching(topic: TopicName): readonly number[] {
    const exact = this.#exact.get(topic);
    const found = exact === undefined ? [] : [exact];
    for (const { split, handler } of this.#wildcards) {
      if (matchesSplit(split, topic) && !found.includes(handler)) found.push(handler);
    }
    return found;
  }
}

/** What tells a handler apart from one worker to the next. */
export function handlerKey({ file, position }: LoadedHandler): string {
  return `${position} ${file.path}`;
}
