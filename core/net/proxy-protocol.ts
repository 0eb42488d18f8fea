/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): the header by which a
 * proxy tells whom it speaks for, in front of everything else, TLS included.
 *
 * Pure: bytes in, verdict out. What the header names is checked and spelt anew, so that nothing of
 * it can reach a log or a key as it came.
 */
import { isIPv4 } from 'node:net';
import { canonicalAddress } from './address.ts';

export type ProxyHeader =
  /** It can still become one. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly detail: string }
  | {
      readonly kind: 'complete';
      /** Where the bytes of the connection proper begin. */
      readonly length: number;
      /** The client's address; undefined where the proxy speaks for itself or does not know: LOCAL, UNKNOWN, UNSPEC. */
      readonly source: string | undefined;
    };

/** A version 1 line with its CRLF, by the specification. */
const LONGEST_V1 = 107;
/** Ours: sixty times what addresses need, for the TLVs that load balancers add. */
const LONGEST_V2 = 4_096;
/** No header is longer. */
export const LONGEST_PROXY_HEADER = LONGEST_V2;

const V1_START = new TextEncoder().encode('PROXY ');
const V2_START = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
);
const V2_HEAD = 16;

const incomplete = { kind: 'incomplete' } as const;

/** Reads the header at the start of `bytes`, which are all that has arrived so far. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (startsAlike(bytes, V2_START)) return bytes.length < V2_HEAD ? incomplete : parseBinary(bytes);
  if (startsAlike(bytes, V1_START)) return parseLine(bytes);
  return malformed('neither version begins like this');
}

function parseLine(bytes: Uint8Array): ProxyHeader {
  const end = bytes.subarray(0, LONGEST_V1).indexOf(0x0d);
  if (end === -1)
    return bytes.length < LONGEST_V1 ? incomplete : malformed('line longer than 107 bytes');
  if (end + 1 === bytes.length)
    return end + 1 < LONGEST_V1 ? incomplete : malformed('line longer than 107 bytes');
  if (bytes[end + 1] !== 0x0a || end + 2 > LONGEST_V1) return malformed('CR without LF');
  const words = String.fromCharCode(...bytes.subarray(V1_START.length, end)).split(' ');
  const [family = '', source = '', destination = '', ...ports] = words;
  if (family === 'UNKNOWN') return { kind: 'complete', length: end + 2, source: undefined };
  if (family !== 'TCP4' && family !== 'TCP6') return malformed('unknown protocol');
  if (!isOfFamily(source, family) || !isOfFamily(destination, family))
    return malformed(`not two addresses of ${family}`);
  if (ports.length !== 2 || !ports.every(isPort)) return malformed('not two ports');
  return { kind: 'complete', length: end + 2, source: canonicalAddress(source) };
}

function parseBinary(bytes: Uint8Array): ProxyHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const versionAndCommand = view.getUint8(12);
  const family = view.getUint8(13);
  const length = V2_HEAD + view.getUint16(14);
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21)
    return malformed('unknown version or command');
  if (length > LONGEST_V2) return malformed(`longer than ${LONGEST_V2} bytes`);
  if (bytes.length < length) return incomplete;
  if (versionAndCommand === 0x20) return { kind: 'complete', length, source: undefined }; // LOCAL
  switch (family) {
    case 0x00: // UNSPEC
      return { kind: 'complete', length, source: undefined };
    case 0x11: // TCP over IPv4
      if (length < V2_HEAD + 12) return malformed('too short for IPv4');
      return { kind: 'complete', length, source: bytes.subarray(16, 20).join('.') };
    case 0x21: // TCP over IPv6
      if (length < V2_HEAD + 36) return malformed('too short for IPv6');
      return { kind: 'complete', length, source: readIpv6(view, V2_HEAD) };
    case 0x31: // a UNIX stream; its path is the proxy's affair
      if (length < V2_HEAD + 216) return malformed('too short for UNIX addresses');
      return { kind: 'complete', length, source: 'unix' };
    default:
      return malformed('unknown address family or protocol');
  }
}

function readIpv6(view: DataView, offset: number): string | undefined {
  const groups: string[] = [];
  for (let group = 0; group < 8; group++)
    groups.push(view.getUint16(offset + group * 2).toString(16));
  return canonicalAddress(groups.join(':'));
}

function isOfFamily(address: string, family: 'TCP4' | 'TCP6'): boolean {
  return isIPv4(address)
    ? family === 'TCP4'
    : family === 'TCP6' && canonicalAddress(address) !== undefined;
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Whether `bytes` begin with `start`, as far as they go. */
function startsAlike(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== start[index]) return false;
  return true;
}

function malformed(detail: string): ProxyHeader {
  return { kind: 'malformed', detail };
}
