/** MQTT 5.0 sections 3.8 and 3.3.1.3: Subscription Options: No Local, Retain As Published, Retain Handling. */
import { expect, test } from 'bun:test';
import type { Publish, RetainHandling } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, string, subscribePacket, type TestClient, textOf } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

test.each([0x40, 0x80, 0xc0, 0x41])(
  '[MQTT-3.8.3-5] Subscription Options %i have reserved bits, and are malformed',
  (options) => {
    const client = new Harness().connected('c');
    client.raw(frame(0x82, '0001 00', string('good'), 0, string('a'), options));
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test('[MQTT-3.8.3-5] [MQTT-4.13.1-1] and nothing of that SUBSCRIBE is carried out', () => {
  const harness = new Harness();
  const client = harness.connected('c', { cleanStart: false, sessionExpiryInterval: 100 });
  client.raw(frame(0x82, '0001 00', string('good'), 0, string('a'), 0x40));
  expect(harness.broker.counters.subscriptions).toBe(0);
});

test.each([
  { what: 'Maximum QoS 3', options: 0x03 },
  { what: 'Retain Handling 3', options: 0x30 },
])('[MQTT-4.13.1-1] $what is a Protocol Error', ({ options }) => {
  const client = new Harness().connected('c');
  client.raw(frame(0x82, '0001 00', string('a'), options));
  expectEnded(client, ReasonCode.ProtocolError);
});

test('[MQTT-3.8.3-4] [MQTT-4.13.1-1] No Local on a Shared Subscription is a Protocol Error', () => {
  const client = new Harness().connected('c');
  client.send(subscribePacket([{ topicFilter: '$share/g/a', noLocal: true }]));
  expectEnded(client, ReasonCode.ProtocolError);
});

test('[MQTT-3.8.3-3] with No Local a client does not get what it published, and others do', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  const other = harness.connected('o');
  for (const each of [client, other]) each.subscribe({ topicFilter: 'a', noLocal: true });
  client.publish('a', 'mine', { qos: 1 });
  other.publish('a', 'theirs', { qos: 2 });
  expect(client.texts()).toEqual(['theirs']);
  expect(other.texts()).toEqual(['mine']);
});

test('[MQTT-3.8.3-3] without No Local a client gets what it published, also where another subscription has it', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe('a');
  client.subscribe(
    { topicFilter: 'a/#', noLocal: true, maximumQoS: 2 },
    { subscriptionIdentifier: 1 },
  );
  client.publish('a', 'x');
  const message = client.next('publish');
  expect(message.subscriptionIdentifiers).toBeUndefined();
  expectQuiet(client);
});

test('[MQTT-3.8.3-3] No Local goes by the Session: it holds for what came in over an earlier connection', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('c', fields);
  client.subscribe({ topicFilter: 'a', noLocal: true });
  client.lose();
  const again = harness.connected('c', fields);
  again.publish('a', 'x', { qos: 1 });
  expectQuiet(again);
});

test('[MQTT-3.8.3-3] another user’s client of the same identifier is another client', () => {
  const harness = new Harness();
  const mine = harness.connected('c', {}, { identity: { user: 'ann' } });
  mine.subscribe({ topicFilter: 'a', noLocal: true });
  harness.connected('c', {}, { identity: { user: 'bob' } }).publish('a', 'x');
  expect(mine.texts()).toEqual(['x']);
});

test('[MQTT-3.3.1-12] [MQTT-3.3.1-13] RETAIN of a forwarded message is as published, or 0', () => {
  const harness = new Harness();
  const asPublished = harness.connected('1');
  const cleared = harness.connected('0');
  asPublished.subscribe({ topicFilter: 'a', retainAsPublished: true });
  cleared.subscribe({ topicFilter: 'a', retainAsPublished: false });
  const publisher = harness.connected('p');
  for (const qos of [0, 1, 2] as const) {
    for (const retain of [true, false]) publisher.publish('a', 'x', { qos, retain });
  }
  const flags = (messages: Publish[]): boolean[] => messages.map(({ retain }) => retain);
  expect(flags(asPublished.messages())).toEqual([true, false, true, false, true, false]);
  expect(flags(cleared.messages())).toEqual([false, false, false, false, false, false]);
});

test('[MQTT-3.3.1-13] RETAIN stays as published while the message waits', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('c', fields);
  client.subscribe({ topicFilter: 'a', retainAsPublished: true });
  client.lose();
  const publisher = harness.connected('p');
  for (const retain of [true, false]) publisher.publish('a', 'x', { qos: 1, retain });
  const again = harness.connected('c', fields);
  expect(again.messages().map(({ retain }) => retain)).toEqual([true, false]);
});

test('[MQTT-3.3.1-9] what a subscription brings up has RETAIN 1, whatever Retain As Published says', () => {
  const harness = new Harness();
  harness.connected('p').publish('a', 'x', { retain: true });
  const client = harness.connected('c');
  for (const retainAsPublished of [true, false]) {
    client.subscribe({ topicFilter: 'a', retainAsPublished });
    expect(client.next('publish').retain).toBe(true);
  }
});

