/** Sections 4.4 and 4.6 of both standards: what is sent again, and in which order. */
import { expect, test } from 'bun:test';
import type { Connect, ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { publishPacket, type TestClient, textOf } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet, VERSIONS } from '../expect.ts';

/** CONNECT fields of a Session that stays. */
function staying(version: ProtocolVersion): Partial<Connect> {
  return { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 1_000 }) };
}

function connected(harness: Harness, id: string, version: ProtocolVersion): TestClient {
  return harness.connected(id, staying(version), { version });
}

/** A client whose Session stays, subscribed to `a`, and one that publishes. */
function pair(version: ProtocolVersion): {
  harness: Harness;
  client: TestClient;
  publisher: TestClient;
} {
  const harness = new Harness();
  const client = connected(harness, 'c', version);
  client.subscribe('a');
  return { harness, client, publisher: connected(harness, 'p', version) };
}

test.each(VERSIONS)(
  '[MQTT-4.4.0-1] [MQTT3-4.4.0-1] [MQTT-3.3.1-1] [MQTT3-3.3.1-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3] unacknowledged PUBLISH packets are sent again under their identifiers, with DUP, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    publisher.publish('a', 'one', { qos: 1 });
    publisher.publish('a', 'two', { qos: 2 });
    const before = client.messages();
    client.lose();
    const again = connected(harness, 'c', version).messages();
    expect(again).toEqual(before.map((message) => ({ ...message, dup: true })));
  },
);

test.each(VERSIONS)(
  '[MQTT-4.4.0-1] [MQTT3-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT3-4.3.3-1] after PUBREC it is PUBREL that is sent again, and not PUBLISH, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    publisher.publish('a', 'x', { qos: 2 });
    const { packetIdentifier } = client.next('publish');
    client.acknowledge('pubrec', packetIdentifier);
    client.lose();
    const again = connected(harness, 'c', version);
    expect(again.next('pubrel').packetIdentifier).toBe(packetIdentifier);
    expectQuiet(again);
    again.acknowledge('pubcomp', packetIdentifier);
    again.lose();
    expectQuiet(connected(harness, 'c', version));
  },
);

test.each(VERSIONS)(
  '[MQTT-4.4.0-1] [MQTT3-4.4.0-1] what was acknowledged is not sent again, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    publisher.publish('a', 'one', { qos: 1 });
    publisher.publish('a', 'two', { qos: 2 });
    client.receive();
    client.receive();
    client.lose();
    expectQuiet(connected(harness, 'c', version));
  },
);

