/** Table 2-4 of MQTT 5.0, spelled again: each property with each packet, once, twice and cut off. */
import { describe, expect, test } from 'bun:test';
import { decode } from '../../core/mqtt/codec.ts';
import type { Packet } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { frame } from '../client.ts';
import { hex } from './bytes.ts';
import { refusal } from './refusal.ts';

type Holder = 'Will' | Uppercase<Exclude<Packet['type'], 'pingreq' | 'pingresp'>>;

/** A sound packet of 5.0 with the property section `section`. */
const packetWith: Readonly<Record<Holder, (section: Buffer) => Buffer>> = {
  CONNECT: (section) =>
    frame(0x10, Buffer.concat([hex`0004 'MQTT' 05 02 003c`, section, hex`0001 'c'`])),
  Will: (section) =>
    frame(
      0x10,
      Buffer.concat([hex`0004 'MQTT' 05 06 003c 00 0001 'c'`, section, hex`0001 'w' 0000`]),
    ),
  CONNACK: (section) => frame(0x20, Buffer.concat([hex`00 00`, section])),
  PUBLISH: (section) => frame(0x30, Buffer.concat([hex`0001 't'`, section])),
  PUBACK: (section) => frame(0x40, Buffer.concat([hex`0001 00`, section])),
  PUBREC: (section) => frame(0x50, Buffer.concat([hex`0001 00`, section])),
  PUBREL: (section) => frame(0x62, Buffer.concat([hex`0001 00`, section])),
  PUBCOMP: (section) => frame(0x70, Buffer.concat([hex`0001 00`, section])),
  SUBSCRIBE: (section) => frame(0x82, Buffer.concat([hex`0001`, section, hex`0001 't' 00`])),
  SUBACK: (section) => frame(0x90, Buffer.concat([hex`0001`, section, hex`00`])),
  UNSUBSCRIBE: (section) => frame(0xa2, Buffer.concat([hex`0001`, section, hex`0001 't'`])),
  UNSUBACK: (section) => frame(0xb0, Buffer.concat([hex`0001`, section, hex`00`])),
  DISCONNECT: (section) => frame(0xe0, Buffer.concat([hex`00`, section])),
  AUTH: (section) => frame(0xf0, Buffer.concat([hex`18`, section])),
};
const holders = Object.keys(packetWith) as Holder[];

const message: readonly Holder[] = ['PUBLISH', 'Will'];
const answers: readonly Holder[] = [
  'CONNACK',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBACK',
  'UNSUBACK',
  'DISCONNECT',
  'AUTH',
];
const once: readonly { name: string; bytes: Buffer; holders: readonly Holder[] }[] = [
  { name: 'Payload Format Indicator', bytes: hex`01 00`, holders: message },
  { name: 'Message Expiry Interval', bytes: hex`02 00000000`, holders: message },
  { name: 'Content Type', bytes: hex`03 0000`, holders: message },
  { name: 'Response Topic', bytes: hex`08 0001 'r'`, holders: message },
  { name: 'Correlation Data', bytes: hex`09 0000`, holders: message },
  {
    name: 'Session Expiry Interval',
    bytes: hex`11 00000000`,
    holders: ['CONNECT', 'CONNACK', 'DISCONNECT'],
  },
  { name: 'Assigned Client Identifier', bytes: hex`12 0000`, holders: ['CONNACK'] },
  { name: 'Server Keep Alive', bytes: hex`13 0000`, holders: ['CONNACK'] },
  { name: 'Authentication Method', bytes: hex`15 0000`, holders: ['CONNECT', 'CONNACK', 'AUTH'] },
  { name: 'Authentication Data', bytes: hex`16 0000`, holders: ['CONNECT', 'CONNACK', 'AUTH'] },
  { name: 'Request Problem Information', bytes: hex`17 00`, holders: ['CONNECT'] },
  { name: 'Will Delay Interval', bytes: hex`18 00000000`, holders: ['Will'] },
  { name: 'Request Response Information', bytes: hex`19 00`, holders: ['CONNECT'] },
  { name: 'Response Information', bytes: hex`1a 0000`, holders: ['CONNACK'] },
  { name: 'Server Reference', bytes: hex`1c 0000`, holders: ['CONNACK', 'DISCONNECT'] },
  { name: 'Reason String', bytes: hex`1f 0000`, holders: answers },
  { name: 'Receive Maximum', bytes: hex`21 0001`, holders: ['CONNECT', 'CONNACK'] },
  { name: 'Topic Alias Maximum', bytes: hex`22 0000`, holders: ['CONNECT', 'CONNACK'] },
  { name: 'Topic Alias', bytes: hex`23 0000`, holders: ['PUBLISH'] },
  { name: 'Maximum QoS', bytes: hex`24 00`, holders: ['CONNACK'] },
  { name: 'Retain Available', bytes: hex`25 00`, holders: ['CONNACK'] },
  { name: 'Maximum Packet Size', bytes: hex`27 00000001`, holders: ['CONNECT', 'CONNACK'] },
  { name: 'Wildcard Subscription Available', bytes: hex`28 00`, holders: ['CONNACK'] },
  { name: 'Subscription Identifiers Available', bytes: hex`29 00`, holders: ['CONNACK'] },
  { name: 'Shared Subscription Available', bytes: hex`2a 00`, holders: ['CONNACK'] },
];
const subscriptionIdentifier = {
  name: 'Subscription Identifier',
  bytes: hex`0b 01`,
  holders: ['PUBLISH', 'SUBSCRIBE'] as readonly Holder[],
};
const userProperty = { name: 'User Property', bytes: hex`26 0000 0000`, holders };
const table = [...once, subscriptionIdentifier, userProperty];

