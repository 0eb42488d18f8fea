/**
 * CBOR (RFC 8949), of which handlers see what JavaScript has words for. What comes from phones is not
 * trusted: depth is bounded here, lengths are checked against the bytes that are there by the library,
 * and names are told once and never reach a prototype.
 */
import { decode, encode } from 'cborg';

/** Deeper than data that somebody means to be read. */
const DEEPEST = 64;

/** Throws where the bytes are not one well-formed item, or not one that JavaScript can hold. */
export function decodeCbor(bytes: Uint8Array): unknown {
  checkDepth(bytes);
  return decode(bytes, { rejectDuplicateMapKeys: true });
}

/** Throws where CBOR has no word for it. Properties that are undefined are left out, as in JSON. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, { ignoreUndefinedProperties: true });
}

/**
 * Throws where items lie deeper in each other than `DEEPEST`. It reads heads alone (section 3), and stops
 * without a word where they make no sense: the decoder will tell.
 */
function checkDepth(bytes: Uint8Array): void {
  /** For each item that is open, how many are still to come in it; Infinity until a break. */
  const open: number[] = [];
  for (let position = 0; position < bytes.length; ) {
    const head = bytes[position++] as number;
    const major = head >> 5;
    const short = head & 0x1f;
    const size = short < 24 ? 0 : short < 28 ? 1 << (short - 24) : 0;
    let count = short < 24 ? short : 0;
    for (let index = 0; index < size; index++) count = count * 256 + (bytes[position++] ?? 0);
    if (head === 0xff) {
      open.pop();
    } else {
      if (open.length > 0) open[open.length - 1] = (open[open.length - 1] as number) - 1;
      if (short === 31) {
        if (major >= 2 && major <= 5) open.push(Number.POSITIVE_INFINITY);
      } else if (major === 2 || major === 3) position += count;
      else if (major === 4 && count > 0) open.push(count);
      else if (major === 5 && count > 0) open.push(2 * count);
      else if (major === 6) open.push(1);
    }
    while (open.length > 0 && (open[open.length - 1] as number) <= 0) open.pop();
    if (open.length > DEEPEST) throw new Error(`it is more than ${DEEPEST} items deep`);
  }
}
