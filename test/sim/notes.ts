/**
 * The outbox double: writes down, in order, everything that the core asks of the outside world, with
 * the bytes for each connection cut and decoded into packets again. What no shell may ever see (bytes
 * after close, half a packet at the end of a turn) is a failure at once.
 */
import type { Change, MessageNumber } from '../../core/broker/changes.ts';
import type { BrokerEvent, ConnectionId, Outbox } from '../../core/broker/outbox.ts';
import { decode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Message, Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';
import type { MemoryStorage } from '../storage.ts';
import { Failure } from './failure.ts';

/** Something that the core asked for. */
export type Note =
  | {
      readonly kind: 'packet';
      readonly connection: ConnectionId;
      readonly packet: Packet;
      readonly size: number;
    }
  | { readonly kind: 'close' | 'pause' | 'resume'; readonly connection: ConnectionId }
  | { readonly kind: 'verify'; readonly connection: ConnectionId; readonly token: string }
  | { readonly kind: 'handle'; readonly message: Message; readonly number: MessageNumber }
  | { readonly kind: 'forward'; readonly message: Message }
  | { readonly kind: 'report'; readonly event: BrokerEvent };

/** A note, and how many packets the core had begun to work on by then. */
export interface Noted {
  readonly note: Note;
  readonly packets: number;
}

/** What `Outbox.fetch` asks for. */
export type Wanted = Parameters<Outbox['fetch']>;

interface Stream {
  readonly framer: Framer;
  readonly version: ProtocolVersion;
  closed: boolean;
}

/** Changes what the core sends before anybody sees it: how the mutation tests break things. */
export type Tamper = (note: Note) => readonly Note[];

export class NoteTaker implements Outbox {
  #notes: Noted[] = [];
  readonly #packets: () => number;
  readonly #streams = new Map<ConnectionId, Stream>();
  readonly #tamper: Tamper | undefined;
  readonly #storage: MemoryStorage | undefined;
  /** What the core wants read from the disk. */
  readonly fetches: Wanted[] = [];
  #wrong: string | undefined;

  constructor(packets: () => number, storage?: MemoryStorage, tamper?: Tamper) {
    this.#packets = packets;
    this.#storage = storage;
    this.#tamper = tamper;
  }

  /** A connection begins; `version` is what its client will speak. */
  open(connection: ConnectionId, version: ProtocolVersion): void {
    const framer = new Framer(Number.POSITIVE_INFINITY);
    this.#streams.set(connection, { framer, version, closed: false });
  }

  /** The connection ended without the core's asking. */
  forget(connection: ConnectionId): void {
    this.#streams.delete(connection);
  }

  /** What was noted since the last call. */
  take(): readonly Noted[] {
    if (this.#wrong !== undefined) throw new Failure(this.#wrong);
    for (const [connection, stream] of this.#streams) {
      if (stream.framer.heldBytes > 0) {
        throw new Failure(`a turn ended with half a packet sent to connection ${connection}`);
      }
      if (stream.closed) this.#streams.delete(connection);
    }
    const notes = this.#notes;
    this.#notes = [];
    return notes;
  }

  send(to: ConnectionId, bytes: Uint8Array, start = 0, end = bytes.length): void {
    const stream = this.#streams.get(to);
    if (stream === undefined || stream.closed) {
      this.#wrong ??= `bytes for connection ${to}, which is over`;
      return;
    }
    const { framer } = stream;
    framer.push(new Uint8Array(bytes.subarray(start, end)));
    while (framer.next()) {
      const packet = decode(framer.bytes, framer.start, framer.end, stream.version);
      const size = framer.end - framer.start;
      this.#add({ kind: 'packet', connection: to, packet, size });
    }
  }

  share(to: ConnectionId, bytes: Uint8Array): void {
    this.send(to, bytes);
  }

  close(connection: ConnectionId): void {
    const stream = this.#streams.get(connection);
    if (stream === undefined || stream.closed) {
      this.#wrong ??= `connection ${connection} was closed, which is over`;
      return;
    }
    stream.closed = true;
    this.#add({ kind: 'close', connection });
  }

  pause(connection: ConnectionId): void {
    this.#add({ kind: 'pause', connection });
  }

  resume(connection: ConnectionId): void {
    this.#add({ kind: 'resume', connection });
  }

  /** What the network does then, nobody here is told. */
  probe(): void {}

  verify(connection: ConnectionId, token: string): void {
    this.#add({ kind: 'verify', connection, token });
  }

  handle(command: Message, number: MessageNumber): void {
    this.#add({ kind: 'handle', message: command, number });
  }

  keep(change: Change): void {
    if (this.#storage === undefined)
      this.#wrong ??= 'something is kept, though there is no storage';
    else this.#storage.keep(change);
  }

  fetch(...wanted: Wanted): void {
    this.fetches.push(wanted);
  }

  forward(message: Message): void {
    this.#add({ kind: 'forward', message });
  }

  report(event: BrokerEvent): void {
    this.#add({ kind: 'report', event });
  }

  #add(note: Note): void {
    const packets = this.#packets();
    for (const each of this.#tamper?.(note) ?? [note]) this.#notes.push({ note: each, packets });
  }
}
