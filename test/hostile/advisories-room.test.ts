/**
 * One regression test for each class of security advisory about brokers that is about room and time, by
 * the rows of the table of advisories (see `advisories.test.ts`):
 *
 *   15 deep topics · 16 leaks by QoS 2 and bad Wills · 17 takeover storms · 18 retained messages that
 *   crash, settings of 0 · 19 slow clients that hold slots
 *
 * The harness throws where the broker reports a fault of its own, so each of these fails on one.
 */
import { describe, expect, test } from 'bun:test';
import { defaultLimits, type Limits } from '../../core/broker/limits.ts';
import { encode } from '../../core/mqtt/codec.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, subscribePacket, will } from '../client.ts';
import { expectEnded, VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import { liveObjects } from '../live-objects.ts';
import { seed } from '../seed.ts';
import { expectAlive, tally } from './company.ts';

const deep = '/'.repeat(65_535);
const deepest = [deep, '+/'.repeat(32_767), `${'+/'.repeat(32_766)}#`, `${'/'.repeat(65_534)}#`];
const deepLimits: Partial<Limits> = { maximumTopicBytes: 65_535, maximumTopicLevels: 100_000 };

describe.each(VERSIONS)('row 15, CVE-2019-11779, in version %i', (version) => {
  test('a topic of 65,535 slashes is refused, as topic, filter, group and Will', () => {
    for (const filter of deepest) {
      const harness = new Harness();
      const client = harness.connected('c', {}, { version });
      client.send(subscribePacket([filter]));
      client.send({ type: 'unsubscribe', packetIdentifier: 2, topicFilters: [filter] });
      expect(harness.broker.counters.subscriptions).toBe(0);
    }
    const harness = new Harness();
    const ears = harness.connected('ears');
    ears.subscribe('#');
    const client = harness.connected('c', {}, { version });
    client.send(publishPacket(deep, 'x', { qos: 1, retain: true }));
    if (!client.closed) client.lose();
    const dying = harness.client('w', { version });
    dying.send(dying.connectPacket({ will: will(deep, 'x', { retain: true }) }));
    if (!dying.closed) dying.lose();
    expect(ears.pending).toBe(0);
    expect(harness.broker.counters.retainedMessages).toBe(0);
    expectAlive(harness);
  });

  test('where an operator lets it in, it is a topic as any other', () => {
    const harness = new Harness({ limits: deepLimits });
    const client = harness.connected('c', {}, { version });
    for (const filter of deepest) client.subscribe(filter);
    client.publish(deep, 'x', { qos: 1, retain: true });
    expect(client.texts()).toEqual(['x']);
    client.subscribe({ topicFilter: `${'/'.repeat(65_534)}#`, retainHandling: 0 });
    expect(client.texts()).toEqual(['x']);
    client.publish(deep, '', { retain: true });
    for (const filter of deepest) client.unsubscribe(filter);
    expect(harness.broker.counters).toMatchObject({ subscriptions: 0, retainedMessages: 0 });
  });
});

describe('row 16, CVE-2023-28366, CVE-2023-3592', () => {
  test('100,000 QoS 2 exchanges leave nothing behind, at either end', () => {
    const harness = new Harness();
    const ears = harness.connected('ears');
    ears.subscribe('a');
    const client = harness.connected('c', {}, { version: 4 });
    const exchange = (rounds: number) => {
      for (let n = 0; n < rounds; n++) {
        client.publish('a', 'x', { qos: 2 });
        ears.receive();
        harness.forwarded.length = 0; // which the harness keeps
      }
    };
    exchange(2_000);
    const before = liveObjects();
    exchange(98_000);
    const after = liveObjects();
    expect(after - before).toBeLessThan(1_000);
    const { inflightMessages, queuedMessages } = harness.broker.counters;
    expect([inflightMessages, queuedMessages]).toEqual([0, 0]);
  }, 60_000);

  test('the same identifier again and again, never released, is one exchange', () => {
    const harness = new Harness();
    const ears = harness.connected('ears');
    ears.subscribe('a');
    const client = harness.connected('c');
    const packet = encode(publishPacket('a', 'x', { qos: 2, packetIdentifier: 7 }), 5);
    for (let n = 0; n < 10_000; n++) {
      client.raw(packet);
      client.next('pubrec');
    }
    expect(ears.texts()).toEqual(['x']);
    expect(harness.broker.counters.inflightMessages).toBe(1);
  });

  test('identifiers that are never released end at the Receive Maximum', () => {
    const harness = new Harness({ limits: { receiveMaximum: 10 } });
    const client = harness.connected('c');
    for (let packetIdentifier = 1; packetIdentifier <= 11; packetIdentifier++) {
      client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier }));
    }
    const told = client.packets();
    expect(told.length).toBe(11);
    expect(told.at(-1)).toMatchObject({ type: 'disconnect', reasonCode: 0x93 });
  });

  test('PUBREL, PUBREC and PUBCOMP that nobody waits for leave nothing behind', () => {
    const harness = new Harness();
    const client = harness.connected('c');
    for (let packetIdentifier = 1; packetIdentifier < 65_536; packetIdentifier += 7) {
      for (const type of ['pubrel', 'pubrec', 'pubcomp', 'puback'] as const) {
        client.acknowledge(type, packetIdentifier);
      }
      client.packets();
      expect(client.closed).toBe(false);
    }
    expect(harness.broker.counters.inflightMessages).toBe(0);
  });

  test('Wills with bad properties leave nothing behind', () => {
    const harness = new Harness();
    const connect = (properties: Uint8Array) =>
      frame(
        0x10,
        string('MQTT'),
        5,
        0xc6,
        '0000 00',
        string('c'),
        properties,
        string('w'),
        string('x'),
        string('JWT'),
        string('t'),
      );
    const bad = [
      bytes('02 01 02'), // Payload Format Indicator 2
      bytes('04 01 00 01 00'), // twice
      bytes('03 23 00 01'), // a Topic Alias, which a Will has not
      bytes('7f 01 00'), // longer than the packet
      bytes('04 08 00 01 23'), // a Response Topic with a wildcard
      bytes('05 02 00 00 00'), // cut off
    ];
    const attempt = (rounds: number) => {
      for (let n = 0; n < rounds; n++) {
        const client = harness.client('c');
        client.raw(connect(bad[n % bad.length] as Uint8Array));
        expect(client.closed).toBe(true);
      }
    };
    attempt(600);
    expect(harness.broker.counters).toMatchObject({ connections: 0, sessions: 0 });
    expect(harness.broker.nextDeadline()).toBeUndefined();
  });
});

