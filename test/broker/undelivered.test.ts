/** The hook `undelivered`: for whom it is raised, and that it cannot go round. */
import { expect, test } from 'bun:test';
import type { Message } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { will } from '../client.ts';
import { Harness, type HarnessOptions } from '../harness.ts';
import { join, stay } from '../hostile/company.ts';
import { crash, take, undelivered } from './hooks.ts';

function watched(options: HarnessOptions = { durable: true }): Harness {
  const harness = new Harness(options);
  harness.wants('undelivered');
  return harness;
}

function message(topic: string, more: Partial<Message> = {}): Message {
  return {
    topic: topic as TopicName,
    payload: new TextEncoder().encode('hi'),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: '', clientIdentifier: 'contacts', device: false },
    reach: 2,
    ...more,
  };
}

function send(harness: Harness, topic: string, more: Partial<Message> = {}, cause?: Message): void {
  expect(harness.broker.sent(message(topic, more), harness.now, cause)).toBeUndefined();
}

test('a message for a user without a device that is connected is one hook, whatever its QoS', () => {
  const harness = watched();
  for (const qos of [0, 1, 2] as const) {
    send(harness, '1_news', { qos });
    expect(undelivered(harness)).toEqual(['1_news: hi']);
  }
});

test('it has the payload, the publisher, the expiry and the properties, but nowhere to respond to', () => {
  const harness = watched();
  send(harness, '1_news', {
    expiresAtMs: harness.now + 60_000,
    properties: {
      contentType: 'text/plain',
      userProperties: [['traceparent', 'x']],
      responseTopic: '9_answers',
      correlationData: new Uint8Array([1]),
    },
  });
  expect(take(harness)).toMatchObject([
    {
      topic: '$hook/undelivered/1_news',
      qos: 1,
      retain: false,
      reach: 0,
      expiresAtMs: harness.now + 60_000,
      publisher: { user: '', clientIdentifier: 'contacts', device: false },
      properties: {
        contentType: 'text/plain',
        userProperties: [['traceparent', 'x']],
        responseTopic: undefined,
        correlationData: undefined,
      },
    },
  ]);
});

test('a device that is connected takes it, subscribed or not; the last one that leaves ends that', () => {
  const harness = watched();
  const phone = join(harness, { client: 'phone' });
  const tablet = join(harness, { client: 'tablet' });
  send(harness, '1_news');
  phone.disconnect();
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual([]);
  tablet.lose();
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual(['1_news: hi']);
  stay(harness, { client: 'phone' });
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual([]);
});

test('devices are counted though nobody wanted the hook when they came', () => {
  const harness = new Harness();
  join(harness);
  harness.wants('undelivered');
  send(harness, '1_news');
  send(harness, '2_news');
  expect(undelivered(harness)).toEqual(['2_news: hi']);
});

test('a takeover leaves one device', () => {
  const harness = watched();
  join(harness);
  const phone = join(harness);
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual([]);
  phone.disconnect();
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual(['1_news: hi']);
});

test('a stored session queues it, and the hook is raised all the same', () => {
  const harness = watched();
  const phone = stay(harness);
  phone.subscribe('1_news');
  phone.lose();
  send(harness, '1_news');
  expect(undelivered(harness)).toEqual(['1_news: hi']);
  const back = stay(harness, {}, { cleanStart: false });
  expect(back.texts()).toEqual(['hi']);
  expect(undelivered(harness)).toEqual([]);
});

test('handlers and admins who listen, or who bear the user’s id, are not the user’s devices', () => {
  const harness = watched();
  const ears = join(harness, { user: '1', role: 'admin', client: 'ears' });
  ears.subscribe('#');
  send(harness, '1_news');
  expect(ears.texts()).toEqual(['hi']);
  expect(undelivered(harness)).toEqual(['1_news: hi']);
});

test('remote handlers, admins and their Wills raise it as plugins do', () => {
  const harness = watched();
  const handler = join(
    harness,
    { user: 'backend', role: 'handler', client: 'h' },
    { will: will('1_gone', 'bye') },
  );
  handler.publish('1_news', 'from h', { qos: 1 });
  join(harness, { user: 'boss', role: 'admin', client: 'a' }).publish('1_news', 'from a');
  handler.lose();
  expect(undelivered(harness)).toEqual(['1_news: from h', '1_news: from a', '1_gone: bye']);
});