/** What has to be there too, so that nothing but the property itself can be at fault. */
function companion(holder: Holder, name: string): Buffer {
  if (name === 'Authentication Method') return hex``;
  if (holder === 'AUTH' || name === 'Authentication Data') return hex`15 0001 'm'`;
  return hex``;
}

function section(...properties: readonly Buffer[]): Buffer {
  const body = Buffer.concat(properties);
  return Buffer.concat([Buffer.from([body.length]), body]);
}

const pairs = table.flatMap(({ name, bytes, holders: allowed }) =>
  holders.map((holder) => ({ name, bytes, holder, allowed: allowed.includes(holder) })),
);

describe('section 2.2.2.2', () => {
  test.each(pairs.filter(({ allowed }) => allowed))('$holder may carry $name', (pair) => {
    const bytes = packetWith[pair.holder](section(companion(pair.holder, pair.name), pair.bytes));
    expect(() => decode(bytes, 0, bytes.length, 5)).not.toThrow();
  });

  test.each(pairs.filter(({ allowed }) => !allowed))('$holder may not carry $name', (pair) => {
    const bytes = packetWith[pair.holder](section(pair.bytes));
    expect(refusal(bytes, 5)).toEqual({
      reasonCode: ReasonCode.MalformedPacket,
      statement: 'MQTT-4.13.1-1',
      detail: `${pair.name} is no property of ${pair.holder}`,
    });
  });

  test.each([0x00, 0x04, 0x07, 0x0a, 0x10, 0x14, 0x20, 0x2b, 0x7f, 0x80, 0xa6, 0xff])(
    'property %d is unknown',
    (identifier) => {
      for (const holder of holders) {
        const bytes = packetWith[holder](section(Buffer.from([identifier, 0])));
        expect(refusal(bytes, 5)).toMatchObject({ reasonCode: ReasonCode.MalformedPacket });
      }
    },
  );

  const single = [
    ...once.flatMap((property) => property.holders.map((holder) => ({ ...property, holder }))),
    { ...subscriptionIdentifier, holder: 'SUBSCRIBE' as const },
  ];
  test.each(single)('$holder may not carry $name twice, not even where it is 0', (property) => {
    const before = companion(property.holder, property.name);
    const between = userProperty.bytes;
    const bytes = packetWith[property.holder](
      section(before, property.bytes, between, property.bytes),
    );
    expect(refusal(bytes, 5)).toEqual({
      reasonCode: ReasonCode.ProtocolError,
      statement: 'MQTT-4.13.1-1',
      detail: `${property.name} stands there twice`,
    });
  });

  test.each(pairs.filter(({ allowed }) => allowed))('$name cut off in a $holder', (pair) => {
    const before = companion(pair.holder, pair.name);
    for (let length = 1; length < pair.bytes.length; length++) {
      const bytes = packetWith[pair.holder](section(before, pair.bytes.subarray(0, length)));
      expect(refusal(bytes, 5)).toMatchObject({ reasonCode: ReasonCode.MalformedPacket });
    }
  });

  test.each(holders)('a Property Length beyond the end of a %s', (holder) => {
    const bytes = packetWith[holder](hex`7f`);
    expect(refusal(bytes, 5)).toMatchObject({
      reasonCode: ReasonCode.MalformedPacket,
      detail: 'the Property Length of 127 goes beyond the packet',
    });
  });

  test.each(holders)(
    '[MQTT-1.5.5-1] a Property Length longer than it need be in a %s',
    (holder) => {
      const expected = { reasonCode: ReasonCode.MalformedPacket, statement: 'MQTT-1.5.5-1' };
      expect(refusal(packetWith[holder](hex`80 00`), 5)).toMatchObject(expected);
      expect(refusal(packetWith[holder](hex`ff ff ff ff 7f`), 5)).toMatchObject(expected);
    },
  );

  test('[MQTT-3.3.2-18] user properties keep their order, across names and within one', () => {
    const list = hex`26 0001 'b' 0001 '1' 26 0001 'a' 0001 '2' 26 0001 'b' 0001 '3'
      26 0009 '__proto__' 0001 '4' 26 0001 'b' 0001 '1'`;
    for (const holder of holders) {
      const bytes = packetWith[holder](section(companion(holder, ''), list));
      const packet = decode(bytes, 0, bytes.length, 5);
      const said: unknown =
        holder === 'Will' && packet.type === 'connect'
          ? packet.will?.properties?.userProperties
          : packet.type === 'publish'
            ? packet.properties?.userProperties
            : 'userProperties' in packet && packet.userProperties;
      expect(said).toEqual([
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
        ['__proto__', '4'],
        ['b', '1'],
      ]);
    }
  });
});

