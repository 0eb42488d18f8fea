/** Section 4.3 of both standards: QoS 0, 1 and 2, as sender and as receiver. */
import { expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet, VERSIONS } from '../expect.ts';

/** Two clients of `version`: one that has subscribed to `a`, and one that publishes. */
function pair(version: ProtocolVersion): {
  subscriber: TestClient;
  publisher: TestClient;
  harness: Harness;
} {
  const harness = new Harness();
  const subscriber = harness.connected('s', {}, { version });
  subscriber.subscribe('a');
  const publisher = harness.connected('p', {}, { version });
  return { subscriber, publisher, harness };
}

test.each(VERSIONS)(
  '[MQTT-4.3.1-1] [MQTT3-4.3.1-1] [MQTT-2.2.1-2] [MQTT3-2.3.1-5] [MQTT-3.3.1-2] [MQTT3-3.3.1-2] QoS 0 goes out with QoS 0, no DUP and no Packet Identifier, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    publisher.publish('a', 'x');
    const packet = Buffer.from(subscriber.nextBytes()).toString('hex');
    expect(packet).toBe(version === 5 ? '30050001610078' : '300400016178');
    expectQuiet(publisher);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-3] [MQTT3-4.3.2-1] [MQTT-2.2.1-4] [MQTT3-2.3.1-4] QoS 1 goes out under free identifiers until PUBACK, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    for (const text of ['x', 'y', 'z']) publisher.publish('a', text, { qos: 1 });
    const sent = subscriber.messages();
    expect(sent.map(({ qos, dup }) => ({ qos, dup }))).toEqual(
      Array.from({ length: 3 }, () => ({ qos: 1, dup: false })),
    );
    const identifiers = sent.map(({ packetIdentifier }) => packetIdentifier);
    expect(new Set(identifiers).size).toBe(3);
    expect(identifiers).not.toContain(0);
    for (const message of sent) subscriber.complete(message);
    expectQuiet(subscriber);
  },
);

test('[MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT3-2.3.1-4] an identifier that is in use is passed over when they come round again', () => {
  const { subscriber, publisher } = pair(5);
  publisher.publish('a', 'held', { qos: 1 });
  const held = subscriber.next('publish').packetIdentifier;
  const used = new Set<number>();
  for (let i = 0; i < 65_600; i++) {
    publisher.publish('a', '', { qos: 1 });
    const message = subscriber.receive();
    used.add(message.packetIdentifier);
  }
  expect(used.has(held)).toBe(false);
  expect(used.has(0)).toBe(false);
  expect(used.size).toBe(65_534);
}, 60_000);

