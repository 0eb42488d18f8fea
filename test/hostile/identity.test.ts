/**
 * Hostile cases, second part: what somebody with a good token may try against a running broker, by
 * bytes. Here: who one is. Another's Client Identifier, another's token, and time that runs out
 * (design section 3). The first part, tokens and rights alone, is in `test/auth`.
 */
import { expect, test } from 'bun:test';
import { encode } from '../../core/mqtt/codec.ts';
import type { Packet } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient, will } from '../client.ts';
import { expectEnded, VERSIONS } from '../conformance/expect.ts';
import { Harness, START } from '../harness.ts';
import {
  type Case,
  denied,
  grantsOf,
  handlerOf,
  heard,
  identityOf,
  join,
  renew,
  stay,
  tally,
  type Who,
} from './company.ts';

const victim: Who = { user: '1', client: 'x' };
const thief: Who = { user: '2', client: 'x' };

/** The victim's stored session, with a message that waits, and its Will; the victim is there or away. */
function withVictim(version: 3 | 4 | 5, there: boolean): { harness: Harness; held: TestClient } {
  const harness = new Harness();
  handlerOf(harness, 'left');
  const held = stay(harness, { ...victim, version }, { will: will('left', 'victim') });
  held.subscribe('1_news');
  if (!there) held.lose();
  return { harness, held };
}

const theft: Case[] = [
  {
    name: 'another user with the same Client Identifier takes nothing over',
    run(version) {
      const { harness, held } = withVictim(version, true);
      const session = stay(harness, { ...thief, version });
      expect([held.closed, session.closed]).toEqual([false, false]);
      expect(harness.broker.counters).toMatchObject({ sessions: 3, takeovers: 0 });
      held.ping();
    },
  },
  {
    name: 'and is told of no session that is not its own',
    run(version) {
      const { harness } = withVictim(version, false);
      const stored = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 9 }) };
      const client = harness.client('x', { version, identity: identityOf(thief) });
      expect(client.connect(stored).sessionPresent).toBe(false);
    },
  },
  {
    name: 'and reads nothing of what waits there',
    run(version) {
      const { harness } = withVictim(version, false);
      harness
        .connected('sender', {}, { identity: { role: 'handler', grants: undefined } })
        .publish('1_news', 'secret', { qos: 1 });
      expect(heard(stay(harness, { ...thief, version }))).toEqual([]);
      expect(heard(stay(harness, { ...victim, version }))).toEqual(['1_news: secret']);
    },
  },
  {
    name: 'and with Clean Start ends nothing',
    run(version) {
      const { harness } = withVictim(version, false);
      const before = harness.broker.counters.subscriptions;
      join(harness, { ...thief, version }).disconnect();
      expect(harness.broker.counters.subscriptions).toBe(before);
      const back = harness.client('x', { version, identity: identityOf(victim) });
      const stored = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 9 }) };
      expect(back.connect(stored).sessionPresent).toBe(version !== 3);
    },
  },
  {
    name: 'and fires no Will, and cancels none that waits',
    run() {
      const harness = new Harness();
      const handler = handlerOf(harness, 'left');
      const delayed = { will: will('left', 'victim', { delaySeconds: 30 }) };
      stay(harness, victim, delayed).lose();
      join(harness, thief).disconnect();
      expect(heard(handler)).toEqual([]);
      harness.advanceSeconds(31);
      expect(heard(handler)).toEqual(['left: victim']);
    },
  },
  {
    name: 'and what it subscribes to there is its own alone',
    run(version) {
      const { harness, held } = withVictim(version, true);
      const client = stay(harness, { ...thief, version });
      client.subscribe('2_news');
      client.unsubscribe('1_news');
      const sender = join(harness, { role: 'handler', client: 's' });
      sender.publish('1_news', 'a');
      sender.publish('2_news', 'b');
      expect([heard(held), heard(client)]).toEqual([['1_news: a'], ['2_news: b']]);
    },
  },
  {
    name: 'and acknowledges and releases nothing that is in flight there',
    run(version) {
      const { harness, held } = withVictim(version, true);
      const client = stay(harness, { ...thief, version });
      join(harness, { role: 'handler', client: 's' }).publish('1_news', 'a', { qos: 1 });
      const { packetIdentifier } = held.next('publish');
      client.acknowledge('puback', packetIdentifier);
      expect(harness.broker.counters.inflightMessages).toBe(1);
    },
  },
  {
    name: 'a QoS 2 exchange of the victim is unknown under the same Client Identifier',
    run(version) {
      const { harness, held } = withVictim(version, true);
      const handler = handlerOf(harness, 'c');
      held.send(publishPacket('c', 'victim', { qos: 2, packetIdentifier: 5 }));
      const client = stay(harness, { ...thief, version });
      client.send(publishPacket('c', 'thief', { qos: 2, packetIdentifier: 5 }));
      expect(heard(handler)).toEqual(['c: victim', 'c: thief']);
    },
  },
  ...[
    ['1', 'x', '1x', ''],
    ['1', '12', '11', '2'],
    ['1', '21', '11', '2'],
    ['1', '2', '2', '1'],
    ['a\u0001b', 'c', 'b', 'c\u0001a'],
    ['a', 'b', 'A', 'b'],
    ['é', 'b', 'e\u0301', 'b'],
    ['1', 'x', '1', 'X'],
    ['1', 'x', '1', 'x '],
    ['1_2', 'x', '1', '2_x'],
  ].map(([user, client, other, otherClient]) => ({
    name: `${JSON.stringify([user, client])} is not ${JSON.stringify([other, otherClient])}`,
    run() {
      const harness = new Harness();
      const held = stay(harness, { user: user as string, client: client as string });
      const taker = join(harness, { user: other as string, client: otherClient as string });
      expect([held.closed, taker.closed]).toEqual([false, false]);
      expect(harness.broker.counters.takeovers).toBe(0);
    },
  })),
  {
    name: 'a Client Identifier that the broker assigned is no way in for another user',
    run() {
      const harness = new Harness();
      const first = harness.client('', { identity: identityOf(victim) });
      const { assignedClientIdentifier } = first.connect({ sessionExpiryInterval: 100 });
      expect(assignedClientIdentifier).toBeString();
      join(harness, { user: '2', client: assignedClientIdentifier as string });
      expect(first.closed).toBe(false);
    },
  },
];

