/** What the simulation has found wrong in the core, each as the few packets that show it. */
import { expect, test } from 'bun:test';
import type { Grants, Identity } from '../../core/auth/rights.ts';
import { publishPacket, textOf } from '../client.ts';
import { Harness } from '../harness.ts';

const NEVER = 0xffff_ffff;
const room: Grants = { publish: ['room'], subscribe: ['room'], retain: true, share: true };
const member: Partial<Identity> = { user: 'ann', role: 'device', grants: room };
const plain: Partial<Identity> = { user: 'eve', role: 'device', grants: undefined };
const handler: Partial<Identity> = { user: 'serve', role: 'handler', grants: undefined };

/** A handler with a stored session that is member of `$share/g/room`, and that takes one message at a time. */
function slowHandler(harness: Harness) {
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER, receiveMaximum: 1 };
  const client = harness.connected('h', kept, { identity: handler });
  client.subscribe('$share/g/room');
  return client;
}

test('a message of a device for staff, that its handler leaves behind, goes to no device of the group', () => {
  const harness = new Harness({ policy: { commands: ['room' as never] }, durable: false });
  const client = slowHandler(harness);
  const eve = harness.connected('eve', {}, { identity: plain });
  for (const payload of ['1', '2', '3']) eve.publish('room', payload, { qos: 1 });
  const device = harness.connected('d', {}, { identity: member });
  device.subscribe('$share/g/room');
  client.lose();
  expect(device.texts()).toEqual([]);
});

test('[MQTT-3.3.2-5] a message that a member of a group leaves behind expired goes to no other', () => {
  const harness = new Harness({ durable: false });
  const client = slowHandler(harness);
  const other = harness.connected('o', {}, { identity: { ...handler, user: 'other' } });
  const admin = harness.connected('a', {}, { identity: { role: 'admin', grants: undefined } });
  admin.publish('room', 'first', { qos: 1 });
  admin.publish('room', 'second', { qos: 1, messageExpiryInterval: 10 });
  other.subscribe('$share/g/room');
  harness.advanceSeconds(11);
  client.lose();
  expect(other.texts()).toEqual(['first']);
});

test('a message for a group is kept by a member that is away and takes QoS 1, not lost by one that takes QoS 0', () => {
  const harness = new Harness();
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER };
  for (const [name, maximumQoS] of [
    ['x', 0],
    ['y', 1],
    ['z', 0],
  ] as const) {
    const client = harness.connected(name, kept);
    client.subscribe({ topicFilter: '$share/g/room', maximumQoS });
    client.lose();
  }
  harness.connected('p').publish('room', 'kept', { qos: 1 });
  expect(harness.connected('y', kept).texts()).toEqual(['kept']);
});

test('[MQTT-2.2.1-4] a message that the client has keeps its Packet Identifier when a renewed token does not cover it', () => {
  const harness = new Harness();
  const client = harness.connected('c', {}, { identity: member });
  client.subscribe('room');
  const publisher = harness.connected('p');
  publisher.publish('room', 'before', { qos: 1 });
  const before = client.next('publish');
  const other: Grants = { ...room, subscribe: ['other'] };
  client.publish('$token', harness.accept({ ...member, grants: other }), { qos: 1 });
  expect(harness.broker.counters.inflightMessages).toBe(1);
  client.subscribe('other');
  publisher.publish('other', 'after', { qos: 1 });
  const after = client.next('publish');
  expect(after.packetIdentifier).not.toBe(before.packetIdentifier);
  client.complete(before);
  client.complete(after);
  expect(harness.broker.counters.inflightMessages).toBe(0);
});

test('a QoS 2 message that waits for the disk does not go to a client whose new token does not cover it, and the next one does', () => {
  const harness = new Harness({ durable: true });
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER, receiveMaximum: 1 };
  const both: Grants = { ...room, subscribe: ['room', 'other'] };
  const client = harness.connected('c', kept, { identity: { ...member, grants: both } });
  client.subscribe(['room', 'other']);
  const publisher = harness.connected('p');
  harness.holdStorage = true;
  publisher.send(publishPacket('room', 'secret', { qos: 2, packetIdentifier: 1 }));
  publisher.send(publishPacket('other', 'for all', { qos: 1, packetIdentifier: 2 }));
  const narrow: Grants = { ...room, subscribe: ['other'] };
  const token = harness.accept({ ...member, grants: narrow });
  client.send(publishPacket('$token', token, { qos: 1, packetIdentifier: 1 }));
  harness.store();
  const sent = client.packets().filter((packet) => packet.type === 'publish');
  expect(sent.map(textOf)).toEqual(['for all']);
  expect(harness.broker.counters.dropped['not-authorized']).toBe(1);
  expect(harness.broker.counters.queuedMessages).toBe(0);
});

