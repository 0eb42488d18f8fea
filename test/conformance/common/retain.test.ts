/** Section 3.3.1.3 of both standards: RETAIN. What Subscription Options do to it is 5.0's alone. */
import { expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { type TestClient, textOf } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet, VERSIONS } from '../expect.ts';

function pair(version: ProtocolVersion): {
  harness: Harness;
  publisher: TestClient;
  client: TestClient;
} {
  const harness = new Harness();
  return {
    harness,
    publisher: harness.connected('p', {}, { version }),
    client: harness.connected('c', {}, { version }),
  };
}

test.each(VERSIONS)(
  '[MQTT-3.3.1-5] [MQTT-3.3.1-9] [MQTT3-3.3.1-5] [MQTT3-3.3.1-6] [MQTT3-3.3.1-8] a new subscription brings the last retained message of each topic, with RETAIN, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    for (const [topic, text] of [
      ['a/b', 'old'],
      ['a/b', 'new'],
      ['a/c', 'other'],
      ['b', 'elsewhere'],
    ] as const) {
      publisher.publish(topic, text, { retain: true, qos: 1 });
    }
    client.subscribe('a/+');
    const messages = client.messages();
    const got = messages.map((message) => [message.topic, textOf(message), message.retain]);
    expect(got.sort()).toEqual([
      ['a/b', 'new', true],
      ['a/c', 'other', true],
    ]);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-5] [MQTT-3.8.4-8] [MQTT3-3.3.1-5] the retained message comes at the lower of its own QoS and the one granted, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    const got: number[] = [];
    for (const qos of [0, 1, 2] as const) {
      publisher.publish('a', 'x', { retain: true, qos });
      for (const maximumQoS of [0, 1, 2] as const) {
        client.subscribe({ topicFilter: 'a', maximumQoS });
        got.push(client.receive().qos);
        client.unsubscribe('a');
      }
    }
    expect(got).toEqual([0, 0, 0, 0, 1, 1, 0, 1, 2]);
  },
);

test.each(VERSIONS)(
  '[MQTT3-3.3.1-7] [MQTT-3.3.1-5] a retained message of QoS 0 takes the place of one of a higher QoS, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    publisher.publish('a', 'two', { retain: true, qos: 2 });
    publisher.publish('a', 'zero', { retain: true, qos: 0 });
    client.subscribe('a');
    expect(client.texts()).toEqual(['zero']);
  },
);

test.each(VERSIONS)(
  '[MQTT3-3.3.1-9] [MQTT-3.3.1-12] for a subscription that is there already RETAIN is 0, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    client.subscribe('a');
    publisher.publish('a', 'x', { retain: true, qos: 1 });
    publisher.publish('a', 'y', { retain: true, qos: 0 });
    expect(client.messages().map(({ retain }) => retain)).toEqual([false, false]);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT3-3.3.1-10] [MQTT3-3.3.1-11] an empty retained message is delivered, takes the retained one away, and is not kept, in version %i',
  (version) => {
    const { harness, publisher, client } = pair(version);
    client.subscribe('a');
    for (const qos of [0, 1, 2] as const) {
      publisher.publish('a', 'x', { retain: true, qos });
      publisher.publish('a', '', { retain: true, qos });
      const messages = [client.receive(), client.receive()];
      expect(messages.map((message) => [textOf(message), message.retain])).toEqual([
        ['x', false],
        ['', false],
      ]);
      expect(harness.broker.counters.retainedMessages).toBe(0);
    }
    client.subscribe('+');
    expectQuiet(client);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-8] [MQTT3-3.3.1-12] without RETAIN nothing is kept, replaced or taken away, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    publisher.publish('a', 'kept', { retain: true, qos: 1 });
    publisher.publish('a', 'passing', { qos: 1 });
    publisher.publish('a', '', { qos: 1 });
    publisher.publish('b', 'passing', { qos: 1 });
    client.subscribe(['a', 'b']);
    expect(client.texts()).toEqual(['kept']);
  },
);

test.each(VERSIONS)(
  '[MQTT3-3.1.2-7] [MQTT-3.3.1-5] a retained message outlives the client and the Session that it came from, in version %i',
  (version) => {
    const { harness, publisher, client } = pair(version);
    publisher.publish('a', 'x', { retain: true, qos: 1 });
    publisher.disconnect();
    harness.advanceSeconds(10_000_000);
    expect(harness.broker.counters.sessions).toBe(1);
    client.subscribe('a');
    expect(client.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-9] [MQTT-3.8.4-4] [MQTT3-3.8.4-3] a subscription that is made again brings the retained message again, in version %i',
  (version) => {
    const { publisher, client } = pair(version);
    publisher.publish('a', 'x', { retain: true, qos: 0 });
    for (let round = 0; round < 3; round++) {
      client.subscribe('a');
      expect(client.messages().map(({ retain }) => retain)).toEqual([true]);
    }
  },
);

test.each(VERSIONS)(
  'a Session that is resumed brings no retained messages by itself, in version %i',
  (version) => {
    const harness = new Harness();
    const fields = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
    const client = harness.connected('c', fields, { version });
    client.subscribe('a');
    harness.connected('p').publish('a', 'x', { retain: true, qos: 0 });
    expect(client.texts()).toEqual(['x']);
    client.lose();
    expectQuiet(harness.connected('c', fields, { version }));
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-9] [MQTT3-3.3.1-6] more retained messages than fit the window come as it opens, in version %i',
  (version) => {
    const harness = new Harness({ limits: { maximumInflight: 4 } });
    const publisher = harness.connected('p', {}, { version });
    for (let i = 0; i < 20; i++) publisher.publish(`a/${i}`, String(i), { retain: true, qos: 1 });
    const client = harness.connected('c', {}, { version });
    client.subscribe('a/#');
    expect(client.pending).toBe(4);
    const topics = new Set<string>();
    while (client.pending > 0) topics.add(client.receive().topic);
    expect(topics.size).toBe(20);
  },
);
