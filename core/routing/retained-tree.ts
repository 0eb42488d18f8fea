/**
 * Topic Names to what is retained under them (MQTT 5.0 section 3.3.1.3), found by name or by filter.
 * A trie by level: a filter without wildcards costs its levels, however many topics there are, and a
 * wildcard visits only the branches that it matches.
 *
 * Invariants: no node stands that leads to no value; a lone child is stored bare. Nothing recurses,
 * so that the depth of a topic is bounded by its length alone.
 */
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';

class Node<V> {
  readonly level: string;
  /** Children by level; bare where there is one. */
  below: Node<V> | Map<string, Node<V>> | undefined = undefined;
  /** The topic that ends here; undefined where none does, and `value` means nothing. */
  topic: TopicName | undefined = undefined;
  value: V | undefined = undefined;

  constructor(level: string) {
    this.level = level;
  }

  child(level: string): Node<V> | undefined {
    const below = this.below;
    if (below instanceof Map) return below.get(level);
    return below?.level === level ? below : undefined;
  }

  grow(level: string): Node<V> {
    const child = new Node<V>(level);
    const below = this.below;
    if (below === undefined) this.below = child;
    else if (below instanceof Map) below.set(level, child);
    else this.below = new Map([below, child].map((node) => [node.level, node]));
    return child;
  }

  drop(child: Node<V>): void {
    if (this.below instanceof Map) {
      this.below.delete(child.level);
      if (this.below.size === 1) this.below = this.below.values().next().value;
    } else {
      this.below = undefined;
    }
  }
}

export class RetainedTree<V> {
  readonly #root = new Node<V>('');
  #size = 0;

  /** Topics with a value. */
  get size(): number {
    return this.#size;
  }

  get(topic: TopicName): V | undefined {
    let node: Node<V> | undefined = this.#root;
    for (const level of topic.split('/')) {
      node = node.child(level);
      if (node === undefined) return undefined;
    }
    return node.value;
  }

  /** Gives the previous value; undefined where there was none. */
  set(topic: TopicName, value: V): V | undefined {
    let node = this.#root;
    for (const level of topic.split('/')) node = node.child(level) ?? node.grow(level);
    const previous = node.value;
    if (node.topic === undefined) this.#size++;
    node.topic = topic;
    node.value = value;
    return previous;
  }

  /** Gives the value that stood there; undefined where none did. */
  delete(topic: TopicName): V | undefined {
    const path: Node<V>[] = [this.#root];
    for (const level of topic.split('/')) {
      const child = path[path.length - 1]?.child(level);
      if (child === undefined) return undefined;
      path.push(child);
    }
    const end = path[path.length - 1] as Node<V>;
    if (end.topic === undefined) return undefined;
    const previous = end.value;
    end.topic = undefined;
    end.value = undefined;
    this.#size--;
    for (let i = path.length - 1; i > 0; i--) {
      const node = path[i] as Node<V>;
      if (node.below !== undefined || node.topic !== undefined) break;
      path[i - 1]?.drop(node);
    }
    return previous;
  }

  /**
   * Visits every topic that `filter` matches, in no particular order. A filter that begins with a
   * wildcard meets no topic that begins with `$`. [MQTT-4.7.2-1] The visitor may change the tree:
   * a topic that it deletes is not visited after that, one that it adds may or may not be.
   */
  match(filter: TopicFilter, visit: (topic: TopicName, value: V) => void): void {
    const levels = filter.split('/');
    const all = levels.length + 1; // stands for: whatever is below, `#` has been reached
    const nodes: Node<V>[] = [this.#root];
    const depths: number[] = [0];
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      const depth = depths.pop() as number;
      const level = levels[depth];
      if (level === undefined || (level === '#' && depth > 0)) {
        if (node.topic !== undefined) visit(node.topic, node.value as V);
        if (depth === levels.length) continue;
      }
      if (level === undefined || level === '#' || level === '+') {
        const below = node.below;
        const children = below instanceof Map ? below.values() : below === undefined ? [] : [below];
        for (const child of children) {
          if (depth === 0 && child.level.startsWith('$')) continue;
          nodes.push(child);
          depths.push(level === '+' ? depth + 1 : all);
        }
      } else {
        const child = node.child(level);
        if (child === undefined) continue;
        nodes.push(child);
        depths.push(depth + 1);
      }
    }
  }
}
