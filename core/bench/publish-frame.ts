/** A PUBLISH that is encoded once and sent many times: what differs is patched into each copy. */
import { encode, publishHeadLength } from '../mqtt/codec.ts';
import type { QoS } from '../mqtt/packet.ts';

export interface PublishFrame {
  readonly bytes: Uint8Array;
  /** Where the Packet Identifier is; 0 at QoS 0, which has none. */
  readonly identifierAt: number;
  readonly payloadAt: number;
}

export function publishFrame(
  topic: string,
  qos: QoS,
  payload: Uint8Array,
  version: 4 | 5,
): PublishFrame {
  const packet = {
    type: 'publish' as const,
    dup: false,
    qos,
    retain: false,
    topic,
    packetIdentifier: qos === 0 ? 0 : 1,
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: undefined,
    payload,
  };
  const bytes = encode(packet, version);
  return {
    bytes,
    identifierAt: qos === 0 ? 0 : publishHeadLength(bytes) - 2,
    payloadAt: bytes.length - payload.length,
  };
}
