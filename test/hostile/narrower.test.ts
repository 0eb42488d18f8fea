/**
 * Hostile cases: a session outlives its token, and the next token allows less (design section 4).
 * Whatever was subscribed to, queued, in flight or waiting by the old one passes the new one, however
 * that comes: with a resumed session, by `$token`, by AUTH.
 */
import { describe, expect, test } from 'bun:test';
import type { Connect, ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient, textOf } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness, type HarnessOptions } from '../harness.ts';
import {
  arrive,
  denied,
  handlerOf,
  heard,
  identityOf,
  join,
  renew,
  staff,
  stay,
  tally,
  type Who,
} from './company.ts';

interface Way {
  readonly name: string;
  readonly version: ProtocolVersion;
  readonly durable: boolean;
  /** `who` comes in with a stored session. */
  enter(harness: Harness, who: Who): TestClient;
  /** The same client goes on as `who`. */
  narrow(harness: Harness, client: TestClient, who: Who): TestClient;
}

function enterByAuth(harness: Harness, who: Who): TestClient {
  const client = arrive(harness, who);
  const fields: Partial<Connect> = {
    cleanStart: false,
    sessionExpiryInterval: 1_000,
    authenticationMethod: 'JWT',
    authenticationData: Buffer.from(client.token),
  };
  expect(client.connect(fields).reasonCode).toBe(ReasonCode.Success);
  return client;
}

const ways: Way[] = [];
for (const durable of [false, true]) {
  for (const version of VERSIONS) {
    const enter = (harness: Harness, who: Who) => stay(harness, { ...who, version });
    const suffix = `in version ${version}${durable ? ', with storage' : ''}`;
    ways.push({
      name: `a resumed session, ${suffix}`,
      version,
      durable,
      enter,
      narrow(harness, client, who) {
        if (!client.closed) client.lose();
        return enter(harness, who);
      },
    });
    ways.push({
      name: `$token, ${suffix}`,
      version,
      durable,
      enter,
      narrow(harness, client, who) {
        expect(renew(harness, client, who)).toBe(ReasonCode.Success);
        return client;
      },
    });
  }
  ways.push({
    name: `AUTH, in version 5${durable ? ', with storage' : ''}`,
    version: 5,
    durable,
    enter: enterByAuth,
    narrow(harness, client, who) {
      client.send({
        type: 'auth',
        reasonCode: ReasonCode.ReAuthenticate,
        authenticationMethod: 'JWT',
        authenticationData: Buffer.from(harness.accept(identityOf(who))),
      });
      expect(client.find('auth').reasonCode).toBe(ReasonCode.Success);
      return client;
    },
  });
}

const phone: Who = { user: '7', client: 'other phone' };

/** A subscription of `before` that `after` may not hold, and a message that shows whether it does. */
interface Narrowing {
  readonly name: string;
  readonly before: Who;
  readonly filter: string;
  readonly after: Who;
  readonly topic: string;
  readonly sender: Who;
  /** True: what waits on that topic may be asked for by the new token as well, by another filter. */
  readonly covered?: true;
}

const handler: Who = { role: 'handler' };
const narrowings: Narrowing[] = [
  {
    name: 'an acl on something else',
    before: { subscribe: ['news/#'] },
    filter: 'news/#',
    after: { subscribe: ['sport/#'] },
    topic: 'news/a',
    sender: staff,
  },
  {
    name: 'an acl on a part of the filter',
    before: { subscribe: ['a/#'] },
    filter: 'a/#',
    after: { subscribe: ['a/b', 'a/c/#'] },
    topic: 'a/b',
    sender: staff,
    covered: true,
  },
  {
    name: 'an acl that spells the topic of a wildcard filter',
    before: { subscribe: ['+/x'] },
    filter: '+/x',
    after: { subscribe: ['a/x', 'b/+'] },
    topic: 'a/x',
    sender: staff,
    covered: true,
  },
  {
    name: 'an empty acl',
    before: {},
    filter: '1_news',
    after: { subscribe: [] },
    topic: '1_news',
    sender: staff,
  },
  {
    name: 'no acl any more',
    before: { subscribe: ['news/#'] },
    filter: 'news/#',
    after: {},
    topic: 'news/a',
    sender: staff,
  },
  {
    name: 'another client’s part of an acl',
    before: { subscribe: ['c/#'] },
    filter: 'c/other',
    after: { subscribe: [`c/\${client}`] },
    topic: 'c/other',
    sender: staff,
  },
  {
    name: 'a handler that is a device now, on commands',
    before: handler,
    filter: 'c',
    after: {},
    topic: 'c',
    sender: staff,
  },
  {
    name: 'a handler that is a device now, on everything',
    before: handler,
    filter: '#',
    after: {},
    topic: '2_news',
    sender: staff,
  },
  {
    name: 'a handler whose acl is shorter than its role was',
    before: handler,
    filter: '#',
    after: { role: 'handler', subscribe: ['a/#'] },
    topic: '2_news',
    sender: staff,
  },
  {
    name: 'an admin that is a device now',
    before: { role: 'admin' },
    filter: '#',
    after: {},
    topic: '1_news',
    sender: staff,
    covered: true,
  },
  {
    name: 'a member of a group that may not share any more',
    before: { subscribe: ['c'], share: true },
    filter: '$share/g/c',
    after: { subscribe: ['c'], share: false },
    topic: 'c',
    sender: staff,
    covered: true,
  },
  {
    name: 'a member of the handlers’ group that is a device now',
    before: handler,
    filter: '$share/g/c',
    after: {},
    topic: 'c',
    sender: staff,
  },
  {
    name: 'a device that is a handler for something else now',
    before: {},
    filter: '1_news',
    after: { role: 'handler', subscribe: ['z'] },
    topic: '1_news',
    sender: staff,
  },
];

