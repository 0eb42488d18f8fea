/** MQTT 3.1.1 sections 3.1, 3.2 and 4.1: CONNECT, CONNACK and Sessions; and 3.1 where it differs. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import {
  bytes,
  frame,
  publishPacket,
  string,
  subscribePacket,
  type TestClient,
  will,
} from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed, expectQuiet } from '../expect.ts';

const version = 4;
const options = { version } as const;

/** A CONNECT of 3.1.1 with the Connect Flags and the payload as given. */
function connect(flags: number, ...payload: Uint8Array[]): Uint8Array {
  return frame(0x10, string('MQTT'), 4, flags, '0000', ...payload);
}

/** CONNACK with `returnCode` came, and the connection is closed. [MQTT3-3.2.2-4] [MQTT3-3.2.2-5] */
function expectReturnCode(client: TestClient, returnCode: number): void {
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe(`2002000${returnCode}`);
  expectClosed(client);
}

test.each([
  { name: 'CONNACK', packet: bytes('20 02 00 00') },
  { name: 'PUBLISH', packet: frame(0x30, string('a')) },
  { name: 'PUBACK', packet: bytes('40 02 0001') },
  { name: 'PUBREC', packet: bytes('50 02 0001') },
  { name: 'PUBREL', packet: bytes('62 02 0001') },
  { name: 'PUBCOMP', packet: bytes('70 02 0001') },
  { name: 'SUBSCRIBE', packet: frame(0x82, '0001', string('a'), 0) },
  { name: 'SUBACK', packet: bytes('90 03 0001 00') },
  { name: 'UNSUBSCRIBE', packet: frame(0xa2, '0001', string('a')) },
  { name: 'UNSUBACK', packet: bytes('b0 02 0001') },
  { name: 'PINGREQ', packet: bytes('c0 00') },
  { name: 'PINGRESP', packet: bytes('d0 00') },
  { name: 'DISCONNECT', packet: bytes('e0 00') },
  { name: 'packet type 15', packet: bytes('f0 00') },
])(
  '[MQTT3-3.1.0-1] [MQTT3-3.2.0-1] $name as the first packet closes the connection, and nothing is answered',
  ({ packet }) => {
    const client = new Harness().client('c', options);
    client.raw(packet);
    expectClosed(client);
  },
);

test.each([3, 4] as const)(
  '[MQTT3-3.1.0-2] a second CONNECT ends the connection in version %i',
  (level) => {
    const client = new Harness().connected('c', {}, { version: level });
    client.send(client.connectPacket());
    expectClosed(client);
  },
);

test.each(['MQTX', 'mqtt', 'MQ', ''])('[MQTT3-3.1.2-1] protocol name "%s" gets nowhere', (name) => {
  const client = new Harness().client('c', options);
  client.raw(frame(0x10, string(name), '04 02 0000', string('c')));
  expectReturnCode(client, 1);
});

test.each([0, 1, 2, 3])(
  '[MQTT3-3.1.2-2] [MQTT3-3.2.2-4] [MQTT3-3.2.2-5] level %i under the name MQTT is answered with return code 1',
  (level) => {
    const client = new Harness().client('c', options);
    client.raw(frame(0x10, string('MQTT'), level, '02 0000', string('c')));
    expectReturnCode(client, 1);
  },
);

test.each([0, 1, 2, 4])(
  '[MQTT3-3.1.2-2] level %i under the name MQIsdp is answered with return code 1',
  (level) => {
    const client = new Harness().client('c', options);
    client.raw(frame(0x10, string('MQIsdp'), level, '02 0000', string('c')));
    expectReturnCode(client, 1);
  },
);

test.each([0x83, 0x84])(
  '[MQTT3-3.1.2-2] level %i, as bridges of some brokers write it, is answered with return code 1, so that they try again without',
  (level) => {
    const client = new Harness().client('c', options);
    client.raw(frame(0x10, string('MQTT'), level, '02 0000', string('c')));
    expectReturnCode(client, 1);
  },
);

