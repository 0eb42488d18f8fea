/**
 * The first 16 bytes of every payload: which run it belongs to, who published it, which of its messages
 * it is, and when it was due. So the receiver can tell its age and what is missing without a word
 * between it and the publisher.
 */
export const STAMP_BYTES = 16;

/** Writes into `bytes` at `at`. `ticks` is cut to its low 32 bits. */
export function writeStamp(
  bytes: Uint8Array,
  at: number,
  run: number,
  publisher: number,
  sequence: number,
  ticks: number,
): void {
  write32(bytes, at, run);
  write32(bytes, at + 4, publisher);
  write32(bytes, at + 8, sequence);
  write32(bytes, at + 12, ticks >>> 0);
}

export function stampRun(bytes: Uint8Array, at: number): number {
  return read32(bytes, at);
}

export function stampPublisher(bytes: Uint8Array, at: number): number {
  return read32(bytes, at + 4);
}

export function stampSequence(bytes: Uint8Array, at: number): number {
  return read32(bytes, at + 8);
}

export function stampTicks(bytes: Uint8Array, at: number): number {
  return read32(bytes, at + 12);
}

function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