test('a client whose Keep Alive runs out while its new token is checked does not stop the broker', () => {
  const harness = new Harness();
  const client = harness.connected('c', { keepAliveSeconds: 10 });
  harness.holdVerdicts = true;
  const packetIdentifier = client.nextIdentifier();
  const token = harness.accept({});
  client.send(publishPacket('$token', token, { qos: 1, packetIdentifier }));
  harness.advanceSeconds(60);
  expect(client.closed).toBe(false);
  harness.verdicts();
  expect(client.find('puback').packetIdentifier).toBe(packetIdentifier);
  harness.advanceSeconds(16);
  expect(client.closed).toBe(true);
});

test('a QoS 2 message that ended a 3.x connection, unauthorized, is passed on when it comes again by right', () => {
  const harness = new Harness({ limits: { legacyRefusal: 'close' } });
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER };
  const staff = harness.connected('s');
  staff.subscribe('room');
  const denied = harness.connected('c', kept, { version: 4, identity: { ...plain, user: 'u' } });
  const packet = publishPacket('room', 'at last', { qos: 2, packetIdentifier: 7 });
  denied.send(packet);
  expect(denied.closed).toBe(true);
  const identity: Partial<Identity> = { ...plain, user: 'u', grants: room };
  const allowed = harness.connected('c', kept, { version: 4, identity });
  allowed.send({ ...packet, dup: true });
  expect(staff.texts()).toEqual(['at last']);
});

test('RETAIN is no violation where only a renewed token took the right away: it has no effect', () => {
  const harness = new Harness();
  const client = harness.connected('c', {}, { identity: member });
  const narrow: Grants = { ...room, retain: false };
  client.publish('$token', harness.accept({ ...member, grants: narrow }), { qos: 1 });
  client.publish('room', 'x', { qos: 1, retain: true });
  expect([client.closed, harness.broker.counters.retainedMessages]).toEqual([false, 0]);
});

test('what comes while a stored tail is read, and drop-oldest has emptied it, is delivered once', () => {
  const harness = new Harness({
    durable: true,
    limits: { queuedMessages: 1, queuePolicy: 'drop-oldest' },
  });
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER };
  const client = harness.connected('c', kept);
  client.subscribe('room');
  client.lose();
  const publisher = harness.connected('p');
  publisher.publish('room', 'old', { qos: 2 });
  harness.holdStorage = true;
  const back = harness.connected('c', kept);
  const packetIdentifier = publisher.nextIdentifier();
  publisher.send(publishPacket('room', 'new', { qos: 2, packetIdentifier }));
  harness.store();
  for (let i = 0; i < 3 && back.pending > 0; i++) back.complete(back.find('publish'));
  const texts = back.packets().map((packet) => (packet.type === 'publish' ? textOf(packet) : ''));
  expect(texts).toEqual([]);
  expect(harness.broker.counters.publishSent).toBe(1);
  expect(harness.broker.counters.queuedMessages).toBe(0);
});

test('[MQTT-4.4.0-1] what was in flight is sent again to a client that is back before a read for its last connection', () => {
  const harness = new Harness({ durable: true });
  const kept = { cleanStart: false, sessionExpiryInterval: NEVER, receiveMaximum: 256 };
  const first = harness.connected('c', kept);
  first.subscribe('room');
  first.lose();
  const publisher = harness.connected('p');
  // As many as are read from the disk at once and fill the window, and one more.
  const sent = Array.from({ length: 257 }, (_, index) => String(index));
  for (const payload of sent) publisher.publish('room', payload, { qos: 1 });
  const second = harness.connected('c', kept);
  expect(second.pending).toBe(256);
  harness.holdStorage = true;
  second.complete(second.next('publish')); // what is behind the others is asked for
  second.lose();
  const third = harness.connected('c', kept);
  harness.store();
  expect(third.pending).toBe(256);
  expect(third.texts()).toEqual(sent.slice(1));
});
