/** MQTT 5.0 sections 3.1.2.4, 3.1.2.11.2, 3.1.4 and 4.1: Sessions: new, resumed, taken over, expired. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet } from '../expect.ts';

const resume = { cleanStart: false, sessionExpiryInterval: 100 };

test('[MQTT-3.1.2-4] [MQTT-3.1.4-4] Clean Start 1 discards subscriptions, queued messages and those in flight', () => {
  const harness = new Harness();
  const publisher = harness.connected('p');
  const client = harness.connected('c', resume);
  client.subscribe('a');
  publisher.publish('a', 'in flight', { qos: 1 });
  client.lose();
  publisher.publish('a', 'queued', { qos: 1 });
  const again = harness.connected('c', { cleanStart: true, sessionExpiryInterval: 100 });
  publisher.publish('a', 'not for it', { qos: 1 });
  expectQuiet(again);
  expect(again.unsubscribe('a')).toEqual([ReasonCode.NoSubscriptionExisted]);
});

test('[MQTT-3.1.2-4] Clean Start 1 discards the QoS 2 state of what the client sent', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('a');
  const client = harness.connected('c', resume);
  const packet = { qos: 2 as const, packetIdentifier: 5 };
  client.send({ ...publish('first'), ...packet });
  client.lose();
  const again = harness.connected('c', { cleanStart: true });
  again.send({ ...publish('second'), ...packet });
  expect(watcher.texts()).toEqual(['first', 'second']);
});

function publish(payload: string) {
  return {
    type: 'publish' as const,
    dup: false,
    retain: false,
    topic: 'a',
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: undefined,
    payload: Buffer.from(payload),
  };
}

test('[MQTT-3.1.2-5] [MQTT-3.1.4-4] [MQTT-4.5.0-1] Clean Start 0 goes on with the Session: its subscriptions and what came meanwhile', () => {
  const harness = new Harness();
  const publisher = harness.connected('p');
  const client = harness.connected('c', resume);
  client.subscribe([
    { topicFilter: 'a', maximumQoS: 2 },
    { topicFilter: 'b', maximumQoS: 1 },
    { topicFilter: 'c', maximumQoS: 0 },
  ]);
  client.lose();
  publisher.publish('a', 'a2', { qos: 2 });
  publisher.publish('b', 'b1', { qos: 2 });
  publisher.publish('c', 'c0', { qos: 2 });
  publisher.publish('a', 'a0', { qos: 0 });
  const again = harness.client('c');
  expect(again.connect(resume).sessionPresent).toBe(true);
  // In which order different topics come is not said.
  const messages = again.messages().map(({ topic, qos, dup }) => ({ topic, qos, dup }));
  expect(messages.sort((one, other) => one.topic.localeCompare(other.topic))).toEqual([
    { topic: 'a', qos: 2, dup: false },
    { topic: 'b', qos: 1, dup: false },
  ]);
  publisher.publish('c', 'live', { qos: 2 });
  expect(again.texts()).toEqual(['live']);
});

test('[MQTT-3.1.2-6] Clean Start 0 without a Session makes a new one', () => {
  const harness = new Harness();
  const client = harness.client('c');
  expect(client.connect(resume).sessionPresent).toBe(false);
  client.lose();
  expect(harness.client('c').connect(resume).sessionPresent).toBe(true);
});

test('[MQTT-3.1.2-23] [MQTT-4.1.0-2] a Session outlives its connection by its Session Expiry Interval and no longer', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 100 }).lose();
  harness.advance(99_999);
  const client = harness.client('c');
  expect(client.connect(resume).sessionPresent).toBe(true);
  client.lose();
  harness.advance(100_000);
  expect(harness.client('c').connect(resume).sessionPresent).toBe(false);
  expect(harness.eventsOf('session-expired')).toHaveLength(1);
});

test.each([undefined, 0])(
  '[MQTT-4.1.0-2] with Session Expiry Interval %p a Session ends with its connection',
  (interval) => {
    const harness = new Harness();
    const fields = interval === undefined ? {} : { sessionExpiryInterval: interval };
    const client = harness.connected('c', { cleanStart: false, ...fields });
    client.subscribe('a');
    client.lose();
    expect(harness.broker.counters.sessions).toBe(0);
    expect(harness.client('c').connect({ cleanStart: false }).sessionPresent).toBe(false);
  },
);

test('[MQTT-4.1.0-2] a Session that expired leaves nothing behind', () => {
  const harness = new Harness();
  const client = harness.connected('c', { sessionExpiryInterval: 10 });
  client.subscribe(['a', '$share/g/b']);
  const publisher = harness.connected('p');
  publisher.publish('a', 'x', { qos: 2 });
  client.lose();
  publisher.publish('a', 'y', { qos: 1 });
  harness.advanceSeconds(10);
  const { counters } = harness.broker;
  expect(counters).toMatchObject({
    sessions: 1,
    subscriptions: 0,
    sharedSubscriptions: 0,
    queuedMessages: 0,
    inflightMessages: 0,
  });
  expect(publisher.publish('a', 'z', { qos: 1 })?.reasonCode).toBe(
    ReasonCode.NoMatchingSubscribers,
  );
});

test('[MQTT-4.1.0-1] the Session stays while the connection is open, however long that is', () => {
  const harness = new Harness();
  const client = harness.connected('c', { sessionExpiryInterval: 1 });
  client.subscribe('a');
  harness.advanceSeconds(10_000);
  harness.connected('p').publish('a', 'x');
  expect(client.texts()).toEqual(['x']);
});

test('the Session Expiry Interval of the last CONNECT counts', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 1_000 }).lose();
  harness.connected('c', { cleanStart: false, sessionExpiryInterval: 5 }).lose();
  harness.advanceSeconds(5);
  expect(harness.client('c').connect(resume).sessionPresent).toBe(false);
});

test('Session Expiry Interval 0xFFFFFFFF does not expire before the longest that is granted', () => {
  const harness = new Harness({ limits: { maximumSessionExpirySeconds: 1_000 } });
  harness.connected('c', { sessionExpiryInterval: 0xffff_ffff }).lose();
  harness.advance(999_999);
  expect(harness.client('c').connect(resume).sessionPresent).toBe(true);
});

test('[MQTT-3.1.2-23] DISCONNECT can change the Session Expiry Interval, to 0 as well', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 5 }).disconnect({ sessionExpiryInterval: 50 });
  harness.advanceSeconds(49);
  const client = harness.client('c');
  expect(client.connect(resume).sessionPresent).toBe(true);
  client.disconnect({ sessionExpiryInterval: 0 });
  expect(harness.client('c').connect(resume).sessionPresent).toBe(false);
});

test('a DISCONNECT that names no Session Expiry Interval leaves that of CONNECT', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 5 }).disconnect();
  harness.advance(4_999);
  expect(harness.client('c').connect(resume).sessionPresent).toBe(true);
});

test('[MQTT-4.13.1-1] a Session Expiry Interval of 0 may not be raised at DISCONNECT', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('gone');
  const client = harness.connected('c', { will: will('gone', 'will') });
  client.disconnect({ sessionExpiryInterval: 1 });
  expectEnded(client, ReasonCode.ProtocolError);
  expect(watcher.texts()).toEqual(['will']);
  expect(harness.client('c').connect(resume).sessionPresent).toBe(false);
});

test('0 at DISCONNECT after 0 at CONNECT is in order', () => {
  const client = new Harness().connected('c');
  client.disconnect({ sessionExpiryInterval: 0 });
  expect(client.packets()).toEqual([]);
  expect(client.closed).toBe(true);
});

test('[MQTT-3.1.4-3] [MQTT-4.13.2-1] [MQTT-3.14.4-2] whoever held the Client Identifier is told 0x8E and closed', () => {
  const harness = new Harness();
  const first = harness.connected('c', resume);
  const second = harness.client('c');
  expect(second.connect(resume).sessionPresent).toBe(true);
  expectEnded(first, ReasonCode.SessionTakenOver);
  expectQuiet(second);
});

test('[MQTT-3.1.4-3] what was in flight to the one who was taken over is sent again to the new one', () => {
  const harness = new Harness();
  const first = harness.connected('c', resume);
  first.subscribe('a');
  harness.connected('p').publish('a', 'x', { qos: 1 });
  const { packetIdentifier } = first.next('publish');
  const second = harness.connected('c', resume);
  expect(second.next('publish')).toMatchObject({ packetIdentifier, dup: true });
  first.acknowledge('puback', packetIdentifier); // comes too late, from a closed connection
  second.lose();
  expect(harness.connected('c', resume).next('publish')).toMatchObject({ packetIdentifier });
});

test('[MQTT-3.1.4-3] two clients that fight for an identifier are all told, and the last one has it', () => {
  const harness = new Harness();
  const clients = Array.from({ length: 5 }, () => harness.connected('c', resume));
  for (const loser of clients.slice(0, -1)) expectEnded(loser, ReasonCode.SessionTakenOver);
  const winner = clients.at(-1);
  if (winner === undefined) throw new Error('no client');
  expectQuiet(winner);
  expect(harness.broker.counters).toMatchObject({ connections: 1, sessions: 1, takeovers: 4 });
});

test('[MQTT-3.1.3-2] a Session belongs to a user and a Client Identifier: another user gets its own', () => {
  const harness = new Harness();
  const mine = harness.connected('c', resume, { identity: { user: 'ann' } });
  mine.subscribe('a');
  const other = harness.client('c', { identity: { user: 'bob' } });
  expect(other.connect(resume).sessionPresent).toBe(false);
  expectQuiet(mine);
  harness.connected('p').publish('a', 'x', { qos: 1 });
  expect(mine.texts()).toEqual(['x']);
  expectQuiet(other);
});

test('[MQTT-3.1.3-2] Client Identifiers are told apart character by character', () => {
  const harness = new Harness();
  for (const identifier of ['c', 'C', 'c ', 'ĉ', 'c\u0302']) {
    expect(harness.client(identifier).connect(resume).sessionPresent).toBe(false);
  }
  expect(harness.broker.counters.sessions).toBe(5);
});

test('[MQTT-3.1.3-2] the Session is found again over another version', () => {
  const harness = new Harness();
  const client = harness.connected('c', resume);
  client.subscribe('a', { subscriptionIdentifier: 7 });
  client.lose();
  harness.connected('p').publish('a', 'x', { qos: 1, messageExpiryInterval: 1_000 });
  const old = harness.client('c', { version: 4 });
  expect(old.connect({ cleanStart: false }).sessionPresent).toBe(true);
  expect(old.texts()).toEqual(['x']);
});
