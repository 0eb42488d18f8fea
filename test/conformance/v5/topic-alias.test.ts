/** MQTT 5.0 section 3.3.2.3.4: Topic Aliases, from the client and from the broker. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient, textOf } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

function watched(topicAliasMaximum = 10): {
  harness: Harness;
  watcher: TestClient;
  client: TestClient;
} {
  const harness = new Harness({ limits: { topicAliasMaximum } });
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  return { harness, watcher, client: harness.connected('c') };
}

function topics(client: TestClient): string[] {
  return client.messages().map(({ topic }) => topic);
}

test('[MQTT-3.3.2-12] every alias up to the maximum is taken, and stands for its topic from then on', () => {
  const { watcher, client } = watched();
  for (let alias = 1; alias <= 10; alias++) client.publish(`t/${alias}`, '', { topicAlias: alias });
  topics(watcher);
  for (let alias = 10; alias >= 1; alias--) client.publish('', '', { topicAlias: alias });
  expect(topics(watcher)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map((alias) => `t/${alias}`));
});

test('[MQTT-3.3.2-12] an alias can be set anew, and two can stand for one topic', () => {
  const { watcher, client } = watched();
  client.publish('a', '', { topicAlias: 1 });
  client.publish('b', '', { topicAlias: 1, qos: 2 });
  client.publish('', '', { topicAlias: 1, qos: 1 });
  client.publish('b', '', { topicAlias: 2 });
  client.publish('', '', { topicAlias: 2 });
  client.publish('', '', { topicAlias: 1 });
  expect(topics(watcher)).toEqual(['a', 'b', 'b', 'b', 'b', 'b']);
});

test('[MQTT-3.3.2-8] [MQTT-4.13.1-1] alias 0 ends the connection with 0x94', () => {
  const { watcher, client } = watched();
  client.send(publishPacket('a', 'x', { topicAlias: 0 }));
  expectEnded(client, ReasonCode.TopicAliasInvalid);
  expectQuiet(watcher);
});

test('[MQTT-3.3.2-9] [MQTT-3.2.2-17] an alias above the maximum ends the connection with 0x94', () => {
  for (const topicAlias of [11, 65_535]) {
    const { watcher, client } = watched();
    client.send(publishPacket('a', 'x', { topicAlias }));
    expectEnded(client, ReasonCode.TopicAliasInvalid);
    expectQuiet(watcher);
  }
});

test('[MQTT-3.2.2-18] where none is allowed, CONNACK says so and any alias ends the connection with 0x94', () => {
  const harness = new Harness({ limits: { topicAliasMaximum: 0 } });
  const client = harness.client('c');
  expect(client.connect().topicAliasMaximum ?? 0).toBe(0);
  client.send(publishPacket('a', 'x', { topicAlias: 1 }));
  expectEnded(client, ReasonCode.TopicAliasInvalid);
});

test('[MQTT-4.13.1-1] an alias that was never set ends the connection with 0x82', () => {
  const { watcher, client } = watched();
  client.publish('a', '', { topicAlias: 1 });
  client.send(publishPacket('', 'x', { topicAlias: 2 }));
  expectEnded(client, ReasonCode.ProtocolError);
  expect(topics(watcher)).toEqual(['a']);
});

test('[MQTT-3.3.2-7] aliases end with the connection, though the Session stays', () => {
  const { harness } = watched();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('s', fields);
  client.publish('a', '', { topicAlias: 1 });
  client.lose();
  const again = harness.connected('s', fields);
  again.send(publishPacket('', 'x', { topicAlias: 1 }));
  expectEnded(again, ReasonCode.ProtocolError);
});

test('[MQTT-3.3.2-7] an alias of one connection means nothing on another', () => {
  const { harness, client } = watched();
  client.publish('a', '', { topicAlias: 1 });
  const other = harness.connected('o');
  other.send(publishPacket('', 'x', { topicAlias: 1 }));
  expectEnded(other, ReasonCode.ProtocolError);
});

test('an alias that came with a refused message is set all the same, and its use is refused again', () => {
  const harness = new Harness();
  const identity = { grants: { ...everything, publish: ['allowed'] } };
  const client = harness.connected('c', {}, { identity });
  const refused = client.publish('forbidden', 'x', { qos: 1, topicAlias: 1 });
  expect(refused?.reasonCode).toBe(ReasonCode.NotAuthorized);
  const again = client.publish('', 'x', { qos: 1, topicAlias: 1 });
  expect(again?.reasonCode).toBe(ReasonCode.NotAuthorized);
});

test('a duplicate of a QoS 2 message sets its alias as well', () => {
  const { watcher, client } = watched();
  client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 3, topicAlias: 1 }));
  client.send(publishPacket('b', 'x', { qos: 2, packetIdentifier: 3, topicAlias: 1, dup: true }));
  client.send(publishPacket('', 'y', { topicAlias: 1 }));
  expect(topics(watcher)).toEqual(['a', 'b']);
});

test('[MQTT-3.1.2-27] [MQTT-3.3.2-11] who allows no alias gets none, and the topic every time', () => {
  const harness = new Harness();
  const client = harness.connected('c', { topicAliasMaximum: 0 });
  client.subscribe('a');
  const publisher = harness.connected('p');
  for (let i = 0; i < 3; i++) publisher.publish('a', 'x', { topicAlias: 1 });
  const messages = client.messages();
  expect(messages.map(({ topic, topicAlias }) => [topic, topicAlias])).toEqual(
    Array.from({ length: 3 }, () => ['a', undefined]),
  );
});

/** Reads messages as a client with aliases has to: which topic each one is on. */
function resolve(client: TestClient, known: Map<number, string>, maximum: number): string[] {
  return client.messages().map(({ topic, topicAlias }) => {
    if (topicAlias === undefined) return topic;
    expect(topicAlias).toBeGreaterThan(0);
    expect(topicAlias).toBeLessThanOrEqual(maximum);
    if (topic !== '') known.set(topicAlias, topic);
    return known.get(topicAlias) ?? 'unknown';
  });
}

