/** Golden bytes of PUBLISH and of the packets that acknowledge it. */
import type { Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket } from '../client.ts';
import { hex } from './bytes.ts';
import { ALL, LEGACY, type Vector, vector } from './vector.ts';

function publish(fields: Partial<Publish>): Publish {
  return publishPacket('a/b', Buffer.from('hi'), fields);
}

export const publishes: readonly Vector[] = [
  vector('PUBLISH of QoS 0', LEGACY, hex`30 07 0003 'a/b' 'hi'`, publish({})),
  vector('PUBLISH of QoS 0', [5], hex`30 08 0003 'a/b' 00 'hi'`, publish({})),
  vector(
    'PUBLISH of QoS 1 with RETAIN',
    LEGACY,
    hex`33 09 0003 'a/b' 0007 'hi'`,
    publish({ qos: 1, retain: true, packetIdentifier: 7 }),
  ),
  vector(
    'PUBLISH of QoS 2 with DUP',
    LEGACY,
    hex`3c 09 0003 'a/b' ffff 'hi'`,
    publish({ qos: 2, dup: true, packetIdentifier: 65_535 }),
  ),
  vector(
    'PUBLISH of QoS 2 with DUP',
    [5],
    hex`3c 0a 0003 'a/b' ffff 00 'hi'`,
    publish({ qos: 2, dup: true, packetIdentifier: 65_535 }),
  ),
  vector(
    'PUBLISH without a payload',
    LEGACY,
    hex`31 05 0003 'a/b'`,
    publish({ retain: true, payload: Buffer.alloc(0) }),
  ),
  vector(
    'PUBLISH to a topic beyond ASCII',
    LEGACY,
    hex`30 0d 000b e282ac f09f9a80 2f c3a9 61`,
    publish({ topic: '€🚀/éa', payload: Buffer.alloc(0) }),
  ),
  vector(
    'PUBLISH of 130 bytes, whose Remaining Length takes two',
    [4],
    Buffer.concat([hex`30 80 01 0003 'a/b'`, Buffer.alloc(123, 1)]),
    publish({ payload: Buffer.alloc(123, 1) }),
  ),
  vector(
    'PUBLISH whose Remaining Length takes three',
    [4],
    Buffer.concat([hex`30 80 80 01 0003 'a/b'`, Buffer.alloc(16_379, 1)]),
    publish({ payload: Buffer.alloc(16_379, 1) }),
  ),
  vector(
    'PUBLISH under a Topic Alias alone',
    [5],
    hex`30 08 0000 03 23 0001 'hi'`,
    publish({ topic: '', topicAlias: 1 }),
  ),
  vector(
    'PUBLISH of 5.0 with every property',
    [5],
    hex`32 39 0003 'a/b' 0007
      2f 01 01 02 0000000a 03 0003 'c/t' 08 0003 'r/t' 09 0002 00ff 0b 01 0b ffffff7f 23 0003
         26 0001 'b' 0001 '1' 26 0001 'a' 0000
      'hi'`,
    publish({
      qos: 1,
      packetIdentifier: 7,
      topicAlias: 3,
      messageExpiryInterval: 10,
      subscriptionIdentifiers: [1, 268_435_455],
      properties: {
        payloadFormatIndicator: 1,
        contentType: 'c/t',
        responseTopic: 'r/t',
        correlationData: Buffer.from([0, 255]),
        userProperties: [
          ['b', '1'],
          ['a', ''],
        ],
      },
    }),
  ),
  vector(
    'PUBLISH of 5.0 whose properties are all as small as can be',
    [5],
    hex`30 1d 0003 'a/b' 15 01 00 02 00000000 03 0000 09 0000 23 0000 26 0000 0000 'hi'`,
    publish({
      topicAlias: 0,
      messageExpiryInterval: 0,
      properties: {
        payloadFormatIndicator: 0,
        contentType: '',
        correlationData: Buffer.alloc(0),
        userProperties: [['', '']],
      },
    }),
  ),
];

export const acknowledgements: readonly Vector[] = (
  [
    ['puback', '40', '87', ReasonCode.NotAuthorized],
    ['pubrec', '50', '10', ReasonCode.NoMatchingSubscribers],
    ['pubrel', '62', '92', ReasonCode.PacketIdentifierNotFound],
    ['pubcomp', '70', '92', ReasonCode.PacketIdentifierNotFound],
  ] as const
).flatMap(([type, first, code, reasonCode]) => [
  vector(type.toUpperCase(), ALL, hex`${first} 02 1234`, {
    type,
    packetIdentifier: 0x1234,
    reasonCode: ReasonCode.Success,
  }),
  vector(`${type.toUpperCase()} with a Reason Code`, [5], hex`${first} 04 0001 ${code} 00`, {
    type,
    packetIdentifier: 1,
    reasonCode,
  }),
  vector(
    `${type.toUpperCase()} with properties`,
    [5],
    hex`${first} 17 0001 ${code} 13 1f 0002 'no' 26 0001 'k' 0001 'v' 26 0000 0002 'vv'`,
    {
      type,
      packetIdentifier: 1,
      reasonCode,
      reasonString: 'no',
      userProperties: [
        ['k', 'v'],
        ['', 'vv'],
      ],
    },
  ),
  vector(
    `${type.toUpperCase()} of Success with properties`,
    [5],
    hex`${first} 09 0001 00 05 1f 0002 'ok'`,
    { type, packetIdentifier: 1, reasonCode: ReasonCode.Success, reasonString: 'ok' },
  ),
]);
