/**
 * Hostile cases: what a topic may reach (design section 4). Users whose ids spell each other's topics
 * or a command, wildcards, `$SYS`, groups, and devices that would like to talk to devices. Each outcome
 * is taken from the message itself: who got it, and what the sender was told.
 */
import { describe, expect, test } from 'bun:test';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { parseTopicName } from '../../core/mqtt/topic.ts';
import type { TestClient } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import {
  denied,
  expectNoSubscription,
  GRANTED,
  handlerOf,
  heard,
  join,
  staff,
  stay,
  tally,
  type Who,
} from './company.ts';

const other: Who = { user: '2', client: 'other' };

/** Filters that a device by default may not hold: user 1, while `request_contact` and `a/+` are commands. */
const filters = [
  ...['#', '+', '+/x', '+/#', '/#', '/+', '+/+', '/', '//', '+/', 'a', 'a/#', 'a/+', 'a/b'],
  ...['1', '1_', '1_+', '1_#/x', '1/#', '1/x'],
  ...['2_news', '2_#', '2_+', '+_news', '%31_news', '1%5F2_x', '1%5f2_x', '11_news', ' 1_news'],
  ...['１_news', '1\u200b_news', '1\ufe0f_news', '_news', '_', '%_news'],
  ...['request_contact', 'request_contact/#', 'request_contact/+', 'request_+', 'request_#'],
  ...['$SYS', '$SYS/#', '$SYS/+', '$SYS/broker/uptime', '$sys/#', '$/#', '$', '$token', '$token/#'],
  ...['$queue/1_news', '$exclusive/1_news', '$delayed/1/1_news', '$CONTROL/#', '$aws/#'],
  ...['$share/g/1_news', '$share/g/#', '$share/g/+', '$share/g/request_contact', '$share/g/$SYS/#'],
  ...['$share/handlers/request_contact', '$share/handlers/#', '$share/1/1_news', '$share/g/2_news'],
  ...['$share/g/$share/g/request_contact', '$share/g//request_contact'],
];

const forbidden = [...new Set(filters)].map((name) => ({ name }));