test('[MQTT-3.1.2-26] [MQTT-3.3.2-11] who allows some gets no alias above its maximum, and each stands for what it was set to', () => {
  const harness = new Harness();
  const client = harness.connected('c', { topicAliasMaximum: 3 });
  client.subscribe('#');
  const publisher = harness.connected('p');
  const order = ['a', 'b', 'c', 'd', 'a', 'b', 'e', 'a', 'd', 'd', 'c'];
  for (const topic of order) publisher.publish(topic, 'x', { qos: 1 });
  expect(resolve(client, new Map(), 3)).toEqual(order);
});

test('[MQTT-3.3.2-7] on a new connection the broker sets its aliases anew, for what it sends again too', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100, topicAliasMaximum: 5 };
  const client = harness.connected('c', fields);
  client.subscribe('#');
  const publisher = harness.connected('p');
  for (const topic of ['a', 'b', 'a']) publisher.publish(topic, 'x', { qos: 1 });
  client.lose();
  publisher.publish('b', 'y', { qos: 1 });
  const again = harness.connected('c', fields);
  expect(resolve(again, new Map(), 5)).toEqual(['a', 'b', 'a', 'b']);
});

test('[MQTT-3.1.2-25] a message that was too large has set no alias', () => {
  const harness = new Harness();
  const client = harness.connected('c', { topicAliasMaximum: 5, maximumPacketSize: 40 });
  client.subscribe('a');
  const publisher = harness.connected('p');
  publisher.publish('a', 'x'.repeat(100));
  publisher.publish('a', 'y');
  const message = client.next('publish');
  expect([message.topic, textOf(message)]).toEqual(['a', 'y']);
});

test('[MQTT-3.1.2-27] a publisher’s alias is not passed on to its subscribers', () => {
  const { watcher, client } = watched();
  client.publish('a', 'x', { topicAlias: 7, retain: true });
  expect(watcher.next('publish')).toMatchObject({ topic: 'a', topicAlias: undefined });
  watcher.subscribe('a');
  expect(watcher.next('publish')).toMatchObject({ topic: 'a', topicAlias: undefined });
});
