/**
 * MQTT 5.0 section 2.2.2.2 and the property lists of chapter 3: which packet of a client may have
 * which property, how often, and with which values.
 */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, string, type TestClient, variable } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet, expectRefused } from '../expect.ts';

const carriers = [
  'CONNECT',
  'Will',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'DISCONNECT',
  'AUTH',
] as const;
type Carrier = (typeof carriers)[number];

const acknowledgements: Carrier[] = ['PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP'];
const messages: Carrier[] = ['PUBLISH', 'Will'];

/** Table 2-4, as far as packets of clients go, with a value that is in order. */
const properties: { name: string; bytes: Uint8Array; in: readonly Carrier[] }[] = [
  { name: 'Payload Format Indicator', bytes: bytes('01 00'), in: messages },
  { name: 'Message Expiry Interval', bytes: bytes('02 00000009'), in: messages },
  { name: 'Content Type', bytes: bytes('03', string('t')), in: messages },
  { name: 'Response Topic', bytes: bytes('08', string('r')), in: messages },
  { name: 'Correlation Data', bytes: bytes('09', string('d')), in: messages },
  { name: 'Subscription Identifier', bytes: bytes('0b 01'), in: ['SUBSCRIBE', 'PUBLISH'] },
  { name: 'Session Expiry Interval', bytes: bytes('11 00000000'), in: ['CONNECT', 'DISCONNECT'] },
  { name: 'Assigned Client Identifier', bytes: bytes('12', string('i')), in: [] },
  { name: 'Server Keep Alive', bytes: bytes('13 0001'), in: [] },
  { name: 'Authentication Method', bytes: bytes('15', string('JWT')), in: ['CONNECT', 'AUTH'] },
  { name: 'Authentication Data', bytes: bytes('16', string('x')), in: ['CONNECT', 'AUTH'] },
  { name: 'Request Problem Information', bytes: bytes('17 01'), in: ['CONNECT'] },
  { name: 'Will Delay Interval', bytes: bytes('18 00000000'), in: ['Will'] },
  { name: 'Request Response Information', bytes: bytes('19 00'), in: ['CONNECT'] },
  { name: 'Response Information', bytes: bytes('1a', string('i')), in: [] },
  { name: 'Server Reference', bytes: bytes('1c', string('s')), in: ['DISCONNECT'] },
  {
    name: 'Reason String',
    bytes: bytes('1f', string('s')),
    in: [...acknowledgements, 'DISCONNECT', 'AUTH'],
  },
  { name: 'Receive Maximum', bytes: bytes('21 0001'), in: ['CONNECT'] },
  { name: 'Topic Alias Maximum', bytes: bytes('22 0001'), in: ['CONNECT'] },
  { name: 'Topic Alias', bytes: bytes('23 0001'), in: ['PUBLISH'] },
  { name: 'Maximum QoS', bytes: bytes('24 01'), in: [] },
  { name: 'Retain Available', bytes: bytes('25 01'), in: [] },
  { name: 'User Property', bytes: bytes('26', string('n'), string('v')), in: carriers },
  { name: 'Maximum Packet Size', bytes: bytes('27 00001000'), in: ['CONNECT'] },
  { name: 'Wildcard Subscription Available', bytes: bytes('28 01'), in: [] },
  { name: 'Subscription Identifiers Available', bytes: bytes('29 01'), in: [] },
  { name: 'Shared Subscription Available', bytes: bytes('2a 01'), in: [] },
];

/** The packet `carrier` with `section` for its properties, and otherwise in order. */
function build(carrier: Carrier, section: Uint8Array, token: string): Uint8Array {
  const listed = bytes(variable(section.length), section);
  const login = bytes(string('JWT'), string(token));
  switch (carrier) {
    case 'CONNECT':
      return frame(0x10, string('MQTT'), '05 c2 0000', listed, string('c'), login);
    case 'Will':
      return frame(
        0x10,
        string('MQTT'),
        '05 c6 0000 00',
        string('c'),
        listed,
        string('w'),
        string('x'),
        login,
      );
    case 'PUBLISH':
      return frame(0x30, string('t'), listed, '61');
    case 'PUBACK':
      return frame(0x40, '0001 00', listed);
    case 'PUBREC':
      return frame(0x50, '0001 80', listed); // a refusal, so that nothing has to be answered
    case 'PUBREL':
      return frame(0x62, '0001 00', listed);
    case 'PUBCOMP':
      return frame(0x70, '0001 00', listed);
    case 'SUBSCRIBE':
      return frame(0x82, '0001', listed, string('s'), 0);
    case 'UNSUBSCRIBE':
      return frame(0xa2, '0001', listed, string('s'));
    case 'DISCONNECT':
      return frame(0xe0, '00', listed);
    case 'AUTH':
      return frame(0xf0, '19', listed);
  }
}

/** A client that has sent `carrier`, connected before where that is not CONNECT. */
function sent(carrier: Carrier, section: Uint8Array): TestClient {
  const client = new Harness().client('c');
  if (carrier !== 'CONNECT' && carrier !== 'Will') {
    const token = Buffer.from(client.token);
    client.connect({ authenticationMethod: 'JWT', authenticationData: token });
  }
  client.raw(build(carrier, section, client.token));
  return client;
}

