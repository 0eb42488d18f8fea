/** MQTT 5.0 section 4.8.2: Shared Subscriptions. */
import { expect, test } from 'bun:test';
import type { Connect } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { type TestClient, textOf } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet } from '../expect.ts';

const staying = { cleanStart: false, sessionExpiryInterval: 100 };

/** Members of `$share/g/a`, and a publisher. */
function group(
  names: readonly string[],
  fields: Partial<Connect> = {},
): { harness: Harness; members: TestClient[]; publisher: TestClient } {
  const harness = new Harness();
  const members = names.map((name) => harness.connected(name, fields));
  for (const member of members) member.subscribe('$share/g/a');
  return { harness, members, publisher: harness.connected('p') };
}

test('[MQTT-4.8.2-1] [MQTT-4.8.2-2] a filter that begins so and is no Shared Subscription is answered with 0x8F', () => {
  const client = new Harness().connected('c');
  for (const filter of [
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//a',
    '$share/+/a',
    '$share/#/a',
    '$share/g+/a',
    '$share/g#/a',
    '$share/g/a#',
  ]) {
    expect([filter, client.subscribe(filter)]).toEqual([filter, [ReasonCode.TopicFilterInvalid]]);
    expect([filter, client.unsubscribe(filter)]).toEqual([filter, [ReasonCode.TopicFilterInvalid]]);
  }
});

test('[MQTT-4.8.2-1] [MQTT-4.8.2-2] any other ShareName does, and the filter behind it matches as always', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  expect(client.subscribe(['$share/g/a/+', '$share/ /a/#', '$share/ü$/a/b'])).toEqual([2, 2, 2]);
  harness.connected('p').publish('a/b', 'x');
  expect(client.texts()).toEqual(['x', 'x', 'x']);
});

test('[MQTT-4.8.2-1] $share alone, and in other letters, is an ordinary name', () => {
  const client = new Harness().connected('c');
  const codes = client.subscribe(['share/g/a', '$SHARE/g/a', '$shared/g/a']);
  expect(codes).not.toContain(ReasonCode.TopicFilterInvalid);
});

test('each message goes to one member, and all get their share', () => {
  const { members, publisher } = group(['1', '2', '3']);
  for (let i = 0; i < 30; i++) publisher.publish('a', String(i), { qos: 1 });
  const shares = members.map((member) => member.texts());
  expect(shares.map((share) => share.length)).toEqual([10, 10, 10]);
  expect(new Set(shares.flat()).size).toBe(30);
});

