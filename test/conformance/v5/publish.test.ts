/** MQTT 5.0 section 3.3: PUBLISH: flags, properties passed on, expiry, Subscription Identifiers. */
import { expect, test } from 'bun:test';
import type { MessageProperties } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, type TestClient, textOf } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

function pair(): { harness: Harness; publisher: TestClient; subscriber: TestClient } {
  const harness = new Harness();
  const subscriber = harness.connected('s', { sessionExpiryInterval: 1_000_000 });
  subscriber.subscribe('a');
  return { harness, subscriber, publisher: harness.connected('p') };
}

/** The Session of `pair`'s subscriber over a new connection. */
function back(harness: Harness): TestClient {
  return harness.connected('s', { cleanStart: false, sessionExpiryInterval: 1_000_000 });
}

test.each([0x36, 0x37, 0x3e, 0x3f])(
  '[MQTT-3.3.1-4] a PUBLISH with both QoS bits set is malformed (first byte %i)',
  (first) => {
    const client = new Harness().connected('c');
    client.raw(frame(first, string('a'), '0001 00'));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test.each([0x38, 0x39])(
  '[MQTT-3.3.1-2] DUP in a PUBLISH of QoS 0 is malformed (first byte %i)',
  (first) => {
    const client = new Harness().connected('c');
    client.raw(frame(first, string('a'), '00'));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test.each([
  { name: '[MQTT-3.3.2-1] no Topic Name', packet: bytes('30 00') },
  { name: '[MQTT-3.3.2-1] half the length of a Topic Name', packet: bytes('30 01 00') },
  { name: '[MQTT-3.3.2-1] a Topic Name that is cut off', packet: bytes('30 04 0005 6162') },
  { name: '[MQTT-4.13.1-1] no Packet Identifier, and QoS 1', packet: frame(0x32, string('a')) },
  { name: '[MQTT-4.13.1-1] half a Packet Identifier', packet: frame(0x32, string('a'), 0) },
])('$name: the PUBLISH is malformed', ({ packet }) => {
  const client = new Harness().connected('c');
  client.raw(packet);
  expectEnded(client, ReasonCode.MalformedPacket);
});

const full: MessageProperties = {
  payloadFormatIndicator: 1,
  contentType: 'application/x-ünusual; a="b"',
  responseTopic: 'answer/ü/$here',
  correlationData: new Uint8Array([0, 255, 10, 13, 0]),
  userProperties: [
    ['z', '1'],
    ['a', '2'],
    ['z', '2'],
    ['', ''],
    ['a', '2'],
    ['\u{1F600}', '\uFEFF'],
  ],
};

test('[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] the properties of a message are passed on as they are and in their order', () => {
  const { publisher, subscriber } = pair();
  for (const qos of [0, 1, 2] as const) {
    publisher.publish('a', 'x', { qos, properties: full });
    expect(subscriber.receive().properties).toEqual(full);
  }
});

test('[MQTT-3.3.2-4] [MQTT-3.3.2-16] [MQTT-3.3.2-18] and so they are when the message was queued, retained, or sent again', () => {
  const { harness, publisher, subscriber } = pair();
  subscriber.lose();
  publisher.publish('a', 'x', { qos: 1, retain: true, properties: full });
  publisher.publish('other', 'y'.repeat(500));
  const queued = back(harness);
  expect(queued.next('publish').properties).toEqual(full);
  queued.lose();
  const again = back(harness);
  expect(again.next('publish')).toMatchObject({ dup: true, properties: full });
  again.subscribe('+');
  expect(again.next('publish')).toMatchObject({ retain: true, properties: full });
});

test('[MQTT-3.3.2-4] a Payload Format Indicator of 0 is passed on, and one that is absent stays absent', () => {
  const { publisher, subscriber } = pair();
  publisher.publish('a', 'x', { properties: { payloadFormatIndicator: 0 } });
  publisher.publish('a', 'x');
  const [zero, absent] = subscriber.messages();
  expect(zero?.properties?.payloadFormatIndicator).toBe(0);
  expect(absent?.properties).toBeUndefined();
});

test('[MQTT-3.3.2-14] [MQTT-4.13.1-1] a Response Topic with a wildcard is a Protocol Error', () => {
  for (const responseTopic of ['#', 'a/+', '+/a', 'a#']) {
    const client = new Harness().connected('c');
    client.send(publishPacket('a', 'x', { properties: { responseTopic } }));
    expectEnded(client, ReasonCode.ProtocolError);
  }
});

const notUtf8 = new Uint8Array([0x61, 0xff]);

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a payload that says UTF-8 and is not is answered with 0x99, and goes nowhere', () => {
  const { publisher, subscriber } = pair();
  const properties = { payloadFormatIndicator: 1 as const };
  for (const qos of [1, 2] as const) {
    const answer = publisher.publish('a', notUtf8, { qos, properties });
    expect(answer?.reasonCode).toBe(ReasonCode.PayloadFormatInvalid);
  }
  expectQuiet(subscriber);
  publisher.send(publishPacket('a', notUtf8, { properties }));
  expectEnded(publisher, ReasonCode.PayloadFormatInvalid);
  expectQuiet(subscriber);
});

test('a payload that says nothing, or bytes, may be anything', () => {
  const { publisher, subscriber } = pair();
  publisher.publish('a', notUtf8);
  publisher.publish('a', notUtf8, { properties: { payloadFormatIndicator: 0 } });
  publisher.publish('a', '', { properties: { payloadFormatIndicator: 1 } });
  publisher.publish('a', 'ü\0\u{1F600}', { properties: { payloadFormatIndicator: 1 } });
  expect(subscriber.messages()).toHaveLength(4);
});

test('[MQTT-3.3.2-6] a Message Expiry Interval goes out less the whole seconds that the message waited', () => {
  const { harness, publisher, subscriber } = pair();
  publisher.publish('a', 'live', { qos: 1, messageExpiryInterval: 10 });
  expect(subscriber.receive().messageExpiryInterval).toBe(10);
  subscriber.lose();
  publisher.publish('a', 'queued', { qos: 1, messageExpiryInterval: 10 });
  publisher.publish('a', 'for ever', { qos: 1 });
  publisher.publish('a', 'longest', { qos: 1, messageExpiryInterval: 0xffff_ffff });
  harness.advanceSeconds(4);
  const messages = back(harness).messages();
  expect(messages.map((message) => message.messageExpiryInterval)).toEqual([
    6,
    undefined,
    0xffff_ffff - 4,
  ]);
});

test('[MQTT-3.3.2-5] a message that expired while it waited is not delivered, and holds nothing up', () => {
  const { harness, publisher, subscriber } = pair();
  subscriber.lose();
  publisher.publish('a', 'short', { qos: 1, messageExpiryInterval: 5 });
  publisher.publish('a', 'short too', { qos: 2, messageExpiryInterval: 5 });
  publisher.publish('a', 'long', { qos: 1, messageExpiryInterval: 6 });
  harness.advanceSeconds(5);
  expect(back(harness).texts()).toEqual(['long']);
  expect(harness.broker.counters.dropped.expired).toBe(2);
});

test('[MQTT-3.3.2-5] a message that expires while the window is full is not delivered', () => {
  const harness = new Harness();
  const subscriber = harness.connected('s', { receiveMaximum: 1 });
  subscriber.subscribe('a');
  const publisher = harness.connected('p');
  publisher.publish('a', 'first', { qos: 1 });
  publisher.publish('a', 'second', { qos: 1, messageExpiryInterval: 5 });
  publisher.publish('a', 'third', { qos: 1 });
  harness.advanceSeconds(5);
  expect([textOf(subscriber.receive()), textOf(subscriber.receive())]).toEqual(['first', 'third']);
});

test('[MQTT-4.3.3-7] [MQTT-4.4.0-1] what was sent does not expire: it is sent again, with what is left of its interval', () => {
  const { harness, publisher, subscriber } = pair();
  publisher.publish('a', 'one', { qos: 1, messageExpiryInterval: 5 });
  publisher.publish('a', 'two', { qos: 2, messageExpiryInterval: 5 });
  expect(subscriber.messages()).toHaveLength(2);
  subscriber.lose();
  harness.advanceSeconds(100);
  const again = back(harness);
  expect(again.messages().map(({ dup, qos }) => [dup, qos])).toEqual([
    [true, 1],
    [true, 2],
  ]);
});

test('[MQTT-4.3.3-13] the exchange of a QoS 2 message goes on after it has expired, on both sides', () => {
  const { harness, publisher, subscriber } = pair();
  const fields = { qos: 2 as const, packetIdentifier: 7, messageExpiryInterval: 5 };
  publisher.send(publishPacket('a', 'x', fields));
  expect(publisher.next('pubrec').packetIdentifier).toBe(7);
  const { packetIdentifier } = subscriber.next('publish');
  harness.advanceSeconds(100);
  publisher.acknowledge('pubrel', 7);
  expect(publisher.next('pubcomp')).toMatchObject({ packetIdentifier: 7, reasonCode: 0 });
  subscriber.acknowledge('pubrec', packetIdentifier);
  expect(subscriber.next('pubrel')).toMatchObject({ packetIdentifier, reasonCode: 0 });
});

test('[MQTT-3.3.2-5] a retained message expires, and comes with what is left of its interval until then', () => {
  const { harness, publisher, subscriber } = pair();
  publisher.publish('r', 'x', { qos: 1, retain: true, messageExpiryInterval: 10 });
  harness.advanceSeconds(9);
  subscriber.subscribe('r');
  expect(subscriber.receive().messageExpiryInterval).toBe(1);
  harness.advanceSeconds(1);
  subscriber.subscribe('r');
  expectQuiet(subscriber);
  expect(harness.broker.counters.retainedMessages).toBe(0);
});

test('[MQTT-3.3.2-5] a retained message that was replaced does not end with the interval of the old one', () => {
  const { harness, publisher, subscriber } = pair();
  publisher.publish('r', 'old', { retain: true, messageExpiryInterval: 5 });
  publisher.publish('r', 'new', { retain: true });
  harness.advanceSeconds(1_000);
  subscriber.subscribe('r');
  expect(subscriber.texts()).toEqual(['new']);
});

test('a message with Message Expiry Interval 0 is for those who are there', () => {
  const { harness, publisher, subscriber } = pair();
  subscriber.lose();
  publisher.publish('a', 'x', { qos: 1, messageExpiryInterval: 0 });
  expectQuiet(back(harness));
});

test('[MQTT-3.3.4-6] [MQTT-4.13.1-1] a Subscription Identifier from a client is a Protocol Error', () => {
  const { publisher, subscriber } = pair();
  publisher.send(publishPacket('a', 'x', { subscriptionIdentifiers: [1] }));
  expectEnded(publisher, ReasonCode.ProtocolError);
  expectQuiet(subscriber);
});

test('[MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-2] one copy comes with the identifiers of all subscriptions that match and have one', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe({ topicFilter: 'a/b', maximumQoS: 0 }, { subscriptionIdentifier: 10 });
  client.subscribe({ topicFilter: 'a/+', maximumQoS: 1 });
  client.subscribe({ topicFilter: 'a/#', maximumQoS: 2 }, { subscriptionIdentifier: 268_435_455 });
  client.subscribe('#', { subscriptionIdentifier: 10 });
  client.subscribe('x', { subscriptionIdentifier: 99 });
  harness.connected('p').publish('a/b', 'x', { qos: 2 });
  const message = client.receive();
  expect(message.qos).toBe(2);
  expect(message.subscriptionIdentifiers?.toSorted((a, b) => a - b)).toEqual([10, 10, 268_435_455]);
  expectQuiet(client);
});

test('[MQTT-3.3.4-3] [MQTT-3.8.4-3] a subscription has the identifier of its last SUBSCRIBE, or none', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  const publisher = harness.connected('p');
  const identifiers = (
    subscriptionIdentifier: number | undefined,
  ): readonly number[] | undefined => {
    client.subscribe('a', { subscriptionIdentifier });
    publisher.publish('a', 'x');
    return client.next('publish').subscriptionIdentifiers;
  };
  expect([1, 2, undefined].map(identifiers)).toEqual([[1], [2], undefined]);
});

test('[MQTT-3.3.4-3] retained, queued and repeated messages come with their identifiers', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('c', fields);
  const publisher = harness.connected('p');
  publisher.publish('a', 'retained', { qos: 1, retain: true });
  client.subscribe('a', { subscriptionIdentifier: 5 });
  expect(client.receive().subscriptionIdentifiers).toEqual([5]);
  client.lose();
  publisher.publish('a', 'queued', { qos: 1 });
  const second = harness.connected('c', fields);
  expect(second.next('publish').subscriptionIdentifiers).toEqual([5]);
  second.lose();
  const third = harness.connected('c', fields);
  expect(third.next('publish')).toMatchObject({ dup: true, subscriptionIdentifiers: [5] });
});
