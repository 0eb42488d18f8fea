/**
 * A stream of bytes means the same however it is cut: byte by byte, many packets in one segment, a
 * packet split anywhere. In every version, with every packet that a client sends.
 */
import { expect, test } from 'bun:test';
import { encode } from '../../../core/mqtt/codec.ts';
import type { Packet, ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { publishPacket, subscribePacket, will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { VERSIONS } from '../expect.ts';

/** What a client of `version` says in the course of its life, CONNECT aside. */
function story(version: ProtocolVersion): Packet[] {
  const properties = {
    contentType: 'text/plain',
    correlationData: Buffer.from('c'),
    userProperties: [['n', 'v']] as [string, string][],
  };
  const five = version === 5 ? { properties, topicAlias: 1, messageExpiryInterval: 60 } : {};
  const acknowledgement = { reasonCode: 0 as const };
  return [
    subscribePacket(['a/#', 'b'], { packetIdentifier: 1, subscriptionIdentifier: 3 }),
    publishPacket('a/0', 'q0', five),
    publishPacket('a/1', 'é'.repeat(70), { qos: 1, packetIdentifier: 2 }),
    publishPacket('a/2', 'q2', { qos: 2, packetIdentifier: 3 }),
    { type: 'puback', packetIdentifier: 1, ...acknowledgement },
    { type: 'pubrec', packetIdentifier: 2, ...acknowledgement },
    { type: 'pubrel', packetIdentifier: 3, ...acknowledgement },
    { type: 'pubcomp', packetIdentifier: 2, ...acknowledgement },
    { type: 'pingreq' },
    publishPacket('b', '', { retain: true, qos: 1, packetIdentifier: 4 }),
    { type: 'unsubscribe', packetIdentifier: 5, topicFilters: ['b', 'c'] },
    publishPacket('b', 'nobody'),
    { type: 'disconnect', reasonCode: 0 },
  ];
}

/** Sends the story in the pieces that `cut` makes of it; returns all that the client got, and the events. */
function run(version: ProtocolVersion, cut: (stream: Buffer) => Uint8Array[]): unknown {
  const harness = new Harness();
  const client = harness.client('c', { version });
  const connect = client.connectPacket({ will: will('w', 'x'), keepAliveSeconds: 60 });
  const packets = [connect, ...story(version)].map((packet) => encode(packet, version));
  for (const piece of cut(Buffer.concat(packets))) client.raw(piece);
  expect(client.closed).toBe(true);
  return {
    got: Array.from({ length: client.pending }, () =>
      Buffer.from(client.nextBytes()).toString('hex'),
    ),
    events: harness.events.map(({ kind }) => kind),
    counters: harness.broker.counters,
  };
}

test.each(VERSIONS)(
  'one segment, single bytes, and two segments cut anywhere come to the same, in version %i',
  (version) => {
    const whole = run(version, (stream) => [stream]);
    expect(whole).toMatchObject({ events: ['connected', 'disconnected'] });
    expect(run(version, (stream) => [...stream].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
    let length = 2;
    for (let at = 1; at < length; at++) {
      const halves = run(version, (stream) => {
        length = stream.length;
        return [stream.subarray(0, at), stream.subarray(at)];
      });
      expect([at, halves]).toEqual([at, whole]);
    }
  },
);

test.each(VERSIONS)('pieces of any one size come to the same, in version %i', (version) => {
  const whole = run(version, (stream) => [stream]);
  for (let size = 2; size < 64; size++) {
    const pieces = run(version, (stream) => {
      const count = Math.ceil(stream.length / size);
      return Array.from({ length: count }, (_, i) => stream.subarray(i * size, (i + 1) * size));
    });
    expect([size, pieces]).toEqual([size, whole]);
  }
});
