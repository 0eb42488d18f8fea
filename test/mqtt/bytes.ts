/** Packets as the tests of the codec spell them. */

/** Bytes in hexadecimal, spaced as one likes; what stands in quotes is its ASCII. */
export function hex(strings: TemplateStringsArray, ...values: readonly string[]): Buffer {
  const text = String.raw({ raw: strings }, ...values);
  const digits = text
    .replace(/'([^']*)'/g, (_, ascii: string) => Buffer.from(ascii).toString('hex'))
    .replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`not hexadecimal: ${text}`);
  return Buffer.from(digits, 'hex');
}