const uncovered = narrowings.filter(({ covered }) => covered === undefined);
const inner = (filter: string) => filter.replace('$share/g/', '');

describe.each(ways)('$name', ({ durable, enter, narrow }) => {
  const open = (options: HarnessOptions = {}) => new Harness({ durable, ...options });

  test.each(narrowings)('ends a subscription: $name', (row) => {
    const harness = open();
    const sender = join(harness, row.sender);
    const client = enter(harness, row.before);
    client.subscribe(row.filter);
    sender.publish(row.topic, 'before');
    expect(heard(client)).toEqual([`${row.topic}: before`]);
    const after = narrow(harness, client, row.after);
    expect(denied(harness)).toContain(`stored-subscription ${inner(row.filter)}`);
    expect(harness.broker.counters).toMatchObject({ subscriptions: 0, sharedSubscriptions: 0 });
    sender.publish(row.topic, 'after', { qos: 1 });
    expect(heard(after)).toEqual([]);
    // And it does not come back with the old token, which its end on disk shows as well.
    const again = narrow(harness, after, row.before);
    sender.publish(row.topic, 'again', { qos: 1 });
    expect(heard(again)).toEqual([]);
  });

  test.each(uncovered)('withholds what waits: $name', (row) => {
    for (const qos of [1, 2] as const) {
      const harness = open({ limits: { maximumInflight: 1 } });
      const sender = join(harness, row.sender);
      const client = enter(harness, row.before);
      client.subscribe(row.filter);
      for (const text of ['sent', 'waits', 'waits too']) sender.publish(row.topic, text, { qos });
      // The first is with the client already; it says nothing yet.
      const first = client.next('publish');
      expect([textOf(first), client.pending]).toEqual(['sent', 0]);
      const after = narrow(harness, client, row.after);
      expect(heard(after)).toEqual([]);
      if (after === client) {
        client.acknowledge(qos === 1 ? 'puback' : 'pubrec', first.packetIdentifier);
        if (qos === 2) client.acknowledge('pubcomp', first.packetIdentifier);
        expect(client.packets().map(({ type }) => type)).toEqual(qos === 2 ? ['pubrel'] : []);
      }
      const waited = denied(harness).filter((text) => text === `stored-message ${row.topic}`);
      expect(waited.length).toBe(after === client ? 2 : 3);
      const { inflightMessages, queuedMessages, dropped } = harness.broker.counters;
      expect([inflightMessages, queuedMessages]).toEqual([0, 0]);
      expect(dropped['not-authorized']).toBe(waited.length);
    }
  });

  test('withholds only what the new token does not cover, and keeps the order of the rest', () => {
    const harness = open({ limits: { maximumInflight: 1 } });
    const sender = join(harness, staff);
    const client = enter(harness, { subscribe: ['a', 'b'] });
    client.subscribe(['a', 'b']);
    for (const text of ['1', '2', '3', '4', '5', '6']) {
      sender.publish(Number(text) % 2 === 0 ? 'b' : 'a', text, { qos: 1 });
    }
    const after = narrow(harness, client, { subscribe: ['b'] });
    const got: string[] = [];
    while (after.pending > 0) got.push(textOf(after.receive()));
    // The first was sent before a renewal; a resumed session gets it no more.
    expect(got).toEqual(after === client ? ['1', '2', '4', '6'] : ['2', '4', '6']);
  });

  test('leaves of a QoS 2 message past PUBREC the handshake, and no more', () => {
    const harness = open();
    const client = enter(harness, { subscribe: ['a'] });
    client.subscribe('a');
    join(harness, staff).publish('a', 'x', { qos: 2 });
    const { packetIdentifier } = client.next('publish');
    client.acknowledge('pubrec', packetIdentifier);
    client.next('pubrel');
    const after = narrow(harness, client, {});
    const expected = after === client ? [] : [{ type: 'pubrel', packetIdentifier }];
    expect(after.packets()).toMatchObject(expected);
    after.acknowledge('pubcomp', packetIdentifier);
    expect(harness.broker.counters.inflightMessages).toBe(0);
  });

  test('a device with a grant on a command that its handler’s token covered hears no other device', () => {
    const harness = open();
    handlerOf(harness, 'c');
    const client = enter(harness, { role: 'handler' });
    client.subscribe('c');
    const after = narrow(harness, client, { subscribe: ['c'] });
    join(harness, phone).publish('c', 'command', { qos: 1 });
    expect(heard(after)).toEqual([]);
    join(harness, staff).publish('c', 'word of staff', { qos: 1 });
    expect(heard(after)).toEqual(['c: word of staff']);
  });

  test('a command is declared no more once its handler is a device', () => {
    const harness = open();
    const client = enter(harness, { role: 'handler' });
    client.subscribe('c');
    const device = join(harness, phone);
    expect(device.publish('c', 'x', { qos: 1 })?.reasonCode).toBe(ReasonCode.Success);
    narrow(harness, client, { subscribe: ['c'] });
    expect(device.publish('c', 'x', { qos: 1 })?.reasonCode).toBe(ReasonCode.NotAuthorized);
  });

  test('a right to publish ends with the token that gave it, in the midst of QoS 2', () => {
    const harness = open();
    const listener = join(harness, staff);
    listener.subscribe('a');
    const client = enter(harness, { publish: ['a'] });
    client.send(publishPacket('a', 'once', { qos: 2, packetIdentifier: 4 }));
    client.next('pubrec');
    const after = narrow(harness, client, { publish: ['b'] });
    // The same again is a duplicate, and goes nowhere.
    after.send(publishPacket('a', 'once', { qos: 2, packetIdentifier: 4, dup: true }));
    after.next('pubrec');
    after.acknowledge('pubrel', 4);
    after.next('pubcomp');
    // The next is a message of its own.
    after.send(publishPacket('a', 'twice', { qos: 2, packetIdentifier: 4 }));
    const { reasonCode } = after.next('pubrec');
    expect(reasonCode).toBe(after.version === 5 ? ReasonCode.NotAuthorized : ReasonCode.Success);
    expect(heard(listener)).toEqual(['a: once']);
    expect(denied(harness)).toEqual(['publish a']);
  });

  test('a QoS 2 message that was refused is not let in by sending it again', () => {
    const harness = open();
    const listener = join(harness, staff);
    listener.subscribe('a');
    const client = enter(harness, { publish: ['b'] });
    for (const dup of [false, true]) {
      client.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 4, dup }));
      client.next('pubrec');
    }
    client.acknowledge('pubrel', 4);
    client.next('pubcomp');
    const after = narrow(harness, client, { publish: ['b'] });
    after.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 4, dup: true }));
    expect(heard(listener)).toEqual([]);
  });
});

