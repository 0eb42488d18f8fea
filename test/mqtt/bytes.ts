/** Packets as the tests spell them. */

/** Bytes in hexadecimal, spaced as one likes; what stands in quotes is its ASCII. */
export function hex(strings: TemplateStringsArray, ...values: readonly string[]): Buffer {
  const text = String.raw({ raw: strings }, ...values);
  const digits = text
    .replace(/'([^']*)'/g, (_, ascii: string) => Buffer.from(ascii).toString('hex'))
    .replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`not hexadecimal: ${text}`);
  return Buffer.from(digits, 'hex');
}

/** A whole packet: `first` byte, the Remaining Length that `body` has, `body`. */
export function frame(first: number, body: Uint8Array): Buffer {
  const head = [first];
  let rest = body.length;
  while (rest > 127) {
    head.push((rest & 127) | 128);
    rest >>= 7;
  }
  head.push(rest);
  return Buffer.concat([Buffer.from(head), body]);
}
