/**
 * QoS 1 and 2 as sender (section 4.3 and 4.4): Packet Identifiers, the in-flight window, and what is
 * sent again, in order, when the client comes back.
 */
import assert from 'node:assert';
import type { PacketIdentifier } from '../mqtt/packet.ts';

/** A message in flight. */
export interface Inflight<D> {
  readonly packetIdentifier: PacketIdentifier;
  readonly delivery: D;
  /** True once PUBREC came and PUBREL took the message's place. */
  released: boolean;
}

const MAXIMUM_IDENTIFIER = 65_535;

/** Places for messages in flight that a session begins with; they double as the window fills. */
const FIRST_PLACES = 4;

export class Outbound<D> {
  /**
   * Each under its Packet Identifier, modulo the number of places, which is a power of two: identifiers
   * go up one by one, so that neighbours in time are neighbours here, and nothing is hashed.
   */
  #inflight: (Inflight<D> | undefined)[] | undefined = undefined;
  #size = 0;
  /** In flight since an earlier connection and not sent again yet, in order; undefined where there are none. */
  #unsent: Inflight<D>[] | undefined = undefined;
  #lastIdentifier = 0;
  /** Whether an identifier was given since the process began. */
  #begun = false;
  #window = 0;

  /** Messages in flight. */
  get size(): number {
    return this.#size;
  }

  /** Whether a new message may be sent: the window has room and nothing older waits to be sent again. */
  get open(): boolean {
    return this.size < this.#window && this.#unsent === undefined;
  }

  /**
   * A connection begins, and allows `window` messages in flight. What was in flight is to be sent
   * again: `takeResend` gives it piece by piece. [MQTT-4.4.0-1] [MQTT-3.3.4-9]
   */
  attach(window: number): void {
    this.#window = Math.min(window, MAXIMUM_IDENTIFIER);
    this.#unsent = this.#size === 0 ? undefined : this.entries();
  }

  /** The connection ended. */
  detach(): void {
    this.#unsent = undefined;
  }

  /**
   * The next message to send again; undefined when there is none or the window is used up by those
   * that are. A released one is a PUBREL and needs no room. Older ones come first. [MQTT-4.6.0-1]
   */
  takeResend(): Inflight<D> | undefined {
    const unsent = this.#unsent;
    const next = unsent?.[0];
    if (unsent === undefined || next === undefined) return undefined;
    if (!next.released && this.size - unsent.length >= this.#window) return undefined;
    this.#takeUnsent(unsent, 0);
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
    let identifier = this.#lastIdentifier;
    do identifier = identifier === MAXIMUM_IDENTIFIER ? 1 : identifier + 1;
    while (this.get(identifier) !== undefined);
    this.#lastIdentifier = identifier;
    this.#begun = true;
    this.#put({ packetIdentifier: identifier, delivery, released: false });
    return identifier;
  }

  /** Takes back a message that was in flight before a restart or while the client was away, in order. */
  restore(packetIdentifier: PacketIdentifier, delivery: D, released: boolean): void {
    const entry = { packetIdentifier, delivery, released };
    this.#put(entry);
    // After a restart those that come next go on behind it; else they do behind the last that was given.
    if (!this.#begun) this.#lastIdentifier = packetIdentifier;
    this.#unsent ??= [];
    this.#unsent.push(entry);
  }

  /** Forgets what is in flight: it is on disk. */
  park(): void {
    this.#inflight = undefined;
    this.#size = 0;
    this.#unsent = undefined;
  }

  get(packetIdentifier: PacketIdentifier): Inflight<D> | undefined {
    const places = this.#inflight;
    if (places === undefined) return undefined;
    const entry = places[packetIdentifier & (places.length - 1)];
    return entry?.packetIdentifier === packetIdentifier ? entry : undefined;
  }

  /** The message is done with: acknowledged, refused by the client, expired or handed to another. */
  end(packetIdentifier: PacketIdentifier): Inflight<D> | undefined {
    const entry = this.get(packetIdentifier);
    const places = this.#inflight;
    if (entry === undefined || places === undefined) return undefined;
    places[packetIdentifier & (places.length - 1)] = undefined;
    this.#size--;
    const unsent = this.#unsent;
    const index = unsent?.indexOf(entry) ?? -1;
    if (unsent !== undefined && index !== -1) this.#takeUnsent(unsent, index);
    return entry;
  }

  /** Whether it was sent before this connection, and not again on it. */
  waits(entry: Inflight<D>): boolean {
    return this.#unsent?.includes(entry) ?? false;
  }

  /** What is in flight, in the order of its first sending: that of the identifiers from the last one round. [MQTT-4.6.0-1] */
  entries(): Inflight<D>[] {
    const age = ({ packetIdentifier }: Inflight<D>): number =>
      (packetIdentifier - this.#lastIdentifier - 1 + MAXIMUM_IDENTIFIER) % MAXIMUM_IDENTIFIER;
    const entries = (this.#inflight ?? []).filter((entry) => entry !== undefined);
    return entries.sort((a, b) => age(a) - age(b));
  }

  /** One of them waits no more. */
  #takeUnsent(unsent: Inflight<D>[], index: number): void {
    if (unsent.length === 1) this.#unsent = undefined;
    else unsent.splice(index, 1);
  }

  #put(entry: Inflight<D>): void {
    this.#inflight ??= emptyPlaces(FIRST_PLACES);
    assert(this.get(entry.packetIdentifier) === undefined, 'the Packet Identifier is in use');
    let places = this.#inflight;
    while (places[entry.packetIdentifier & (places.length - 1)] !== undefined) {
      const more = emptyPlaces<D>(places.length * 2);
      for (const held of places) {
        if (held !== undefined) more[held.packetIdentifier & (more.length - 1)] = held;
      }
      places = more;
    }
    this.#inflight = places;
    places[entry.packetIdentifier & (places.length - 1)] = entry;
    this.#size++;
  }
}

/** As many as a power of two; with 65,536 no two identifiers share one. */
function emptyPlaces<D>(count: number): (Inflight<D> | undefined)[] {
  return new Array<Inflight<D> | undefined>(count).fill(undefined);
}
