/** MQTT 5.0 sections 3.4 to 3.7, 3.1.2.11.7 and 4.4: PUBACK, PUBREC, PUBREL and PUBCOMP: codes and Reason Strings. */
import { expect, test } from 'bun:test';
import type { Connect } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, type TestClient } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

/** A client that may publish to `allowed` and nowhere else. */
function restricted(fields: Partial<Connect> = {}): { harness: Harness; client: TestClient } {
  const harness = new Harness();
  const grants = { ...everything, publish: ['allowed'] };
  return { harness, client: harness.connected('c', fields, { identity: { grants } }) };
}

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a message that nobody gets is answered with 0x10, another with 0x00', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  for (const qos of [1, 2] as const) {
    expect(client.publish('a', 'x', { qos })?.reasonCode).toBe(ReasonCode.NoMatchingSubscribers);
  }
  harness.connected('s').subscribe('a');
  for (const qos of [1, 2] as const) {
    expect(client.publish('a', 'x', { qos })?.reasonCode).toBe(ReasonCode.Success);
  }
});

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a message that may not be published is answered with 0x87, and goes nowhere', () => {
  const { harness, client } = restricted();
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  for (const qos of [1, 2] as const) {
    const answer = client.publish('forbidden', 'x', { qos, retain: true });
    expect(answer).toMatchObject({ reasonCode: ReasonCode.NotAuthorized });
  }
  client.publish('forbidden', 'x');
  expectQuiet(client);
  expectQuiet(watcher);
  expect(harness.broker.counters.retainedMessages).toBe(0);
});

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a message that finds a queue full is answered with 0x97 where so configured', () => {
  const harness = new Harness({ limits: { queuedMessages: 1, queuePolicy: 'refuse' } });
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const away = harness.connected('away', fields);
  away.subscribe('a');
  away.lose();
  const client = harness.connected('c');
  const codes = [1, 2].map((qos) => client.publish('a', 'x', { qos: qos as 1 | 2 })?.reasonCode);
  expect(codes).toEqual([ReasonCode.Success, ReasonCode.QuotaExceeded]);
});

test('[MQTT-4.3.3-9] after a PUBREC of 0x80 or more the identifier is that of a new message', () => {
  const { harness, client } = restricted();
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  client.send(publishPacket('forbidden', 'x', { qos: 2, packetIdentifier: 7 }));
  expect(client.next('pubrec').reasonCode).toBe(ReasonCode.NotAuthorized);
  client.send(publishPacket('allowed', 'y', { qos: 2, packetIdentifier: 7 }));
  expect(client.next('pubrec').reasonCode).toBe(ReasonCode.Success);
  expect(watcher.texts()).toEqual(['y']);
  client.acknowledge('pubrel', 7);
  expect(client.next('pubcomp').reasonCode).toBe(ReasonCode.Success);
});

test('[MQTT-4.3.3-9] and a PUBREL for it is answered with 0x92', () => {
  const { client } = restricted();
  client.publish('forbidden', 'x', { qos: 2, packetIdentifier: 7 });
  client.acknowledge('pubrel', 7);
  expect(client.next('pubcomp').reasonCode).toBe(ReasonCode.PacketIdentifierNotFound);
});

test('[MQTT-3.7.2-1] [MQTT-3.6.2-1] PUBREL and PUBREC for identifiers that are not in use are answered with 0x92', () => {
  const client = new Harness().connected('c');
  client.acknowledge('pubrel', 9);
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('7004000992' + '00');
  client.acknowledge('pubrec', 9);
  expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('6204000992' + '00');
  expectQuiet(client);
});

/** A subscriber that has one message of `qos` to answer, whose Session stays. */
function withMessage(qos: 1 | 2): {
  harness: Harness;
  client: TestClient;
  packetIdentifier: number;
} {
  const harness = new Harness();
  const client = harness.connected('c', { cleanStart: false, sessionExpiryInterval: 100 });
  client.subscribe('a');
  harness.connected('p').publish('a', 'x', { qos });
  return { harness, client, packetIdentifier: client.next('publish').packetIdentifier };
}

test.each([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] as const)(
  '[MQTT-4.4.0-2] a message that is refused with %i counts as acknowledged, and is not sent again',
  (code) => {
    for (const qos of [1, 2] as const) {
      const { harness, client, packetIdentifier } = withMessage(qos);
      client.acknowledge(qos === 1 ? 'puback' : 'pubrec', packetIdentifier, code);
      expectQuiet(client); // no PUBREL
      client.lose();
      expectQuiet(harness.connected('c', { cleanStart: false }));
      expect(harness.broker.counters.inflightMessages).toBe(0);
    }
  },
);

test('[MQTT-4.3.3-4] a PUBREC of 0x10 is good, and PUBREL follows', () => {
  const { client, packetIdentifier } = withMessage(2);
  client.acknowledge('pubrec', packetIdentifier, ReasonCode.NoMatchingSubscribers);
  expect(client.next('pubrel').packetIdentifier).toBe(packetIdentifier);
});