test.each(VERSIONS)(
  '[MQTT-4.4.0-1] nothing is sent again while the connection lasts, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    publisher.publish('a', 'x', { qos: 1 });
    publisher.publish('a', 'y', { qos: 2 });
    const [, second] = client.messages();
    if (second === undefined) throw new Error('two messages were expected');
    client.acknowledge('pubrec', second.packetIdentifier);
    client.next('pubrel');
    harness.advanceSeconds(100_000);
    expectQuiet(client);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.6.0-1] [MQTT3-4.6.0-1] they are sent again in the order of their first sending, before what is new, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    for (let i = 1; i <= 6; i++) publisher.publish('a', String(i), { qos: i % 2 === 0 ? 2 : 1 });
    const sent = client.messages();
    for (const at of [0, 3]) client.complete(sent[at] as (typeof sent)[0]);
    client.lose();
    publisher.publish('a', 'new', { qos: 1 });
    const again = connected(harness, 'c', version).messages();
    expect(again.map(textOf)).toEqual(['2', '3', '5', '6', 'new']);
    expect(again.map(({ dup }) => dup)).toEqual([true, true, true, true, false]);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-10] [MQTT3-4.3.3-2] [MQTT-4.1.0-1] [MQTT3-4.1.0-1] [MQTT3-3.1.2-4] a QoS 2 PUBLISH that the client sends again after it came back goes on once, in version %i',
  (version) => {
    const { harness, client, publisher } = pair(version);
    publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 9 }));
    publisher.lose();
    const again = connected(harness, 'p', version);
    again.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 9, dup: true }));
    expect(again.next('pubrec').packetIdentifier).toBe(9);
    again.acknowledge('pubrel', 9);
    expect(again.next('pubcomp').packetIdentifier).toBe(9);
    expect(client.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-11] [MQTT3-4.3.3-2] a PUBREL that the client sends after it came back is answered with PUBCOMP, in version %i',
  (version) => {
    const { harness, publisher } = pair(version);
    publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 9 }));
    publisher.lose();
    const again = connected(harness, 'p', version);
    again.acknowledge('pubrel', 9);
    expect(again.next('pubcomp')).toMatchObject({ packetIdentifier: 9, reasonCode: 0 });
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.1-3] [MQTT3-3.3.1-3] DUP of a publisher is not passed on, in version %i',
  (version) => {
    const { client, publisher } = pair(version);
    publisher.send(publishPacket('a', 'x', { qos: 1, packetIdentifier: 1, dup: true }));
    publisher.send(publishPacket('a', 'y', { qos: 2, packetIdentifier: 2, dup: true }));
    expect(client.messages().map(({ dup }) => dup)).toEqual([false, false]);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4] [MQTT3-4.6.0-2] [MQTT3-4.6.0-3] [MQTT3-4.6.0-4] PUBACK, PUBREC and PUBREL have the order of what they answer, in version %i',
  (version) => {
    const { client, publisher } = pair(version);
    const order = [5, 3, 9, 1];
    for (const packetIdentifier of order) {
      publisher.send(publishPacket('b', '', { qos: 1, packetIdentifier }));
      publisher.send(publishPacket('b', '', { qos: 2, packetIdentifier }));
    }
    const answers = publisher.packets() as { type: string; packetIdentifier: number }[];
    for (const type of ['puback', 'pubrec']) {
      const of = answers.filter((answer) => answer.type === type);
      expect(of.map(({ packetIdentifier }) => packetIdentifier)).toEqual(order);
    }
    for (const text of ['x', 'y', 'z']) publisher.publish('a', text, { qos: 2 });
    const identifiers = client.messages().map(({ packetIdentifier }) => packetIdentifier);
    const reversed = identifiers.toReversed();
    for (const packetIdentifier of reversed) client.acknowledge('pubrec', packetIdentifier);
    const released = client.packets() as { packetIdentifier: number }[];
    expect(released.map(({ packetIdentifier }) => packetIdentifier)).toEqual(reversed);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT3-4.6.0-5] [MQTT3-4.6.0-6] messages of one publisher come in their order, live, queued and beyond a full window, in version %i',
  (version) => {
    const harness = new Harness({ limits: { maximumInflight: 3 } });
    const client = connected(harness, 'c', version);
    client.subscribe(['a', 'b/#']);
    const publisher = connected(harness, 'p', version);
    const numbers = Array.from({ length: 30 }, (_, i) => String(i));
    for (const text of numbers.slice(0, 10)) publisher.publish('a', text, { qos: 1 });
    const seen = [client.receive(), client.receive()].map(textOf);
    client.lose();
    for (const text of numbers.slice(10, 20)) publisher.publish('a', text, { qos: 1 });
    const again = connected(harness, 'c', version);
    for (const text of numbers.slice(20)) publisher.publish('a', text, { qos: 1 });
    while (again.pending > 0) seen.push(textOf(again.receive()));
    expect(seen).toEqual(numbers);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.6.0-5] [MQTT3-4.6.0-6] QoS 0 of one publisher comes in order as well, in version %i',
  (version) => {
    const { client, publisher } = pair(version);
    const numbers = Array.from({ length: 50 }, (_, i) => String(i));
    for (const text of numbers) publisher.publish('a', text);
    expect(client.texts()).toEqual(numbers);
  },
);
