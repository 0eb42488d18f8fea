/**
 * One socket as the loop sees it: what waits to be written to it, in order, and how it ends.
 *
 * Small messages are copied side by side into one buffer, so that a turn ends in one write. Large
 * bytes that never change are kept by reference. Nothing is ever joined or moved again, so 64 MB
 * that wait cost no more per byte than 64 do.
 */
import type { ConnectionId } from '../broker/outbox.ts';
import { copyBytes, copyOfBytes } from '../mqtt/bytes.ts';
import { type BufferPool, LARGE_BUFFER_BYTES } from './buffer-pool.ts';
import { Chunks } from './chunks.ts';

/** What a transport offers; a `Bun.listen` socket is one as it stands. */
export interface Transport {
  /**
   * Takes what fits now and returns how much that was; less than `length` means that the transport
   * says when there is room again, and negative that the socket is gone. What was not taken is
   * offered again at the same length or more, as TLS wants it.
   */
  write(bytes: Uint8Array, offset: number, length: number): number;
  /** Ends our side once all is written; the peer can still send, and sees an orderly end. */
  shutdown(): void;
  /** Ends both sides at once. */
  terminate(): void;
  pause(): void;
  resume(): void;
  /** Has the peer probed once nothing came for `idleMs`. */
  setKeepAlive(enable: true, idleMs: number): void;
}

/** Shared bytes of this size and more are kept rather than copied: a copy costs less than a second write below it. */
const REFERENCE_BYTES = LARGE_BUFFER_BYTES;
/** The same while the socket takes nothing: memory counts then, and not the number of writes. */
const BLOCKED_REFERENCE_BYTES = 2_048;
/** What a buffer holds at most to be copied out of it, so that the buffer can be lent to another. */
const COPIED_OUT_BYTES = 256;

/**
 * Whether its socket is read from: `paused`, nothing more is wanted for now, and the socket is stopped once
 * it brings something all the same; `stopped`, it has.
 */
export type Reading = 'on' | 'paused' | 'stopped';

/** `closing` still has bytes to write; `finished` waits for the peer's end; `gone` has no socket. */
export type LinkState = 'open' | 'closing' | 'finished' | 'gone';

export class Link {
  readonly id: ConnectionId;
  readonly transport: Transport;
  readonly #pool: BufferPool;
  state: LinkState = 'open';
  /** On the list of those that this turn writes to. */
  dirty = false;
  reading: Reading = 'on';
  /** Bytes that are still to be written. */
  waiting = 0;
  /** The last write was short: the socket takes nothing until it has drained. */
  #blocked = false;
  /** A message of this turn that was shared, and not copied as long as none follows. */
  #single: Uint8Array | undefined = undefined;
  /** What goes before the buffer. */
  #chunks: Chunks | undefined = undefined;
  #buffer: Uint8Array | undefined = undefined;
  #bufferEnd = 0;

  constructor(id: ConnectionId, transport: Transport, pool: BufferPool) {
    this.id = id;
    this.transport = transport;
    this.#pool = pool;
  }

  /** Queues a copy of `bytes` from `start` to `end`. */
  copy(bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (this.#single !== undefined) this.#unfoldSingle(this.#single);
    this.#append(bytes, start, end);
    this.waiting += end - start;
  }

  /** Queues `bytes`, which must never change again. */
  refer(bytes: Uint8Array): void {
    if (this.waiting === 0) this.#single = bytes;
    else {
      if (this.#single !== undefined) this.#unfoldSingle(this.#single);
      if (bytes.length >= (this.#blocked ? BLOCKED_REFERENCE_BYTES : REFERENCE_BYTES)) {
        this.#sealBuffer(0);
        this.#pushChunk(bytes);
      } else this.#append(bytes, 0, bytes.length);
    }
    this.waiting += bytes.length;
  }

  /** Writes what the socket takes. */
  flush(): void {
    if (this.#blocked || this.waiting === 0) return;
    if (this.#single !== undefined) this.#flushSingle(this.#single);
    else if (this.#flushChunks()) this.#flushBuffer();
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.#blocked = false;
  }

  /** Forgets what waits. */
  discard(): void {
    this.#releaseBuffer();
    this.#single = undefined;
    this.#chunks = undefined;
    this.waiting = 0;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    let buffer = this.#buffer;
    if (buffer !== undefined && this.#bufferEnd + length > buffer.length)
      buffer = this.#makeRoom(buffer, length);
    if (buffer === undefined) {
      if (length > LARGE_BUFFER_BYTES) return this.#pushChunk(copyOfBytes(bytes, start, end));
      buffer = this.#buffer = this.#pool.take(length);
      this.#bufferEnd = 0;
    }
    copyBytes(bytes, start, end, buffer, this.#bufferEnd);
    this.#bufferEnd += length;
  }

  /** A buffer that holds what `buffer` does and has room for `bytes` more; undefined where a new one is to be begun. */
  #makeRoom(buffer: Uint8Array, bytes: number): Uint8Array | undefined {
    const held = this.#bufferEnd;
    if (buffer.length < LARGE_BUFFER_BYTES && held + bytes <= LARGE_BUFFER_BYTES) {
      const larger = this.#pool.take(Math.max(held + bytes, buffer.length + 1));
      copyBytes(buffer, 0, held, larger, 0);
      this.#releaseBuffer();
      this.#buffer = larger;
      return larger;
    }
    this.flush();
    this.#sealBuffer(0);
    return undefined;
  }

  #unfoldSingle(single: Uint8Array): void {
    this.#single = undefined;
    if (single.length >= REFERENCE_BYTES) this.#pushChunk(single);
    else this.#append(single, 0, single.length);
  }

  /** Puts what the buffer holds from `start` on at the end of the chunks. */
  #sealBuffer(start: number): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const end = this.#bufferEnd;
    if (end - start <= COPIED_OUT_BYTES) {
      this.#pushChunk(buffer.slice(start, end));
      this.#releaseBuffer();
    } else {
      this.#pushChunk(buffer.subarray(start, end));
      this.#buffer = undefined;
    }
  }

  #pushChunk(bytes: Uint8Array): void {
    this.#chunks ??= new Chunks();
    this.#chunks.push(bytes);
  }

  #releaseBuffer(): void {
    if (this.#buffer === undefined) return;
    this.#pool.give(this.#buffer);
    this.#buffer = undefined;
  }

  #flushSingle(single: Uint8Array): void {
    this.#single = undefined;
    const taken = this.#write(single, 0, single.length);
    if (taken === single.length) return;
    this.#pushChunk(single);
    this.#chunks?.taken(taken);
  }

  /** Whether all chunks are written. */
  #flushChunks(): boolean {
    const chunks = this.#chunks;
    if (chunks === undefined) return true;
    for (let chunk = chunks.first; chunk !== undefined; chunk = chunks.first) {
      const length = chunk.length - chunks.offset;
      const taken = this.#write(chunk, chunks.offset, length);
      chunks.taken(taken);
      if (taken < length) return false;
    }
    this.#chunks = undefined;
    return true;
  }

  #flushBuffer(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const length = this.#bufferEnd;
    const taken = this.#write(buffer, 0, length);
    if (taken === length) this.#releaseBuffer();
    else this.#sealBuffer(taken);
  }

  /** How much of it was written; all of it where the socket is gone, since none of it can matter any more. */
  #write(bytes: Uint8Array, offset: number, length: number): number {
    const taken = this.transport.write(bytes, offset, length);
    if (taken < 0) {
      this.waiting -= length;
      return length;
    }
    this.waiting -= taken;
    if (taken < length) this.#blocked = true;
    return taken;
  }
}