test('retained messages that still wait for a slow reader pass the new token', () => {
  const harness = new Harness({ limits: { outboundBytes: 4_000 } });
  const sender = join(harness, staff);
  for (let n = 0; n < 20; n++) sender.publish(`a/${n}`, 'x'.repeat(500), { retain: true });
  sender.publish('b/1', 'y', { retain: true });
  const client = stay(harness, { subscribe: ['a/#', 'b/#'] });
  client.stuck = true;
  client.subscribe(['a/#', 'b/#']);
  const early = client.messages().length;
  expect(early).toBeGreaterThan(0);
  expect(early).toBeLessThan(20);
  expect(renew(harness, client, { subscribe: ['b/#'] })).toBe(ReasonCode.Success);
  client.stuck = false;
  harness.store();
  harness.advance(0);
  client.ping();
  expect(heard(client)).toEqual(['b/1: y']);
});

test('the table has a row for each way to come to another token', () => {
  const rows = ways.flatMap((way) => [
    ...narrowings.map(({ name }) => ({ name: `${way.name}, a subscription: ${name}` })),
    ...uncovered.map(({ name }) => ({ name: `${way.name}, what waits: ${name}` })),
  ]);
  expect(tally('narrower tokens', rows)).toBe(14 * (13 + 9));
});
