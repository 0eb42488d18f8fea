/** Sections 3.8 to 3.11 of both standards: SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK, and 3.12: PINGREQ. */
import { expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, string, subscribePacket } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet, VERSIONS } from '../expect.ts';

/** No properties, where the version has them. */
function noProperties(version: ProtocolVersion): Uint8Array {
  return version === 5 ? bytes(0) : bytes();
}

test.each(VERSIONS)(
  '[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] [MQTT3-3.8.4-1] [MQTT3-3.8.4-2] [MQTT3-2.3.1-7] SUBSCRIBE is answered with SUBACK under its identifier, in version %i',
  (version) => {
    const client = new Harness().connected('c', {}, { version });
    for (const packetIdentifier of [1, 0x1234, 65_535]) {
      client.send(subscribePacket(['a'], { packetIdentifier }));
      expect(client.next('suback')).toMatchObject({ packetIdentifier, reasonCodes: [2] });
      expectQuiet(client);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT3-3.8.4-4] [MQTT3-3.8.4-5] [MQTT3-3.9.3-1] [MQTT3-3.9.3-2] one SUBACK has a code for each filter, in their order, refusals among them, in version %i',
  (version) => {
    const grants = { publish: [], subscribe: ['a', 'b', 'd'], retain: false, share: false };
    const client = new Harness().connected('c', {}, { version, identity: { grants } });
    client.send(
      subscribePacket([
        { topicFilter: 'a', maximumQoS: 1 },
        { topicFilter: 'b', maximumQoS: 0 },
        { topicFilter: 'c', maximumQoS: 2 },
        { topicFilter: 'd', maximumQoS: 2 },
        { topicFilter: 'a', maximumQoS: 0 },
      ]),
    );
    const refused = version === 5 ? '87' : '80';
    const expected = frame(0x90, '0001', noProperties(version), `01 00 ${refused} 02 00`);
    expect(Buffer.from(client.nextBytes())).toEqual(Buffer.from(expected));
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.4-7] [MQTT3-3.8.4-5] a subscription that was refused is not there, in version %i',
  (version) => {
    const harness = new Harness();
    const grants = { publish: ['#'], subscribe: ['a'], retain: false, share: false };
    const client = harness.connected('c', {}, { version, identity: { grants } });
    client.subscribe(['b', '$share/g/a']);
    harness.connected('p').publish('b', 'x');
    harness.connected('p').publish('a', 'x');
    expectQuiet(client);
    expect(harness.broker.counters.subscriptions).toBe(0);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.4-3] [MQTT3-3.8.4-3] a second subscription to the same filter takes the place of the first, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    client.subscribe({ topicFilter: 'a/+', maximumQoS: 2 });
    client.subscribe({ topicFilter: 'a/+', maximumQoS: 0 });
    harness.connected('p').publish('a/b', 'x', { qos: 2 });
    expect(client.messages().map(({ qos }) => qos)).toEqual([0]);
    expect(harness.broker.counters.subscriptions).toBe(1);
    client.unsubscribe('a/+');
    harness.connected('p').publish('a/b', 'y', { qos: 2 });
    expectQuiet(client);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.4-4] [MQTT3-3.8.4-3] messages on their way survive that a subscription is replaced, in version %i',
  (version) => {
    const harness = new Harness({ limits: { maximumInflight: 1 } });
    const client = harness.connected('c', {}, { version });
    client.subscribe('a');
    const publisher = harness.connected('p');
    for (const text of ['1', '2', '3']) publisher.publish('a', text, { qos: 1 });
    const first = client.next('publish');
    client.subscribe({ topicFilter: 'a', maximumQoS: 0 });
    client.complete(first);
    const rest = [client.receive(), client.receive()];
    expect(rest.map(({ qos }) => qos)).toEqual([1, 1]);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.3-2] [MQTT3-3.8.3-3] [MQTT-3.10.3-2] [MQTT3-3.10.3-2] SUBSCRIBE and UNSUBSCRIBE without a filter end the connection, in version %i',
  (version) => {
    for (const first of [0x82, 0xa2]) {
      const client = new Harness().connected('c', {}, { version });
      client.raw(frame(first, '0001', noProperties(version)));
      expectEnded(client, ReasonCode.ProtocolError);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.8.3-2] [MQTT3-3.8.3-3] a filter without its options is malformed, in version %i',
  (version) => {
    for (const payload of [
      string('a'),
      bytes('0005 61'),
      bytes(string('a'), 0, string('b')),
      bytes(0),
    ]) {
      const client = new Harness().connected('c', {}, { version });
      client.raw(frame(0x82, '0001', noProperties(version), payload));
      expectEnded(client, ReasonCode.MalformedPacket);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6] [MQTT3-3.10.4-4] [MQTT3-3.10.4-5] [MQTT3-2.3.1-7] UNSUBSCRIBE is answered with UNSUBACK under its identifier, whether there was something to end or not, in version %i',
  (version) => {
    const client = new Harness().connected('c', {}, { version });
    client.subscribe('a');
    for (const [packetIdentifier, code] of [
      [0x0102, '00'],
      [0xffff, '11'],
    ] as const) {
      client.send({ type: 'unsubscribe', packetIdentifier, topicFilters: ['a'] });
      const codes = version === 5 ? bytes(0, code) : bytes();
      const identifier = bytes(packetIdentifier >> 8, packetIdentifier & 0xff);
      expect(Buffer.from(client.nextBytes())).toEqual(Buffer.from(frame(0xb0, identifier, codes)));
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT3-3.10.4-1] [MQTT3-3.10.4-2] UNSUBSCRIBE ends the subscription that is spelled the same and no other, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    client.subscribe(['a/b', 'a/+', 'a/#', 'A/B']);
    const publisher = harness.connected('p');
    const receivers = (): number => {
      publisher.publish('a/b', 'x');
      return client.messages().length;
    };
    client.unsubscribe('a/b', '+/b', 'a/B', '#');
    expect(harness.broker.counters.subscriptions).toBe(3);
    expect(receivers()).toBe(1);
    client.unsubscribe('a/+');
    expect(receivers()).toBe(1);
    client.unsubscribe('a/#');
    expect(receivers()).toBe(0);
    publisher.publish('A/B', 'x');
    expect(client.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT3-3.10.4-6] several filters in one UNSUBSCRIBE are ended one after the other, with one answer, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version });
    client.subscribe(['a', 'b', 'c']);
    const codes = client.unsubscribe('c', 'x', 'a', 'a');
    expect(codes).toEqual(version === 5 ? [0, 0x11, 0, 0x11] : []);
    expectQuiet(client);
    expect(harness.broker.counters.subscriptions).toBe(1);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.10.4-3] [MQTT3-3.10.4-3] what is in flight when UNSUBSCRIBE comes is brought to its end, in version %i',
  (version) => {
    const harness = new Harness();
    const fields = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
    const client = harness.connected('c', fields, { version });
    client.subscribe('a');
    const publisher = harness.connected('p');
    publisher.publish('a', 'one', { qos: 1 });
    publisher.publish('a', 'two', { qos: 2 });
    const sent = client.messages();
    client.unsubscribe('a');
    client.lose();
    const again = harness.connected('c', fields, { version });
    expect(again.messages()).toEqual(sent.map((message) => ({ ...message, dup: true })));
    for (const message of sent) again.complete(message);
    expectQuiet(again);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.12.4-1] [MQTT3-3.12.4-1] PINGREQ is answered with PINGRESP, in version %i',
  (version) => {
    const client = new Harness().connected('c', {}, { version });
    client.raw('c0 00');
    expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('d000');
    expectQuiet(client);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.13.1-1] [MQTT3-4.8.0-1] a PINGREQ with something in it is malformed, in version %i',
  (version) => {
    const client = new Harness().connected('c', {}, { version });
    client.raw('c0 01 00');
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.13.1-1] [MQTT3-4.8.0-1] packets that are for servers to send end the connection, in version %i',
  (version) => {
    const properties = noProperties(version);
    const packets = [
      version === 5 ? bytes('20 03 00 00 00') : bytes('20 02 00 00'),
      frame(0x90, '0001', properties, 0),
      version === 5 ? frame(0xb0, '0001', properties, 0) : bytes('b0 02 0001'),
      bytes('d0 00'),
    ];
    for (const packet of packets) {
      const client = new Harness().connected('c', {}, { version });
      client.raw(packet);
      expectEnded(client, ReasonCode.ProtocolError);
    }
  },
);
