/**
 * The QoS 1 commands that a client sent last: what it sends again after a reconnect is known as such,
 * and takes effect once. QoS 1 alone promises at least once, since PUBACK may be lost with the connection; a
 * client that has it never sends the message again, so nobody who keeps to the standard can tell.
 *
 * Within one connection each PUBLISH is a new message, DUP or not. [MQTT-4.3.2-5]
 */
import type { Message, PacketIdentifier } from '../mqtt/packet.ts';

/** Tells two messages under one Packet Identifier apart: 32 bits of FNV-1a over topic and payload. */
export function fingerprint({ topic, payload }: Message): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < topic.length; i++) hash = Math.imul(hash ^ topic.charCodeAt(i), 0x0100_0193);
  for (let i = 0; i < payload.length; i++) {
    hash = Math.imul(hash ^ (payload[i] as number), 0x0100_0193);
  }
  return hash >>> 0;
}

/** So many of an earlier connection are known: of a client that had more of them unacknowledged, the others may come twice. */
export const RECENT_COMMANDS = 64;

export class RecentCommands {
  /** Packet Identifier and fingerprint in turn, the newest last. */
  #marks: number[];
  /** How many of `#marks` are from before this connection. */
  #earlier: number;

  /** `marks` as `snapshot` gave them. */
  constructor(marks: readonly number[] = []) {
    this.#marks = [...marks];
    this.#earlier = marks.length;
  }

  /** A command was taken. `fingerprint` is a whole number of 32 bits. */
  add(packetIdentifier: PacketIdentifier, fingerprint: number): void {
    const marks = this.#marks;
    const known = this.#find(packetIdentifier);
    if (known !== -1) this.#remove(known);
    // Those of before stay: the client is still to send them again, perhaps.
    if (marks.length - this.#earlier === 2 * RECENT_COMMANDS) this.#remove(this.#earlier);
    marks.push(packetIdentifier, fingerprint);
  }

  /** Whether a PUBLISH with DUP is one that came over an earlier connection. */
  repeats(packetIdentifier: PacketIdentifier, fingerprint: number): boolean {
    const at = this.#find(packetIdentifier);
    return at !== -1 && at < this.#earlier && this.#marks[at + 1] === fingerprint;
  }

  /** The connection ended. */
  detach(): void {
    this.#marks = this.#marks.slice(-2 * RECENT_COMMANDS);
    this.#earlier = this.#marks.length;
  }

  /** What is to last: Packet Identifier and fingerprint in turn. */
  snapshot(): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(this.#marks);
  }

  #find(packetIdentifier: PacketIdentifier): number {
    const marks = this.#marks;
    for (let at = marks.length - 2; at >= 0; at -= 2) {
      if (marks[at] === packetIdentifier) return at;
    }
    return -1;
  }

  #remove(at: number): void {
    this.#marks.splice(at, 2);
    if (at < this.#earlier) this.#earlier -= 2;
  }
}
