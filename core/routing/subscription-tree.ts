/**
 * Topic Filters to subscribers (MQTT 5.0 section 4.7), made for the question that is asked once per
 * message. Filters without a wildcard, by far the most, are found by one look into a map of whole
 * topics; the others stand in a trie by level that is walked level by level, without recursion and
 * only as deep as it still has a branch for the topic.
 *
 * Invariants: a lone subscriber and a lone child are stored bare, without an array or map around
 * them; no trie node stands that leads to no subscriber. The plain reading of the same rules is
 * `matches` in `mqtt/topic.ts`, and the tests hold the two against each other.
 */
import { hasWildcard, type TopicFilter, type TopicName } from '../mqtt/topic.ts';

/** Beyond this many subscribers of one filter, an index makes removing one a matter of one look. */
const INDEXED_FROM = 16;

/** The subscribers of one filter once there are two: unordered, without duplicates. */
class Several<T> {
  readonly members: T[] = [];
  #places: Map<T, number> | undefined = undefined;

  has(subscriber: T): boolean {
    return this.#places?.has(subscriber) ?? this.members.includes(subscriber);
  }

  add(subscriber: T): void {
    this.#places?.set(subscriber, this.members.length);
    this.members.push(subscriber);
    if (this.members.length === INDEXED_FROM) {
      this.#places = new Map(this.members.map((member, place) => [member, place]));
    }
  }

  /** The last member takes the place of the removed one. */
  remove(subscriber: T): boolean {
    const place = this.#places?.get(subscriber) ?? this.members.indexOf(subscriber);
    if (place === -1) return false;
    const last = this.members.pop() as T;
    if (place < this.members.length) {
      this.members[place] = last;
      this.#places?.set(last, place);
    }
    this.#places?.delete(subscriber);
    return true;
  }
}

type Subscribers<T> = T | Several<T>;

/** A level of a filter with a wildcard; `+` has a field of its own, and `#` is a field of its parent. */
class Branch<T> {
  readonly level: string;
  /** Branches by level; bare where there is one. */
  below: Branch<T> | Map<string, Branch<T>> | undefined = undefined;
  plus: Branch<T> | undefined = undefined;
  /** Subscribers of the filter that ends here. */
  here: Subscribers<T> | undefined = undefined;
  /** Subscribers of the filter that ends with `#` below here: it covers this level too. */
  hash: Subscribers<T> | undefined = undefined;

  constructor(level: string) {
    this.level = level;
  }

  child(level: string): Branch<T> | undefined {
    const below = this.below;
    if (below instanceof Map) return below.get(level);
    return below?.level === level ? below : undefined;
  }

  grow(level: string): Branch<T> {
    const child = new Branch<T>(level);
    const below = this.below;
    if (below === undefined) this.below = child;
    else if (below instanceof Map) below.set(level, child);
    else this.below = new Map([below, child].map((branch) => [branch.level, branch]));
    return child;
  }

  drop(child: Branch<T>): void {
    if (this.plus === child) {
      this.plus = undefined;
    } else if (this.below instanceof Map) {
      this.below.delete(child.level);
      if (this.below.size === 1) this.below = this.below.values().next().value;
    } else {
      this.below = undefined;
    }
  }

  get empty(): boolean {
    return (
      this.below === undefined &&
      this.plus === undefined &&
      this.here === undefined &&
      this.hash === undefined
    );
  }
}

export class SubscriptionTree<T extends NonNullable<unknown>> {
  readonly #exact = new Map<string, Subscribers<T>>();
  readonly #root = new Branch<T>('');
  #size = 0;
  #wild = 0;
  // The branches that a match has reached, and those it will reach next: reused from call to call.
  #reached: Branch<T>[] = [];
  #next: Branch<T>[] = [];

  /** Pairs of a filter and a subscriber. */
  get size(): number {
    return this.#size;
  }

  /** Subscribing again to a filter that one holds changes nothing. */
  add(filter: TopicFilter, subscriber: T): void {
    if (!hasWildcard(filter)) {
      const held = this.#exact.get(filter);
      const next = joined(held, subscriber);
      if (next === undefined) return;
      if (next !== held) this.#exact.set(filter, next);
      this.#size++;
      return;
    }
    let branch = this.#root;
    const levels = filter.split('/');
    const last = levels.length - 1;
    const hash = levels[last] === '#';
    for (let i = 0; i < (hash ? last : last + 1); i++) {
      const level = levels[i] as string;
      if (level === '+') {
        branch.plus ??= new Branch<T>(level);
        branch = branch.plus;
      } else {
        branch = branch.child(level) ?? branch.grow(level);
      }
    }
    const next = joined(hash ? branch.hash : branch.here, subscriber);
    if (next === undefined) return;
    if (hash) branch.hash = next;
    else branch.here = next;
    this.#size++;
    this.#wild++;
  }

