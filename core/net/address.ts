/**
 * Network addresses as text: one spelling for each, and lists of them.
 */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The one spelling of an address: IPv6 as RFC 5952 section 4 has it, an IPv4 address that came
 * mapped into IPv6 as plain IPv4, so that caps and logs see one peer as one. Undefined where `text`
 * is no address: a zone, a port, and any other character end here.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = MAPPED.exec(canonical);
  if (mapped === null) return canonical;
  const high = Number.parseInt(mapped[1] ?? '', 16);
  const low = Number.parseInt(mapped[2] ?? '', 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** A list of addresses and CIDR blocks; throws a plain sentence on what is neither. */
export class AddressList {
  readonly #list = new BlockList();
  readonly size: number;

  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry.trim());
    this.size = entries.length;
  }

  /** `address` as `canonicalAddress` gives it. */
  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  #add(entry: string): void {
    const [text = '', bits, ...more] = entry.split('/');
    const address = canonicalAddress(text);
    if (address === undefined || more.length > 0)
      throw new Error(`"${entry}" is not an address or an address block such as 10.0.0.0/8`);
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    const longest = family === 'ipv4' ? 32 : 128;
    if (bits === undefined) return this.#list.addAddress(address, family);
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > longest)
      throw new Error(`"${entry}" has a prefix length that is not 0 to ${longest}`);
    this.#list.addSubnet(address, Number(bits), family);
  }
}