function expectFailed(client: TestClient, carrier: Carrier, reasonCode: ReasonCode): void {
  if (carrier === 'CONNECT' || carrier === 'Will') expectRefused(client, reasonCode);
  else expectEnded(client, reasonCode);
}

test.each(properties)(
  '[MQTT-4.13.1-1] $name is malformed in packets that may not have it',
  (property) => {
    for (const carrier of carriers) {
      if (property.in.includes(carrier)) continue;
      const client = sent(carrier, property.bytes);
      expectFailed(client, carrier, ReasonCode.MalformedPacket);
    }
  },
);

test.each(properties.filter(({ name }) => !/^(User Property|Authentication)/.test(name)))(
  '[MQTT-4.13.1-1] $name twice is a Protocol Error',
  (property) => {
    for (const carrier of property.in) {
      const client = sent(carrier, bytes(property.bytes, property.bytes));
      expectFailed(client, carrier, ReasonCode.ProtocolError);
    }
  },
);

test.each(carriers.filter((carrier) => carrier === 'CONNECT' || carrier === 'AUTH'))(
  '[MQTT-4.13.1-1] an Authentication Method or Authentication Data twice is a Protocol Error in %s',
  (carrier) => {
    const method = bytes('15', string('JWT'));
    const data = bytes('16', string('x'));
    for (const section of [bytes(method, method), bytes(method, data, data)]) {
      expectFailed(sent(carrier, section), carrier, ReasonCode.ProtocolError);
    }
  },
);

test.each([...carriers])(
  'a User Property may stand in %s many times, under one name as well',
  (carrier) => {
    const property = bytes('26', string('n'), string('v'));
    const method = carrier === 'AUTH' ? bytes('15', string('JWT')) : bytes();
    const client = sent(carrier, bytes(method, property, property, property));
    const answers = client.packets().map((packet) => packet.type);
    expect(answers).not.toContain('disconnect');
    if (carrier === 'CONNECT' || carrier === 'Will') expect(answers).toEqual(['connack']);
    expect(client.closed).toBe(carrier === 'DISCONNECT');
  },
);

test.each([0x00, 0x04, 0x0a, 0x10, 0x14, 0x1b, 0x20, 0x2b, 0x7f])(
  '[MQTT-4.13.1-1] property %i is unknown, and malformed',
  (identifier) => {
    for (const carrier of carriers) {
      const client = sent(carrier, bytes(identifier, '00000000'));
      expectFailed(client, carrier, ReasonCode.MalformedPacket);
    }
  },
);

test('[MQTT-4.13.1-1] a property identifier is a Variable Byte Integer of one byte', () => {
  const client = sent('PUBLISH', bytes('81 00 00'));
  expectEnded(client, ReasonCode.MalformedPacket);
});

const values: { what: string; carrier: Carrier; section: Uint8Array }[] = [
  { what: 'Payload Format Indicator 2', carrier: 'PUBLISH', section: bytes('01 02') },
  { what: 'Payload Format Indicator 2 of a Will', carrier: 'Will', section: bytes('01 02') },
  { what: 'Request Problem Information 2', carrier: 'CONNECT', section: bytes('17 02') },
  { what: 'Request Response Information 2', carrier: 'CONNECT', section: bytes('19 02') },
  { what: 'Receive Maximum 0', carrier: 'CONNECT', section: bytes('21 0000') },
  { what: 'Maximum Packet Size 0', carrier: 'CONNECT', section: bytes('27 00000000') },
  { what: 'Subscription Identifier 0', carrier: 'SUBSCRIBE', section: bytes('0b 00') },
  {
    what: 'Authentication Data without a method',
    carrier: 'CONNECT',
    section: bytes('16', string('x')),
  },
  { what: 'AUTH without a method', carrier: 'AUTH', section: bytes('16', string('x')) },
];

test.each(values)('[MQTT-4.13.1-1] $what is a Protocol Error', ({ carrier, section }) => {
  expectFailed(sent(carrier, section), carrier, ReasonCode.ProtocolError);
});

test.each([
  { what: 'Session Expiry Interval 0xFFFFFFFF', section: bytes('11 ffffffff') },
  { what: 'Receive Maximum 65 535', section: bytes('21 ffff') },
  { what: 'Maximum Packet Size 0xFFFFFFFF', section: bytes('27 ffffffff') },
  { what: 'Topic Alias Maximum 65 535', section: bytes('22 ffff') },
  { what: 'Topic Alias Maximum 0', section: bytes('22 0000') },
])('$what is in order', ({ section }) => {
  const client = sent('CONNECT', section);
  expect(client.next('connack').reasonCode).toBe(ReasonCode.Success);
  expectQuiet(client);
});

test('Subscription Identifier 268 435 455 is in order, and comes back with the messages', () => {
  const client = new Harness().connected('c');
  client.raw(frame(0x82, '0001 05 0b ffffff7f', string('s'), 0));
  expect(client.next('suback').reasonCodes).toEqual([0]);
  client.publish('s', 'x');
  expect(client.next('publish').subscriptionIdentifiers).toEqual([268_435_455]);
});
