/**
 * Connections that the broker has closed and whose sockets still stand: what was sent is being
 * written, or the peer has not ended its side. Reading goes on and is thrown away, because a socket
 * that is closed with unread bytes is reset, and the reset can overtake the CONNACK or DISCONNECT
 * that tells the peer why.
 *
 * Bounded in time and number: a peer that neither reads nor ends is cut.
 */
import type { Link } from './link.ts';

export class Lingering {
  readonly #timeoutMs: number;
  #maximum: number;
  /** In the order of their deadlines, since all have the same time. */
  #links: Link[] = [];
  #deadlines: number[] = [];
  #first = 0;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  readonly #cut: (link: Link) => void;
  /** Those whose sockets stand; the list also has some that have ended. */
  size = 0;

  /** `cut` ends a socket, and calls `ended`. */
  constructor(timeoutMs: number, maximum: number, cut: (link: Link) => void) {
    this.#timeoutMs = timeoutMs;
    this.#maximum = maximum;
    this.#cut = cut;
  }

  add(link: Link): void {
    this.#links.push(link);
    this.#deadlines.push(performance.now() + this.#timeoutMs);
    this.size++;
    while (this.size > this.#maximum) this.#cutFirst();
    this.#arm();
  }

  /** The socket of one of them is gone. */
  ended(): void {
    this.size--;
  }

  /** Any number may linger, each in its time: all connections end at once. */
  unbound(): void {
    this.#maximum = Number.POSITIVE_INFINITY;
  }

  /** No more time for anybody. */
  stop(): void {
    clearTimeout(this.#timer);
    while (this.size > 0) this.#cutFirst();
  }

  #arm(): void {
    const deadline = this.#deadlines[this.#first];
    if (this.#timer !== undefined || deadline === undefined) return;
    this.#timer = setTimeout(this.#passed, Math.max(1, Math.ceil(deadline - performance.now())));
  }

  #passed = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    while ((this.#deadlines[this.#first] ?? Number.POSITIVE_INFINITY) <= now) this.#cutFirst();
    this.#links.splice(0, this.#first);
    this.#deadlines.splice(0, this.#first);
    this.#first = 0;
    this.#arm();
  };

  #cutFirst(): void {
    const link = this.#links[this.#first++];
    if (link !== undefined && link.state !== 'gone') this.#cut(link);
  }
}