/** How many retained messages two equal SUBSCRIBEs bring up. */
function broughtUp(retainHandling: RetainHandling): [first: number, second: number] {
  const harness = new Harness();
  const publisher = harness.connected('p');
  for (const topic of ['a/1', 'a/2']) publisher.publish(topic, 'x', { retain: true, qos: 1 });
  const client = harness.connected('c');
  const subscribe = (): number => {
    client.subscribe({ topicFilter: 'a/+', retainHandling });
    return client.messages().length;
  };
  return [subscribe(), subscribe()];
}

test('[MQTT-3.3.1-9] [MQTT-3.8.4-4] Retain Handling 0 brings up the retained messages, and again', () => {
  expect(broughtUp(0)).toEqual([2, 2]);
});

test('[MQTT-3.3.1-10] Retain Handling 1 brings up the retained messages once', () => {
  expect(broughtUp(1)).toEqual([2, 0]);
});

test('[MQTT-3.3.1-11] Retain Handling 2 brings up none', () => {
  expect(broughtUp(2)).toEqual([0, 0]);
});

test('[MQTT-3.3.1-10] a subscription is new again after UNSUBSCRIBE, and is there after a reconnect', () => {
  const harness = new Harness();
  harness.connected('p').publish('a', 'x', { retain: true });
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('c', fields);
  const request = { topicFilter: 'a', retainHandling: 1 as const };
  client.subscribe(request);
  client.unsubscribe('a');
  client.subscribe(request);
  expect(client.texts()).toEqual(['x', 'x']);
  client.lose();
  const again = harness.connected('c', fields);
  again.subscribe(request);
  expectQuiet(again);
});

test('[MQTT-3.3.1-10] one SUBSCRIBE that names a filter twice counts as two', () => {
  const harness = new Harness();
  harness.connected('p').publish('a', 'x', { retain: true });
  const client = harness.connected('c');
  const request = { topicFilter: 'a', retainHandling: 1 as const };
  client.subscribe([request, request]);
  expect(client.texts()).toEqual(['x']);
});

test('[MQTT-3.8.4-3] all options are those of the last SUBSCRIBE', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe({ topicFilter: 'a', noLocal: true, retainAsPublished: true, maximumQoS: 0 });
  client.subscribe({ topicFilter: 'a', retainHandling: 2 });
  client.publish('a', 'x', { qos: 2, retain: true });
  expect(client.receive()).toMatchObject({ qos: 2, retain: false });
});

test('[MQTT-3.8.4-1] SUBACK comes before the retained messages that the subscription brings up', () => {
  const harness = new Harness();
  harness.connected('p').publish('a', 'x', { retain: true });
  const client = harness.connected('c');
  client.send(subscribePacket(['a']));
  expect(client.packets().map(({ type }) => type)).toEqual(['suback', 'publish']);
});

test('[MQTT-3.9.3-2] [MQTT-3.8.4-7] a subscription beyond the limit is refused with 0x97, and one that is replaced is not', () => {
  const harness = new Harness({ limits: { maximumSubscriptions: 2 } });
  const client = harness.connected('c');
  expect(client.subscribe(['a', 'b', 'c', 'a'])).toEqual([2, 2, ReasonCode.QuotaExceeded, 2]);
});

test('[MQTT-3.10.4-1] UNSUBSCRIBE tells a Shared Subscription from the one on its filter', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe(['$share/g/a', '$share/h/a', 'a']);
  expect(client.unsubscribe('$share/g/a', '$share/x/a', 'a')).toEqual([
    ReasonCode.Success,
    ReasonCode.NoSubscriptionExisted,
    ReasonCode.Success,
  ]);
  harness.connected('p').publish('a', 'x');
  expect(client.texts()).toEqual(['x']);
});

test('[MQTT-2.2.2-1] User Properties of SUBSCRIBE and UNSUBSCRIBE are read, and mean nothing', () => {
  const client: TestClient = new Harness().connected('c');
  const properties = bytes('26', string('n'), string('v'));
  client.raw(frame(0x82, '0001', properties.length, properties, string('a'), 0));
  expect(client.next('suback').reasonCodes).toEqual([0]);
  client.raw(frame(0xa2, '0002', properties.length, properties, string('a')));
  expect(client.next('unsuback').reasonCodes).toEqual([0]);
});

test('[MQTT-3.8.4-4] messages published between two SUBSCRIBEs to one filter are not lost', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  const publisher = harness.connected('p');
  const got: string[] = [];
  for (let round = 0; round < 5; round++) {
    client.subscribe({ topicFilter: 'a', retainHandling: 0 });
    publisher.publish('a', String(round), { qos: 1 });
    got.push(textOf(client.receive()));
  }
  expect(got).toEqual(['0', '1', '2', '3', '4']);
});
