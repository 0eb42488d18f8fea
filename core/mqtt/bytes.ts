/**
 * Copies bytes from one array to another without a view of either: a view costs more than the copy
 * of an ordinary message, and several times as much where the array is a small one of its own.
 */
const copy = Buffer.prototype.copy;

/** Copies `from` from `start` to `end` to where `at` is in `into`, which must have room for it. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
  at: number,
): void {
  copy.call(from, into, at, start, end);
}

/** A copy of `from` from `start` to `end` that nothing else points into. */
export function copyOfBytes(from: Uint8Array, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start);
  copy.call(from, bytes, 0, start, end);
  return bytes;
}
