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
  /** Connections that were cut. */
  cut = 0;

  constructor(timeoutMs: number, maximum: number) {
    this.#timeoutMs = timeoutMs;
    this.#maximum = maximum;
  }

  get size(): number {
    return this.#links.length - this.#first;
  }

  add(link: Link): void {
    this.#links.push(link);
    this.#deadlines.push(performance.now() + this.#timeoutMs);
    while (this.size > this.#maximum) this.#cutFirst();
    this.#arm();
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
    if (this.#timer !== undefined || this.size === 0) return;
    const deadline = this.#deadlines[this.#first] ?? 0;
    this.#timer = setTimeout(this.#passed, Math.max(1, Math.ceil(deadline - performance.now())));
  }

  #passed = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    while (this.size > 0 && (this.#deadlines[this.#first] ?? 0) <= now) this.#cutFirst();
    this.#links.splice(0, this.#first);
    this.#deadlines.splice(0, this.#first);
    this.#first = 0;
    this.#arm();
  };

  #cutFirst(): void {
    const link = this.#links[this.#first++];
    if (link === undefined || link.state === 'gone') return;
    this.cut++;
    link.discard();
    link.transport.terminate();
  }
}
