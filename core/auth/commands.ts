/**
 * Declared commands: the topics that devices may publish to, because somebody handles them. Plugins
 * and the policy file name them, and the subscriptions of remote handlers do while their session lives.
 *
 * Two kinds of filter declare nothing, so that nobody opens more than was meant: one whose first level
 * is a wildcard (an auditor on `#`), and one that begins with `$`.
 */
import { hasWildcard, type TopicFilter, type TopicName } from '../mqtt/topic.ts';
import { matchesSplit, type SplitFilter, splitFilter } from './filter-levels.ts';
import type { Separator } from './user-topic.ts';

export class DeclaredCommands {
  /** How often each filter was added and not yet removed. */
  readonly #counts = new Map<string, number>();
  /** Those without a wildcard: one look-up decides. */
  readonly #exact = new Set<string>();
  /** Those with one, by their first level, which is always spelled out. */
  readonly #wildcards = new Map<string, SplitFilter[]>();
  /** For `commandOf`, made when it is asked, forgotten with each change. */
  #byUserPart: Map<string, TopicFilter> | undefined;
  #separator: Separator | undefined;

  /** Distinct filters that declare something. */
  get size(): number {
    return this.#counts.size;
  }

  /** Declares what `filter` matches. Counted: what was added twice must be removed twice. */
  add(filter: TopicFilter): void {
    if (!declaresSomething(filter)) return;
    const count = this.#counts.get(filter) ?? 0;
    this.#counts.set(filter, count + 1);
    if (count > 0) return;
    this.#byUserPart = undefined;
    if (!hasWildcard(filter)) {
      this.#exact.add(filter);
      return;
    }
    const first = firstLevel(filter);
    const list = this.#wildcards.get(first);
    if (list === undefined) this.#wildcards.set(first, [splitFilter(filter)]);
    else list.push(splitFilter(filter));
  }

  /** Takes back one `add` of the same filter; without one, nothing happens. */
  remove(filter: TopicFilter): void {
    const count = this.#counts.get(filter);
    if (count === undefined) return;
    if (count > 1) {
      this.#counts.set(filter, count - 1);
      return;
    }
    this.#counts.delete(filter);
    this.#byUserPart = undefined;
    if (this.#exact.delete(filter)) return;
    const first = firstLevel(filter);
    const left = (this.#wildcards.get(first) ?? []).filter((split) => split.filter !== filter);
    if (left.length === 0) this.#wildcards.delete(first);
    else this.#wildcards.set(first, left);
  }

  /** Whether `topic` is a declared command now. Asked for every message that a device publishes. */
  declares(topic: TopicName): boolean {
    if (this.#exact.has(topic)) return true;
    if (this.#wildcards.size === 0) return false;
    const list = this.#wildcards.get(firstLevel(topic));
    if (list === undefined) return false;
    for (let index = 0; index < list.length; index++) {
      if (matchesSplit(list[index] as SplitFilter, topic)) return true;
    }
    return false;
  }

  /**
   * A declared command that this user's topics could spell, as `request_contact` for the user
   * `request`; undefined where there is none. The command wins, so such a user id is worth a report.
   */
  commandOf(encodedUser: string, separator: Separator): TopicFilter | undefined {
    if (this.#byUserPart === undefined || this.#separator !== separator) {
      this.#separator = separator;
      this.#byUserPart = new Map();
      for (const filter of this.#counts.keys()) {
        const end = filter.indexOf(separator);
        // With `_` a separator behind the first level is part of a name, and ends no user part.
        if (end <= 0 || end > firstLevel(filter).length) continue;
        const userPart = filter.slice(0, end);
        if (!this.#byUserPart.has(userPart)) this.#byUserPart.set(userPart, filter as TopicFilter);
      }
    }
    return this.#byUserPart.get(encodedUser);
  }
}

function declaresSomething(filter: TopicFilter): boolean {
  const code = filter.charCodeAt(0);
  return code !== 0x23 && code !== 0x2b && code !== 0x24; // `#`, `+`, `$`
}

function firstLevel(text: string): string {
  const slash = text.indexOf('/');
  return slash === -1 ? text : text.slice(0, slash);
}