test('what devices publish never raises it: they reach no user topics', () => {
  const harness = watched();
  harness.handles('request_contact');
  const device = join(harness, { user: '2', publish: ['#'], client: 'granted' });
  device.publish('1_news', 'x', { qos: 1 });
  join(harness, { user: '3', client: 'plain' }).publish('request_contact', 'x', { qos: 1 });
  expect(undelivered(harness)).toEqual([]);
});

test('a declared command is no user topic', () => {
  const harness = watched();
  harness.handles('request_contact');
  send(harness, 'request_contact');
  expect(undelivered(harness)).toEqual([]);
});

test.each(['news', 'news/today', '_news', '1_', '$1_news', '%31_news', '1%5f2_x', '1/2_x', '%_x'])(
  '%s is no user’s topic',
  (topic) => {
    const harness = watched();
    const admin = join(harness, { user: 'boss', role: 'admin', client: 'a' });
    admin.publish(topic, 'x', { qos: 1 });
    expect(undelivered(harness)).toEqual([]);
  },
);

test('users are told apart as their topics are', () => {
  const harness = watched();
  join(harness, { user: '1_2' });
  send(harness, '1%5F2_x');
  send(harness, '1_2_x');
  expect(undelivered(harness)).toEqual(['1_2_x: hi']);
  const slashed = watched({ policy: { separator: '/' } });
  join(slashed, { user: '1' });
  send(slashed, '1/news/x');
  send(slashed, '2/news/x');
  send(slashed, '1_news');
  expect(undelivered(slashed)).toEqual(['2/news/x: hi']);
});

test('what a run for the hook sends raises it no more, to whomever; other runs do', () => {
  const harness = watched();
  send(harness, '1_news');
  const [cause] = take(harness);
  send(harness, '1_news', {}, cause);
  send(harness, '2_news', {}, cause);
  expect(undelivered(harness)).toEqual([]);
  send(harness, '2_news', {}, message('request_contact'));
  expect(undelivered(harness)).toEqual(['2_news: hi']);
});

test('nothing is made while nobody wants it', () => {
  const harness = new Harness({ durable: true });
  send(harness, '1_news');
  expect(harness.handled).toEqual([]);
  expect(harness.kept).toEqual([]);
});

test('what is refused raises nothing', () => {
  const harness = watched({ durable: true, limits: { queuePolicy: 'refuse', queuedMessages: 1 } });
  const phone = stay(harness);
  phone.subscribe('1_news');
  phone.lose();
  send(harness, '1_news');
  expect(undelivered(harness)).toHaveLength(1);
  expect(harness.broker.sent(message('1_news'), harness.now)).toBeString();
  expect(undelivered(harness)).toEqual([]);
});

test('it is stored, and the acknowledgement waits for that', () => {
  const harness = watched();
  const admin = join(harness, { user: 'boss', role: 'admin', client: 'a' });
  harness.holdStorage = true;
  admin.send({ ...publishing('1_news'), qos: 1, packetIdentifier: 7 });
  expect(admin.packets()).toEqual([]);
  harness.store();
  expect(admin.next('puback')).toMatchObject({ packetIdentifier: 7 });
  take(harness);
  expect(undelivered(crash(harness, 'undelivered'))).toEqual(['1_news: x']);
});

test('nor does it leave earlier where somebody else has taken the message by then', () => {
  const harness = watched();
  const ears = stay(harness, { user: 'staff', role: 'admin', client: 'ears' });
  ears.subscribe('1_news');
  const admin = join(harness, { user: 'boss', role: 'admin', client: 'a' });
  harness.holdStorage = true;
  admin.send({ ...publishing('1_news'), qos: 1, packetIdentifier: 7 });
  ears.receive();
  expect(admin.packets()).toEqual([]);
  harness.store();
  expect(admin.next('puback')).toMatchObject({ packetIdentifier: 7 });
});

test('while the disk fails it is handed over and not kept', () => {
  const harness = watched();
  const failure = { reasonCode: ReasonCode.QuotaExceeded, detail: 'the disk is full' };
  harness.broker.storage(failure, harness.now);
  send(harness, '1_news', { qos: 0 });
  expect(undelivered(harness)).toEqual(['1_news: hi']);
  expect(harness.kept).toEqual([]);
});

test('what the bus brings raises nothing: the node where it was published did', () => {
  const harness = watched();
  harness.broker.arrived(message('1_news'), harness.now);
  expect(undelivered(harness)).toEqual([]);
});

function publishing(topic: string) {
  return {
    type: 'publish',
    dup: false,
    retain: false,
    topic,
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: undefined,
    payload: new TextEncoder().encode('x'),
  } as const;
}