describe('values', () => {
  const wrong: readonly [string, Holder, Buffer, string][] = [
    ['Payload Format Indicator 2', 'PUBLISH', hex`01 02`, 'MQTT-4.13.1-1'],
    ['Payload Format Indicator 2', 'Will', hex`01 02`, 'MQTT-4.13.1-1'],
    ['an empty Response Topic', 'PUBLISH', hex`08 0000`, 'MQTT-4.7.3-1'],
    ['a Response Topic with +', 'PUBLISH', hex`08 0003 'a/+'`, 'MQTT-3.3.2-14'],
    ['a Response Topic with #', 'Will', hex`08 0001 '#'`, 'MQTT-3.3.2-14'],
    ['Subscription Identifier 0', 'SUBSCRIBE', hex`0b 00`, 'MQTT-4.13.1-1'],
    ['Subscription Identifier 0', 'PUBLISH', hex`0b 01 0b 00`, 'MQTT-4.13.1-1'],
    ['Request Problem Information 2', 'CONNECT', hex`17 02`, 'MQTT-4.13.1-1'],
    ['Request Response Information 255', 'CONNECT', hex`19 ff`, 'MQTT-4.13.1-1'],
    ['Receive Maximum 0', 'CONNECT', hex`21 0000`, 'MQTT-4.13.1-1'],
    ['Receive Maximum 0', 'CONNACK', hex`21 0000`, 'MQTT-4.13.1-1'],
    ['Maximum Packet Size 0', 'CONNECT', hex`27 00000000`, 'MQTT-4.13.1-1'],
    ['Maximum QoS 2', 'CONNACK', hex`24 02`, 'MQTT-4.13.1-1'],
    ['Retain Available 2', 'CONNACK', hex`25 02`, 'MQTT-4.13.1-1'],
    ['Wildcard Subscription Available 2', 'CONNACK', hex`28 02`, 'MQTT-4.13.1-1'],
    ['Subscription Identifiers Available 2', 'CONNACK', hex`29 02`, 'MQTT-4.13.1-1'],
    ['Shared Subscription Available 2', 'CONNACK', hex`2a 02`, 'MQTT-4.13.1-1'],
    ['Authentication Data without a method', 'CONNECT', hex`16 0001 'x'`, 'MQTT-4.13.1-1'],
    ['Authentication Data without a method', 'CONNACK', hex`16 0001 'x'`, 'MQTT-4.13.1-1'],
    ['no Authentication Method', 'AUTH', hex``, 'MQTT-4.13.1-1'],
    ['Authentication Data without a method', 'AUTH', hex`16 0001 'x'`, 'MQTT-4.13.1-1'],
  ];
  test.each(wrong)('%s in a %s is a Protocol Error', (_, holder, property, statement) => {
    const bytes = packetWith[holder](section(property));
    expect(refusal(bytes, 5)).toMatchObject({ reasonCode: ReasonCode.ProtocolError, statement });
  });

  const strings: readonly [string, Holder, Buffer][] = [
    ['Content Type', 'PUBLISH', hex`03`],
    ['Response Topic', 'PUBLISH', hex`08`],
    ['Content Type', 'Will', hex`03`],
    ['Authentication Method', 'CONNECT', hex`15`],
    ['Authentication Method', 'AUTH', hex`15`],
    ['Reason String', 'PUBACK', hex`1f`],
    ['Reason String', 'DISCONNECT', hex`1f`],
    ['Server Reference', 'DISCONNECT', hex`1c`],
    ['Assigned Client Identifier', 'CONNACK', hex`12`],
    ['Response Information', 'CONNACK', hex`1a`],
    ['User Property', 'SUBSCRIBE', hex`26 0001 'k'`],
    ['User Property', 'PUBLISH', hex`26`],
  ];
  test.each(strings)(
    '[MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] %s of a %s is UTF-8',
    (field, holder, before) => {
      const after = before.length === 1 && before[0] === 0x26 ? hex`0000` : hex``;
      const surrogate = packetWith[holder](section(before, hex`0003 eda080`, after));
      expect(refusal(surrogate, 5)).toEqual({
        reasonCode: ReasonCode.MalformedPacket,
        statement: 'MQTT-1.5.4-1',
        detail: `the ${field} is not well-formed UTF-8`,
      });
      const zero = packetWith[holder](section(before, hex`0002 'a' 00`, after));
      expect(refusal(zero, 5)).toEqual({
        reasonCode: ReasonCode.MalformedPacket,
        statement: 'MQTT-1.5.4-2',
        detail: `the ${field} has U+0000 in it`,
      });
    },
  );

  test('a Topic Alias of 0 and Subscription Identifiers are passed on: the connection judges them', () => {
    const bytes = packetWith.PUBLISH(section(hex`23 0000 0b 01 0b ffffff7f`));
    expect(decode(bytes, 0, bytes.length, 5)).toMatchObject({
      topicAlias: 0,
      subscriptionIdentifiers: [1, 268_435_455],
    });
  });
});
