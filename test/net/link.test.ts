import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { BufferPool, LARGE_BUFFER_BYTES } from '../../core/net/buffer-pool.ts';
import { Link, type Transport } from '../../core/net/link.ts';

/** A socket that takes what the test allows it to, and keeps it. */
class Pipe implements Transport {
  room = Number.POSITIVE_INFINITY;
  writes = 0;
  broken = false;
  readonly taken: Uint8Array[] = [];
  /** TLS must be offered at least what it refused. */
  #refused = 0;

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (this.broken) return -1;
    if (length < this.#refused) throw new Error(`offered ${length} after ${this.#refused}`);
    this.writes++;
    const taken = Math.min(length, this.room);
    this.room -= taken;
    this.taken.push(bytes.slice(offset, offset + taken));
    this.#refused = length - taken;
    return taken;
  }

  shutdown(): void {}
  terminate(): void {}
  pause(): void {}
  setKeepAlive(): void {}
  resume(): void {}

  get bytes(): Buffer {
    return Buffer.concat(this.taken);
  }
}

function linkOver(pipe: Pipe): Link {
  return new Link(1, pipe, new BufferPool());
}

const filled = (length: number, value: number) => new Uint8Array(length).fill(value);

describe('Link', () => {
  test('what a turn sends goes out in one write, in order', () => {
    const pipe = new Pipe();
    const link = linkOver(pipe);
    for (let index = 0; index < 50; index++) link.copy(filled(20, index));
    link.refer(filled(100, 77));
    link.flush();
    expect(pipe.writes).toBe(1);
    expect(pipe.bytes.length).toBe(1_100);
    expect(pipe.bytes[999]).toBe(49);
    expect(pipe.bytes[1_000]).toBe(77);
    expect(link.waiting).toBe(0);
  });

  test('bytes that are copied may be used again at once', () => {
    const pipe = new Pipe();
    const link = linkOver(pipe);
    const scratch = filled(4, 1);
    link.copy(scratch);
    scratch.fill(2);
    link.copy(scratch);
    link.flush();
    expect([...pipe.bytes]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
  });

  test('one shared message is written from where it is', () => {
    const pipe = new Pipe();
    const seen: Uint8Array[] = [];
    const write = pipe.write.bind(pipe);
    pipe.write = (bytes, offset, length) => {
      seen.push(bytes);
      return write(bytes, offset, length);
    };
    const link = linkOver(pipe);
    const message = filled(100, 5);
    link.refer(message);
    link.flush();
    expect(seen[0]).toBe(message);
  });

  test('a buffer that is full is written before the turn ends', () => {
    const pipe = new Pipe();
    const link = linkOver(pipe);
    for (let sent = 0; sent < 10 * LARGE_BUFFER_BYTES; sent += 1_000) link.copy(filled(1_000, 1));
    expect(link.waiting).toBeLessThanOrEqual(LARGE_BUFFER_BYTES);
    link.flush();
    expect(pipe.bytes.length).toBe(164_000);
  });

  test('nothing is written while the socket takes nothing', () => {
    const pipe = new Pipe();
    pipe.room = 10;
    const link = linkOver(pipe);
    link.copy(filled(100, 1));
    link.flush();
    link.copy(filled(100, 2));
    link.flush();
    expect(pipe.writes).toBe(1);
    expect(link.waiting).toBe(190);
    pipe.room = Number.POSITIVE_INFINITY;
    link.drained();
    link.flush();
    expect(link.waiting).toBe(0);
    expect(pipe.bytes).toEqual(Buffer.concat([filled(100, 1), filled(100, 2)]));
  });

  test('large shared bytes are kept by reference while the socket takes nothing', () => {
    const pipe = new Pipe();
    pipe.room = 0;
    const link = linkOver(pipe);
    link.copy(filled(10, 1));
    link.flush();
    const payload = filled(4_000, 9);
    link.refer(payload);
    pipe.room = Number.POSITIVE_INFINITY;
    payload[0] = 8; // against the contract, to see whose bytes they are
    link.drained();
    link.flush();
    expect(pipe.bytes[10]).toBe(8);
  });

  test('a socket that is gone swallows what waits', () => {
    const pipe = new Pipe();
    pipe.broken = true;
    const link = linkOver(pipe);
    link.copy(filled(100, 1));
    link.refer(filled(100_000, 1));
    link.flush();
    expect(link.waiting).toBe(0);
  });

  test('64 MB that wait are written in pieces as the socket takes them, each byte once', () => {
    const pipe = new Pipe();
    pipe.room = 0;
    const link = linkOver(pipe);
    const message = filled(1_000, 3);
    link.copy(message);
    link.flush();
    for (let index = 1; index < 64_000; index++) link.copy(message);
    expect(link.waiting).toBe(64_000_000);
    let steps = 0;
    while (link.waiting > 0) {
      pipe.room = 300_000;
      link.drained();
      link.flush();
      steps++;
    }
    expect(steps).toBe(Math.ceil(64_000_000 / 300_000));
    expect(pipe.bytes.length).toBe(64_000_000);
  });

  test('whatever is sent comes out whole and in order, however the socket takes it', () => {
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.record({ copy: fc.integer({ min: 1, max: 3_000 }) }) },
      { weight: 3, arbitrary: fc.record({ refer: fc.integer({ min: 1, max: 40_000 }) }) },
      { weight: 1, arbitrary: fc.record({ copy: fc.integer({ min: 16_000, max: 40_000 }) }) },
      { weight: 2, arbitrary: fc.constant({ flush: true }) },
      { weight: 3, arbitrary: fc.record({ drain: fc.integer({ min: 0, max: 60_000 }) }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const pipe = new Pipe();
        pipe.room = 20_000;
        const link = linkOver(pipe);
        const sent: Uint8Array[] = [];
        let value = 0;
        for (const one of actions) {
          if ('copy' in one || 'refer' in one) {
            const bytes = Uint8Array.from(
              { length: 'copy' in one ? one.copy : one.refer },
              () => value++ & 0xff,
            );
            sent.push(bytes.slice());
            if ('copy' in one) {
              link.copy(bytes);
              bytes.fill(0);
            } else link.refer(bytes);
          } else if ('flush' in one) link.flush();
          else {
            pipe.room += one.drain;
            link.drained();
            link.flush();
          }
          const expected = sent.reduce((sum, bytes) => sum + bytes.length, 0);
          expect(link.waiting + pipe.bytes.length).toBe(expected);
        }
        pipe.room = Number.POSITIVE_INFINITY;
        link.drained();
        link.flush();
        expect(link.waiting).toBe(0);
        expect(pipe.bytes.equals(Buffer.concat(sent))).toBe(true);
      }),
    );
  });
});
