/** MQTT 5.0 sections 1.5 and 2: data types, fixed header, Packet Identifiers, properties. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, string, type TestClient, variable } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet, expectRefused } from '../expect.ts';

/** A CONNECT with `properties`, and whatever stands behind the Client Identifier. */
function connect(client: TestClient, properties: Uint8Array, ...payload: Uint8Array[]): Uint8Array {
  const flags = bytes('05 02 0000');
  const head = bytes(string('MQTT'), flags, variable(properties.length), properties);
  return frame(0x10, head, string(client.clientIdentifier), ...payload);
}

function property(identifier: number, ...value: Uint8Array[]): Uint8Array {
  return bytes(identifier, ...value);
}

const illFormed = [
  { what: 'an overlong encoding', text: bytes('c0af') },
  { what: 'an overlong U+0000', text: bytes('c080') },
  { what: 'a high surrogate', text: bytes('eda080') },
  { what: 'a low surrogate', text: bytes('edbfbf') },
  { what: 'a pair of surrogates', text: bytes('eda080edb080') },
  { what: 'a stray continuation byte', text: bytes('61 80') },
  { what: 'a sequence that is cut off', text: bytes('61 e282') },
  { what: 'a code point beyond U+10FFFF', text: bytes('f4908080') },
  { what: 'the byte FF', text: bytes('ff') },
];