const renewals: Case[] = [
  {
    name: 'a token of another user on an open connection ends it',
    run(version) {
      const harness = new Harness();
      const client = join(harness, { version });
      client.send(publishPacket('$token', harness.accept(identityOf({ user: '2' })), { qos: 1 }));
      expectEnded(client, ReasonCode.NotAuthorized);
    },
  },
  {
    name: 'and none of the packets behind it is read',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const client = join(harness, { version });
      const token = harness.accept(identityOf({ user: '2' }));
      const behind = encode(publishPacket('c', 'x'), version);
      client.raw(encode(publishPacket('$token', token, { qos: 1 }), version), behind);
      expect([client.closed, heard(handler)]).toEqual([true, []]);
    },
  },
  {
    name: 'a user id that differs in case, or in its Unicode form, is another user',
    run(version) {
      for (const [user, other] of [
        ['ann', 'Ann'],
        ['é', 'e\u0301'],
      ] as const) {
        const harness = new Harness();
        const client = join(harness, { user, version });
        client.send(
          publishPacket('$token', harness.accept(identityOf({ user: other })), { qos: 1 }),
        );
        expectEnded(client, ReasonCode.NotAuthorized);
      }
    },
  },
  {
    name: 'a bad token leaves the rights and the end of the old one as they were',
    run() {
      const harness = new Harness();
      handlerOf(harness, 'c');
      const client = join(harness, { expiresAtMs: START + 60_000 });
      expect(client.publish('$token', 'nonsense', { qos: 1 })?.reasonCode).toBe(
        ReasonCode.NotAuthorized,
      );
      expect(client.publish('c', 'x', { qos: 1 })?.reasonCode).toBe(ReasonCode.Success);
      harness.advanceSeconds(61);
      expectEnded(client, ReasonCode.NotAuthorized);
    },
  },
  {
    name: 'a bad token ends a 3.x connection, which could not be told otherwise',
    run(version) {
      if (version === 5) return;
      const client = join(new Harness(), { version });
      client.send(publishPacket('$token', 'nonsense', { qos: 1 }));
      expectEnded(client, ReasonCode.NotAuthorized);
    },
  },
  {
    name: 'a token that has expired by the time of its verdict is no renewal',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const client = join(harness, { version, expiresAtMs: START + 1_000 });
      const late = harness.accept(identityOf({ expiresAtMs: START - 1 }));
      const behind = encode(publishPacket('c', 'late'), version);
      client.raw(encode(publishPacket('$token', late, { qos: 1 }), version), behind);
      const told = client.packets();
      expect(told.filter((packet) => isGood(packet))).toEqual([]);
      // What was read by the old token, which still stands, may pass; by the new one nothing.
      harness.advanceSeconds(2);
      expect(client.closed).toBe(true);
      expect(heard(handler).length).toBeLessThanOrEqual(version === 5 ? 1 : 0);
    },
  },
  {
    name: 'a token that expires while its successor is checked ends the connection',
    run(version) {
      const harness = new Harness();
      const client = join(harness, { version, expiresAtMs: START + 1_000 });
      harness.holdVerdicts = true;
      client.send(publishPacket('$token', harness.accept(identityOf({})), { qos: 1 }));
      harness.advanceSeconds(2);
      expectEnded(client, ReasonCode.NotAuthorized);
      harness.verdicts();
      expect(harness.broker.counters.clientsConnected).toBe(0);
    },
  },
  {
    name: 'what is sent while a successor is checked waits, and meets its rights',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const client = join(harness, { version, publish: ['c'] });
      harness.holdVerdicts = true;
      const narrow = harness.accept(identityOf({ publish: ['d'] }));
      client.send(publishPacket('$token', narrow, { qos: 1, packetIdentifier: 9 }));
      client.send(publishPacket('c', 'x', { qos: 1, packetIdentifier: 10 }));
      expect(heard(handler)).toEqual([]);
      harness.verdicts();
      expect(heard(handler)).toEqual([]);
      expect(denied(harness)).toEqual(['publish c']);
    },
  },
  {
    name: 'a shorter token shortens the connection',
    run(version) {
      const harness = new Harness();
      const client = join(harness, { version });
      renew(harness, client, { expiresAtMs: START + 5_000 });
      harness.advanceSeconds(6);
      expectEnded(client, ReasonCode.NotAuthorized);
    },
  },
];

