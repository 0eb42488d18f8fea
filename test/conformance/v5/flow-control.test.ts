/** MQTT 5.0 sections 4.9 and 3.3.4: Receive Maximum, both ways. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

const staying = { cleanStart: false, sessionExpiryInterval: 100 };

function pair(receiveMaximum: number): {
  harness: Harness;
  client: TestClient;
  publisher: TestClient;
} {
  const harness = new Harness();
  const client = harness.connected('c', { ...staying, receiveMaximum });
  client.subscribe('a');
  return { harness, client, publisher: harness.connected('p') };
}

test.each([1, 2, 10])(
  '[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] no more messages than the Receive Maximum of %i are under way, and the next comes with each PUBACK',
  (receiveMaximum) => {
    const { client, publisher } = pair(receiveMaximum);
    for (let i = 0; i < 20; i++) publisher.publish('a', String(i), { qos: 1 });
    expect(client.pending).toBe(receiveMaximum);
    const got: string[] = [];
    while (client.pending > 0) {
      const held = Math.min(receiveMaximum, 20 - got.length);
      expect(client.pending).toBe(held);
      got.push(Buffer.from(client.receive().payload).toString());
    }
    expect(got).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
  },
);

test('[MQTT-3.3.4-9] [MQTT-4.9.0-2] a QoS 2 message takes its place until PUBCOMP, and a refused one until PUBREC', () => {
  const { client, publisher } = pair(1);
  for (const text of ['1', '2', '3']) publisher.publish('a', text, { qos: 2 });
  const first = client.next('publish');
  client.acknowledge('pubrec', first.packetIdentifier);
  client.next('pubrel');
  expectQuiet(client);
  client.acknowledge('pubcomp', first.packetIdentifier);
  const second = client.next('publish');
  expectQuiet(client);
  client.acknowledge('pubrec', second.packetIdentifier, ReasonCode.UnspecifiedError);
  expect(client.receive().qos).toBe(2);
});

test('[MQTT-4.9.0-2] an acknowledgement that comes again opens no second place', () => {
  const { client, publisher } = pair(1);
  for (const text of ['1', '2', '3']) publisher.publish('a', text, { qos: 1 });
  const { packetIdentifier } = client.next('publish');
  client.acknowledge('puback', packetIdentifier);
  client.acknowledge('puback', packetIdentifier);
  client.acknowledge('pubcomp', 999);
  expect(client.pending).toBe(1);
});

test('[MQTT-3.3.4-10] [MQTT-4.9.0-3] with a full window everything else is answered, and QoS 0 comes', () => {
  const { client, publisher } = pair(1);
  publisher.publish('a', 'holds', { qos: 1 });
  publisher.publish('a', 'waits', { qos: 1 });
  client.next('publish');
  client.ping();
  client.subscribe('b');
  client.unsubscribe('b');
  expect(client.publish('a', 'mine', { qos: 2 })?.reasonCode).toBe(ReasonCode.Success);
  publisher.publish('a', 'passes', { qos: 0 });
  expect(client.texts()).toEqual(['passes']);
});

test('[MQTT-3.3.4-9] [MQTT-4.4.0-1] the window holds for what is sent again, and the one that counts is that of the new connection', () => {
  const { harness, client, publisher } = pair(10);
  for (let i = 0; i < 5; i++) publisher.publish('a', String(i), { qos: 1 });
  client.messages();
  client.lose();
  publisher.publish('a', 'new', { qos: 1 });
  const again = harness.connected('c', { ...staying, receiveMaximum: 2 });
  expect(again.pending).toBe(2);
  const got: [string, boolean][] = [];
  while (again.pending > 0) {
    const message = again.receive();
    got.push([Buffer.from(message.payload).toString(), message.dup]);
    expect(again.pending).toBeLessThanOrEqual(2);
  }
  expect(got).toEqual([
    ['0', true],
    ['1', true],
    ['2', true],
    ['3', true],
    ['4', true],
    ['new', false],
  ]);
});

test('[MQTT-3.3.4-9] without a Receive Maximum it is 65 535, within our own limit', () => {
  const harness = new Harness({ limits: { maximumInflight: 70_000 } });
  const client = harness.connected('c');
  client.subscribe('a');
  const publisher = harness.connected('p');
  for (let i = 0; i < 65_540; i++) publisher.publish('a', '', { qos: 1 });
  expect(client.pending).toBe(65_535);
}, 60_000);

test('[MQTT-3.3.4-7] who has more messages under way than our Receive Maximum is told 0x93', () => {
  const harness = new Harness({ limits: { receiveMaximum: 2 } });
  for (const qos of [1, 2] as const) {
    const client = harness.connected('c');
    for (const packetIdentifier of [1, 2]) {
      client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
      client.next('pubrec');
    }
    client.send(publishPacket('a', 'x', { qos, packetIdentifier: 3 }));
    expectEnded(client, ReasonCode.ReceiveMaximumExceeded);
  }
});

test('[MQTT-3.3.4-7] [MQTT-4.9.0-3] within it a client may go on for ever, send again, and send QoS 0', () => {
  const harness = new Harness({ limits: { receiveMaximum: 2 } });
  const client = harness.connected('c');
  for (let i = 0; i < 10; i++) client.publish('a', 'x', { qos: 2 });
  for (let i = 0; i < 10; i++) client.publish('a', 'x', { qos: 1 });
  for (const packetIdentifier of [101, 102, 101, 102]) {
    client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
    client.next('pubrec');
  }
  client.publish('a', 'x', { qos: 0 });
  client.ping();
  client.acknowledge('pubrel', 101);
  client.next('pubcomp');
  client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 103 }));
  expect(client.next('pubrec').packetIdentifier).toBe(103);
});

test('[MQTT-3.3.4-7] a refused QoS 2 message is not under way', () => {
  const harness = new Harness({ limits: { receiveMaximum: 1 } });
  const grants = { publish: ['a'], subscribe: [], retain: false, share: false };
  const client = harness.connected('c', {}, { identity: { grants } });
  for (let i = 0; i < 3; i++) {
    expect(client.publish('b', 'x', { qos: 2 })?.reasonCode).toBe(ReasonCode.NotAuthorized);
  }
  expect(client.publish('a', 'x', { qos: 2 })?.reasonCode).toBeLessThan(0x80);
});

test('[MQTT-3.3.4-7] on a new connection the client’s quota is whole again, though it has PUBRELs to send', () => {
  const harness = new Harness({ limits: { receiveMaximum: 2 } });
  const client = harness.connected('c', staying);
  for (const packetIdentifier of [1, 2]) {
    client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
    client.next('pubrec');
  }
  client.lose();
  const again = harness.connected('c', staying);
  for (const packetIdentifier of [3, 4]) {
    again.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
    expect(again.next('pubrec').packetIdentifier).toBe(packetIdentifier);
  }
  for (const packetIdentifier of [1, 2]) {
    again.acknowledge('pubrel', packetIdentifier);
    expect(again.next('pubcomp')).toMatchObject({ packetIdentifier, reasonCode: 0 });
  }
  again.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 5 }));
  expectEnded(again, ReasonCode.ReceiveMaximumExceeded);
});

test('[MQTT-3.3.4-7] a QoS 2 message that is sent again after a reconnect counts in the new quota', () => {
  const harness = new Harness({ limits: { receiveMaximum: 1 } });
  const client = harness.connected('c', staying);
  client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 1 }));
  client.lose();
  const again = harness.connected('c', staying);
  again.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 1, dup: true }));
  again.next('pubrec');
  again.send(publishPacket('a', 'y', { qos: 2, packetIdentifier: 2 }));
  expectEnded(again, ReasonCode.ReceiveMaximumExceeded);
});
