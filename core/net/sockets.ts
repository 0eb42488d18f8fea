/**
 * The sockets of all connections: which there are, what is to be written to them at the end of a
 * turn, and how they end. It knows nothing of the broker; the turn stands between.
 */
import type { ConnectionId } from '../broker/outbox.ts';
import { BufferPool } from './buffer-pool.ts';
import type { NetCounters } from './counters.ts';
import { Lingering } from './lingering.ts';
import { Link, type Transport } from './link.ts';
import { Registry } from './registry.ts';

/** Unwritten bytes over all sockets beyond which they are written at once. */
const EARLY_WRITE_BYTES = 32 * 1024 * 1024;

export class Sockets {
  readonly #counters: NetCounters;
  readonly #registry = new Registry();
  readonly #pool = new BufferPool();
  readonly #lingering: Lingering;
  /** Those that the turn writes to. */
  readonly #dirty: Link[] = [];
  readonly #whenEmpty: (() => void)[] = [];
  /** Bytes that this turn sent and has not written. */
  unwritten = 0;

  /** A closed connection has `closeTimeoutMs` to take what was sent and to end; no more than `maximumLingering` do so at a time. */
  constructor(counters: NetCounters, closeTimeoutMs: number, maximumLingering: number) {
    this.#counters = counters;
    this.#lingering = new Lingering(closeTimeoutMs, maximumLingering, (link) => this.#cut(link));
  }

  add(transport: Transport): Link {
    const link = new Link(this.#registry.nextId(), transport, this.#pool);
    this.#registry.add(link);
    return link;
  }

  /** The connection of that number, where it is neither closed nor gone. */
  open(id: ConnectionId): Link | undefined {
    const link = this.#registry.get(id);
    return link !== undefined && link.state === 'open' ? link : undefined;
  }

  /** Those that stand, of closed connections too. */
  get size(): number {
    return this.#registry.size;
  }

  /** Those of closed connections. */
  get lingering(): number {
    return this.#lingering.size;
  }

  /** Sends a copy of `bytes` from `start` to `end`. */
  send(to: ConnectionId, bytes: Uint8Array, start: number, end: number): void {
    const link = this.open(to);
    if (link === undefined) return;
    link.copy(bytes, start, end);
    this.#sent(link, end - start);
  }

  /** Sends `bytes`, which must never change again. */
  share(to: ConnectionId, bytes: Uint8Array): void {
    const link = this.open(to);
    if (link === undefined) return;
    link.refer(bytes);
    this.#sent(link, bytes.length);
  }

  /** The socket takes bytes again. */
  drained(link: Link): void {
    link.drained();
    this.#soil(link);
  }

  /**
   * Its socket is stopped only once it brings something all the same: nearly all clients wait for the
   * answer to CONNECT, and to stop and to start a socket costs two system calls.
   */
  pause(id: ConnectionId): void {
    const link = this.open(id);
    if (link?.reading === 'on') link.reading = 'paused';
  }

  resume(id: ConnectionId): void {
    const link = this.open(id);
    if (link !== undefined) this.#read(link);
  }

  /** Bytes came from its socket. */
  heard(link: Link): void {
    if (link.reading !== 'paused') return;
    link.reading = 'stopped';
    link.transport.pause();
  }

  /** Writes to each that was sent something, and tells `written` of it; whatever that sends is written as well. */
  write(written: (link: Link) => void): void {
    const dirty = this.#dirty;
    for (let index = 0; index < dirty.length; index++) {
      const link = dirty[index] as Link;
      link.dirty = false;
      link.flush();
      if (link.state === 'open') written(link);
      else if (link.state === 'closing' && link.waiting === 0) {
        link.state = 'finished';
        link.transport.shutdown();
      }
    }
    dirty.length = 0;
    this.unwritten = 0;
  }

  /** Ends a connection in good order. Reading goes on, and nothing is heard of it. */
  close(link: Link): void {
    link.state = 'closing';
    this.#read(link);
    this.#soil(link);
    this.#lingering.add(link);
  }

  /** The socket is gone; whether the connection was open. */
  remove(link: Link): boolean {
    if (link.state === 'gone') return false;
    const wasOpen = link.state === 'open';
    if (!wasOpen) this.#lingering.ended(link);
    link.state = 'gone';
    link.discard();
    this.#registry.delete(link);
    if (this.#registry.size === 0) for (const empty of this.#whenEmpty.splice(0)) empty();
    return wasOpen;
  }

  /** Any number may linger: all are closed at once. */
  unboundLingering(): void {
    this.#lingering.unbound();
  }

  /** Resolves as soon as there is none. */
  empty(): Promise<void> {
    if (this.#registry.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Cuts what is left. */
  stop(): void {
    this.#lingering.stop();
    for (const link of [...this.#registry]) {
      link.discard();
      link.transport.terminate();
    }
  }

  #sent(link: Link, bytes: number): void {
    if (!link.dirty) this.#soil(link);
    this.unwritten += bytes;
    if (this.unwritten > EARLY_WRITE_BYTES) this.#writeEarly();
  }

  #soil(link: Link): void {
    if (link.dirty) return;
    link.dirty = true;
    this.#dirty.push(link);
  }

  /** Bounds what a turn can hold. The broker is in the midst of a call, and is told at the turn's end. */
  #writeEarly(): void {
    for (const link of this.#dirty) link.flush();
    this.unwritten = 0;
  }

  #cut(link: Link): void {
    this.#counters.cut++;
    link.transport.terminate();
    this.remove(link);
  }

  #read(link: Link): void {
    if (link.reading === 'stopped') link.transport.resume();
    link.reading = 'on';
  }
}
