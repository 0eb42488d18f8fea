/** MQTT 3.1.1 where it has no words for what 5.0 says: refusals, limits, and what 3.1 does otherwise. */
import { expect, test } from 'bun:test';
import { bytes, frame, publishPacket, string, subscribePacket } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';
import { expectClosed, expectQuiet } from '../expect.ts';

const LEGACY = [3, 4] as const;
const restricted = { grants: { ...everything, publish: ['allowed'] } };

test.each(LEGACY)(
  '[MQTT3-3.3.5-2] a message that may not be published is acknowledged and dropped, in version %i',
  (version) => {
    const harness = new Harness();
    const watcher = harness.connected('w');
    watcher.subscribe('#');
    const client = harness.connected('c', {}, { version, identity: restricted });
    expect(client.publish('forbidden', 'x', { qos: 1 })?.type).toBe('puback');
    expect(client.publish('forbidden', 'x', { qos: 2, retain: true })?.type).toBe('pubrec');
    client.publish('forbidden', 'x');
    expectQuiet(client);
    expectQuiet(watcher);
    expect(harness.broker.counters.retainedMessages).toBe(0);
    expect(harness.broker.counters.publishRefused).toEqual({ NotAuthorized: 3 });
  },
);

test.each(LEGACY)(
  '[MQTT3-3.3.5-2] or it ends the connection, where so configured, in version %i',
  (version) => {
    const harness = new Harness({ limits: { legacyRefusal: 'close' } });
    for (const qos of [0, 1, 2] as const) {
      const client = harness.connected('c', {}, { version, identity: restricted });
      client.send(publishPacket('forbidden', 'x', { qos }));
      expectClosed(client);
    }
  },
);

test.each(LEGACY)(
  '[MQTT3-4.3.3-2] a refused QoS 2 message goes through its exchange like any other, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version, identity: restricted });
    for (let round = 0; round < 2; round++) {
      client.send(publishPacket('forbidden', 'x', { qos: 2, packetIdentifier: 7 }));
      expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('50020007');
    }
    client.acknowledge('pubrel', 7);
    expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('70020007');
  },
);

test.each(LEGACY)(
  '[MQTT3-4.8.0-2] a message that finds a queue full ends the connection, and is not acknowledged, in version %i',
  (version) => {
    const harness = new Harness({ limits: { queuedMessages: 1, queuePolicy: 'refuse' } });
    const away = harness.connected('away', { cleanStart: false }, { version });
    away.subscribe('a');
    away.lose();
    for (const qos of [1, 2] as const) {
      const client = harness.connected('c', {}, { version });
      if (qos === 1) client.publish('a', 'fits', { qos });
      client.send(publishPacket('a', 'does not', { qos, packetIdentifier: 9 }));
      expectClosed(client);
    }
    expect(harness.connected('away', { cleanStart: false }, { version }).texts()).toEqual(['fits']);
  },
);

test.each(LEGACY)(
  '[MQTT3-4.8.0-2] [MQTT3-3.3.1-5] a retained message that finds no room ends the connection, in version %i',
  (version) => {
    const harness = new Harness({ limits: { retainedMessages: 1 } });
    const client = harness.connected('c', {}, { version });
    client.publish('a', 'kept', { retain: true, qos: 1 });
    client.publish('a', 'replaced', { retain: true, qos: 1 });
    client.send(publishPacket('b', 'x', { retain: true, qos: 1 }));
    expectClosed(client);
  },
);

test.each(LEGACY)(
  '[MQTT3-3.3.1-7] a retained message of QoS 0 that finds no room is delivered, not kept, and takes the old one away, in version %i',
  (version) => {
    const harness = new Harness({ limits: { retainedMessages: 1, retainedBytes: 20 } });
    const watcher = harness.connected('w', {}, { version });
    watcher.subscribe('#');
    const client = harness.connected('c', {}, { version });
    client.publish('a', 'kept', { retain: true });
    client.publish('b', 'no room', { retain: true });
    client.publish('a', 'x'.repeat(30), { retain: true });
    expect(watcher.texts()).toEqual(['kept', 'no room', 'x'.repeat(30)]);
    watcher.subscribe('#');
    expectQuiet(watcher);
  },
);

