import { expect, test } from 'bun:test';
import { publishPacket } from '../client.ts';
import { Harness } from '../harness.ts';

test('[MQTT-3.3.2-5] a QoS 2 message that expires while it waits for the disk is not sent, and the next one is', () => {
  const harness = new Harness({ durable: true });
  const ann = harness.connected('ann', { sessionExpiryInterval: 600, receiveMaximum: 1 });
  ann.subscribe({ topicFilter: 'news', maximumQoS: 2 });
  const publisher = harness.connected('bob');
  harness.holdStorage = true;
  const fields = { qos: 2, packetIdentifier: 1, messageExpiryInterval: 1 } as const;
  publisher.send(publishPacket('news', 'short-lived', fields));
  publisher.send(publishPacket('news', 'lasting', { qos: 2, packetIdentifier: 2 }));
  harness.advance(2_000);
  expect(ann.texts()).toEqual([]);
  harness.store();
  expect(ann.texts()).toEqual(['lasting']);
  expect(harness.broker.counters.dropped.expired).toBe(1);
});
