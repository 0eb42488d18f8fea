/**
 * The fixed header (MQTT 5.0 section 2.1): packet type, flags, Remaining Length; and the one field
 * behind it that is wanted before a packet is read, the version of a CONNECT.
 */
import type { ProtocolVersion } from './packet.ts';
import { malformed } from './reader.ts';

interface Kind {
  readonly name: string;
  readonly flags: number;
  /** Where a packet has a statement of its own for its flags; the second is that of 3.1.1. */
  readonly statements?: readonly [five: string, three: string];
}

/** By packet type (section 2.1.2 and 2.1.3). A PUBLISH has flags of its own, and is not asked here. */
const kinds: readonly Kind[] = [
  { name: 'packet type 0', flags: 0 },
  { name: 'CONNECT', flags: 0 },
  { name: 'CONNACK', flags: 0 },
  { name: 'PUBLISH', flags: 0 },
  { name: 'PUBACK', flags: 0 },
  { name: 'PUBREC', flags: 0 },
  { name: 'PUBREL', flags: 2, statements: ['MQTT-3.6.1-1', 'MQTT3-3.6.1-1'] },
  { name: 'PUBCOMP', flags: 0 },
  { name: 'SUBSCRIBE', flags: 2, statements: ['MQTT-3.8.1-1', 'MQTT3-3.8.1-1'] },
  { name: 'SUBACK', flags: 0 },
  { name: 'UNSUBSCRIBE', flags: 2, statements: ['MQTT-3.10.1-1', 'MQTT3-3.10.1-1'] },
  { name: 'UNSUBACK', flags: 0 },
  { name: 'PINGREQ', flags: 0 },
  { name: 'PINGRESP', flags: 0 },
  { name: 'DISCONNECT', flags: 0, statements: ['MQTT-3.14.1-1', 'MQTT3-3.14.1-1'] },
  { name: 'AUTH', flags: 0, statements: ['MQTT-3.15.1-1', ''] },
];

/** The flags that a packet of `type` has, PUBLISH apart. */
export function requiredFlags(type: number): number {
  return kinds[type]?.flags ?? 0;
}

/**
 * Throws MalformedPacket where the flags in `first` are not those of the packet type. 3.1 has no use
 * for them, and clients of its time set DUP or QoS: there they pass.
 */
export function checkFlags(first: number, version: ProtocolVersion): void {
  const type = first >> 4;
  const flags = first & 15;
  if (flags === requiredFlags(type) || (version === 3 && type > 1)) return;
  const { name, statements } = kinds[type] ?? { name: '', statements: undefined };
  const [five, three] = statements ?? ['MQTT-2.1.3-1', 'MQTT3-2.2.2-2'];
  throw malformed(version, five, three, `${name} has fixed header flags ${flags}`);
}

/**
 * The index behind the fixed header of the packet in `bytes` from `start` to `end`. Throws
 * MalformedPacket where the Remaining Length is not what `end` says.
 */
export function variableHeaderStart(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): number {
  let at = start + 1;
  let byte = bytes[at++] as number;
  let remaining = byte & 0x7f;
  for (let shift = 7; byte > 127 && shift < 28; shift += 7) {
    byte = bytes[at++] as number;
    remaining |= (byte & 0x7f) << shift;
  }
  if (at + remaining === end && byte < 128) return at;
  throw malformed(version, '', '', 'the Remaining Length is not that of the packet');
}

/**
 * The level byte of the CONNECT in `bytes`, so that even one that is refused is answered in its
 * dialect; undefined where it is cut off before.
 */
export function peekProtocolVersion(
  bytes: Uint8Array,
  start: number,
  end: number,
): number | undefined {
  let at = start + 1;
  while (at < end && (bytes[at] as number) > 127) at++;
  at++;
  if (at + 2 > end) return undefined;
  at += 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number));
  return at < end ? bytes[at] : undefined;
}