test.each(LEGACY)(
  'RETAIN of a device that may not retain is passed over: the message goes on and is not kept, in version %i',
  (version) => {
    const harness = new Harness();
    const grants = { ...everything, retain: false };
    const client = harness.connected('c', {}, { version, identity: { grants } });
    client.subscribe('a');
    client.publish('a', 'x', { retain: true, qos: 1 });
    expect(client.texts()).toEqual(['x']);
    client.subscribe('a');
    expectQuiet(client);
  },
);

test.each(LEGACY)(
  '[MQTT3-3.9.3-2] a subscription that is refused is answered with 0x80, for whatever reason, in version %i',
  (version) => {
    const harness = new Harness({ limits: { maximumSubscriptions: 1, maximumTopicLevels: 3 } });
    const grants = { ...everything, subscribe: ['a', 'b/#'], share: false };
    const client = harness.connected('c', {}, { version, identity: { grants } });
    client.send(subscribePacket(['a', 'b/1', 'c', 'b/b/b/b', '$share/g/a']));
    expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('900700010280808080');
  },
);

test.each(LEGACY)('a Shared Subscription can be held in version %i', (version) => {
  const harness = new Harness();
  const members = ['1', '2'].map((id) => harness.connected(id, {}, { version }));
  for (const member of members) expect(member.subscribe('$share/g/a')).toEqual([2]);
  for (const text of ['x', 'y']) harness.connected('p').publish('a', text);
  expect(members.flatMap((member) => member.texts()).sort()).toEqual(['x', 'y']);
});

test.each(LEGACY)(
  'a message of 5.0 comes without its properties, and expires all the same, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', { cleanStart: false }, { version });
    client.subscribe('a');
    const publisher = harness.connected('p');
    const properties = { contentType: 't', userProperties: [['n', 'v']] as [string, string][] };
    publisher.publish('a', 'x', { topicAlias: 1, messageExpiryInterval: 5, properties });
    expect(Buffer.from(client.nextBytes()).toString('hex')).toBe('300400016178');
    client.lose();
    publisher.publish('a', 'y', { qos: 1, messageExpiryInterval: 5 });
    harness.advanceSeconds(5);
    expectQuiet(harness.connected('c', { cleanStart: false }, { version }));
  },
);

test.each(LEGACY)(
  'a token that expires ends the connection without a word, and $token renews it, in version %i',
  (version) => {
    const harness = new Harness();
    const identity = { expiresAtMs: harness.now + 10_000 };
    const client = harness.connected('c', {}, { version, identity });
    const token = harness.accept({ expiresAtMs: harness.now + 20_000 });
    expect(client.publish('$token', token, { qos: 1 })?.type).toBe('puback');
    harness.advance(19_999);
    expectQuiet(client);
    harness.advance(1);
    expectClosed(client);
  },
);

test.each(LEGACY)('a bad token at $token ends the connection, in version %i', (version) => {
  const client = new Harness().connected('c', {}, { version });
  client.send(publishPacket('$token', 'forged', { qos: 1 }));
  expectClosed(client);
});

test('3.1 clients may set DUP and QoS where they mean nothing', () => {
  const client = new Harness().connected('c', {}, { version: 3 });
  client.raw(frame(0x8a, '0001', string('a'), 1), frame(0xaa, '0002', string('a')));
  expect(client.packets().map(({ type }) => type)).toEqual(['suback', 'unsuback']);
  client.raw(frame(0x34, string('a'), '0007'), '6a 02 0007', 'c2 00');
  expect(client.packets().map(({ type }) => type)).toEqual(['pubrec', 'pubcomp', 'pingresp']);
  client.raw(frame(0x38, string('a')), bytes('e1 00'));
  expectClosed(client);
});

test.each(LEGACY)(
  'a client of version %i, which cannot be told a Receive Maximum, is not held to it',
  (version) => {
    const harness = new Harness({ limits: { receiveMaximum: 2 } });
    const client = harness.connected('c', {}, { version });
    for (let packetIdentifier = 1; packetIdentifier <= 10; packetIdentifier++) {
      client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
      expect(client.next('pubrec').packetIdentifier).toBe(packetIdentifier);
    }
  },
);