test.each([
  { name: '[MQTT3-3.1.2-3] the reserved Connect Flag', packet: connect(0x03, string('c')) },
  {
    name: '[MQTT3-3.1.2-11] [MQTT3-3.1.2-13] Will QoS without a Will',
    packet: connect(0x0a, string('c')),
  },
  {
    name: '[MQTT3-3.1.2-11] [MQTT3-3.1.2-15] Will Retain without a Will',
    packet: connect(0x22, string('c')),
  },
  {
    name: '[MQTT3-3.1.2-14] Will QoS 3',
    packet: connect(0x1e, string('c'), string('w'), string('')),
  },
  { name: '[MQTT3-3.1.2-9] a Will that is not there', packet: connect(0x06, string('c')) },
  {
    name: '[MQTT3-3.1.2-9] a Will without its message',
    packet: connect(0x06, string('c'), string('w')),
  },
  {
    name: '[MQTT3-3.1.2-11] a Will without its flag',
    packet: connect(0x02, string('c'), string('w'), string('x')),
  },
  {
    name: '[MQTT3-3.1.2-18] a User Name without its flag',
    packet: connect(0x02, string('c'), string('JWT')),
  },
  { name: '[MQTT3-3.1.2-19] a User Name that is not there', packet: connect(0x82, string('c')) },
  {
    name: '[MQTT3-3.1.2-20] a Password without its flag',
    packet: connect(0x82, string('c'), string('JWT'), string('t')),
  },
  {
    name: '[MQTT3-3.1.2-21] a Password that is not there',
    packet: connect(0xc2, string('c'), string('JWT')),
  },
  {
    name: '[MQTT3-3.1.2-22] a Password without a User Name',
    packet: connect(0x42, string('c'), string('t')),
  },
  { name: '[MQTT3-3.1.3-3] no Client Identifier', packet: connect(0x02) },
  {
    name: '[MQTT3-3.1.3-1] a payload that ends early',
    packet: connect(0xc6, string('c'), string('w')),
  },
])(
  '[MQTT3-3.1.4-1] [MQTT3-3.2.2-6] $name closes the connection without a CONNACK',
  ({ packet }) => {
    const client = new Harness().client('c', options);
    client.raw(packet);
    expectClosed(client);
  },
);

test('[MQTT3-3.1.3-1] the payload is read in its order', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('topic');
  const client = harness.client('c', options);
  const body = [string('c'), string('topic'), string('message'), string('JWT')];
  client.raw(connect(0xc6, ...body, string(client.token)));
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('20020000');
  client.lose();
  expect(watcher.texts()).toEqual(['message']);
});

test.each(['a', '0123456789ABCDEFGHIJKLM', 'nopqrstuvwxyzNOPQRSTUVWXYZ'.slice(0, 23)])(
  '[MQTT3-3.1.3-5] [MQTT3-3.1.4-4] Client Identifier %s is accepted',
  (identifier) => {
    const client = new Harness().client(identifier, options);
    client.send(client.connectPacket());
    expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('20020000');
    expectQuiet(client);
  },
);

test('[MQTT3-3.1.3-6] who has no Client Identifier, with Clean Session 1, gets a Session of its own', () => {
  const harness = new Harness();
  const clients = [harness.connected('', {}, options), harness.connected('', {}, options)];
  for (const client of clients) expectQuiet(client);
  expect(harness.broker.counters.sessions).toBe(2);
});

test('[MQTT3-3.1.3-7] [MQTT3-3.1.3-8] [MQTT3-3.1.3-9] [MQTT3-3.2.2-4] who has none, with Clean Session 0, is answered with return code 2', () => {
  const client = new Harness().client('', options);
  client.send(client.connectPacket({ cleanStart: false }));
  expectReturnCode(client, 2);
});

test.each([
  { what: 'a bad token', code: ReasonCode.BadUserNameOrPassword, returnCode: 4 },
  { what: 'an expired token', code: ReasonCode.NotAuthorized, returnCode: 5 },
  { what: 'a token that cannot be checked', code: ReasonCode.ServerUnavailable, returnCode: 3 },
])(
  '[MQTT3-3.2.2-4] [MQTT3-3.2.2-5] $what is answered with return code $returnCode, though a Session is there',
  ({ code, returnCode }) => {
    const harness = new Harness();
    harness.connected('c', { cleanStart: false }, options).lose();
    for (const level of [3, 4] as const) {
      const client = harness.client('c', { version: level });
      const password = Buffer.from(harness.refuse(code, 'why'));
      client.send(client.connectPacket({ cleanStart: false, password }));
      expectReturnCode(client, returnCode);
    }
  },
);

test.each([
  { what: 'another user name', userName: 'jwt', password: true },
  { what: 'no password', userName: 'JWT', password: false },
  { what: 'no user name', userName: undefined, password: false },
])('[MQTT3-3.2.2-5] $what is answered with return code 4', ({ userName, password }) => {
  const client = new Harness().client('c', options);
  const token = password ? Buffer.from(client.token) : undefined;
  client.send(client.connectPacket({ userName, password: token }));
  expectReturnCode(client, 4);
});

test('[MQTT3-3.2.2-5] a Will that may not be published is answered with return code 5', () => {
  const client = new Harness().client('c', { version, identity: { grants: undefined } });
  client.send(client.connectPacket({ will: will('anywhere', 'x') }));
  expectReturnCode(client, 5);
});

test('[MQTT3-3.2.2-6] [MQTT3-4.7.1-1] a Will Topic with a wildcard, for which no return code stands, closes the connection without a CONNACK', () => {
  const client = new Harness().client('c', options);
  client.send(client.connectPacket({ will: will('a/#', 'x') }));
  expectClosed(client);
});

