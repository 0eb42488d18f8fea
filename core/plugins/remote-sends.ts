/**
 * What handlers of a remote process sent, on its way to the broker: in order, within the broker's
 * Receive Maximum, and again after a lost connection, until the broker has acknowledged it
 * (MQTT 5.0 section 4.4). A command waits for what its runs sent, so positions tell how far that is.
 *
 * QoS 2 goes as QoS 1. Its Packet Identifiers would have to outlive this process, or the broker takes
 * a message of the next one for a repetition; and a command that runs again sends again in any case.
 */
import type { Message, PacketIdentifier, QoS } from '../mqtt/packet.ts';
import { Fifo } from './fifo.ts';

/** Counts what was sent: 1 for the first. */
export type SendPosition = number;

export interface Send {
  readonly message: Message;
  readonly position: SendPosition;
  /** How often the broker has said that it has no room for it now. */
  refusals: number;
}

/** What is to be written next. */
export interface Outgoing {
  readonly message: Message;
  readonly qos: QoS;
  /** 0 for QoS 0. */
  readonly packetIdentifier: PacketIdentifier;
  readonly dup: boolean;
}

/**
 * Packet Identifiers of sends go round from 1 to this; those above are for what else is acknowledged.
 * No more than these are in flight, whatever the broker takes.
 */
export const LAST_SEND_IDENTIFIER = 0xefff;

export class Sends {
  readonly #waiting = new Fifo<Send>();
  /** In the order in which they were sent. [MQTT-4.6.0-1] */
  readonly #inflight = new Map<PacketIdentifier, Send>();
  /** In flight since an earlier connection, and not sent again yet. */
  #unsent: PacketIdentifier[] = [];
  /** Positions that are not acknowledged, in order. */
  readonly #open = new Set<SendPosition>();
  #last: SendPosition = 0;
  #lastIdentifier: PacketIdentifier = 0;
  /** The Receive Maximum of the broker; 0 without a connection. */
  #window = 0;
  /** Nothing is sent before this: the broker has no room now. */
  #pausedUntil = 0;

  /** The position of the last one. */
  get last(): SendPosition {
    return this.#last;
  }

  /** All up to this position are acknowledged, or given up. */
  get settled(): SendPosition {
    for (const first of this.#open) return first - 1;
    return this.#last;
  }

  add(message: Message): void {
    const position = ++this.#last;
    this.#open.add(position);
    this.#waiting.push({ message, position, refusals: 0 });
  }

  /**
   * A connection is there, and takes `window` messages at a time. What was in flight goes first: under
   * its Packet Identifiers where the broker knows the session, else as if it were new. [MQTT-4.4.0-1]
   */
  attach(window: number, sessionPresent: boolean): void {
    this.#window = Math.min(window, LAST_SEND_IDENTIFIER);
    this.#pausedUntil = 0;
    this.#unsent = [...this.#inflight.keys()];
    if (sessionPresent) return;
    this.#waiting.unshift([...this.#inflight.values()]);
    this.#inflight.clear();
    this.#unsent = [];
  }

  detach(): void {
    this.#window = 0;
  }

  /** What is to be written now; undefined where that is nothing. */
  next(now: number): Outgoing | undefined {
    if (this.#inflight.size - this.#unsent.length >= this.#window) return undefined;
    const again = this.#unsent.shift();
    const old = again === undefined ? undefined : this.#inflight.get(again);
    if (again !== undefined && old !== undefined) {
      return { message: old.message, qos: 1, packetIdentifier: again, dup: true };
    }
    const first = this.#waiting.peek();
    if (first === undefined || now < this.#pausedUntil) return undefined;
    this.#waiting.shift();
    const { message, position } = first;
    if (message.qos === 0 || message.expiresAtMs <= now) {
      this.#open.delete(position);
      if (message.qos > 0) return this.next(now); // it has expired [MQTT-3.3.2-5]
      return { message, qos: 0, packetIdentifier: 0, dup: false };
    }
    const packetIdentifier = this.#nextIdentifier();
    this.#inflight.set(packetIdentifier, first);
    return { message, qos: 1, packetIdentifier, dup: false };
  }

  /** The message under `packetIdentifier`, while it is in flight. */
  get(packetIdentifier: PacketIdentifier): Send | undefined {
    return this.#inflight.get(packetIdentifier);
  }

  /** The broker has acknowledged it, or refused it for good. */
  end(packetIdentifier: PacketIdentifier): void {
    const send = this.#take(packetIdentifier);
    if (send !== undefined) this.#open.delete(send.position);
  }

  /** The broker has no room for it now: it is the next one to be sent, not before `at`. */
  postpone(packetIdentifier: PacketIdentifier, at: number): void {
    const send = this.#take(packetIdentifier);
    if (send === undefined) return;
    send.refusals++;
    this.#waiting.unshift([send]);
    this.#pausedUntil = Math.max(this.#pausedUntil, at);
  }

  #take(packetIdentifier: PacketIdentifier): Send | undefined {
    const send = this.#inflight.get(packetIdentifier);
    if (send === undefined) return undefined;
    this.#inflight.delete(packetIdentifier);
    const again = this.#unsent.indexOf(packetIdentifier);
    if (again !== -1) this.#unsent.splice(again, 1);
    return send;
  }

  #nextIdentifier(): PacketIdentifier {
    let identifier = this.#lastIdentifier;
    do identifier = identifier === LAST_SEND_IDENTIFIER ? 1 : identifier + 1;
    while (this.#inflight.has(identifier));
    this.#lastIdentifier = identifier;
    return identifier;
  }
}