test('[MQTT-4.3.3-7] PUBCOMP with 0x92 ends the exchange as well', () => {
  const { harness, client, packetIdentifier } = withMessage(2);
  client.acknowledge('pubrec', packetIdentifier);
  client.next('pubrel');
  client.acknowledge('pubcomp', packetIdentifier, ReasonCode.PacketIdentifierNotFound);
  client.lose();
  expectQuiet(harness.connected('c', { cleanStart: false }));
});

test.each([
  { what: 'PUBACK for a QoS 2 message', qos: 2, answer: 'puback' },
  { what: 'PUBREC for a QoS 1 message', qos: 1, answer: 'pubrec' },
  { what: 'PUBCOMP before PUBREC', qos: 2, answer: 'pubcomp' },
] as const)('[MQTT-4.13.1-1] $what is a Protocol Error', ({ qos, answer }) => {
  const { client, packetIdentifier } = withMessage(qos);
  client.acknowledge(answer, packetIdentifier);
  expectEnded(client, ReasonCode.ProtocolError);
});

test.each([
  { name: '[MQTT-3.4.2-1] PUBACK', first: 0x40, codes: [0x01, 0x04, 0x11, 0x81, 0x92, 0xff] },
  { name: '[MQTT-3.5.2-1] PUBREC', first: 0x50, codes: [0x01, 0x04, 0x11, 0x81, 0x92, 0xff] },
  { name: '[MQTT-3.6.2-1] PUBREL', first: 0x62, codes: [0x01, 0x10, 0x80, 0x91, 0xff] },
  { name: '[MQTT-3.7.2-1] PUBCOMP', first: 0x70, codes: [0x01, 0x10, 0x80, 0x91, 0xff] },
])('$name with a Reason Code that is not in its table ends the connection', ({ first, codes }) => {
  for (const code of codes) {
    const client = new Harness().connected('c');
    client.raw(frame(first, '0001', code));
    expectEnded(client, ReasonCode.ProtocolError);
  }
});

test.each([0x40, 0x50, 0x62, 0x70])(
  'an acknowledgement may leave out its properties, and its Reason Code (first byte %i)',
  (first) => {
    const client = new Harness().connected('c');
    client.raw(frame(first, '0001'), frame(first, '0001 00'), frame(first, '0001 00 00'));
    const reason = bytes('1f', string('why'));
    client.raw(frame(first, '0001 00', reason.length, reason));
    expect(client.packets().map(({ type }) => type)).not.toContain('disconnect');
    expect(client.closed).toBe(false);
  },
);

test.each([0x40, 0x50, 0x62, 0x70])(
  '[MQTT-4.13.1-1] an acknowledgement that is cut off, or goes on behind its end, is malformed (first byte %i)',
  (first) => {
    for (const rest of ['', '00', '0001 00 01', '0001 00 00 00']) {
      const client = new Harness().connected('c');
      client.raw(frame(first, rest));
      expectEnded(client, ReasonCode.MalformedPacket);
    }
  },
);

test('[MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.1.2-24] the Reason String of a refusal is left out where it does not fit', () => {
  const harness = new Harness();
  const refusal = (qos: 1 | 2, fields: Partial<Connect>): Uint8Array => {
    const client = harness.connected('c', fields);
    const properties = { payloadFormatIndicator: 1 as const };
    client.send(publishPacket('a', new Uint8Array([0xff]), { qos, properties }));
    return client.nextBytes();
  };
  for (const qos of [1, 2] as const) {
    const whole = refusal(qos, {});
    expect(whole.length).toBeGreaterThan(20);
    const { length } = whole;
    expect(refusal(qos, { maximumPacketSize: length })).toEqual(whole);
    const bare = Buffer.from(refusal(qos, { maximumPacketSize: length - 1 })).toString('hex');
    expect(bare).toMatch(/^[45]00[34]000199(00)?$/);
  }
});

test('[MQTT-3.1.2-29] who asked for no problem information gets no Reason String but in CONNACK and DISCONNECT', () => {
  const { harness, client } = restricted({ requestProblemInformation: false });
  for (const qos of [1, 2] as const) {
    const answer = client.publish('forbidden', 'x', { qos });
    expect(answer).toMatchObject({ reasonCode: ReasonCode.NotAuthorized });
    expect(answer?.reasonString).toBeUndefined();
    expect(answer?.userProperties).toBeUndefined();
  }
  client.acknowledge('pubrel', 99);
  client.acknowledge('pubrec', 99);
  client.subscribe(['$SYS/#', '#a']);
  client.unsubscribe('nothing', '#a');
  for (const packet of client.packets()) {
    expect(packet).not.toMatchObject({ reasonString: expect.anything() });
    expect(packet).not.toMatchObject({ userProperties: expect.anything() });
  }
  const properties = { userProperties: [['n', 'v']] as [string, string][] };
  client.subscribe('a');
  harness.connected('p').publish('a', 'x', { properties });
  expect(client.next('publish').properties?.userProperties).toEqual([['n', 'v']]);
  client.raw('00 00');
  expect(expectEnded(client, ReasonCode.MalformedPacket)?.reasonString).toMatch(/./);
});