describe.each(VERSIONS)('in version %i', (version) => {
  test.each(forbidden)('a device is not let in on $name', ({ name: filter }) => {
    const harness = new Harness({ limits: { sysIntervalSeconds: 10 } });
    const handler = join(harness, { user: 'backend', role: 'handler', client: 'handler' });
    handler.subscribe(['$share/handlers/request_contact', 'a/+', '#']);
    const device = join(harness, { version });
    // A filter that is none at all ends a 3.x connection; that will do as well.
    const before = harness.broker.counters.subscriptions;
    const { malformed } = attempt(device, filter);
    expect(harness.broker.counters.subscriptions).toBe(before);
    const admin = join(harness, staff);
    for (const topic of ['request_contact', 'a/b', '2_news', '1%5F2_x', '11_news', '1/x', 'x/x']) {
      admin.publish(topic, 'x', { qos: 1 });
      admin.publish(topic, 'x', { retain: true });
    }
    join(harness, other).publish('request_contact', 'x', { qos: 1 });
    harness.advanceSeconds(20);
    if (!malformed) attempt(device, filter);
    expect(device.packets().filter(({ type }) => type === 'publish')).toEqual([]);
    expect(heard(handler).filter((text) => text === 'request_contact: x').length).toBeGreaterThan(
      2,
    );
  });

  test('nor does it take a command from the handlers’ group, of any number of tries', () => {
    const harness = new Harness();
    const handler = handlerOf(harness, '$share/handlers/request_contact');
    const devices = [1, 2, 3].map((n) => join(harness, { version, client: `thief ${n}` }));
    for (const device of devices) {
      expectNoSubscription(device, '$share/handlers/request_contact');
      expectNoSubscription(device, '$share/handlers/#');
    }
    const sender = join(harness, other);
    for (let n = 0; n < 20; n++) sender.publish('request_contact', `${n}`, { qos: 1 });
    expect(heard(handler).length).toBe(20);
    expect(devices.flatMap(heard)).toEqual([]);
    expect(denied(harness).length).toBe(6);
  });

  test('nor one with a grant on the group, of what other devices say by default right', () => {
    const harness = new Harness();
    const handler = handlerOf(harness, '$share/handlers/request_contact');
    const device = join(harness, { version, subscribe: ['request_contact'] });
    const [reasonCode] = device.subscribe('$share/handlers/request_contact');
    if (version !== 3) expect(reasonCode).toBe(GRANTED);
    const sender = join(harness, other);
    for (let n = 0; n < 20; n++) sender.publish('request_contact', `${n}`, { qos: 1 });
    expect([heard(handler).length, heard(device)]).toEqual([20, []]);
    // The handlers are away: the commands wait for them, and are not the device's for that.
    handler.lose();
    join(harness, { user: 'b', role: 'handler', client: 'declares' }).subscribe('request_contact');
    sender.publish('request_contact', 'x', { qos: 1 });
    expect(heard(device)).toEqual([]);
  });

  test('a handler reads no $SYS, neither new nor retained', () => {
    const harness = new Harness({ limits: { sysIntervalSeconds: 10 } });
    harness.advanceSeconds(20);
    const handler = join(harness, { role: 'handler', version });
    for (const filter of ['$SYS/#', '$SYS/broker/uptime', '$SYS', '$share/g/$SYS/#']) {
      expectNoSubscription(handler, filter);
    }
    for (const filter of ['#', '+/broker/uptime', '+/#', '$share/g/#']) handler.subscribe(filter);
    const granted = join(harness, { user: '3', version, client: 'g', subscribe: ['$SYS/#', '#'] });
    expectNoSubscription(granted, '$SYS/#');
    granted.subscribe('#');
    harness.advanceSeconds(20);
    expect([heard(handler), heard(granted)]).toEqual([[], []]);
    const admin = join(harness, staff);
    admin.subscribe('$SYS/#');
    expect(heard(admin).length).toBeGreaterThan(10);
  });

  test('nobody publishes to $SYS, nor clears what is retained there', () => {
    const harness = new Harness({ limits: { sysIntervalSeconds: 1_000 } });
    harness.advanceSeconds(1);
    const admin = join(harness, staff);
    const roles: Who[] = [{ publish: ['#', '$SYS/#'] }, { role: 'handler' }, { role: 'admin' }];
    for (const who of roles) {
      const client = join(harness, { ...who, version, client: `p ${who.role}` });
      for (const topic of ['$SYS/broker/uptime', '$SYS/x', '$SYS', '$share/g/x']) {
        client.publish(topic, 'forged', { qos: 1, retain: true });
        client.publish(topic, '', { qos: 1, retain: true });
      }
    }
    expect(denied(harness).length).toBe(24);
    admin.subscribe('$SYS/#');
    const readings = heard(admin);
    expect(readings.length).toBeGreaterThan(10);
    expect(readings.join()).not.toContain('forged');
  });
});

/** Subscribes, without a word on what comes of it. */
function attempt(device: TestClient, filter: string): { malformed: boolean } {
  if (device.closed) return { malformed: true };
  device.send({
    type: 'subscribe',
    packetIdentifier: device.nextIdentifier(),
    subscriptionIdentifier: undefined,
    subscriptions: [
      {
        topicFilter: filter,
        maximumQoS: 2,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
      },
    ],
  });
  return { malformed: device.closed };
}

/** Topics that a device by default may not publish to, while `request_contact` and `a/+` are commands. */
const topics = [
  ...[
    '1_news',
    '2_news',
    '2_',
    '_',
    'x',
    '/',
    'request_contact/',
    '/request_contact',
    'a',
    'a/b/c',
  ],
  ...['request', 'request_', 'Request_contact', 'request_contact ', 'request_contact\u200b', 'A/b'],
  ...['a/', '$SYS/x', '$SYS', '$share/handlers/request_contact', '$share/g/x', '$queue/a', '$x'],
  ...['rеquest_contact', 'request%5Fcontact', 'request_contact/x'],
].map((name) => ({ name }));

test.each(topics)('what a device says on $name goes nowhere', ({ name: topic }) => {
  for (const version of VERSIONS) {
    for (const qos of [0, 1, 2] as const) {
      const harness = new Harness();
      const ears = handlerOf(harness, 'request_contact', 'a/+', '#');
      const victim = stay(harness, other);
      victim.subscribe('2_news');
      const device = join(harness, { version });
      const answer = device.publish(topic, 'x', { qos, retain: version !== 5 });
      // `a/` is a level of its own, and empty, under the command `a/+`.
      const reaches = topic === 'a/';
      if (version === 5 && qos > 0) {
        expect(answer?.reasonCode).toBe(reaches ? ReasonCode.Success : ReasonCode.NotAuthorized);
      }
      expect(heard(victim)).toEqual([]);
      expect(heard(ears).length).toBe(reaches ? 1 : 0);
      expect(harness.broker.counters.retainedMessages).toBe(0);
      if (!reaches) expect(denied(harness)).toEqual([`publish ${topic}`]);
    }
  }
});

