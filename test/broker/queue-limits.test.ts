import { expect, test } from 'bun:test';
import { Harness } from '../harness.ts';

/** A session that is away, subscribed to `topic` at QoS 1. */
function away(harness: Harness, clientIdentifier: string, topic: string): void {
  const client = harness.connected(clientIdentifier, { sessionExpiryInterval: 600 });
  client.subscribe({ topicFilter: topic, maximumQoS: 1 });
  client.lose();
}

test('messages that wait for all sessions together are bounded, whoever they are for', () => {
  const harness = new Harness({ limits: { queuedMessagesInAll: 3 } });
  away(harness, 'ann', 'a');
  away(harness, 'bob', 'b');
  const publisher = harness.connected('carol');
  for (const topic of ['a', 'a', 'b', 'b', 'a']) publisher.publish(topic, 'x', { qos: 1 });
  expect(harness.broker.counters.queuedMessages).toBe(3);
  expect(harness.broker.counters.dropped['queue-full']).toBe(2);
});

test('with drop-oldest, a session at the common limit gives up its own oldest message', () => {
  const harness = new Harness({ limits: { queuedMessagesInAll: 2, queuePolicy: 'drop-oldest' } });
  away(harness, 'ann', 'a');
  const publisher = harness.connected('carol');
  for (const payload of ['1', '2', '3']) publisher.publish('a', payload, { qos: 1 });
  expect(harness.broker.counters.queuedMessages).toBe(2);
  const ann = harness.connected('ann', { cleanStart: false, sessionExpiryInterval: 600 });
  expect(ann.texts()).toEqual(['2', '3']);
});
