/** MQTT 3.1.1 sections 1.5, 2 and 4.8: data formats, flags, identifiers. What is wrong ends the connection without a word. */
import { expect, test } from 'bun:test';
import { bytes, frame, publishPacket, string } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed } from '../expect.ts';

const version = 4;

function connected() {
  return new Harness().connected('c', {}, { version });
}

const illFormed = ['c0af', 'c080', 'eda080', 'edbfbf', '6180', '61e282', 'f4908080', 'ff'];

test.each(illFormed)(
  '[MQTT3-1.5.3-1] [MQTT3-3.3.2-1] a Topic Name of the bytes %s ends the connection',
  (text) => {
    const client = connected();
    client.raw(frame(0x30, string(bytes(text))));
    expectClosed(client);
  },
);

const nul = bytes('61 00 62');
const bad = bytes('61 c0 62');
const fields: { field: string; build: (text: Uint8Array) => Uint8Array }[] = [
  { field: 'Topic Name', build: (text) => frame(0x30, string(text)) },
  { field: 'Topic Filter of SUBSCRIBE', build: (text) => frame(0x82, '0001', string(text), 0) },
  { field: 'Topic Filter of UNSUBSCRIBE', build: (text) => frame(0xa2, '0001', string(text)) },
];

test.each(fields)(
  '[MQTT3-1.5.3-1] [MQTT3-3.3.2-1] [MQTT3-3.8.3-1] [MQTT3-3.10.3-1] an ill-formed $field ends the connection',
  ({ build }) => {
    const client = connected();
    client.raw(build(bad));
    expectClosed(client);
  },
);

test.each(fields)(
  '[MQTT3-1.5.3-2] [MQTT3-4.7.3-2] U+0000 in the $field ends the connection',
  ({ build }) => {
    const client = connected();
    client.raw(build(nul));
    expectClosed(client);
  },
);

const inConnect: { field: string; build: (text: Uint8Array) => Uint8Array }[] = [
  {
    field: 'Client Identifier',
    build: (text) => frame(0x10, string('MQTT'), '04 02 0000', string(text)),
  },
  {
    field: 'Will Topic',
    build: (text) =>
      frame(0x10, string('MQTT'), '04 06 0000', string('c'), string(text), string('')),
  },
  {
    field: 'User Name',
    build: (text) =>
      frame(0x10, string('MQTT'), '04 c2 0000', string('c'), string(text), string('x')),
  },
];

test.each(inConnect)(
  '[MQTT3-1.5.3-1] [MQTT3-1.5.3-2] [MQTT3-3.1.3-4] [MQTT3-3.1.3-10] [MQTT3-3.1.3-11] [MQTT3-3.1.4-1] an ill-formed $field closes the connection without a CONNACK',
  ({ build }) => {
    for (const text of [bad, nul]) {
      const client = new Harness().client('c', { version });
      client.raw(build(text));
      expectClosed(client);
    }
  },
);

test('[MQTT3-1.5.3-3] U+FEFF is a character of the topic, wherever it stands', () => {
  const client = connected();
  client.subscribe(['\uFEFFa', 'a\uFEFF']);
  for (const topic of ['a', '\uFEFFa', 'a\uFEFF']) client.publish(topic, 'x');
  expect(client.messages().map(({ topic }) => topic)).toEqual(['\uFEFFa', 'a\uFEFF']);
});

const types: { name: string; first: number; rest: Uint8Array }[] = [
  { name: '[MQTT3-2.2.2-1] PUBACK', first: 0x40, rest: bytes('02 0001') },
  { name: '[MQTT3-2.2.2-1] PUBREC', first: 0x50, rest: bytes('02 0001') },
  { name: '[MQTT3-3.6.1-1] PUBREL', first: 0x62, rest: bytes('02 0001') },
  { name: '[MQTT3-2.2.2-1] PUBCOMP', first: 0x70, rest: bytes('02 0001') },
  { name: '[MQTT3-3.8.1-1] SUBSCRIBE', first: 0x82, rest: bytes('06 0001', string('a'), 0) },
  { name: '[MQTT3-3.10.1-1] UNSUBSCRIBE', first: 0xa2, rest: bytes('05 0001', string('a')) },
  { name: '[MQTT3-2.2.2-1] PINGREQ', first: 0xc0, rest: bytes('00') },
  { name: '[MQTT3-3.14.1-1] DISCONNECT', first: 0xe0, rest: bytes('00') },
];

test.each(types)(
  '[MQTT3-2.2.2-2] $name with other flags than its own ends the connection',
  ({ first, rest }) => {
    for (let flags = 0; flags < 16; flags++) {
      if (flags === (first & 15)) continue;
      const client = connected();
      client.raw((first & 0xf0) | flags, rest);
      expectClosed(client);
    }
  },
);