test('[MQTT3-3.1.4-5] [MQTT3-3.2.0-1] what follows CONNECT waits for CONNACK, and is not acted on after a refusal', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  harness.holdVerdicts = true;
  const refused = harness.client('r', options);
  refused.send(refused.connectPacket({ password: Buffer.from('forged') }));
  const accepted = harness.client('a', options);
  accepted.send(accepted.connectPacket());
  for (const client of [refused, accepted]) {
    client.send(subscribePacket(['x']));
    client.send(publishPacket(client.clientIdentifier, 'hello'));
    expectQuiet(client);
  }
  harness.verdicts();
  expectReturnCode(refused, 4);
  expect(accepted.packets().map(({ type }) => type)).toEqual(['connack', 'suback']);
  expect(watcher.messages().map(({ topic }) => topic)).toEqual(['a']);
});

test('[MQTT3-3.1.4-2] whoever held the Client Identifier is disconnected without a word', () => {
  for (const level of [3, 4] as const) {
    const harness = new Harness();
    const first = harness.connected('c', {}, { version: level });
    const second = harness.connected('c', {}, { version: 5 });
    expectClosed(first);
    expectQuiet(second);
  }
});

test('[MQTT3-3.1.3-2] another user’s client of the same identifier is left alone', () => {
  const harness = new Harness();
  const mine = harness.connected('c', {}, { version, identity: { user: 'ann' } });
  harness.connected('c', {}, { version, identity: { user: 'bob' } });
  expectQuiet(mine);
});

test('[MQTT3-3.1.2-4] [MQTT3-3.1.2-5] [MQTT3-3.1.4-3] [MQTT3-3.2.2-2] [MQTT3-3.2.2-3] [MQTT3-4.1.0-1] Clean Session 0 makes a Session and goes on from it, with what came meanwhile', () => {
  const harness = new Harness();
  const publisher = harness.connected('p');
  const client = harness.client('c', options);
  expect(client.connect({ cleanStart: false }).sessionPresent).toBe(false);
  client.subscribe('a');
  client.disconnect();
  for (const qos of [0, 1, 2] as const) publisher.publish('a', `q${qos}`, { qos });
  const again = harness.client('c', options);
  expect(again.connect({ cleanStart: false }).sessionPresent).toBe(true);
  expect(again.texts()).toEqual(['q1', 'q2']);
});

test('[MQTT3-3.1.2-6] [MQTT3-3.1.4-3] [MQTT3-3.2.2-1] [MQTT3-3.2.2-3] Clean Session 1 discards the old Session, and leaves none behind', () => {
  const harness = new Harness();
  const publisher = harness.connected('p');
  const client = harness.connected('c', { cleanStart: false }, options);
  client.subscribe('a');
  publisher.publish('a', 'in flight', { qos: 1 });
  client.lose();
  publisher.publish('a', 'queued', { qos: 1 });
  const clean = harness.client('c', options);
  expect(clean.connect({ cleanStart: true }).sessionPresent).toBe(false);
  publisher.publish('a', 'x', { qos: 1 });
  expectQuiet(clean);
  clean.subscribe('a');
  clean.lose();
  const after = harness.client('c', options);
  expect(after.connect({ cleanStart: false }).sessionPresent).toBe(false);
  publisher.publish('a', 'y', { qos: 1 });
  expectQuiet(after);
});

test('[MQTT3-4.1.0-2] a Session of Clean Session 1 lasts as long as its connection', () => {
  const harness = new Harness({ limits: { maximumSessionExpirySeconds: 10 } });
  const client = harness.connected('c', {}, options);
  client.subscribe('a');
  harness.advanceSeconds(100_000);
  harness.connected('p').publish('a', 'x');
  expect(client.texts()).toEqual(['x']);
});

test('[MQTT3-4.1.0-1] a Session of Clean Session 0 waits for as long as Sessions may, which the administrator says', () => {
  const harness = new Harness({ limits: { maximumSessionExpirySeconds: 1_000 } });
  harness.connected('c', { cleanStart: false }, options).lose();
  harness.advance(999_999);
  const client = harness.client('c', options);
  expect(client.connect({ cleanStart: false }).sessionPresent).toBe(true);
  client.lose();
  harness.advance(1_000_000);
  expect(harness.client('c', options).connect({ cleanStart: false }).sessionPresent).toBe(false);
});

test('3.1 has no Session Present: that byte is 0', () => {
  const harness = new Harness();
  harness.connected('c', { cleanStart: false }, { version: 3 }).lose();
  const client = harness.client('c', { version: 3 });
  client.send(client.connectPacket({ cleanStart: false }));
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('20020000');
  expect(harness.eventsOf('connected').at(-1)?.sessionPresent).toBe(true);
});

test('3.1 needs a Client Identifier: an empty one is answered with return code 2', () => {
  for (const cleanStart of [true, false]) {
    const client = new Harness().client('', { version: 3 });
    client.send(client.connectPacket({ cleanStart }));
    expectReturnCode(client, 2);
  }
});

test('3.1 clients with longer identifiers than 23 characters are accepted', () => {
  expectQuiet(new Harness().connected('x'.repeat(100), {}, { version: 3 }));
});