describe.each(VERSIONS)('row 17, CVE-2025-59946, in version %i', (version) => {
  test('takeovers among subscribing and unsubscribing leave what the last of them did', () => {
    const harness = new Harness();
    const random = generator(seed);
    const sender = harness.connected('sender');
    const stored = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
    const filters = ['a', 'a/#', '+', '$share/g/a', '$share/g/+'];
    let held = new Set<string>();
    let client = harness.connected('x', stored, { version });
    for (let round = 0; round < 3_000; round++) {
      const filter = filters[random(filters.length)] as string;
      const dice = random(6);
      if (dice === 0) {
        client.subscribe(filter);
        held.add(filter);
      } else if (dice === 1) {
        client.unsubscribe(filter);
        held.delete(filter);
      } else if (dice === 2) {
        sender.publish('a', `${round}`, { qos: 1 });
      } else if (dice === 3) {
        const cleanStart = random(4) === 0;
        if (cleanStart) held = new Set();
        const next = harness.client('x', { version });
        const fields = { ...stored, cleanStart, ...(cleanStart && { sessionExpiryInterval: 0 }) };
        // A packet of the old connection comes in the middle of the takeover.
        harness.holdVerdicts = true;
        next.send(next.connectPacket(fields));
        client.send(subscribePacket([filter], { packetIdentifier: 9 }));
        if (!cleanStart) held.add(filter);
        harness.verdicts();
        next.next('connack');
        expect(client.closed).toBe(true);
        client = next;
        if (cleanStart) {
          // The session would end with this connection; the next one starts anew.
          client = harness.connected('x', stored, { version });
        }
      } else if (dice === 4) {
        client.lose();
        client = harness.connected('x', stored, { version });
      } else {
        for (const packet of client.packets()) {
          if (packet.type === 'publish') client.complete(packet);
        }
      }
      const { subscriptions, sharedSubscriptions, sessions } = harness.broker.counters;
      const shared = [...held].filter((each) => each.startsWith('$share')).length;
      expect([seed, round, sessions, subscriptions, sharedSubscriptions]).toEqual([
        seed,
        round,
        2,
        held.size,
        shared,
      ]);
    }
    client.disconnect(version === 5 ? { sessionExpiryInterval: 0 } : {});
    harness.advanceSeconds(8 * 24 * 3_600);
    expect(harness.broker.counters).toMatchObject({
      sessions: 1,
      subscriptions: 0,
      sharedSubscriptions: 0,
      inflightMessages: 0,
      queuedMessages: 0,
    });
  });
});

