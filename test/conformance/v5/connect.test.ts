/** MQTT 5.0 section 3.1: CONNECT, its form and what is refused. Sessions, Wills and AUTH are beside this. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, subscribePacket, will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed, expectEnded, expectQuiet, expectRefused } from '../expect.ts';

/** A CONNECT of 5.0 with the Connect Flags and the payload as given. */
function connect(flags: number, ...payload: Uint8Array[]): Uint8Array {
  return frame(0x10, string('MQTT'), 5, flags, '0000 00', ...payload);
}
const CLEAN = 0x02;
const WILL = 0x04;
const RETAIN = 0x20;
const PASSWORD = 0x40;
const USER = 0x80;

test.each([
  { name: 'CONNACK', packet: bytes('20 03 00 00 00') },
  { name: 'PUBLISH of QoS 0', packet: frame(0x30, string('a'), '00') },
  { name: 'PUBLISH of QoS 1', packet: frame(0x32, string('a'), '0001 00') },
  { name: 'PUBACK', packet: bytes('40 02 0001') },
  { name: 'PUBREC', packet: bytes('50 02 0001') },
  { name: 'PUBREL', packet: bytes('62 02 0001') },
  { name: 'PUBCOMP', packet: bytes('70 02 0001') },
  { name: 'SUBSCRIBE', packet: frame(0x82, '0001 00', string('a'), 0) },
  { name: 'SUBACK', packet: bytes('90 04 0001 00 00') },
  { name: 'UNSUBSCRIBE', packet: frame(0xa2, '0001 00', string('a')) },
  { name: 'UNSUBACK', packet: bytes('b0 04 0001 00 00') },
  { name: 'PINGREQ', packet: bytes('c0 00') },
  { name: 'PINGRESP', packet: bytes('d0 00') },
  { name: 'DISCONNECT', packet: bytes('e0 00') },
  { name: 'AUTH', packet: frame(0xf0, '18', 6, '15', string('JWT')) },
  { name: 'packet type 0', packet: bytes('00 00') },
])(
  '[MQTT-3.1.0-1] [MQTT-3.14.0-1] [MQTT-3.2.0-1] $name as the first packet closes the connection, and nothing is answered',
  ({ packet }) => {
    const harness = new Harness();
    const client = harness.client('c');
    client.raw(packet);
    expectClosed(client);
    client.send(client.connectPacket()); // comes too late
    expectClosed(client);
  },
);

test('[MQTT-3.1.0-2] a second CONNECT is a Protocol Error', () => {
  const client = new Harness().connected('c');
  client.send(client.connectPacket());
  expectEnded(client, ReasonCode.ProtocolError);
});

test('[MQTT-3.1.0-2] [MQTT-3.1.2-8] a second CONNECT ends the connection before its Will is cancelled', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('gone');
  const client = harness.connected('c', { will: will('gone', 'c') });
  client.send(client.connectPacket());
  expectEnded(client, ReasonCode.ProtocolError);
  expect(watcher.texts()).toEqual(['c']);
});

test.each(['MQTX', 'mqtt', 'MQT', 'MQTT5', 'HTTP', ''])(
  '[MQTT-3.1.2-1] protocol name "%s" is refused with 0x84',
  (name) => {
    const client = new Harness().client('c');
    client.raw(frame(0x10, string(name), '05 02 0000 00', string('c')));
    expectRefused(client, ReasonCode.UnsupportedProtocolVersion);
  },
);

test('[MQTT-3.1.2-1] the name of 3.1 with the level of 5.0 is refused with 0x84', () => {
  const client = new Harness().client('c');
  client.raw(frame(0x10, string('MQIsdp'), '05 02 0000 00', string('c')));
  expectRefused(client, ReasonCode.UnsupportedProtocolVersion);
});