test('[MQTT3-2.2.2-2] [MQTT3-3.1.4-1] CONNECT with flags closes the connection without a CONNACK', () => {
  for (let flags = 1; flags < 16; flags++) {
    const client = new Harness().client('c', { version });
    client.raw(frame(0x10 | flags, string('MQTT'), '04 02 0000', string('c')));
    expectClosed(client);
  }
});

test('[MQTT3-3.14.1-1] [MQTT3-3.1.2-8] a DISCONNECT with flags is none: the Will is sent', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('gone');
  const client = harness.client('c', { version });
  const body = [string('c'), string('gone'), string('x'), string('JWT'), string(client.token)];
  client.raw(frame(0x10, string('MQTT'), '04 c6 0000', ...body));
  client.next('connack');
  client.raw('e1 00');
  expectClosed(client);
  expect(watcher.texts()).toEqual(['x']);
});

test('[MQTT3-4.8.0-1] packet types 0 and 15 end the connection', () => {
  for (const packet of ['00 00', 'f0 00', 'f0 02 0001']) {
    const client = connected();
    client.raw(packet);
    expectClosed(client);
  }
});

test.each(['30 80 80 80 80 01', '30 ff ff ff ff 7f', 'c0 80 80 80 80 00'])(
  '[MQTT3-4.8.0-1] a Remaining Length of five bytes ends the connection: %s',
  (packet) => {
    const client = connected();
    client.raw(packet);
    expectClosed(client);
  },
);

test.each([
  { name: 'PUBLISH of QoS 1', packet: frame(0x32, string('a'), '0000') },
  { name: 'PUBLISH of QoS 2', packet: frame(0x34, string('a'), '0000') },
  { name: 'SUBSCRIBE', packet: frame(0x82, '0000', string('a'), 0) },
  { name: 'UNSUBSCRIBE', packet: frame(0xa2, '0000', string('a')) },
])('[MQTT3-2.3.1-1] $name with Packet Identifier 0 ends the connection', ({ packet }) => {
  const client = connected();
  client.raw(packet);
  expectClosed(client);
});

test('[MQTT3-2.3.1-2] [MQTT3-2.3.1-3] an identifier in use stands for the packet that it came with', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('a');
  const client = harness.connected('c', {}, { version });
  client.send(publishPacket('a', 'one', { qos: 2, packetIdentifier: 5 }));
  client.send(publishPacket('a', 'two', { qos: 2, packetIdentifier: 5, dup: true }));
  expect(watcher.texts()).toEqual(['one']);
});

test.each([0x36, 0x37, 0x3e, 0x3f])(
  '[MQTT3-3.3.1-4] a PUBLISH with both QoS bits set ends the connection (first byte %i)',
  (first) => {
    const client = connected();
    client.raw(frame(first, string('a'), '0001'));
    expectClosed(client);
  },
);

test.each([0x38, 0x39])(
  '[MQTT3-3.3.1-2] DUP in a PUBLISH of QoS 0 ends the connection (first byte %i)',
  (first) => {
    const client = connected();
    client.raw(frame(first, string('a')));
    expectClosed(client);
  },
);

test.each([
  { name: '[MQTT3-3.3.2-1] no Topic Name', packet: bytes('30 00') },
  { name: '[MQTT3-3.3.2-1] a Topic Name that is cut off', packet: bytes('30 04 0005 6162') },
  { name: '[MQTT3-4.8.0-1] half a Packet Identifier', packet: frame(0x32, string('a'), 0) },
  { name: '[MQTT3-4.8.0-1] PUBACK that is too short', packet: bytes('40 01 00') },
  { name: '[MQTT3-4.8.0-1] PUBACK that is too long', packet: bytes('40 03 0001 00') },
  { name: '[MQTT3-4.8.0-1] PUBREL that is too long', packet: bytes('62 04 0001 92 00') },
  { name: '[MQTT3-4.8.0-1] DISCONNECT with something in it', packet: bytes('e0 01 00') },
])('$name: the packet ends the connection', ({ packet }) => {
  const client = connected();
  client.raw(packet);
  expectClosed(client);
});

test.each([0x03, 0x04, 0x08, 0x10, 0x40, 0x80, 0xff])(
  '[MQTT3-3.8.3-4] a requested QoS byte of %i ends the connection',
  (options) => {
    const client = connected();
    client.raw(frame(0x82, '0001', string('good'), 0, string('a'), options));
    expectClosed(client);
  },
);

test('a packet larger than the limit ends the connection, before its body is sent', () => {
  const harness = new Harness({ limits: { maximumPacketSize: 100 } });
  const client = harness.connected('c', {}, { version });
  client.raw('30 63');
  expectClosed(client);
});
