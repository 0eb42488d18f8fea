/** Hostile cases: what a device may not have said in its name once it is gone (design section 4). */
import { describe, expect, test } from 'bun:test';
import { encode } from '../../core/mqtt/codec.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { will } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import {
  arrive,
  type Case,
  denied,
  handlerOf,
  heard,
  join,
  renew,
  staff,
  stay,
  tally,
} from './company.ts';

/** Will topics that a device may not have: user 1, while `c` is a command. */
const willTopics = ['2_news', '1_news', 'x', '$SYS/x', '$SYS', '$token', '$share/g/c', 'c/', '/c'];

const wills: Case[] = [
  ...willTopics.map((topic) => ({
    name: `a Will to ${topic} is refused at CONNECT`,
    run(version: 3 | 4 | 5) {
      const harness = new Harness();
      const ears = handlerOf(harness, 'c', '#');
      const victim = join(harness, { user: '2', client: 'v' });
      victim.subscribe('2_news');
      const device = arrive(harness, { version });
      const { reasonCode } = device.connect({ will: will(topic, 'x', { qos: 1 }) });
      expect(reasonCode).toBe(ReasonCode.NotAuthorized);
      expect([device.closed, denied(harness)]).toEqual([true, [`will ${topic}`]]);
      harness.advanceSeconds(100);
      expect([heard(ears), heard(victim)]).toEqual([[], []]);
      expect(harness.broker.counters.sessions).toBe(2);
    },
  })),
  ...['c/+', '#', ''].map((topic) => ({
    name: `a Will to ${JSON.stringify(topic)}, which is no Topic Name, ends the connection`,
    run(version: 3 | 4 | 5) {
      const harness = new Harness();
      const admin = arrive(harness, { ...staff, version });
      admin.send(admin.connectPacket({ will: will(topic, 'x') }));
      expect([admin.closed, harness.broker.counters.sessions]).toEqual([true, 0]);
    },
  })),
  {
    name: 'a refused Will ends no session that waits',
    run(version) {
      const harness = new Harness();
      const client = stay(harness, { version });
      client.subscribe('1_news');
      client.lose();
      const device = arrive(harness, { version });
      device.connect({ cleanStart: true, will: will('2_news', 'x') });
      expect(harness.broker.counters).toMatchObject({ sessions: 1, subscriptions: 1 });
    },
  },
  {
    name: 'a refused Will takes nothing over',
    run(version) {
      const harness = new Harness();
      const client = join(harness, { version });
      arrive(harness, { version }).connect({ will: will('2_news', 'x') });
      expect([client.closed, harness.broker.counters.takeovers]).toEqual([false, 0]);
    },
  },
  {
    name: 'a Will to a command is not sent once its handler is gone',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const admin = join(harness, staff);
      admin.subscribe('c');
      const device = join(harness, { version }, { will: will('c', 'x', { qos: 1 }) });
      handler.lose();
      device.lose();
      expect([heard(admin), denied(harness)]).toEqual([[], ['will c']]);
    },
  },
  {
    name: 'a delayed Will meets the commands of the time when it is sent',
    run() {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const admin = join(harness, staff);
      admin.subscribe('c');
      stay(harness, {}, { will: will('c', 'x', { delaySeconds: 10 }) }).lose();
      handler.lose();
      harness.advanceSeconds(11);
      expect([heard(admin), denied(harness)]).toEqual([[], ['will c']]);
    },
  },
  {
    name: 'a Will is sent by the rights of the last token, not of the first',
    run(version) {
      const harness = new Harness();
      const admin = join(harness, staff);
      admin.subscribe('a');
      const device = join(harness, { version, publish: ['a'] }, { will: will('a', 'x') });
      renew(harness, device, { publish: ['b'] });
      device.lose();
      expect([heard(admin), denied(harness)]).toEqual([[], ['will a']]);
    },
  },
  {
    name: 'a Will that was retained by right is not retained by a token without it',
    run(version) {
      const harness = new Harness();
      handlerOf(harness, 'c');
      const fields = { will: will('c', 'x', { retain: true }) };
      const device = join(harness, { version, publish: ['c'] }, fields);
      renew(harness, device, {});
      device.lose();
      expect(harness.broker.counters.retainedMessages).toBe(0);
    },
  },
  {
    name: 'a Will reaches no further than its sender: not another device’s own topics',
    run(version) {
      const harness = new Harness();
      const victim = join(harness, { user: '2', client: 'v' });
      victim.subscribe('2_news');
      join(harness, { version, publish: ['2_news'] }, { will: will('2_news', 'x') }).lose();
      expect(heard(victim)).toEqual([]);
    },
  },
  {
    name: 'a device’s Will asks for no RETAIN: 5.0 is refused, 3.x is not kept',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const device = arrive(harness, { version });
      const { reasonCode } = device.connect({ will: will('c', 'x', { retain: true }) });
      if (version === 5) expect(reasonCode).toBe(ReasonCode.RetainNotSupported);
      else device.lose();
      expect(heard(handler)).toEqual(version === 5 ? [] : ['c: x']);
      expect(harness.broker.counters.retainedMessages).toBe(0);
    },
  },
  {
    name: 'the Will of a token that expired meets the same rights, and nothing more',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const expiresAtMs = harness.now + 1_000;
      const fields = { will: will('c', 'x') };
      join(harness, { version, expiresAtMs }, fields);
      harness.advanceSeconds(2);
      expect(heard(handler)).toEqual(['c: x']); // as the standard has it: the broker closed the connection
      handler.unsubscribe('c');
      join(harness, { version, role: 'admin', client: 'w' }).subscribe('c');
      harness.handles('c');
      join(harness, { version, expiresAtMs: harness.now + 1_000 }, fields);
      harness.handles();
      harness.advanceSeconds(2);
      expect(denied(harness)).toEqual(['will c']);
    },
  },
  {
    name: 'a bad token fires no Will, nor does a refused CONNECT',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const device = arrive(harness, { version });
      device.connect({ password: Buffer.from('nonsense'), will: will('c', 'x') });
      harness.advanceSeconds(100);
      expect([device.closed, heard(handler)]).toEqual([true, []]);
    },
  },
  {
    name: 'a Will of a connection whose token is never verified is not sent',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      harness.holdVerdicts = true;
      const device = arrive(harness, { version });
      device.raw(encode(device.connectPacket({ will: will('c', 'x') }), version));
      device.lose();
      harness.verdicts();
      expect(heard(handler)).toEqual([]);
    },
  },
];

describe.each(VERSIONS)('in version %i', (version) => {
  test.each(wills)('$name', ({ run }) => run(version));
});

test('the cases of Wills are counted', () => {
  expect(tally('Wills', wills)).toBeGreaterThan(20);
});