test.each([6, 7, 16, 127])('[MQTT-3.1.2-2] protocol version %i is refused with 0x84', (level) => {
  const client = new Harness().client('c');
  client.raw(frame(0x10, string('MQTT'), level, '02 0000 00', string('c')));
  expectRefused(client, ReasonCode.UnsupportedProtocolVersion);
});

test('[MQTT-3.1.2-2] a later version may have a form that 5.0 does not know, and is refused all the same', () => {
  const client = new Harness().client('c');
  client.raw(frame(0x10, string('MQTT'), 6, 'ff ff ff'));
  expectRefused(client, ReasonCode.UnsupportedProtocolVersion);
});

test('[MQTT-3.1.2-3] the reserved Connect Flag is refused with 0x81', () => {
  const client = new Harness().client('c');
  client.raw(connect(CLEAN | 1, string('c')));
  expectRefused(client, ReasonCode.MalformedPacket);
});

test.each([
  {
    name: '[MQTT-3.1.2-11] Will QoS 1 without a Will is malformed',
    packet: connect(CLEAN | 0x08, string('c')),
  },
  {
    name: '[MQTT-3.1.2-11] Will QoS 2 without a Will is malformed',
    packet: connect(CLEAN | 0x10, string('c')),
  },
  {
    name: '[MQTT-3.1.2-13] Will Retain without a Will is malformed',
    packet: connect(CLEAN | RETAIN, string('c')),
  },
  {
    name: '[MQTT-3.1.2-12] Will QoS 3 is malformed',
    packet: connect(CLEAN | WILL | 0x18, string('c'), bytes(0), string('w'), string('')),
  },
  {
    name: '[MQTT-3.1.2-12] Will QoS 3 without a Will is malformed',
    packet: connect(CLEAN | 0x18, string('c')),
  },
  {
    name: '[MQTT-3.1.2-9] a Will that is not there is malformed',
    packet: connect(CLEAN | WILL, string('c')),
  },
  {
    name: '[MQTT-3.1.2-9] a Will without its properties is malformed',
    packet: connect(CLEAN | WILL, string('c'), string('w'), string('x')),
  },
  {
    name: '[MQTT-3.1.2-9] a Will without its payload is malformed',
    packet: connect(CLEAN | WILL, string('c'), bytes(0), string('w')),
  },
  {
    name: '[MQTT-3.1.2-16] a User Name without its flag is malformed',
    packet: connect(CLEAN, string('c'), string('JWT')),
  },
  {
    name: '[MQTT-3.1.2-17] a User Name that is not there is malformed',
    packet: connect(CLEAN | USER, string('c')),
  },
  {
    name: '[MQTT-3.1.2-18] a Password without its flag is malformed',
    packet: connect(CLEAN | USER, string('c'), string('JWT'), string('token')),
  },
  {
    name: '[MQTT-3.1.2-19] a Password that is not there is malformed',
    packet: connect(CLEAN | USER | PASSWORD, string('c'), string('JWT')),
  },
  { name: '[MQTT-3.1.3-3] no Client Identifier is malformed', packet: connect(CLEAN) },
  {
    name: '[MQTT-3.1.4-1] a Client Identifier that is cut off is malformed',
    packet: connect(CLEAN, bytes('0005 61')),
  },
  {
    name: '[MQTT-3.1.4-1] no Keep Alive is malformed',
    packet: frame(0x10, string('MQTT'), '05 02 00'),
  },
  {
    name: '[MQTT-3.1.4-1] no Connect Flags is malformed',
    packet: frame(0x10, string('MQTT'), '05'),
  },
])('$name', ({ packet }) => {
  const client = new Harness().client('c');
  client.raw(packet);
  expectRefused(client, ReasonCode.MalformedPacket);
});