test.each(VERSIONS)(
  '[MQTT-4.3.2-4] [MQTT3-4.3.2-2] [MQTT-3.3.4-1] [MQTT3-3.3.4-1] [MQTT-2.2.1-5] [MQTT3-2.3.1-6] a QoS 1 PUBLISH is answered with PUBACK under its identifier, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    for (const packetIdentifier of [1, 1_000, 65_535]) {
      publisher.send(publishPacket('a', 'x', { qos: 1, packetIdentifier }));
      expect(Buffer.from(publisher.nextBytes()).toString('hex')).toBe(
        `4002${packetIdentifier.toString(16).padStart(4, '0')}`,
      );
    }
    expect(subscriber.messages()).toHaveLength(3);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.2-5] [MQTT3-4.3.2-2] after PUBACK the identifier is that of a new message, DUP or not, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    publisher.send(publishPacket('a', 'x', { qos: 1, packetIdentifier: 7 }));
    publisher.send(publishPacket('a', 'x', { qos: 1, packetIdentifier: 7, dup: true }));
    publisher.send(publishPacket('a', 'y', { qos: 1, packetIdentifier: 7 }));
    expect(publisher.packets().map(({ type }) => type)).toEqual(['puback', 'puback', 'puback']);
    expect(subscriber.texts()).toEqual(['x', 'x', 'y']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT3-4.3.3-1] [MQTT-2.2.1-5] QoS 2 goes out as PUBLISH, and PUBREL follows PUBREC under the same identifier, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    publisher.publish('a', 'x', { qos: 2 });
    const { packetIdentifier, ...message } = subscriber.next('publish');
    expect(message).toMatchObject({ qos: 2, dup: false });
    expect(packetIdentifier).toBeGreaterThan(0);
    expectQuiet(subscriber);
    subscriber.acknowledge('pubrec', packetIdentifier);
    const identifier = packetIdentifier.toString(16).padStart(4, '0');
    expect(Buffer.from(subscriber.nextBytes()).toString('hex')).toBe(`6202${identifier}`);
    expectQuiet(subscriber);
    subscriber.acknowledge('pubcomp', packetIdentifier);
    expectQuiet(subscriber);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-6] [MQTT-4.3.3-4] [MQTT3-4.3.3-1] a PUBREC that comes again is answered with PUBREL again, and no PUBLISH, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    publisher.publish('a', 'x', { qos: 2 });
    const { packetIdentifier } = subscriber.next('publish');
    subscriber.acknowledge('pubrec', packetIdentifier);
    subscriber.acknowledge('pubrec', packetIdentifier);
    expect(subscriber.packets()).toMatchObject([
      { type: 'pubrel', packetIdentifier },
      { type: 'pubrel', packetIdentifier },
    ]);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT3-4.3.3-2] [MQTT-3.3.4-1] [MQTT3-3.3.4-1] [MQTT3-2.3.1-6] a QoS 2 PUBLISH is answered with PUBREC, and PUBREL with PUBCOMP, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 0x0102 }));
    expect(Buffer.from(publisher.nextBytes()).toString('hex')).toBe('50020102');
    publisher.acknowledge('pubrel', 0x0102);
    expect(Buffer.from(publisher.nextBytes()).toString('hex')).toBe('70020102');
    expectQuiet(publisher);
    expect(subscriber.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-10] [MQTT3-4.3.3-2] until PUBREL the message goes on once, however often it comes, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    for (const dup of [false, true, false]) {
      publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 7, dup }));
      expect(publisher.next('pubrec').packetIdentifier).toBe(7);
    }
    expect(subscriber.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-12] [MQTT3-4.3.3-2] after PUBCOMP the identifier is that of a new message, DUP or not, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    for (const dup of [false, true]) {
      publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 7, dup }));
      publisher.acknowledge('pubrel', 7);
    }
    expect(publisher.packets().map(({ type }) => type)).toEqual([
      'pubrec',
      'pubcomp',
      'pubrec',
      'pubcomp',
    ]);
    expect(subscriber.texts()).toEqual(['x', 'x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-11] [MQTT3-4.3.3-2] a PUBREL that comes again is answered with PUBCOMP again, in version %i',
  (version) => {
    const { publisher } = pair(version);
    publisher.publish('a', 'x', { qos: 2, packetIdentifier: 7 });
    publisher.acknowledge('pubrel', 7);
    const reasonCode = version === 5 ? ReasonCode.PacketIdentifierNotFound : ReasonCode.Success;
    expect(publisher.next('pubcomp')).toMatchObject({ packetIdentifier: 7, reasonCode });
    expectQuiet(publisher);
  },
);

test.each(VERSIONS)(
  'identifiers of the two directions have nothing to do with each other, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    client.subscribe('a');
    client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 1 }));
    const out = client.find('publish');
    expect(client.next('pubrec').packetIdentifier).toBe(1);
    expect(out.packetIdentifier).toBe(1);
    client.acknowledge('pubrec', 1);
    expect(client.next('pubrel').packetIdentifier).toBe(1);
    client.acknowledge('pubrel', 1);
    expect(client.next('pubcomp').packetIdentifier).toBe(1);
    client.acknowledge('pubcomp', 1);
    expectQuiet(client);
  },
);

const qualities = [0, 1, 2] as const;
test.each(VERSIONS)(
  '[MQTT-3.8.4-8] [MQTT3-3.8.4-6] a message comes at the lower of its own QoS and the one granted, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    const publisher = harness.connected('p', {}, { version });
    const got: number[] = [];
    for (const maximumQoS of qualities) {
      expect(client.subscribe({ topicFilter: 'a', maximumQoS })).toEqual([maximumQoS]);
      for (const qos of qualities) {
        publisher.publish('a', 'x', { qos });
        got.push(client.receive().qos);
      }
    }
    expect(got).toEqual([0, 0, 0, 0, 1, 1, 0, 1, 2]);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.5.0-1] [MQTT3-4.5.0-1] [MQTT-3.3.2-3] [MQTT3-3.3.2-3] a message is for all whose subscription matches, and for nobody else, in version %i',
  (version) => {
    const harness = new Harness();
    const [one, two, three] = ['one', 'two', 'three'].map((id) =>
      harness.connected(id, {}, { version }),
    ) as [TestClient, TestClient, TestClient];
    one.subscribe('a/b');
    two.subscribe('a/+');
    three.subscribe('a/c');
    three.publish('a/b', 'x', { qos: 2 });
    expect([one, two, three].map((client) => client.texts())).toEqual([['x'], ['x'], []]);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.4-2] [MQTT3-3.3.5-1] where subscriptions overlap, the message comes once, at the highest QoS among them, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    client.subscribe([
      { topicFilter: 'a/+', maximumQoS: 0 },
      { topicFilter: 'a/#', maximumQoS: 2 },
      { topicFilter: 'a/b', maximumQoS: 1 },
    ]);
    harness.connected('p').publish('a/b', 'x', { qos: 2 });
    expect(client.messages().map(({ qos }) => qos)).toEqual([2]);
  },
);

test.each(VERSIONS)(
  'an acknowledgement of what was never sent changes nothing, in version %i',
  (version) => {
    const { subscriber, publisher } = pair(version);
    subscriber.acknowledge('puback', 99);
    subscriber.acknowledge('pubcomp', 99);
    expectQuiet(subscriber);
    publisher.publish('a', 'x', { qos: 1 });
    expect(subscriber.receive()).toMatchObject({ qos: 1 });
  },
);