/** Numbers from 0 to below `limit`, always the same for a seed (mulberry32). */
function generator(from: number): (limit: number) => number {
  let state = from >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

describe('row 18, CVE-2024-42645, CVE-2026-42209', () => {
  test('retained messages, kept, replaced, cleared and expired at random, are what a plain map has', () => {
    const harness = new Harness({ limits: { retainedMessages: 8, retainedBytes: 200 } });
    const random = generator(seed);
    const client = harness.connected('c');
    const model = new Map<string, string>();
    const size = () =>
      [...model].reduce((sum, [topic, text]) => sum + topic.length + text.length, 0);
    const topics = ['a', 'a/', '/a', 'a/b', '//', '/', 'a/b/c', ' ', 'a b', 'é', '%'];
    for (let round = 0; round < 2_000; round++) {
      const topic = topics[random(topics.length)] as string;
      const text = 'x'.repeat(random(5) === 0 ? 0 : random(60));
      const answer = client.publish(topic, text, { retain: true, qos: 1 });
      const before = model.get(topic);
      if (text === '') model.delete(topic);
      else {
        model.set(topic, text);
        if (model.size > 8 || size() > 200) {
          if (before === undefined) model.delete(topic);
          else model.set(topic, before);
        }
      }
      const kept = text === '' || model.get(topic) === text;
      if (!kept) expect(answer?.reasonCode).toBe(ReasonCode.QuotaExceeded);
      const { retainedMessages, retainedBytes } = harness.broker.counters;
      expect([seed, round, retainedMessages, retainedBytes]).toEqual([
        seed,
        round,
        model.size,
        size(),
      ]);
    }
    client.subscribe(['#', '$x', '$x/y']);
    const seen = client.messages().map(({ topic, payload }) => [topic, payload.length]);
    expect(new Map(seen as [string, number][])).toEqual(
      new Map([...model].map(([topic, text]) => [topic, text.length])),
    );
  });

  const least1 = new Set(['receiveMaximum', 'maximumPacketSize']);
  const numbers = Object.entries(defaultLimits).filter(([, value]) => typeof value === 'number');
  const settings = numbers.flatMap(([name]) =>
    // CONNACK cannot say 0 of these, and the settings begin above it.
    (least1.has(name) ? [1] : [0, 1]).map((value) => ({ name, value })),
  );

  test.each(settings)('$name at $value is no fault', ({ name, value }) => {
    for (const version of VERSIONS) {
      for (const durable of [false, true]) {
        const harness = new Harness({ durable, limits: { [name]: value } });
        const stored = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
        for (let round = 0; round < 3; round++) {
          const client = harness.client('c', { version });
          client.send(client.connectPacket({ ...stored, will: will('w', 'x', { retain: true }) }));
          client.send(subscribePacket(['#', 'a/b', '$share/g/+']));
          for (const qos of [0, 1, 2] as const) {
            const fields = { qos, retain: true, packetIdentifier: qos === 0 ? 0 : qos };
            client.send(publishPacket('a', 'x', fields));
            client.send(publishPacket('a/b', 'y', { ...fields, packetIdentifier: qos && qos + 4 }));
          }
          client.acknowledge('pubrel', 2);
          for (const packet of client.packets()) {
            if (packet.type === 'publish' && packet.qos > 0) {
              client.acknowledge(packet.qos === 1 ? 'puback' : 'pubrec', packet.packetIdentifier);
            }
          }
          client.send({ type: 'pingreq' });
          harness.advanceSeconds(30);
          client.lose();
          harness.advanceSeconds(1);
        }
        const { counters } = harness.broker;
        for (const [counter, count] of Object.entries(counters)) {
          if (typeof count === 'number') expect([counter, count >= 0]).toEqual([counter, true]);
        }
        expect([counters.connections, counters.clientsConnected]).toEqual([0, 0]);
      }
    }
  });

  test('there is a row for each limit', () => {
    expect(settings.length).toBeGreaterThan(40);
  });
});

describe('row 19, CVE-2020-13849: a slot is held no longer than', () => {
  test.each(VERSIONS)('the time for CONNECT, in version %i', (version) => {
    const harness = new Harness({ limits: { maximumConnections: 1 } });
    const idle = harness.client('idle', { version });
    harness.advance(defaultLimits.connectTimeoutMs);
    expect([idle.closed, harness.broker.counters.connections]).toEqual([true, 0]);
    expectAlive(harness);
  });

  test('the time for CONNECT, while a token is checked for ever, or never sent', () => {
    const harness = new Harness();
    harness.holdVerdicts = true;
    const one = harness.client('one');
    one.send(one.connectPacket());
    const two = harness.client('two');
    two.send(two.connectPacket({ authenticationMethod: 'JWT' }));
    harness.advance(defaultLimits.connectTimeoutMs);
    expect([one.closed, two.closed]).toEqual([true, true]);
    harness.verdicts();
    expect(harness.broker.counters).toMatchObject({ connections: 0, sessions: 0 });
  });

  test.each([0, 65_535])('the longest Keep Alive, where %i s was asked for', (keepAliveSeconds) => {
    const harness = new Harness({ limits: { maximumKeepAliveSeconds: 60 } });
    const client = harness.client('c');
    expect(client.connect({ keepAliveSeconds }).serverKeepAliveSeconds).toBe(60);
    harness.advance(90_000);
    expectEnded(client, ReasonCode.KeepAliveTimeout);
  });

  test('the Keep Alive, though bytes drip of a packet that never ends', () => {
    const harness = new Harness();
    const client = harness.connected('c', { keepAliveSeconds: 10 });
    client.raw(bytes(0x30, 'ff 7f'));
    for (let second = 0; second < 15; second++) {
      expect(client.closed).toBe(false);
      client.raw('00');
      harness.advanceSeconds(1);
    }
    expectEnded(client, ReasonCode.KeepAliveTimeout);
  });

  test('the time for a reader that takes nothing', () => {
    const harness = new Harness({ limits: { outboundBytes: 10_000 } });
    const slow = harness.connected('slow');
    slow.subscribe('a');
    slow.stuck = true;
    const sender = harness.connected('sender');
    for (let n = 0; n < 100; n++) sender.publish('a', 'x'.repeat(1_000), { qos: 1 });
    expect(slow.waitingBytes).toBeLessThan(40_000);
    harness.advance(defaultLimits.slowReaderTimeoutMs + 1);
    expect([slow.closed, sender.closed]).toEqual([true, false]);
  });
});

test('the rows on room are counted', () => {
  const rows = [15, 16, 17, 18, 19].map((row) => ({ name: `row ${row}` }));
  tally('advisories on room', rows);
});