test.each([
  { what: 'nothing at all', packet: bytes('10 00') },
  { what: 'half a protocol name', packet: bytes('10 04 0004 4d51') },
  { what: 'a protocol name and no version', packet: frame(0x10, string('MQTT')) },
])('[MQTT-3.1.4-1] [MQTT-4.13.2-1] a CONNECT of $what closes the connection', ({ packet }) => {
  const client = new Harness().client('c');
  client.raw(packet);
  expectClosed(client); // in which words it could be told is not known
});

test('[MQTT-3.1.3-1] the payload is read in its order', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('topic');
  const client = harness.client('c');
  const body = [string('c'), bytes(0), string('topic'), string('payload'), string('JWT')];
  client.raw(connect(CLEAN | WILL | USER | PASSWORD, ...body, string(client.token)));
  expect(client.next('connack').reasonCode).toBe(ReasonCode.Success);
  client.lose();
  expect(watcher.texts()).toEqual(['payload']);
});

test('[MQTT-3.1.3-1] [MQTT-3.1.4-2] a payload in another order is taken at its word', () => {
  const client = new Harness().client('c');
  const body = [string('c'), string(client.token), string('JWT')];
  client.raw(connect(CLEAN | USER | PASSWORD, ...body));
  expectRefused(client, ReasonCode.BadUserNameOrPassword);
});

test.each([
  'a',
  'Z',
  '0',
  '0123456789abcdefghijklm',
  'nopqrstuvwxyzABCDEFGHIJ',
  'KLMNOPQRSTUVWXYZ',
])('[MQTT-3.1.3-5] Client Identifier %s is accepted', (identifier) => {
  expectQuiet(new Harness().connected(identifier));
});

test.each(['longer than twenty-three bytes, and with spaces', '/+#$', 'ü\u{1F600}', '\uFEFF'])(
  'Client Identifier "%s" is accepted as well',
  (identifier) => {
    expectQuiet(new Harness().connected(identifier));
  },
);

test('[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] who has no Client Identifier gets one that nobody else has', () => {
  const harness = new Harness();
  const one = harness.client('');
  const two = harness.client('');
  const first = one.connect().assignedClientIdentifier;
  const second = two.connect().assignedClientIdentifier;
  expect(first).toMatch(/./);
  expect(second).toMatch(/./);
  expect(first).not.toBe(second);
  expectQuiet(one);
});

test('[MQTT-3.2.2-16] an identifier that a Session has already is not assigned', () => {
  const harness = new Harness();
  const taken = ['assigned-1', 'assigned-2'].map((identifier) => harness.connected(identifier));
  const client = harness.client('');
  expect(client.connect().assignedClientIdentifier).toBe('assigned-3');
  for (const each of taken) expectQuiet(each);
});

test('[MQTT-3.1.3-7] the Session is found again under the identifier that was assigned', () => {
  const harness = new Harness();
  const client = harness.client('');
  const identifier = client.connect({ sessionExpiryInterval: 60 }).assignedClientIdentifier ?? '';
  client.subscribe({ topicFilter: 'a', maximumQoS: 1 });
  client.lose();
  const again = harness.client(identifier);
  const connack = again.connect({ cleanStart: false, sessionExpiryInterval: 60 });
  expect(connack.sessionPresent).toBe(true);
  expect(connack.assignedClientIdentifier).toBeUndefined();
});

test('[MQTT-3.1.3-6] Clean Start 0 without a Client Identifier is in order in 5.0', () => {
  const client = new Harness().client('');
  const connack = client.connect({ cleanStart: false });
  expect(connack).toMatchObject({ reasonCode: ReasonCode.Success, sessionPresent: false });
  expect(connack.assignedClientIdentifier).toMatch(/./);
});

test('[MQTT-3.1.4-5] [MQTT-3.2.0-2] a good CONNECT is answered with one CONNACK', () => {
  const client = new Harness().client('c');
  expect(client.connect()).toMatchObject({ reasonCode: ReasonCode.Success });
  expectQuiet(client);
});

