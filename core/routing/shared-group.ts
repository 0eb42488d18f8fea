/**
 * A Shared Subscription (MQTT 5.0 section 4.8.2): one ShareName on one filter, whose members take
 * turns. Each message goes to one member; which one is the server's choice, and ours is the next in
 * turn among those who can take it. [MQTT-4.8.2-4]
 */
import type { TopicFilter } from '../mqtt/topic.ts';

export class SharedGroup<M> {
  readonly shareName: string;
  readonly filter: TopicFilter;
  readonly #members: M[] = [];
  /** Place of the member whose turn it is. */
  #turn = 0;

  constructor(shareName: string, filter: TopicFilter) {
    this.shareName = shareName;
    this.filter = filter;
  }

  /** In the order in which they take turns. */
  get members(): readonly M[] {
    return this.#members;
  }

  get size(): number {
    return this.#members.length;
  }

  /** A new member's turn comes after everybody else's; who is a member already stays where it is. */
  add(member: M): void {
    if (this.#members.includes(member)) return;
    this.#members.splice(this.#turn, 0, member);
    this.#turn++;
  }

  /** False where `member` is none. Nobody else loses a turn by it. */
  remove(member: M): boolean {
    const place = this.#members.indexOf(member);
    if (place === -1) return false;
    this.#members.splice(place, 1);
    if (place < this.#turn) this.#turn--;
    return true;
  }

  /** The next in turn that is eligible; undefined where nobody is. */
  pick(eligible: (member: M) => boolean): M | undefined {
    const count = this.#members.length;
    for (let i = 0; i < count; i++) {
      const place = (this.#turn + i) % count;
      const member = this.#members[place] as M;
      if (!eligible(member)) continue;
      this.#turn = (place + 1) % count;
      return member;
    }
    return undefined;
  }
}
