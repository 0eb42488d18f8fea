/** Golden bytes of CONNECT and CONNACK. */
import type { Connect, ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { connectPacket } from '../client.ts';
import { hex } from './bytes.ts';
import { LEGACY, type Vector, vector } from './vector.ts';

function connect(version: ProtocolVersion, fields: Partial<Connect>): Connect {
  return connectPacket(version, 'c', { keepAliveSeconds: 60, ...fields });
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

export const connects: readonly Vector[] = [
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

export const connacks: readonly Vector[] = [
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
