/** What a packet is refused for. */
import { decode } from '../../core/mqtt/codec.ts';
import type { ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ProtocolViolation, type ReasonCode } from '../../core/mqtt/reason-code.ts';

export interface Refusal {
  readonly reasonCode: ReasonCode;
  readonly statement: string;
  readonly detail: string;
}

/** Undefined where `bytes` are read; throws what is no ProtocolViolation. */
export function refusal(bytes: Uint8Array, version: ProtocolVersion): Refusal | undefined {
  try {
    decode(bytes, 0, bytes.length, version);
    return undefined;
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    const { reasonCode, statement, message: detail } = error;
    return { reasonCode, statement, detail };
  }
}