test('[MQTT-4.6.0-5] a member gets its share in order', () => {
  const { members, publisher } = group(['1', '2']);
  for (let i = 0; i < 20; i++) publisher.publish('a', String(i), { qos: 1 });
  for (const member of members) {
    const numbers = member.texts().map(Number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  }
});

test('groups, and ordinary subscriptions beside them, each get every message', () => {
  const { harness, members, publisher } = group(['1']);
  const [member] = members as [TestClient];
  member.subscribe(['$share/h/a', '$share/g/#', 'a']);
  const other = harness.connected('o');
  other.subscribe(['$share/h/a']);
  publisher.publish('a', 'x');
  publisher.publish('a', 'y');
  expect([...member.texts(), ...other.texts()].sort()).toEqual([...'xxxxyyyy']);
});

test('[MQTT-3.3.4-5] a copy for a Shared Subscription names the identifier of that subscription alone', () => {
  const { harness, publisher } = group([]);
  const client = harness.connected('c');
  client.subscribe('$share/g/a', { subscriptionIdentifier: 1 });
  client.subscribe('a', { subscriptionIdentifier: 2 });
  client.subscribe('#', { subscriptionIdentifier: 3 });
  publisher.publish('a', 'x');
  const identifiers = client
    .messages()
    .map((message) => message.subscriptionIdentifiers?.toSorted());
  expect(identifiers.toSorted()).toEqual([[1], [2, 3]]);
});

test('[MQTT-4.8.2-3] each member gets its messages at the QoS granted to it', () => {
  const { harness, publisher } = group([]);
  const members = ([0, 1, 2] as const).map((maximumQoS) => {
    const member = harness.connected(`m${maximumQoS}`);
    member.subscribe({ topicFilter: '$share/g/a', maximumQoS });
    return member;
  });
  for (let i = 0; i < 3; i++) publisher.publish('a', 'x', { qos: 2 });
  expect(members.map((member) => member.messages().map(({ qos }) => qos))).toEqual([[0], [1], [2]]);
});

test('a Shared Subscription brings up no retained messages, whatever Retain Handling says', () => {
  const { harness, publisher } = group([]);
  publisher.publish('a', 'x', { retain: true });
  const client = harness.connected('c');
  for (const retainHandling of [0, 1, 2] as const) {
    client.subscribe({ topicFilter: '$share/g/a', retainHandling });
  }
  expectQuiet(client);
});

test('a member that subscribed twice has one share, and leaves with one UNSUBSCRIBE', () => {
  const { members, publisher } = group(['1', '2']);
  const [first, second] = members as [TestClient, TestClient];
  first.subscribe('$share/g/a');
  for (let i = 0; i < 4; i++) publisher.publish('a', 'x');
  expect(members.map((member) => member.texts().length)).toEqual([2, 2]);
  expect(first.unsubscribe('$share/g/a')).toEqual([ReasonCode.Success]);
  for (let i = 0; i < 4; i++) publisher.publish('a', 'x');
  expect([first.texts().length, second.texts().length]).toEqual([0, 4]);
});

test('a member that is away is passed over while another is there', () => {
  const { members, publisher } = group(['1', '2'], staying);
  const [first, second] = members as [TestClient, TestClient];
  first.lose();
  for (let i = 0; i < 4; i++) publisher.publish('a', 'x', { qos: 1 });
  expect(second.texts()).toHaveLength(4);
});

test('a member with a full window is passed over while another has room', () => {
  const { harness, publisher } = group([]);
  const slow = harness.connected('slow', { receiveMaximum: 1 });
  const fast = harness.connected('fast');
  for (const member of [slow, fast]) member.subscribe('$share/g/a');
  for (let i = 0; i < 6; i++) publisher.publish('a', 'x', { qos: 1 });
  expect([slow.messages().length, fast.messages().length]).toEqual([1, 5]);
});

test('where all are away the message waits for one whose Session stays', () => {
  const { harness, members, publisher } = group(['1', '2'], staying);
  for (const member of members) member.lose();
  const texts = ['a', 'b', 'c', 'd'];
  for (const text of texts) publisher.publish('a', text, { qos: 1 });
  const again = ['1', '2'].map((name) => harness.connected(name, staying));
  expect(again.flatMap((member) => member.texts()).sort()).toEqual(texts);
});

test('QoS 1 messages that a member has not acknowledged go to another when its Session ends', () => {
  const { members, publisher } = group(['1', '2']);
  const [first, second] = members as [TestClient, TestClient];
  for (const text of ['a', 'b', 'c', 'd']) publisher.publish('a', text, { qos: 1 });
  const mine = first.texts();
  expect(mine).toHaveLength(2);
  second.texts();
  first.lose();
  expect(second.texts()).toEqual(mine);
});

test('what a member acknowledged is not given to another', () => {
  const { members, publisher } = group(['1', '2']);
  const [first, second] = members as [TestClient, TestClient];
  for (const text of ['a', 'b', 'c', 'd']) publisher.publish('a', text, { qos: 1 });
  first.receive();
  const left = textOf(first.next('publish'));
  second.texts();
  first.lose();
  expect(second.texts()).toEqual([left]);
});

test('[MQTT-4.8.2-4] a QoS 2 message under way to a member is completed to it when it is back', () => {
  const { harness, members, publisher } = group(['1', '2'], staying);
  const [first, second] = members as [TestClient, TestClient];
  publisher.publish('a', 'x', { qos: 2 });
  publisher.publish('a', 'y', { qos: 2 });
  const { packetIdentifier } = first.next('publish');
  second.receive();
  first.lose();
  expectQuiet(second);
  const again = harness.connected('1', staying);
  const message = again.next('publish');
  expect(message).toMatchObject({ packetIdentifier, dup: true, qos: 2 });
  again.complete(message);
  expectQuiet(again);
});

test('[MQTT-4.8.2-5] a QoS 2 message under way to a member whose Session ends goes to no other', () => {
  const { harness, members, publisher } = group(['1', '2'], staying);
  const [first, second] = members as [TestClient, TestClient];
  publisher.publish('a', 'x', { qos: 2 });
  publisher.publish('a', 'y', { qos: 2 });
  first.next('publish');
  second.receive();
  first.lose();
  harness.advanceSeconds(100);
  expectQuiet(second);
  expect(harness.connected('1', staying).pending).toBe(0);
});

test('messages of either QoS that only waited for a member go to another when its Session ends', () => {
  const { harness, publisher } = group([]);
  const full = harness.connected('full', { receiveMaximum: 1 });
  full.subscribe('$share/g/a');
  for (const text of ['1', '2', '3']) publisher.publish('a', text, { qos: 2 });
  const other = harness.connected('o');
  other.subscribe('$share/g/a');
  expect(full.texts()).toEqual(['1']);
  full.lose();
  expect(other.texts()).toEqual(['2', '3']);
});

test('[MQTT-4.8.2-6] [MQTT-4.4.0-2] a message that a member refuses goes to no other', () => {
  const { members, publisher } = group(['1', '2'], staying);
  const [first, second] = members as [TestClient, TestClient];
  publisher.publish('a', 'x', { qos: 1 });
  first.acknowledge('puback', first.next('publish').packetIdentifier, ReasonCode.UnspecifiedError);
  publisher.publish('a', 'y', { qos: 2 });
  second.acknowledge('pubrec', second.next('publish').packetIdentifier, ReasonCode.QuotaExceeded);
  for (const member of members) expectQuiet(member);
  first.lose();
  second.lose();
});

test('the last member takes its group along', () => {
  const { harness, members, publisher } = group(['1']);
  members[0]?.lose();
  expect(harness.broker.counters.sharedSubscriptions).toBe(0);
  expect(publisher.publish('a', 'x', { qos: 1 })?.reasonCode).toBe(
    ReasonCode.NoMatchingSubscribers,
  );
});

test('a Shared Subscription on a filter with a wildcard in the first level matches no topic with a dollar sign', () => {
  const harness = new Harness();
  const names = ['#', '$x/#'];
  const grants = { publish: names, subscribe: names, retain: true, share: true };
  const client = harness.connected('c', {}, { identity: { grants } });
  client.subscribe('$share/g/#');
  client.publish('$x/a', 'x');
  client.publish('a', 'y');
  expect(client.texts()).toEqual(['y']);
});