/** How `request_contact` comes to be a command. */
const declarations = [
  { by: 'a plugin', declare: (harness: Harness) => harness.handles('request_contact') },
  {
    by: 'a remote handler',
    declare: (harness: Harness) => void handlerOf(harness, 'request_contact'),
  },
  {
    by: 'a remote handlers’ group',
    declare: (harness: Harness) => void handlerOf(harness, '$share/g/request_contact'),
  },
  { by: 'the policy file', declare: undefined },
] as const;
/** When the user `request` subscribes, and to what. */
const collisions = declarations.flatMap(({ by, declare }) =>
  (declare === undefined ? (['after'] as const) : (['before', 'after'] as const)).flatMap((when) =>
    VERSIONS.flatMap((version) =>
      [false, true].map((away) => ({ by, declare, when, version, away })),
    ),
  ),
);

test.each(collisions)(
  'user request, subscribed $when $by declared request_contact, listens in on nobody, in version $version, away: $away',
  ({ declare, when, version, away }) => {
    const commands = declare === undefined ? [parseTopicName('request_contact') as never] : [];
    const harness = new Harness({ policy: { commands } });
    if (when === 'after') declare?.(harness);
    const namesake = stay(harness, { user: 'request', client: 'n', version });
    namesake.subscribe('request_contact');
    namesake.subscribe('request_news');
    if (when === 'before') declare?.(harness);
    if (away) namesake.lose();
    const sender = join(harness, other);
    expect(sender.publish('request_contact', 'command', { qos: 1 })?.reasonCode).toBeLessThan(0x80);
    // The command wins over what staff says, too.
    join(harness, staff).publish('request_contact', 'staff', { qos: 1, retain: true });
    join(harness, staff).publish('request_news', 'news', { qos: 1 });
    const back = away ? stay(harness, { user: 'request', client: 'n', version }) : namesake;
    expect(heard(back)).toEqual(['request_news: news']);
    back.subscribe('request_contact');
    expect(heard(back)).toEqual([]);
    if (when === 'after' || away) {
      expect(harness.eventsOf('topic-collision')[0]).toMatchObject({ command: 'request_contact' });
    }
  },
);

test('user request hears no command that waited until its handler was gone', () => {
  const harness = new Harness();
  const handler = handlerOf(harness, 'request_contact');
  const namesake = stay(harness, { user: 'request', client: 'n' });
  namesake.subscribe('request_contact');
  const sender = join(harness, other);
  sender.publish('request_contact', 'there', { qos: 1 });
  handler.lose();
  expect(sender.publish('request_contact', 'gone', { qos: 1 })?.reasonCode).toBe(
    ReasonCode.NotAuthorized,
  );
  expect(heard(namesake)).toEqual([]);
});

/** Users whose ids could be read into each other's topics: who listens, on what, to what is said where. */
const strangers = [
  ['1', '1_2_x', '1_2', '1%5F2_x'],
  ['1_2', '1%5F2_x', '1', '1_2_x'],
  ['1', '1_x', '1%', '1%25_x'],
  ['1%5F2', '1%255F2_x', '1_2', '1%5F2_x'],
  ['a/b', 'a%2Fb_x', 'a', 'a_b_x'],
  ['+', '%2B_x', '1', '1_x'],
  ['#', '%23_x', '1', '1_x'],
  ['$SYS', '%24SYS_x', '1', '1_x'],
  ['auth0|1', 'auth0|1_x', 'auth0', 'auth0_1_x'],
  ['A', 'A_x', 'a', 'a_x'],
  ['1', '1_x', '01', '01_x'],
].map(([user, filter, victim, topic]) => ({ user, filter, victim, topic }));

test.each(strangers)('user $user on $filter does not hear $topic of user $victim', (row) => {
  const { user = '', filter = '', victim = '', topic = '' } = row;
  const harness = new Harness();
  const listener = join(harness, { user, client: 'l' });
  expect(listener.subscribe(filter)).toEqual([GRANTED]);
  expectNoSubscription(listener, topic);
  const owner = join(harness, { user: victim, client: 'o' });
  expect(owner.subscribe(topic)).toEqual([GRANTED]);
  join(harness, staff).publish(topic, 'x');
  expect([heard(listener), heard(owner)]).toEqual([[], [`${topic}: x`]]);
});

