/**
 * Hostile cases: whoever would like a plugin to take what it says for the broker's own word (`$hook/…`).
 * Nothing that a client sends may become a hook's command, be delivered as one, or be kept as one.
 */
import { describe, expect, test } from 'bun:test';
import type { Role } from '../../core/auth/rights.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { publishPacket, will } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import { arrive, join, stay, type Who } from './company.ts';

const hooks = ['connect', 'disconnect', 'undelivered'];
const topics = [
  ...['$hook/connect', '$hook/disconnect', '$hook/undelivered/1_news', '$hook/schedule/reports'],
  ...['$hook', '$hook/', '$hook/x'],
];
const cases = topics.map((topic) => ({ topic }));

const forgers: readonly Who[] = [
  { role: 'device' },
  { role: 'device', publish: ['#', '$hook/#', '+/+', '$hook/+'], subscribe: ['#'] },
  { role: 'handler' },
  { role: 'handler', publish: ['#', '$hook/#'], subscribe: ['#'] },
  { role: 'admin' },
  { role: 'admin', publish: ['#', '$hook/#'], subscribe: ['#', '$hook/#'] },
];

/** Plugins that want all hooks and take `c`, and an admin who hears what is said. */
function company() {
  const harness = new Harness({ durable: true });
  harness.handles('c');
  harness.wants(...hooks);
  const ears = join(harness, { user: 'boss', role: 'admin', client: 'ears' });
  ears.subscribe(['#', '$hook/#']);
  return { harness, ears };
}

/** Who the hooks' commands that came are about. */
function heard(harness: Harness): string[] {
  return harness.handled.map(({ topic, publisher }) => `${topic} ${publisher.clientIdentifier}`);
}

describe.each(VERSIONS)('in version %i', (version) => {
  test.each(cases)('nobody publishes to $topic', ({ topic }) => {
    for (const who of forgers) {
      const { harness, ears } = company();
      const client = join(harness, { ...who, version });
      harness.handled.length = 0;
      const kept = harness.kept.length;
      for (const qos of [0, 1, 2] as const) {
        client.send(publishPacket(topic, 'forged', { qos, packetIdentifier: qos }));
      }
      expect(heard(harness)).toEqual([]);
      expect(ears.texts()).toEqual([]);
      expect(harness.kept.slice(kept).map(({ kind }) => kind)).not.toContain('command');
      expect(harness.eventsOf('denied').length).toBeGreaterThan(0);
    }
  });

  test.each(cases)('nor is it kept as retained: $topic', ({ topic }) => {
    for (const who of forgers) {
      const { harness } = company();
      const client = join(harness, { ...who, version });
      client.send(publishPacket(topic, 'forged', { retain: true }));
      const late = join(harness, { user: 'boss', role: 'admin', client: 'late' });
      late.subscribe(topic.endsWith('/') ? '$hook/#' : topic);
      expect(late.texts()).toEqual([]);
      expect(harness.broker.counters.retainedMessages).toBe(0);
    }
  });

  test.each(cases)('nor is it anybody’s Will: $topic', ({ topic }) => {
    for (const who of forgers) {
      const { harness, ears } = company();
      const client = arrive(harness, { ...who, version });
      const { reasonCode } = client.connect({ will: will(topic, 'forged') });
      expect(reasonCode).toBe(ReasonCode.NotAuthorized);
      client.lose();
      expect(heard(harness)).toEqual([]);
      expect(ears.texts()).toEqual([]);
    }
  });
});

test('nor does a Topic Alias lead there', () => {
  for (const who of forgers) {
    const { harness, ears } = company();
    const client = join(harness, who);
    harness.handled.length = 0;
    client.send(publishPacket('$hook/connect', 'forged', { topicAlias: 1 }));
    client.send(publishPacket('', 'forged', { topicAlias: 1 }));
    client.send(publishPacket('', 'forged', { topicAlias: 1, qos: 1, packetIdentifier: 3 }));
    expect(heard(harness)).toEqual([]);
    expect(ears.texts()).toEqual([]);
  }
});

test('nor does a plugin, nor does one name it as its command', () => {
  const { harness } = company();
  const publisher = { user: '', clientIdentifier: 'plugin', device: false };
  const message: Omit<Message, 'topic'> = {
    payload: new Uint8Array(1),
    qos: 1,
    retain: false,
    properties: undefined,
    reach: 2,
    publisher,
    expiresAtMs: Number.POSITIVE_INFINITY,
  };
  for (const topic of topics as TopicName[]) {
    expect(harness.broker.sent({ ...message, topic }, harness.now)).toBeString();
  }
  harness.handles('$hook/connect', '$hook/#');
  join(harness, { role: 'admin' }).publish('$hook/connect', 'forged');
  expect(heard(harness).filter((told) => !told.startsWith('$hook/undelivered'))).toEqual([]);
});

test('hooks are delivered to no subscription, whatever it covers', () => {
  const { harness, ears } = company();
  const handler = join(harness, { role: 'handler', client: 'h' });
  handler.subscribe(['#', '$hook/#', '$share/g/$hook/#']);
  const device = join(harness, { client: 'd', subscribe: ['#', '$hook/#'], publish: [] });
  device.subscribe(['#', '$hook/#']);
  stay(harness, { user: '2' }).lose();
  handler.publish('9_news', 'x');
  expect(heard(harness).length).toBeGreaterThan(3);
  for (const client of [ears, handler, device]) {
    expect(client.messages().filter(({ topic }) => topic.startsWith('$'))).toEqual([]);
  }
});

test.each(['device', 'handler', 'admin'] as Role[])(
  'a %s cannot make presence of another user or client',
  (role) => {
    const { harness } = company();
    join(harness, { user: 'mallory', role, client: 'phone' }).disconnect();
    for (const { publisher } of harness.handled) {
      expect([publisher.user, publisher.clientIdentifier]).toEqual(['mallory', 'phone']);
    }
    expect(harness.handled.length).toBe(role === 'device' ? 2 : 0);
  },
);

test('names that hold JSON, wildcards or control characters stay data', () => {
  const { harness } = company();
  const client = '","event":"disconnect","x":"\u0001/+#';
  join(harness, { user: '$hook/connect","takeover":true', client });
  const [connect] = harness.handled;
  expect(JSON.parse(new TextDecoder().decode(connect?.payload))).toMatchObject({
    event: 'connect',
    takeover: false,
  });
  expect(connect?.publisher).toEqual({
    user: '$hook/connect","takeover":true',
    clientIdentifier: client,
    device: true,
  });
});
