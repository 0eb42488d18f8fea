/** Pieces that a socket did not take, on their way to it. */
import { expect, test } from 'bun:test';
import { setImmediate } from 'node:timers/promises';
import { Chunks } from '../../core/net/chunks.ts';

test('pieces are given in order, each as far as it is not written, however little is taken at a time', () => {
  const chunks = new Chunks();
  const sent = Array.from({ length: 5_000 }, (_, index) => Uint8Array.of(index, index >> 8, 0));
  for (const piece of sent.slice(0, 4_000)) chunks.push(piece);
  const written: number[] = [];
  for (let count = 0; chunks.first !== undefined; count++) {
    const { first, offset } = chunks;
    if (count === 3_000) for (const piece of sent.slice(4_000)) chunks.push(piece);
    const taken = Math.min(1 + (count % 2), first.length - offset);
    written.push(...first.subarray(offset, offset + taken));
    chunks.taken(taken);
  }
  expect(Buffer.from(written).equals(Buffer.concat(sent))).toBe(true);
});

test('a piece is let go once it is written, though others wait behind it', async () => {
  const chunks = new Chunks();
  const pieces = Array.from({ length: 500 }, () => {
    const piece = new Uint8Array(100);
    chunks.push(piece);
    return new WeakRef(piece);
  });
  for (let count = 0; count < 400; count++) chunks.taken(100);
  chunks.taken(50);
  await setImmediate(); // a WeakRef keeps what it refers to for the task that made it
  Bun.gc(true);
  const alive = pieces.filter((piece) => piece.deref() !== undefined).length;
  expect(alive).toBeGreaterThanOrEqual(100);
  expect(alive).toBeLessThan(150); // the collector takes what it finds on the stack for references
});