  /** False where `subscriber` does not hold `filter`. Nothing of the filter stays behind. */
  remove(filter: TopicFilter, subscriber: T): boolean {
    if (!hasWildcard(filter)) {
      const held = this.#exact.get(filter);
      if (!holds(held, subscriber)) return false;
      const next = parted(held, subscriber);
      if (next === undefined) this.#exact.delete(filter);
      else if (next !== held) this.#exact.set(filter, next);
      this.#size--;
      return true;
    }
    const levels = filter.split('/');
    const hash = levels.at(-1) === '#';
    if (hash) levels.pop();
    const path: Branch<T>[] = [this.#root];
    for (const level of levels) {
      const parent = path[path.length - 1] as Branch<T>;
      const branch = level === '+' ? parent.plus : parent.child(level);
      if (branch === undefined) return false;
      path.push(branch);
    }
    const end = path[path.length - 1] as Branch<T>;
    const held = hash ? end.hash : end.here;
    if (!holds(held, subscriber)) return false;
    const next = parted(held, subscriber);
    if (hash) end.hash = next;
    else end.here = next;
    for (let i = path.length - 1; i > 0 && path[i]?.empty; i--) {
      path[i - 1]?.drop(path[i] as Branch<T>);
    }
    this.#size--;
    this.#wild--;
    return true;
  }

  /**
   * Appends to `into` every subscriber, once for each of its filters that matches `topic`, in no
   * particular order. A topic that begins with `$` is not met by a filter that begins with a
   * wildcard. [MQTT-4.7.2-1]
   */
  match(topic: TopicName, into: T[]): void {
    const exact = this.#exact.get(topic);
    if (exact !== undefined) append(exact, into);
    if (this.#wild !== 0) this.#matchWild(topic, into);
  }

  #matchWild(topic: TopicName, into: T[]): void {
    const root = this.#root;
    const wildFirst = topic.charCodeAt(0) !== 0x24;
    if (wildFirst && root.hash !== undefined) append(root.hash, into);

    let reached = this.#reached;
    let next = this.#next;
    reached.push(root);
    let start = 0;
    while (reached.length > 0) {
      const slash = topic.indexOf('/', start);
      const end = slash === -1 ? topic.length : slash;
      let level: string | undefined;
      for (let i = 0; i < reached.length; i++) {
        const branch = reached[i] as Branch<T>;
        const below = branch.below;
        if (below instanceof Map) {
          level ??= topic.slice(start, end);
          const child = below.get(level);
          if (child !== undefined) next.push(child);
        } else if (
          below !== undefined &&
          below.level.length === end - start &&
          topic.startsWith(below.level, start)
        ) {
          next.push(below);
        }
        if (branch.plus !== undefined && (wildFirst || start > 0)) next.push(branch.plus);
      }
      reached.length = 0;
      for (let i = 0; i < next.length; i++) {
        const branch = next[i] as Branch<T>;
        if (branch.hash !== undefined) append(branch.hash, into);
        if (slash === -1 && branch.here !== undefined) append(branch.here, into);
      }
      if (slash === -1) next.length = 0;
      const swap = reached;
      reached = next;
      next = swap;
      start = end + 1;
    }
    this.#reached = reached;
    this.#next = next;
  }
}

/** The subscribers with `subscriber` among them; undefined where it already is. */
function joined<T>(held: Subscribers<T> | undefined, subscriber: T): Subscribers<T> | undefined {
  if (held === undefined) return subscriber;
  if (holds(held, subscriber)) return undefined;
  if (held instanceof Several) {
    held.add(subscriber);
    return held;
  }
  const several = new Several<T>();
  several.add(held);
  several.add(subscriber);
  return several;
}

function holds<T>(held: Subscribers<T> | undefined, subscriber: T): boolean {
  return held instanceof Several ? held.has(subscriber) : held === subscriber;
}

/** What stays of `held`, which has `subscriber`, without it; undefined where nobody stays. */
function parted<T>(held: Subscribers<T> | undefined, subscriber: T): Subscribers<T> | undefined {
  if (!(held instanceof Several)) return undefined;
  held.remove(subscriber);
  return held.members.length === 1 ? held.members[0] : held;
}

function append<T>(subscribers: Subscribers<T>, into: T[]): void {
  if (subscribers instanceof Several) {
    const members = subscribers.members;
    for (let i = 0; i < members.length; i++) into.push(members[i] as T);
  } else {
    into.push(subscribers);
  }
}