const pairs = [false, true].flatMap((publishes) =>
  [false, true].map((subscribes) => ({ publishes, subscribes })),
);

test.each(pairs)(
  'device to device, granted to the sender: $publishes, to the receiver: $subscribes',
  ({ publishes, subscribes }) => {
    for (const version of VERSIONS) {
      for (const command of [false, true]) {
        const harness = new Harness();
        if (command) handlerOf(harness, '2_chat');
        const sender = join(harness, { version, ...(publishes && { publish: ['2_chat'] }) });
        const receiver = join(harness, {
          ...other,
          version,
          ...(subscribes && { subscribe: ['2_chat'] }),
        });
        receiver.subscribe('2_chat');
        sender.publish('2_chat', 'hi', { qos: 1 });
        expect(heard(receiver)).toEqual(publishes && subscribes ? ['2_chat: hi'] : []);
        receiver.lose();
      }
    }
  },
);

test.each(['#', '+', '+/x', '+/#', '$x/#', '$share/g/#', '$share/g/+/x'].map((name) => ({ name })))(
  'an auditor on $name opens no topic to devices',
  ({ name }) => {
    const harness = new Harness();
    const auditor = join(harness, { role: 'handler', client: 'auditor', user: 'audit' });
    expect(auditor.subscribe(name)).toEqual([GRANTED]);
    const device = join(harness);
    for (const topic of ['x', 'a/x', '2_news', '1_news', '/x', '$x/y']) {
      const answer = device.publish(topic, 'x', { qos: 1 });
      expect([topic, answer?.reasonCode]).toEqual([topic, ReasonCode.NotAuthorized]);
    }
    expect(heard(auditor)).toEqual([]);
  },
);

/** How a handler goes, and whether its command goes with it. */
const departures: {
  name: string;
  stored: boolean;
  go(h: Harness, c: TestClient): void;
  gone: boolean;
}[] = [
  { name: 'breaks off', stored: false, go: (_, client) => client.lose(), gone: true },
  { name: 'disconnects', stored: false, go: (_, client) => client.disconnect(), gone: true },
  { name: 'unsubscribes', stored: true, go: (_, c) => void c.unsubscribe('c'), gone: true },
  { name: 'breaks off, and its session waits', stored: true, go: (_, c) => c.lose(), gone: false },
  {
    name: 'breaks off, and its session ends',
    stored: true,
    go(harness, client) {
      client.lose();
      harness.advanceSeconds(1_001);
    },
    gone: true,
  },
  {
    name: 'starts clean',
    stored: true,
    go: (harness) => void join(harness, { user: 'h', role: 'handler', client: 'h' }),
    gone: true,
  },
];

test.each(departures)('a handler $name: its command goes with it: $gone', (row) => {
  const harness = new Harness();
  const who: Who = { user: 'h', role: 'handler', client: 'h' };
  const handler = row.stored ? stay(harness, who) : join(harness, who);
  handler.subscribe('c');
  const device = join(harness);
  expect(device.publish('c', 'x', { qos: 1 })?.reasonCode).toBe(ReasonCode.Success);
  row.go(harness, handler);
  const { reasonCode } = device.publish('c', 'x', { qos: 1 }) ?? {};
  expect(reasonCode).toBe(row.gone ? ReasonCode.NotAuthorized : ReasonCode.Success);
});

test('a command that two declare goes with the second, and a plugin’s with its file', () => {
  const harness = new Harness();
  const one = handlerOf(harness, 'c');
  harness.handles('c');
  const device = join(harness);
  const say = () => device.publish('c', 'x', { qos: 1 })?.reasonCode;
  one.lose();
  expect(say()).toBe(ReasonCode.Success);
  harness.handles();
  expect(say()).toBe(ReasonCode.NotAuthorized);
});

test('the topics are counted', () => {
  const named = (rows: readonly unknown[]) => rows.map((row) => ({ name: JSON.stringify(row) }));
  const count = tally(
    'topics',
    named(forbidden),
    named(topics.map(({ name }) => [name])),
    named(collisions.map(({ by, when, version, away }) => ({ by, when, version, away }))),
    named(strangers),
    named(pairs),
    named(departures),
  );
  expect(count).toBeGreaterThan(120);
});