test.each(illFormed)(
  '[MQTT-1.5.4-1] [MQTT-4.13.1-1] a Topic Name with $what is malformed',
  ({ text }) => {
    const client = new Harness().connected('c');
    client.raw(frame(0x30, string(text), variable(0)));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

const bad = bytes('61 c0 62');
const nul = bytes('61 00 62');
const inConnect: { field: string; build: (text: Uint8Array) => Uint8Array }[] = [
  {
    field: 'Client Identifier',
    build: (text) => frame(0x10, string('MQTT'), '05 02 0000 00', string(text)),
  },
  {
    field: 'Will Topic',
    build: (text) =>
      frame(0x10, string('MQTT'), '05 06 0000 00', string('c'), '00', string(text), string('')),
  },
  {
    field: 'User Name',
    build: (text) => frame(0x10, string('MQTT'), '05 82 0000 00', string('c'), string(text)),
  },
  {
    field: 'Authentication Method',
    build: (text) => {
      const section = property(0x15, string(text));
      return frame(0x10, string('MQTT'), '05 02 0000', section.length, section, string('c'));
    },
  },
];

test.each(inConnect)(
  '[MQTT-1.5.4-1] [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12] an ill-formed $field is refused with 0x81',
  ({ build }) => {
    const client = new Harness().client('c');
    client.raw(build(bad));
    expectRefused(client, ReasonCode.MalformedPacket);
  },
);

test.each(inConnect)('[MQTT-1.5.4-2] U+0000 in the $field is refused with 0x81', ({ build }) => {
  const client = new Harness().client('c');
  client.raw(build(nul));
  expectRefused(client, ReasonCode.MalformedPacket);
});

/** PUBLISH to `t` with one property. */
function publishWith(section: Uint8Array): Uint8Array {
  return frame(0x30, string('t'), section.length, section, 'ff');
}

const onceOpen: { field: string; build: (text: Uint8Array) => Uint8Array }[] = [
  { field: 'Topic Name', build: (text) => frame(0x30, string(text), 0) },
  { field: 'Content Type', build: (text) => publishWith(property(0x03, string(text))) },
  { field: 'Response Topic', build: (text) => publishWith(property(0x08, string(text))) },
  {
    field: 'name of a User Property',
    build: (text) => publishWith(property(0x26, string(text), string('v'))),
  },
  {
    field: 'value of a User Property',
    build: (text) => publishWith(property(0x26, string('n'), string(text))),
  },
  {
    field: 'Topic Filter of SUBSCRIBE',
    build: (text) => frame(0x82, '0001 00', string(text), 0),
  },
  { field: 'Topic Filter of UNSUBSCRIBE', build: (text) => frame(0xa2, '0001 00', string(text)) },
  {
    field: 'Reason String of PUBACK',
    build: (text) => {
      const section = property(0x1f, string(text));
      return frame(0x40, '0001 00', section.length, section);
    },
  },
  {
    field: 'Reason String of DISCONNECT',
    build: (text) => {
      const section = property(0x1f, string(text));
      return frame(0xe0, '00', section.length, section);
    },
  },
];

test.each(onceOpen)(
  '[MQTT-1.5.4-1] [MQTT-1.5.7-1] [MQTT-3.3.2-1] [MQTT-3.3.2-13] [MQTT-3.3.2-19] [MQTT-3.8.3-1] [MQTT-3.10.3-1] an ill-formed $field ends the connection with 0x81',
  ({ build }) => {
    const client = new Harness().connected('c');
    client.raw(build(bad));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test.each(onceOpen)(
  '[MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-4.7.3-2] U+0000 in the $field ends the connection with 0x81',
  ({ build }) => {
    const client = new Harness().connected('c');
    client.raw(build(nul));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test('[MQTT-1.5.4-3] U+FEFF is a character of the topic, wherever it stands', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe(['\uFEFFa', 'a\uFEFF']);
  client.publish('a', 'without');
  client.publish('\uFEFFa', 'before');
  client.publish('a\uFEFF', 'behind');
  const messages = client.messages();
  expect(messages.map(({ topic }) => topic)).toEqual(['\uFEFFa', 'a\uFEFF']);
});

test('text of every length of encoding comes through byte by byte', () => {
  const client = new Harness().connected('c');
  const name = 'A\u{2A6D4}é€\u{10FFFF}\uFFFF\u0001';
  client.subscribe('#');
  client.raw(frame(0x30, string(name), 0, '01'));
  expect(Buffer.from(client.nextBytes())).toEqual(Buffer.from(frame(0x30, string(name), 0, '01')));
});

const overlong = [
  { what: 'Remaining Length of PINGREQ', packet: bytes('c0 80 00') },
  { what: 'Remaining Length of PUBLISH', packet: bytes('30 84 00 0001 61 00') },
  { what: 'Remaining Length of five bytes', packet: bytes('30 80 80 80 80 01') },
  { what: 'Remaining Length of five bytes, all ones', packet: bytes('30 ff ff ff ff 7f') },
  { what: 'Property Length', packet: frame(0x30, string('a'), '80 00') },
  { what: 'Subscription Identifier', packet: frame(0x82, '0001 03 0b 81 00', string('a'), 0) },
  {
    what: 'Subscription Identifier of five bytes',
    packet: frame(0x82, '0001 06 0b 80 80 80 80 01', string('a'), 0),
  },
];

test.each(overlong)('[MQTT-1.5.5-1] a $what longer than it need be is malformed', ({ packet }) => {
  const client = new Harness().connected('c');
  client.raw(packet);
  expectEnded(client, ReasonCode.MalformedPacket);
});

test.each([
  { size: 127, length: '7f' },
  { size: 128, length: '8001' },
  { size: 16_383, length: 'ff7f' },
  { size: 16_384, length: '808001' },
  { size: 2_097_151, length: 'ffff7f' },
  { size: 2_097_152, length: '80808001' },
])('[MQTT-1.5.5-1] a Remaining Length of $size is sent as $length', ({ size, length }) => {
  const client = new Harness().connected('c');
  client.subscribe('a');
  client.publish('a', new Uint8Array(size - 4));
  const got = client.nextBytes();
  expect(Buffer.from(got.subarray(1, 1 + length.length / 2)).toString('hex')).toBe(length);
  expect(got.length).toBe(1 + length.length / 2 + size);
});

const types: { name: string; flags: number; rest: Uint8Array }[] = [
  {
    name: '[MQTT-2.1.3-1] CONNECT with other flags than its own is malformed',
    flags: 0x10,
    rest: frame(0, string('MQTT'), '05 02 0000 00', string('c')),
  },
  {
    name: '[MQTT-2.1.3-1] PUBACK with other flags than its own is malformed',
    flags: 0x40,
    rest: bytes('00 02 0001'),
  },
  {
    name: '[MQTT-2.1.3-1] PUBREC with other flags than its own is malformed',
    flags: 0x50,
    rest: bytes('00 02 0001'),
  },
  {
    name: '[MQTT-2.1.3-1] [MQTT-3.6.1-1] PUBREL with other flags than its own is malformed',
    flags: 0x62,
    rest: bytes('00 02 0001'),
  },
  {
    name: '[MQTT-2.1.3-1] PUBCOMP with other flags than its own is malformed',
    flags: 0x70,
    rest: bytes('00 02 0001'),
  },
  {
    name: '[MQTT-2.1.3-1] [MQTT-3.8.1-1] SUBSCRIBE with other flags than its own is malformed',
    flags: 0x82,
    rest: frame(0, '0001 00', string('a'), 0),
  },
  {
    name: '[MQTT-2.1.3-1] [MQTT-3.10.1-1] UNSUBSCRIBE with other flags than its own is malformed',
    flags: 0xa2,
    rest: frame(0, '0001 00', string('a')),
  },
  {
    name: '[MQTT-2.1.3-1] PINGREQ with other flags than its own is malformed',
    flags: 0xc0,
    rest: bytes('00 00'),
  },
  {
    name: '[MQTT-2.1.3-1] [MQTT-3.14.1-1] DISCONNECT with other flags than its own is malformed',
    flags: 0xe0,
    rest: bytes('00 00'),
  },
  {
    name: '[MQTT-2.1.3-1] [MQTT-3.15.1-1] AUTH with other flags than its own is malformed',
    flags: 0xf0,
    rest: frame(0, '19', 6, property(0x15, string('JWT'))),
  },
];

test.each(types)('$name', ({ flags, rest }) => {
  for (let other = 0; other < 16; other++) {
    if (other === (flags & 15)) continue;
    const client = new Harness().connected('c');
    client.raw((flags & 0xf0) | other, rest.subarray(1));
    expectEnded(client, ReasonCode.MalformedPacket);
  }
});

test('packet type 0 is malformed', () => {
  const client = new Harness().connected('c');
  client.raw('00 00');
  expectEnded(client, ReasonCode.MalformedPacket);
});

test.each([
  { name: 'PUBLISH of QoS 1', packet: frame(0x32, string('a'), '0000 00') },
  { name: 'PUBLISH of QoS 2', packet: frame(0x34, string('a'), '0000 00') },
  { name: 'SUBSCRIBE', packet: frame(0x82, '0000 00', string('a'), 0) },
  { name: 'UNSUBSCRIBE', packet: frame(0xa2, '0000 00', string('a')) },
  { name: 'PUBACK', packet: bytes('40 02 0000') },
  { name: 'PUBREC', packet: bytes('50 02 0000') },
  { name: 'PUBREL', packet: bytes('62 02 0000') },
  { name: 'PUBCOMP', packet: bytes('70 02 0000') },
])(
  '[MQTT-2.2.1-3] [MQTT-4.13.1-1] $name with Packet Identifier 0 is a Protocol Error',
  ({ packet }) => {
    const client = new Harness().connected('c');
    client.raw(packet);
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

test('[MQTT-2.2.1-2] a QoS 0 PUBLISH is read and written without a Packet Identifier', () => {
  const client = new Harness().connected('c');
  client.subscribe('a');
  client.raw('30 06 0001 61 00 0102');
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('3006000161000102');
});

test('[MQTT-2.2.2-1] no properties are written as a Property Length of 0', () => {
  const client = new Harness().connected('c');
  client.raw(frame(0x82, '0102 00', string('a'), 1));
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('90040102' + '0001');
  client.raw(frame(0xa2, '0103 00', string('a')));
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('b0040103' + '0000');
});

test.each([
  { name: 'CONNECT', packet: frame(0x10, string('MQTT'), '05 02 0000') },
  {
    name: 'CONNECT with a Will',
    packet: frame(0x10, string('MQTT'), '05 06 0000 00', string('c')),
  },
])('[MQTT-2.2.2-1] $name without a Property Length is malformed', ({ packet }) => {
  const client = new Harness().client('c');
  client.raw(packet);
  expectRefused(client, ReasonCode.MalformedPacket);
});

test.each([
  { name: 'PUBLISH', packet: frame(0x30, string('a')) },
  { name: 'SUBSCRIBE', packet: frame(0x82, '0001') },
  { name: 'UNSUBSCRIBE', packet: frame(0xa2, '0001') },
  { name: 'a Property Length beyond the packet', packet: frame(0x30, string('a'), '05 01 00') },
  {
    name: 'a property cut off by its Property Length',
    packet: frame(0x30, string('a'), '02 02 00000001'),
  },
])('[MQTT-2.2.2-1] $name without its properties is malformed', ({ packet }) => {
  const client = new Harness().connected('c');
  client.raw(packet);
  expectEnded(client, ReasonCode.MalformedPacket);
});

test('properties that come in any order are read', () => {
  const client = new Harness().client('c');
  const section = bytes('21 0005', '11 0000000a', '22 0003');
  client.raw(connect(client, section));
  expectRefused(client, ReasonCode.BadUserNameOrPassword); // no token, but well-formed
  const open = new Harness().connected('c');
  open.raw(publishWith(bytes('02 00000005', '01 01', '26 0001 61 0001 62')));
  expectEnded(open, ReasonCode.PayloadFormatInvalid); // its payload is the byte FF
});

test('an empty chunk and one byte at a time are as good as a packet at once', () => {
  const client = new Harness().connected('c');
  client.raw('');
  for (const byte of frame(0x82, '0001 00', string('a'), 0)) client.raw(byte);
  expect(client.next('suback').reasonCodes).toEqual([0]);
  client.raw('c0', '00 c0 00 c0');
  expect(client.packets().map(({ type }) => type)).toEqual(['pingresp', 'pingresp']);
  expectQuiet(client);
});
