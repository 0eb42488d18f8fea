/**
 * Golden bytes: each Control Packet in each version, spelled by hand from the standard. They are read
 * into `packet`, and `packet` is written as just these bytes.
 */
import type { Connect, Packet, ProtocolVersion, Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { hex } from './bytes.ts';

export interface Vector {
  readonly name: string;
  readonly versions: readonly ProtocolVersion[];
  readonly bytes: Buffer;
  readonly packet: Packet;
}

const ALL: readonly ProtocolVersion[] = [3, 4, 5];
const LEGACY: readonly ProtocolVersion[] = [3, 4];

function vector(
  name: string,
  versions: readonly ProtocolVersion[],
  bytes: Buffer,
  packet: Packet,
): Vector {
  return { name, versions, bytes, packet };
}

function connect(protocolVersion: ProtocolVersion, fields: Partial<Connect>): Connect {
  return {
    type: 'connect',
    protocolVersion,
    cleanStart: true,
    keepAliveSeconds: 60,
    clientIdentifier: 'c',
    userName: undefined,
    password: undefined,
    will: undefined,
    sessionExpiryInterval: 0,
    receiveMaximum: 65_535,
    maximumPacketSize: undefined,
    topicAliasMaximum: 0,
    requestResponseInformation: false,
    requestProblemInformation: true,
    authenticationMethod: undefined,
    authenticationData: undefined,
    userProperties: undefined,
    ...fields,
  };
}

function publish(fields: Partial<Publish>): Publish {
  return {
    type: 'publish',
    dup: false,
    qos: 0,
    retain: false,
    topic: 'a/b',
    packetIdentifier: 0,
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: undefined,
    payload: Buffer.from('hi'),
    ...fields,
  };
}

const will = {
  topic: 'w',
  payload: Buffer.from('bye'),
  qos: 1,
  retain: true,
  delaySeconds: 0,
  messageExpiryInterval: undefined,
  properties: undefined,
} as const;

const connects: readonly Vector[] = [
  vector(
    'CONNECT of 3.1 with everything',
    [3],
    hex`10 1f 0006 'MQIsdp' 03 ee 003c 0001 'c' 0001 'w' 0003 'bye' 0003 'JWT' 0001 'x'`,
    connect(3, { userName: 'JWT', password: Buffer.from('x'), will }),
  ),
  vector(
    'CONNECT of 3.1.1 with everything',
    [4],
    hex`10 1d 0004 'MQTT' 04 ee 003c 0001 'c' 0001 'w' 0003 'bye' 0003 'JWT' 0001 'x'`,
    connect(4, { userName: 'JWT', password: Buffer.from('x'), will }),
  ),
  vector(
    'CONNECT of 3.1.1 with Clean Session 0, whose session never expires',
    [4],
    hex`10 0d 0004 'MQTT' 04 00 003c 0001 'c'`,
    connect(4, { cleanStart: false, sessionExpiryInterval: 0xffffffff }),
  ),
  vector(
    'CONNECT of 3.1.1 without a Client Identifier',
    [4],
    hex`10 0c 0004 'MQTT' 04 02 0000 0000`,
    connect(4, { keepAliveSeconds: 0, clientIdentifier: '' }),
  ),
  vector(
    'CONNECT of 5.0 without anything',
    [5],
    hex`10 0d 0004 'MQTT' 05 02 0000 00 0000`,
    connect(5, { keepAliveSeconds: 0, clientIdentifier: '' }),
  ),
  vector(
    'CONNECT of 5.0 with a Password and no User Name',
    [5],
    hex`10 11 0004 'MQTT' 05 42 003c 00 0001 'c' 0001 'x'`,
    connect(5, { password: Buffer.from('x') }),
  ),
  vector(
    'CONNECT of 5.0 with an empty User Name, Password and Will Payload',
    [5],
    hex`10 18 0004 'MQTT' 05 c6 003c 00 0001 'c' 00 0001 'w' 0000 0000 0000`,
    connect(5, {
      userName: '',
      password: Buffer.alloc(0),
      will: { ...will, payload: Buffer.alloc(0), qos: 0, retain: false },
    }),
  ),
  vector(
    'CONNECT of 5.0 with every property',
    [5],
    hex`10 7c 0004 'MQTT' 05 f6 ffff
      34 11 0000012c 15 0003 'JWT' 16 0002 0102 17 00 19 01 21 0014 22 000a
         26 0001 'a' 0001 '1' 26 0001 'b' 0001 '2' 26 0001 'a' 0001 '3' 27 00001000
      0001 'c'
      29 01 01 02 0000003c 03 0003 'c/t' 08 0003 'r/t' 09 0002 00ff 18 00000005
         26 0001 'z' 0000 26 0001 'z' 0000
      0001 'w' 0003 'bye' 0003 'JWT' 0001 'x'`,
    connect(5, {
      keepAliveSeconds: 65_535,
      userName: 'JWT',
      password: Buffer.from('x'),
      will: {
        topic: 'w',
        payload: Buffer.from('bye'),
        qos: 2,
        retain: true,
        delaySeconds: 5,
        messageExpiryInterval: 60,
        properties: {
          payloadFormatIndicator: 1,
          contentType: 'c/t',
          responseTopic: 'r/t',
          correlationData: Buffer.from([0, 255]),
          userProperties: [
            ['z', ''],
            ['z', ''],
          ],
        },
      },
      sessionExpiryInterval: 300,
      receiveMaximum: 20,
      maximumPacketSize: 4096,
      topicAliasMaximum: 10,
      requestResponseInformation: true,
      requestProblemInformation: false,
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from([1, 2]),
      userProperties: [
        ['a', '1'],
        ['b', '2'],
        ['a', '3'],
      ],
    }),
  ),
];

const connacks: readonly Vector[] = [
  vector('CONNACK of 3.1', [3], hex`20 02 00 00`, {
    type: 'connack',
    sessionPresent: false,
    reasonCode: ReasonCode.Success,
  }),
  vector('CONNACK of 3.1.1 with Session Present', [4], hex`20 02 01 00`, {
    type: 'connack',
    sessionPresent: true,
    reasonCode: ReasonCode.Success,
  }),
  vector('CONNACK of 3.x with a wrong token', LEGACY, hex`20 02 00 04`, {
    type: 'connack',
    sessionPresent: false,
    reasonCode: ReasonCode.BadUserNameOrPassword,
  }),
  vector('CONNACK of 5.0 without properties', [5], hex`20 03 01 00 00`, {
    type: 'connack',
    sessionPresent: true,
    reasonCode: ReasonCode.Success,
  }),
  vector('CONNACK of 5.0 with a refusal', [5], hex`20 09 00 86 06 1f 0003 'old'`, {
    type: 'connack',
    sessionPresent: false,
    reasonCode: ReasonCode.BadUserNameOrPassword,
    reasonString: 'old',
  }),
  vector(
    'CONNACK of 5.0 with every property',
    [5],
    hex`20 49 00 00 46 11 0000012c 12 0002 'id' 13 0078 15 0003 'JWT' 16 0002 0102 1a 0001 'i'
      1c 0001 's' 1f 0001 'r' 21 0014 22 000a 24 01 25 00 26 0001 'a' 0001 '1' 26 0001 'b' 0000
      27 00001000 28 00 29 01 2a 01`,
    {
      type: 'connack',
      sessionPresent: false,
      reasonCode: ReasonCode.Success,
      sessionExpiryInterval: 300,
      receiveMaximum: 20,
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 4096,
      assignedClientIdentifier: 'id',
      topicAliasMaximum: 10,
      reasonString: 'r',
      userProperties: [
        ['a', '1'],
        ['b', ''],
      ],
      wildcardSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: true,
      sharedSubscriptionAvailable: true,
      serverKeepAliveSeconds: 120,
      responseInformation: 'i',
      serverReference: 's',
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from([1, 2]),
    },
  ),
];

const publishes: readonly Vector[] = [
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

const acknowledgements: readonly Vector[] = (
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

const subscriptions: readonly Vector[] = [
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

const others: readonly Vector[] = [
  vector('PINGREQ', ALL, hex`c0 00`, { type: 'pingreq' }),
  vector('PINGRESP', ALL, hex`d0 00`, { type: 'pingresp' }),
  vector('DISCONNECT', ALL, hex`e0 00`, { type: 'disconnect', reasonCode: ReasonCode.Success }),
  vector('DISCONNECT with a Reason Code alone', [5], hex`e0 01 04`, {
    type: 'disconnect',
    reasonCode: ReasonCode.DisconnectWithWillMessage,
  }),
  vector(
    'DISCONNECT with every property',
    [5],
    hex`e0 18 9d 16 11 0000000a 1c 0003 's/r' 1f 0001 'r' 26 0001 'b' 0001 '2'`,
    {
      type: 'disconnect',
      reasonCode: ReasonCode.ServerMoved,
      sessionExpiryInterval: 10,
      reasonString: 'r',
      serverReference: 's/r',
      userProperties: [['b', '2']],
    },
  ),
  vector('AUTH of Success without anything', [5], hex`f0 00`, {
    type: 'auth',
    reasonCode: ReasonCode.Success,
    authenticationMethod: undefined,
    authenticationData: undefined,
  }),
  vector(
    'AUTH with every property',
    [5],
    hex`f0 16 19 14 15 0003 'JWT' 16 0001 ff 1f 0001 'r' 26 0001 'k' 0000`,
    {
      type: 'auth',
      reasonCode: ReasonCode.ReAuthenticate,
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from([255]),
      reasonString: 'r',
      userProperties: [['k', '']],
    },
  ),
];

export const vectors: readonly Vector[] = [
  ...connects,
  ...connacks,
  ...publishes,
  ...acknowledgements,
  ...subscriptions,
  ...others,
];
