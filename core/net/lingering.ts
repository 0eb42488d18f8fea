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
  /** Their deadlines, the nearest first, since all have the same time. */
  readonly #deadlines = new Map<Link, number>();
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  readonly #cut: (link: Link) => void;

  /** `cut` ends a socket. */
  constructor(timeoutMs: number, maximum: number, cut: (link: Link) => void) {
    this.#timeoutMs = timeoutMs;
    this.#maximum = maximum;
    this.#cut = cut;
  }

  get size(): number {
    return this.#deadlines.size;
  }

  add(link: Link): void {
    this.#deadlines.set(link, performance.now() + this.#timeoutMs);
    this.#cutUpTo(Number.POSITIVE_INFINITY, this.#maximum);
    this.#arm();
  }

  /** The socket of one of them is gone. */
  ended(link: Link): void {
    this.#deadlines.delete(link);
  }

  /** Any number may linger, each in its time: all connections end at once. */
  unbound(): void {
    this.#maximum = Number.POSITIVE_INFINITY;
  }

  /** No more time for anybody. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#cutUpTo(Number.POSITIVE_INFINITY);
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const [deadline] = this.#deadlines.values();
    if (deadline === undefined) return;
    this.#timer = setTimeout(this.#passed, Math.max(1, Math.ceil(deadline - performance.now())));
  }

  #passed = (): void => {
    this.#timer = undefined;
    this.#cutUpTo(performance.now());
    this.#arm();
  };

  /** Cuts those whose time is over at `now`, the first to close first, until no more than `most` are left. */
  #cutUpTo(now: number, most = 0): void {
    for (const [link, deadline] of this.#deadlines) {
      if (deadline > now || this.size <= most) return;
      this.#deadlines.delete(link);
      this.#cut(link);
    }
  }
}