test('[MQTT-3.1.4-2] [MQTT-3.2.2-6] [MQTT-3.2.2-7] a bad token is refused with 0x86, though a Session is there', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 100 }).disconnect();
  const client = harness.client('c');
  client.send(client.connectPacket({ cleanStart: false, password: Buffer.from('forged') }));
  expectRefused(client, ReasonCode.BadUserNameOrPassword);
  const owner = harness.client('c');
  expect(owner.connect({ cleanStart: false }).sessionPresent).toBe(true);
});

test('[MQTT-3.1.4-2] an expired token is refused with 0x87, and the Reason String says that it is expired', () => {
  const harness = new Harness();
  const token = harness.refuse(ReasonCode.NotAuthorized, 'token expired');
  const client = harness.client('c');
  client.send(client.connectPacket({ password: Buffer.from(token) }));
  expect(expectRefused(client, ReasonCode.NotAuthorized).reasonString).toBe('token expired');
});

test('[MQTT-3.1.4-2] [MQTT-3.1.2-29] the Reason String of a refusal comes to who asked for no problem information as well', () => {
  const harness = new Harness();
  const token = harness.refuse(ReasonCode.NotAuthorized, 'token expired');
  const client = harness.client('c');
  const fields = { password: Buffer.from(token), requestProblemInformation: false };
  client.send(client.connectPacket(fields));
  expect(expectRefused(client, ReasonCode.NotAuthorized).reasonString).toBe('token expired');
});

test.each([
  { what: 'another user name', userName: 'jwt', password: true },
  { what: 'an empty user name', userName: '', password: true },
  { what: 'no user name', userName: undefined, password: true },
  { what: 'no password', userName: 'JWT', password: false },
  { what: 'neither', userName: undefined, password: false },
])('[MQTT-3.1.4-2] $what is refused with 0x86', ({ userName, password }) => {
  const client = new Harness().client('c');
  const token = Buffer.from(client.token);
  client.send(client.connectPacket({ userName, password: password ? token : undefined }));
  expectRefused(client, ReasonCode.BadUserNameOrPassword);
});

test('[MQTT-3.1.4-6] what follows a refused CONNECT is not acted on', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  const client = harness.client('c');
  const refused = client.connectPacket({ password: Buffer.from('forged') });
  harness.holdVerdicts = true;
  client.send(refused);
  client.send(publishPacket('a', 'too early'));
  client.send(subscribePacket(['a']));
  client.send(client.connectPacket());
  harness.verdicts();
  expectRefused(client, ReasonCode.BadUserNameOrPassword);
  client.send(publishPacket('a', 'too late'));
  expectClosed(client);
  expectQuiet(watcher);
});

test('[MQTT-3.2.0-1] what follows CONNECT at once is answered behind CONNACK, in order', () => {
  const harness = new Harness();
  const client = harness.client('c');
  harness.holdVerdicts = true;
  client.send(client.connectPacket());
  client.send(subscribePacket(['a'], { packetIdentifier: 7 }));
  client.send(publishPacket('a', 'x', { qos: 1, packetIdentifier: 8 }));
  client.send({ type: 'pingreq' });
  expectQuiet(client);
  harness.verdicts();
  const types = client.packets().map(({ type }) => type);
  expect(types.slice(0, 2)).toEqual(['connack', 'suback']);
  expect(types.slice(2).sort()).toEqual(['pingresp', 'puback', 'publish']);
});

test('a connection that sends no CONNECT in time is closed', () => {
  const harness = new Harness({ limits: { connectTimeoutMs: 5_000 } });
  const client = harness.client('c');
  client.raw('10');
  harness.advance(4_999);
  expectQuiet(client);
  harness.advance(1);
  expectClosed(client);
});

test('a CONNECT larger than is taken from strangers is answered with a close', () => {
  const harness = new Harness({ limits: { connectPacketBytes: 1_000 } });
  const client = harness.client('c');
  client.raw('10 ff 7f'); // before its body is sent
  expectClosed(client);
});
