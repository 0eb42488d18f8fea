/**
 * Hostile cases: what travels with a message, and how it gets on its way otherwise than by a plain
 * PUBLISH (design section 4): forged identities, Topic Aliases, retained messages. Wills have a file of
 * their own.
 */
import { describe, expect, test } from 'bun:test';
import type { Publish, UserProperty } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient, will } from '../client.ts';
import { expectEnded, VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import {
  arrive,
  type Case,
  forged,
  handlerOf,
  heard,
  join,
  renew,
  staff,
  stay,
  tally,
  type Who,
} from './company.ts';

const verified = (user: string, client: string): UserProperty[] => [
  ['kept', 'yes'],
  ['bellhop-user', user],
  ['bellhop-client', client],
];
const stamps = ({ properties }: Publish) => properties?.userProperties;

const senders = [
  { name: 'a device', who: { user: '1', client: 'p' } },
  { name: 'a device with a grant', who: { user: '1', client: 'p', publish: ['c'] } },
  { name: 'a handler', who: { user: 'other', role: 'handler', client: 'p' } },
  { name: 'an admin', who: { user: 'root', role: 'admin', client: 'p' } },
] as const;
const carriers = ['PUBLISH', 'a retained message', 'a Will', 'a delayed Will', 'QoS 2'] as const;
const forgeries = senders.flatMap(({ name, who }) =>
  carriers.map((by) => ({ name: `${name} forges its identity by ${by}`, who, by })),
);

/** Says `x` on `c` by `by`, under a forged name. */
function forge(harness: Harness, who: Who, by: (typeof carriers)[number]): void {
  const properties = { userProperties: forged };
  if (by === 'a Will' || by === 'a delayed Will') {
    const delaySeconds = by === 'a Will' ? 0 : 5;
    const fields = { will: will('c', 'x', { properties, delaySeconds }) };
    (by === 'a Will' ? join : stay)(harness, who, fields).lose();
    harness.advanceSeconds(6);
  } else {
    const retain = by === 'a retained message' && who.role !== undefined;
    join(harness, who).publish('c', 'x', { qos: by === 'QoS 2' ? 2 : 1, retain, properties });
  }
}

test.each(forgeries)('$name, in vain', ({ who, by }) => {
  const harness = new Harness();
  const handler = handlerOf(harness, 'c');
  const admin = join(harness, staff);
  admin.subscribe('c');
  forge(harness, who, by);
  const late = join(harness, { user: 'late', role: 'handler', client: 'late' });
  late.subscribe('c');
  const [message] = handler.messages();
  expect(message && stamps(message)).toEqual(verified(who.user, who.client));
  // Others get what the sender may say, and no stamp of ours.
  expect(admin.messages().map(stamps)).toEqual([[['kept', 'yes']]]);
  for (const replayed of late.messages()) {
    expect(stamps(replayed)).toEqual(verified(who.user, who.client));
  }
});

const spellings = [
  'bellhop-user',
  'bellhop-client',
  'bellhop-',
  'bellhop-role',
  'bellhop-user\u200b',
];
test.each(spellings.map((name) => ({ name })))('$name is not for clients to send', ({ name }) => {
  const harness = new Harness();
  const handler = handlerOf(harness, 'c');
  const properties = { userProperties: [[name, 'boss']] as UserProperty[] };
  join(harness, { client: 'p' }).publish('c', 'x', { qos: 1, properties });
  const [message] = handler.messages();
  expect(message && stamps(message)).toEqual(verified('1', 'p').slice(1));
});

test('a plugin is told the verified publisher, and the forged one is not among the properties', () => {
  const harness = new Harness();
  harness.handles('c');
  const properties = { userProperties: forged };
  join(harness, { client: 'p' }).publish('c', 'x', { qos: 1, properties });
  expect(harness.handled).toMatchObject([
    {
      publisher: { user: '1', clientIdentifier: 'p' },
      properties: { userProperties: [['kept', 'yes']] },
    },
  ]);
  expect(harness.forwarded[0]?.properties?.userProperties).toEqual([['kept', 'yes']]);
});

test('a message of one user’s device is stamped even for a handler of the same user', () => {
  const harness = new Harness();
  const handler = join(harness, { user: '1', role: 'handler', client: 'h' });
  handler.subscribe('c');
  join(harness, { user: '1', client: 'p' }).publish('c', 'x', {
    properties: { userProperties: forged },
  });
  expect(handler.messages().map(stamps)).toEqual([verified('1', 'p')]);
});

/** A device that may say `good` and not `bad`, and whoever hears both. */
function withAlias(): { harness: Harness; ears: TestClient; device: TestClient } {
  const harness = new Harness();
  const ears = join(harness, staff);
  ears.subscribe(['good', 'bad']);
  return { harness, ears, device: stay(harness, { publish: ['good'] }) };
}

const aliases: Case[] = [
  {
    name: 'an alias set by a refused PUBLISH stands for a topic that is refused again',
    run() {
      const { ears, device } = withAlias();
      device.publish('bad', 'x', { qos: 1, topicAlias: 1 });
      const answer = device.publish('', 'x', { qos: 1, topicAlias: 1 });
      expect([answer?.reasonCode, heard(ears)]).toEqual([ReasonCode.NotAuthorized, []]);
    },
  },
  {
    name: 'an alias of an allowed topic, set anew to another one, has the rights of the other',
    run() {
      const { ears, device } = withAlias();
      device.publish('good', '1', { qos: 1, topicAlias: 1 });
      device.publish('bad', '2', { qos: 1, topicAlias: 1 });
      const answer = device.publish('', '3', { qos: 1, topicAlias: 1 });
      expect([answer?.reasonCode, heard(ears)]).toEqual([ReasonCode.NotAuthorized, ['good: 1']]);
    },
  },
  {
    name: 'an alias of an allowed topic does not outlive the right, after a renewal',
    run() {
      const { harness, ears, device } = withAlias();
      device.publish('good', '1', { qos: 1, topicAlias: 1 });
      renew(harness, device, { publish: ['other'] });
      const answer = device.publish('', '2', { qos: 1, topicAlias: 1 });
      expect([answer?.reasonCode, heard(ears)]).toEqual([ReasonCode.NotAuthorized, ['good: 1']]);
    },
  },
  {
    name: 'an alias of a command does not outlive the command',
    run() {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const device = join(harness);
      device.publish('c', '1', { qos: 1, topicAlias: 1 });
      handler.unsubscribe('c');
      const answer = device.publish('', '2', { qos: 1, topicAlias: 1 });
      expect(answer?.reasonCode).toBe(ReasonCode.NotAuthorized);
    },
  },
  {
    name: 'an alias of an earlier connection of the same session stands for nothing',
    run() {
      const { harness, ears, device } = withAlias();
      device.publish('good', '1', { topicAlias: 1 });
      device.lose();
      const back = stay(harness, { publish: ['good'] });
      back.send(publishPacket('', '2', { topicAlias: 1 }));
      expectEnded(back, ReasonCode.ProtocolError);
      expect(heard(ears)).toEqual(['good: 1']);
    },
  },
  {
    name: 'an alias of another connection stands for nothing',
    run() {
      const { harness, ears, device } = withAlias();
      join(harness, { ...staff, client: 's2' }).publish('bad', '1', { topicAlias: 2 });
      device.send(publishPacket('', '2', { topicAlias: 2 }));
      expectEnded(device, ReasonCode.ProtocolError);
      expect(heard(ears)).toEqual(['bad: 1']);
    },
  },
  {
    name: 'an alias that we set stands for nothing in the other direction',
    run() {
      const harness = new Harness();
      const device = join(harness, {}, { topicAliasMaximum: 10 });
      device.subscribe('1_news');
      join(harness, staff).publish('1_news', 'x');
      expect(device.next('publish').topicAlias).toBe(1);
      device.send(publishPacket('', 'y', { topicAlias: 1 }));
      expectEnded(device, ReasonCode.ProtocolError);
    },
  },
  {
    name: 'an alias beyond the maximum, and 0',
    run() {
      for (const topicAlias of [101, 65_535]) {
        const { ears, device } = withAlias();
        device.send(publishPacket('good', 'x', { topicAlias }));
        expectEnded(device, ReasonCode.TopicAliasInvalid);
        expect(heard(ears)).toEqual([]);
      }
      const { device, ears } = withAlias();
      device.raw('30 0b 0004', Buffer.from('good'), '03 23 0000', Buffer.from('x'));
      expectEnded(device, ReasonCode.TopicAliasInvalid);
      expect(heard(ears)).toEqual([]);
    },
  },
  {
    name: 'a refused QoS 2 message under an alias is not let in by its PUBREL',
    run() {
      const { ears, device } = withAlias();
      device.publish('bad', 'x', { qos: 2, topicAlias: 3 });
      device.acknowledge('pubrel', 1);
      expect(heard(ears)).toEqual([]);
    },
  },
];

test.each(aliases)('$name', ({ run }) => run(5));

for (const version of [3, 4] as const) {
  test(`an empty Topic Name is none, in version ${version}`, () => {
    const harness = new Harness();
    const client = join(harness, { version, publish: ['#'] });
    client.send(publishPacket('', 'x'));
    expectEnded(client, ReasonCode.ProtocolError);
  });
}

const retained: Case[] = [
  {
    name: 'a device’s RETAIN is not kept: 5.0 is told so, 3.x is not',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const device = arrive(harness, { version });
      const connack = device.connect();
      device.send(publishPacket('c', 'x', { retain: true }));
      if (version === 5) {
        expect(connack.retainAvailable).toBe(false);
        expectEnded(device, ReasonCode.RetainNotSupported);
      }
      expect(heard(handler)).toEqual(version === 5 ? [] : ['c: x']);
      expect(harness.broker.counters.retainedMessages).toBe(0);
    },
  },
  {
    name: 'a device clears nothing that staff retained',
    run(version) {
      const harness = new Harness();
      handlerOf(harness, 'c');
      join(harness, staff).publish('c', 'kept', { retain: true });
      const device = join(harness, { version });
      device.send(publishPacket('c', '', { retain: true }));
      device.lose();
      join(
        harness,
        { version },
        version === 5 ? {} : { will: will('c', '', { retain: true }) },
      ).lose();
      expect(harness.broker.counters.retainedMessages).toBe(1);
    },
  },
  {
    name: 'what a device with a grant retained is not replayed to a user by the right to its own topics',
    run(version) {
      const harness = new Harness();
      join(harness, { user: '9', client: 's', publish: ['1_news'] }).publish('1_news', 'x', {
        retain: true,
        qos: 1,
      });
      expect(harness.broker.counters.retainedMessages).toBe(1);
      const device = join(harness, { version });
      device.subscribe('1_news');
      expect(heard(device)).toEqual([]);
    },
  },
  {
    name: 'another user’s retained message is replayed to nobody else',
    run(version) {
      const harness = new Harness();
      join(harness, staff).publish('1_news', 'x', { retain: true });
      const device = join(harness, { user: '2', version });
      for (const filter of ['1_news', '+', '#', '$share/g/1_news']) device.subscribe(filter);
      const granted = join(harness, { user: '3', client: 'g', version, subscribe: ['2_news'] });
      granted.subscribe(['1_news', '2_news']);
      const got = [...device.packets(), ...granted.packets()];
      expect(got.filter(({ type }) => type === 'publish')).toEqual([]);
    },
  },
  {
    name: 'a retained message is not replayed once the reader’s right is gone',
    run(version) {
      const harness = new Harness();
      join(harness, staff).publish('news', 'x', { retain: true });
      const client = stay(harness, { version, subscribe: ['news'] });
      client.subscribe('news');
      expect(heard(client)).toEqual(['news: x']);
      renew(harness, client, {});
      client.subscribe('news');
      expect(heard(client)).toEqual([]);
      client.lose();
      const back = stay(harness, { version });
      back.subscribe('news');
      expect(heard(back)).toEqual([]);
    },
  },
  {
    name: 'the retained message of a member of a group is replayed to none of it',
    run(version) {
      const harness = new Harness();
      join(harness, staff).publish('news', 'x', { retain: true });
      const client = join(harness, { version, subscribe: ['news'] });
      client.subscribe('$share/g/news');
      expect(heard(client)).toEqual([]);
    },
  },
];

describe.each(VERSIONS)('in version %i', (version) => {
  test.each(retained)('$name', ({ run }) => run(version));
});

test('the cases of messages are counted', () => {
  const named = spellings.map((name) => ({ name }));
  expect(tally('messages', forgeries, named, aliases, retained)).toBeGreaterThan(38);
});
