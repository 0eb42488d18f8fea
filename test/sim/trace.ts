/** Packets in a line each, for the trace that a failure shows. */
import type { Packet } from '../../core/mqtt/packet.ts';
import type { Note } from './notes.ts';

/** A packet from the broker; `delivery` is what the model knows it by. */
export function brief(note: Note & { kind: 'packet' }, delivery?: unknown): string {
  const { packet } = note;
  const identifier = 'packetIdentifier' in packet ? ` ${packet.packetIdentifier}` : '';
  if (packet.type === 'publish') {
    const { topic, qos, dup } = packet;
    const payload = new TextDecoder().decode(packet.payload);
    const what = delivery ?? `${payload} on ${topic}, QoS ${qos}, as${identifier}`;
    return `publish${dup ? ' again' : ''} ${what}`;
  }
  const code = 'reasonCode' in packet ? ` 0x${packet.reasonCode.toString(16)}` : '';
  return `${packet.type}${identifier}${code}`;
}

/** A packet from a client. */
export function tell(packet: Packet): string {
  switch (packet.type) {
    case 'connect':
      return `connect${packet.cleanStart ? ' clean' : ''} for ${packet.sessionExpiryInterval} s`;
    case 'publish': {
      const payload = new TextDecoder().decode(packet.payload.subarray(0, 10)) || '(empty)';
      return `publish ${payload} on ${packet.topic} ${packet.qos}/${packet.packetIdentifier}`;
    }
    case 'subscribe':
      return `subscribe ${packet.subscriptions.map((each) => `${each.topicFilter} ${each.maximumQoS}`)}`;
    case 'unsubscribe':
      return `unsubscribe ${packet.topicFilters}`;
    default:
      return 'packetIdentifier' in packet
        ? `${packet.type} ${packet.packetIdentifier}`
        : packet.type;
  }
}
