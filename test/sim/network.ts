/** A simulated Network Connection: bytes that are under way in either direction. */
import type { ConnectionId } from '../../core/broker/outbox.ts';
import { encode } from '../../core/mqtt/codec.ts';
import type { Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';
import type { SimClient } from './client.ts';
import type { Delivery, Incoming } from './state.ts';

interface Segment {
  readonly bytes: Uint8Array;
  readonly incoming: Incoming;
}

export class Link {
  readonly id: ConnectionId;
  readonly client: SimClient;
  readonly version: ProtocolVersion;
  /** What the client wrote and the broker has not received; of the first, `#taken` bytes are there. */
  readonly #toBroker: Segment[] = [];
  #taken = 0;
  /** What the broker sent and the client has not read. */
  readonly toClient: {
    readonly packet: Packet;
    readonly size: number;
    readonly delivery: Delivery | undefined;
  }[] = [];
  unreadBytes = 0;
  /** Bytes that the socket takes while the client does not read; Infinity for a quick reader. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** What the shell last told the broker. */
  waitingBytes = 0;
  paused = false;
  closedByBroker = false;

  constructor(id: ConnectionId, client: SimClient) {
    this.id = id;
    this.client = client;
    this.version = client.version;
  }

  write(packet: Packet): void {
    this.#toBroker.push({ bytes: encode(packet, this.version).slice(), incoming: { packet } });
  }

  /** Bytes that no client may send, and the Reason Code that they earn. */
  writeViolation(bytes: Uint8Array, violation: number): void {
    this.#toBroker.push({ bytes, incoming: { violation } });
  }

  get bytesToBroker(): number {
    return this.#toBroker.reduce((sum, each) => sum + each.bytes.length, 0) - this.#taken;
  }

  /** Cuts off the next `count` bytes; tells which packets are complete with them. */
  take(count: number): { readonly bytes: Uint8Array; readonly complete: readonly Incoming[] } {
    const parts: Uint8Array[] = [];
    const complete: Incoming[] = [];
    for (let left = count; left > 0; ) {
      const segment = this.#toBroker[0];
      if (segment === undefined) break;
      const part = segment.bytes.subarray(this.#taken, this.#taken + left);
      parts.push(part);
      left -= part.length;
      this.#taken += part.length;
      if (this.#taken < segment.bytes.length) continue;
      complete.push(segment.incoming);
      this.#toBroker.shift();
      this.#taken = 0;
    }
    return { bytes: Buffer.concat(parts), complete };
  }

  arrive(packet: Packet, size: number, delivery: Delivery | undefined): void {
    this.toClient.push({ packet, size, delivery });
    this.unreadBytes += size;
  }

  /** Bytes that the socket has not taken. */
  get backlog(): number {
    return Math.max(0, this.unreadBytes - this.capacityBytes);
  }
}
