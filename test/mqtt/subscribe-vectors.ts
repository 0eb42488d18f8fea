/** Golden bytes of SUBSCRIBE, UNSUBSCRIBE and what answers them. */
import { hex } from './bytes.ts';
import { LEGACY, type Vector, vector } from './vector.ts';

export const subscriptions: readonly Vector[] = [
  vector('SUBSCRIBE', LEGACY, hex`82 0e 0001 0003 'a/+' 01 0003 'b/#' 02`, {
    type: 'subscribe',
    packetIdentifier: 1,
    subscriptionIdentifier: undefined,
    subscriptions: [
      {
        topicFilter: 'a/+',
        maximumQoS: 1,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
      },
      {
        topicFilter: 'b/#',
        maximumQoS: 2,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
      },
    ],
  }),
  vector(
    'SUBSCRIBE of 5.0 with every option',
    [5],
    hex`82 26 0001 10 0b 8001 26 0001 'b' 0000 26 0001 'a' 0001 '1'
      0003 'a/+' 2e 000a '$share/g/t' 11`,
    {
      type: 'subscribe',
      packetIdentifier: 1,
      subscriptionIdentifier: 128,
      subscriptions: [
        {
          topicFilter: 'a/+',
          maximumQoS: 2,
          noLocal: true,
          retainAsPublished: true,
          retainHandling: 2,
        },
        {
          topicFilter: '$share/g/t',
          maximumQoS: 1,
          noLocal: false,
          retainAsPublished: false,
          retainHandling: 1,
        },
      ],
      userProperties: [
        ['b', ''],
        ['a', '1'],
      ],
    },
  ),
  vector('SUBACK of 3.x', LEGACY, hex`90 06 0001 00 01 02 80`, {
    type: 'suback',
    packetIdentifier: 1,
    reasonCodes: [0x00, 0x01, 0x02, 0x80],
  }),
  vector('SUBACK of 5.0', [5], hex`90 0f 0001 07 26 0001 'k' 0001 'v' 00 01 02 87 a2`, {
    type: 'suback',
    packetIdentifier: 1,
    reasonCodes: [0x00, 0x01, 0x02, 0x87, 0xa2],
    userProperties: [['k', 'v']],
  }),
  vector('UNSUBSCRIBE of 3.x', LEGACY, hex`a2 08 0002 0001 'a' 0001 'b'`, {
    type: 'unsubscribe',
    packetIdentifier: 2,
    topicFilters: ['a', 'b'],
  }),
  vector('UNSUBSCRIBE of 5.0', [5], hex`a2 0d 0002 07 26 0001 'k' 0001 'v' 0001 'a'`, {
    type: 'unsubscribe',
    packetIdentifier: 2,
    topicFilters: ['a'],
    userProperties: [['k', 'v']],
  }),
  vector('UNSUBACK of 3.x', LEGACY, hex`b0 02 0002`, {
    type: 'unsuback',
    packetIdentifier: 2,
    reasonCodes: [],
  }),
  vector('UNSUBACK of 5.0', [5], hex`b0 09 0002 04 1f 0001 'r' 00 11`, {
    type: 'unsuback',
    packetIdentifier: 2,
    reasonCodes: [0x00, 0x11],
    reasonString: 'r',
  }),
];
