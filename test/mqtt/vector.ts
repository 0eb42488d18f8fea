/** What a golden packet consists of; `vectors.ts` has them all. */
import type { Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';

export interface Vector {
  readonly name: string;
  readonly versions: readonly ProtocolVersion[];
  readonly bytes: Buffer;
  readonly packet: Packet;
}

export const ALL: readonly ProtocolVersion[] = [3, 4, 5];
export const LEGACY: readonly ProtocolVersion[] = [3, 4];

export function vector(
  name: string,
  versions: readonly ProtocolVersion[],
  bytes: Buffer,
  packet: Packet,
): Vector {
  return { name, versions, bytes, packet };
}
