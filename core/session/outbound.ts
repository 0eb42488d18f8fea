/**
 * QoS 1 and 2 as sender (section 4.3 and 4.4): Packet Identifiers, the in-flight window, and what is
 * sent again, in order, when the client comes back.
 */
import type { PacketIdentifier } from '../mqtt/packet.ts';

/** A message in flight. */
export interface Inflight<D> {
  readonly packetIdentifier: PacketIdentifier;
  readonly delivery: D;
  /** True once PUBREC came and PUBREL took the message's place. */
  released: boolean;
}

const MAXIMUM_IDENTIFIER = 65_535;

export class Outbound<D> {
  /** In the order of their first sending, which a Map keeps. [MQTT-4.6.0-1] */
  #inflight: Map<PacketIdentifier, Inflight<D>> | undefined = undefined;
  /** In flight since an earlier connection and not sent again yet, in order. */
  #unsent: Inflight<D>[] = [];
  #lastIdentifier = 0;
  #window = 0;

  /** Messages in flight. */
  get size(): number {
    return this.#inflight?.size ?? 0;
  }

  /** Whether a new message may be sent: the window has room and nothing older waits to be sent again. */
  get open(): boolean {
    return this.size < this.#window && this.#unsent.length === 0;
  }

  /**
   * A connection begins, and allows `window` messages in flight. What was in flight is to be sent
   * again: `takeResend` gives it piece by piece. [MQTT-4.4.0-1] [MQTT-3.3.4-9]
   */
  attach(window: number): void {
    this.#window = Math.min(window, MAXIMUM_IDENTIFIER);
    this.#unsent = this.#inflight === undefined ? [] : [...this.#inflight.values()];
  }

  /** The connection ended. */
  detach(): void {
    this.#unsent = [];
  }

  /**
   * The next message to send again; undefined when there is none or the window is used up by those
   * that are. A released one is a PUBREL and needs no room. Older ones come first. [MQTT-4.6.0-1]
   */
  takeResend(): Inflight<D> | undefined {
    const next = this.#unsent[0];
    if (next === undefined) return undefined;
    if (!next.released && this.size - this.#unsent.length >= this.#window) return undefined;
    this.#unsent.shift();
    return next;
  }

  /**
   * Puts `delivery` in flight and returns the Packet Identifier it travels under, 1 to 65 535;
   * undefined while the window is used up.
   *
   * Identifiers go round rather than restarting at 1, so that a late acknowledgement of an old
   * message meets a free identifier and not a new message. [MQTT-2.2.1-4] [MQTT-3.3.4-9]
   */
  begin(delivery: D): PacketIdentifier | undefined {
    if (!this.open) return undefined;
    this.#inflight ??= new Map();
    let identifier = this.#lastIdentifier;
    do identifier = identifier === MAXIMUM_IDENTIFIER ? 1 : identifier + 1;
    while (this.#inflight.has(identifier));
    this.#lastIdentifier = identifier;
    this.#inflight.set(identifier, {
      packetIdentifier: identifier,
      delivery,
      released: false,
    });
    return identifier;
  }

  /** Takes back a message that was in flight before a restart or while the client was away, in order. */
  restore(packetIdentifier: PacketIdentifier, delivery: D, released: boolean): void {
    this.#inflight ??= new Map();
    const entry = { packetIdentifier, delivery, released };
    this.#inflight.set(packetIdentifier, entry);
    this.#unsent.push(entry);
  }

  /** Forgets what is in flight: it is on disk. */
  park(): void {
    this.#inflight = undefined;
    this.#unsent = [];
  }

  get(packetIdentifier: PacketIdentifier): Inflight<D> | undefined {
    return this.#inflight?.get(packetIdentifier);
  }

  /** The message is done with: acknowledged, refused by the client, expired or handed to another. */
  end(packetIdentifier: PacketIdentifier): Inflight<D> | undefined {
    const entry = this.#inflight?.get(packetIdentifier);
    if (entry === undefined) return undefined;
    this.#inflight?.delete(packetIdentifier);
    if (this.#unsent.length > 0) {
      const index = this.#unsent.indexOf(entry);
      if (index !== -1) this.#unsent.splice(index, 1);
    }
    return entry;
  }

  /** Whether it was sent before this connection, and not again on it. */
  waits(entry: Inflight<D>): boolean {
    return this.#unsent.includes(entry);
  }

  /** What is in flight, oldest first. */
  entries(): Inflight<D>[] {
    return this.#inflight === undefined ? [] : [...this.#inflight.values()];
  }
}
