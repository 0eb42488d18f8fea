/**
 * What goes out to one connection, and what happens where its client reads too slowly: nothing here
 * grows without a bound, and nobody else waits for it longer than configured.
 */
import { encode, publishHeadLength } from '../mqtt/codec.ts';
import type { Connect, Packet, Publish, QoS } from '../mqtt/packet.ts';
import type { Connection } from './connection.ts';
import type { Millis } from './outbox.ts';
import { SHARED_FROM } from './publication.ts';
import { pump } from './pump.ts';

export class Outflow {
  readonly #connection: Connection;
  /** Bytes sent that the socket has not taken yet, as far as the shell has told. */
  pendingBytes = 0;
  /** Since when more than `outboundBytes` are pending; Infinity while they are not. */
  congestedSinceMs: Millis = Number.POSITIVE_INFINITY;
  /** Publishers that are not read from until this connection has drained. */
  #holding: Set<Connection> | undefined = undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Whether more waits than is good: QoS 0 is dropped now, QoS 1 and 2 are queued. */
  get congested(): boolean {
    return this.pendingBytes > this.#connection.state.limits.outboundBytes;
  }

  /** Whether there is no room even for what was on its way when its publisher was told to stop. */
  get full(): boolean {
    return this.pendingBytes > 1.5 * this.#connection.state.limits.outboundBytes;
  }

  /** Sends a frame that may be reused or patched by the caller as soon as this returns. */
  write(bytes: Uint8Array): void {
    this.#wrote(bytes.length);
    this.#connection.state.outbox.send(this.#connection.id, bytes);
  }

  /**
   * Encodes and sends `packet`. What would be too large for the client goes without its Reason String
   * and User Properties, and not at all if it is too large even so. [MQTT-3.1.2-24] [MQTT-3.2.2-19]
   */
  writePacket(packet: Exclude<Packet, Publish | Connect>): void {
    const { protocolVersion, terms } = this.#connection;
    const { maximumPacketSize } = terms;
    let bytes = encode(packet, protocolVersion);
    if (bytes.length > maximumPacketSize && 'reasonString' in packet) {
      bytes = encode(
        { ...packet, reasonString: undefined, userProperties: undefined },
        protocolVersion,
      );
    }
    if (bytes.length <= maximumPacketSize) this.write(bytes);
  }

  /** Sends a PUBLISH frame: its head is patched for the next receiver, what follows never changes. */
  writePublish(frame: Uint8Array, qos: QoS): void {
    const { id, state } = this.#connection;
    state.counters.publishSent++;
    this.#wrote(frame.length);
    if (frame.length < SHARED_FROM) {
      state.outbox.send(id, frame);
    } else if (qos === 0) {
      state.outbox.share(id, frame);
    } else {
      const head = publishHeadLength(frame);
      state.outbox.send(id, frame.subarray(0, head));
      state.outbox.share(id, frame.subarray(head));
    }
  }

  /** Sends a PUBLISH that lies in `bytes` from `start` to `end`, and may be patched as soon as this returns. */
  writePart(bytes: Uint8Array, start: number, end: number): void {
    const { id, state } = this.#connection;
    state.counters.publishSent++;
    this.#wrote(end - start);
    state.outbox.send(id, bytes, start, end);
  }

  #wrote(length: number): void {
    const { state } = this.#connection;
    state.counters.packetsSent++;
    state.counters.bytesSent += length;
    // Twice the limit is out of proportion whatever it is made of: the connection ends with the turn.
    if (this.pendingBytes > 2 * state.limits.outboundBytes) state.overrun.add(this.#connection);
    this.pendingBytes += length;
  }

  /** The shell wrote: `waitingBytes` are still to go. */
  flushed(waitingBytes: number, now: Millis): void {
    const { session, state } = this.#connection;
    this.pendingBytes = waitingBytes;
    if (waitingBytes * 2 > state.limits.outboundBytes) return;
    const wasCongested = this.congestedSinceMs !== Number.POSITIVE_INFINITY;
    if (wasCongested) {
      this.congestedSinceMs = Number.POSITIVE_INFINITY;
      this.releaseHeld(now);
      this.#connection.schedule(now);
    }
    if (session !== undefined && (wasCongested || session.replay !== undefined)) {
      pump(state, session, now);
    }
  }

  /**
   * Takes note that a message found the connection congested. From here on its time runs; with the
   * policy `slow-publishers`, `publisher` is not read from until it has drained.
   */
  stall(publisher: Connection | undefined, now: Millis): void {
    const connection = this.#connection;
    if (this.congestedSinceMs === Number.POSITIVE_INFINITY) {
      this.congestedSinceMs = now;
      connection.schedule(now);
    }
    if (connection.state.limits.slowReader !== 'slow-publishers') return;
    if (publisher === undefined || publisher === connection) return;
    this.#holding ??= new Set();
    if (this.#holding.has(publisher)) return;
    this.#holding.add(publisher);
    publisher.hold();
  }

  /** The publishers that waited for this connection are read from again. */
  releaseHeld(now: Millis): void {
    const held = this.#holding;
    if (held === undefined) return;
    this.#holding = undefined;
    for (const publisher of held) publisher.letGo(now);
  }
}