function isGood(packet: Packet): boolean {
  return packet.type === 'puback' && packet.reasonCode === ReasonCode.Success;
}

const expiry: Case[] = [
  {
    name: 'a token that expired is no way in, whoever verified it',
    run(version) {
      const harness = new Harness();
      const client = harness.client('c', { version, identity: { expiresAtMs: START } });
      expect(client.connect().reasonCode).not.toBe(ReasonCode.Success);
      expect(client.closed).toBe(true);
    },
  },
  {
    name: 'a token that expires while it is checked is no way in',
    run(version) {
      const harness = new Harness();
      const client = harness.client('c', { version, identity: { expiresAtMs: START + 1_000 } });
      harness.holdVerdicts = true;
      client.send(client.connectPacket());
      harness.advance(1_000);
      harness.verdicts();
      expect(client.next('connack').reasonCode).not.toBe(ReasonCode.Success);
      expect(harness.broker.counters).toMatchObject({ clientsConnected: 0, sessions: 0 });
    },
  },
  {
    name: 'traffic keeps no connection alive past its token',
    run(version) {
      const harness = new Harness();
      handlerOf(harness, 'c');
      const client = join(harness, { version, expiresAtMs: START + 5_000 });
      for (let second = 0; second < 4; second++) {
        harness.advanceSeconds(1);
        client.ping();
      }
      harness.advanceSeconds(1);
      expectEnded(client, ReasonCode.NotAuthorized);
    },
  },
  {
    name: 'a stored session whose token has expired is not handed out without another',
    run(version) {
      const harness = new Harness();
      const client = stay(harness, { version, expiresAtMs: START + 1_000 });
      client.subscribe('1_news');
      harness.advanceSeconds(1);
      expect(client.closed).toBe(true);
      join(harness, { role: 'handler', client: 's' }).publish('1_news', 'x', { qos: 1 });
      const again = harness.client('phone', {
        version,
        identity: identityOf({ expiresAtMs: START + 1_000 }),
      });
      expect(again.connect({ cleanStart: false }).reasonCode).not.toBe(ReasonCode.Success);
      expect(heard(again)).toEqual([]);
      expect(heard(stay(harness, { version }))).toEqual(['1_news: x']);
    },
  },
  {
    name: 'a QoS 2 exchange that the expiry broke off goes on under the next token, once',
    run(version) {
      const harness = new Harness();
      const handler = handlerOf(harness, 'c');
      const client = stay(harness, { version, expiresAtMs: START + 1_000 });
      client.send(publishPacket('c', 'x', { qos: 2, packetIdentifier: 3 }));
      client.next('pubrec');
      harness.advanceSeconds(1);
      const back = stay(harness, { version });
      back.send(publishPacket('c', 'x', { qos: 2, packetIdentifier: 3, dup: true }));
      back.next('pubrec');
      back.acknowledge('pubrel', 3);
      back.next('pubcomp');
      expect(heard(handler)).toEqual(['c: x']);
    },
  },
];

test.each(cross([...theft, ...renewals, ...expiry]))('$name, in version $version', (each) => {
  each.run(each.version);
});

function cross(cases: readonly Case[]) {
  return cases.flatMap(({ name, run }) => VERSIONS.map((version) => ({ name, run, version })));
}

test('grants of a case are what its token says', () => {
  expect(grantsOf({})).toBeUndefined();
  expect(tally('identity', theft, renewals, expiry)).toBeGreaterThan(30);
});
