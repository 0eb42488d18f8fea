/**
 * One regression test for each class of security advisory about brokers, 2017 to 2026, that concerns
 * the core. The number is the row of the table of advisories:
 *
 *   1 wildcards in ids · 2 retained after revocation · 4 stored subscriptions · 5 replays · 6 overlaps
 *   and groups · 7 hijack by Client Identifier · 8 spoofed identity · 9 control characters · 22 Wills
 *
 * Rows 11 to 19, which are about bytes and room, are in `advisories-bytes.test.ts` and `advisories-room.test.ts`. Elsewhere: 3 (an
 * empty or malformed configuration) in `test/auth/policy.test.ts` and `test/ops/configuration.test.ts`,
 * 10 (secrets in outputs) here in `identity.test.ts`, in `test/auth/hostile.test.ts` and in
 * `test/ops/configuration.test.ts`, 20 (crafted tokens) in `test/auth/hostile.test.ts`, 21 (a feature
 * that is off) in `test/http/server.test.ts`, 23 (links out of the
 * plugins folder) in `test/plugins/loader.test.ts`, 24 (PROXY protocol from strangers) in `test/net/proxy-intake.test.ts`.
 */
import { describe, expect, test } from 'bun:test';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { frame, publishPacket, string, will } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import {
  arrive,
  denied,
  expectNoSubscription,
  forged,
  GRANTED,
  handlerOf,
  heard,
  identityOf,
  join,
  renew,
  staff,
  stay,
  tally,
} from './company.ts';

/** Row 1, CVE-2017-7650: ids that are wildcards, hold separators, or would be read as a placeholder. */
const ids = [
  '+',
  '#',
  '/',
  '+/+',
  'a/#',
  '_',
  '%',
  '$SYS',
  `\${user}`,
  `\${client}`,
  '*',
  '.',
  '..',
]
  .concat(['a\nb', 'a\u0001b', '\u202e1', '1\ufffd', '1_', '_1', '%23'])
  .map((id) => ({ name: JSON.stringify(id), id }));

describe.each(ids)('row 1: the id $name widens nothing', ({ id }) => {
  test('as a user id', () => {
    const harness = new Harness();
    const acl = { publish: [`u/\${user}/out`], subscribe: [`u/\${user}/in`] };
    const client = join(harness, { user: id, client: 'c', ...acl });
    for (const filter of ['u/+/in', 'u/#', '#', 'u/other/in', 'u/a/b/in', 'u//in', 'u/+/+/in']) {
      const [reasonCode] = client.subscribe(filter);
      expect([filter, (reasonCode ?? 0) >= 0x80]).toEqual([filter, true]);
    }
    const admin = join(harness, staff);
    for (const topic of ['u/other/in', 'u/1/in', 'u/a/b/in', 'u//in']) admin.publish(topic, 'x');
    expect(heard(client)).toEqual([]);
    expect(client.publish('u/other/out', 'x', { qos: 1 })?.reasonCode).toBe(0x87);
    const plain = join(harness, { user: id, client: 'plain' });
    for (const filter of ['#', '+', '1_x', 'other_x', '+/x', '_x']) {
      expect([filter, (plain.subscribe(filter)[0] ?? 0) >= 0x80]).toEqual([filter, true]);
    }
  });

  test('as a Client Identifier', () => {
    const harness = new Harness();
    const who = { client: id, subscribe: [`c/\${client}/in`], publish: [`c/\${client}/out`] };
    const client = join(harness, who);
    for (const filter of ['c/+/in', 'c/#', '#', 'c/other/in', 'c/a/b/in', 'c//in']) {
      expect([filter, (client.subscribe(filter)[0] ?? 0) >= 0x80]).toEqual([filter, true]);
    }
    expect(client.publish('c/other/out', 'x', { qos: 1 })?.reasonCode).toBe(0x87);
  });
});

describe.each(VERSIONS)('in version %i', (version) => {
  test('row 2, CVE-2018-12546: what is retained is not shown once the right is revoked', () => {
    const harness = new Harness();
    join(harness, staff).publish('a/b', 'x', { retain: true });
    const client = join(harness, { version, subscribe: ['a/#'] });
    renew(harness, client, { subscribe: ['b/#'] });
    for (const filter of ['a/b', 'a/#', '+/b', '#', '$share/g/a/b']) client.subscribe(filter);
    expect(heard(client)).toEqual([]);
  });

  test('row 4, CVE-2021-34434: a session that is resumed with a weaker token lost its subscription', () => {
    const harness = new Harness();
    const client = stay(harness, { version, subscribe: ['a/#'] });
    client.subscribe('a/#');
    client.lose();
    const back = stay(harness, { version, subscribe: ['b'] });
    join(harness, staff).publish('a/b', 'x', { qos: 1 });
    expect([heard(back), harness.broker.counters.subscriptions]).toEqual([[], 0]);
  });

  test('row 5: each replay, retained, queued, QoS 1 and QoS 2 in flight, meets the deny', () => {
    const harness = new Harness();
    const admin = join(harness, staff);
    admin.publish('a', 'retained', { retain: true, qos: 1 });
    const client = stay(harness, { version, subscribe: ['a'] });
    client.subscribe('a');
    admin.publish('a', 'in flight 1', { qos: 1 });
    admin.publish('a', 'in flight 2', { qos: 2 });
    expect(heard(client)).toEqual(['a: retained', 'a: in flight 1', 'a: in flight 2']);
    client.lose();
    admin.publish('a', 'queued', { qos: 2 });
    const back = stay(harness, { version, subscribe: ['b'] });
    back.subscribe('a');
    expect(heard(back)).toEqual([]);
    expect(denied(harness).filter((text) => text === 'stored-message a').length).toBe(4);
  });

  test('row 6, CVE-2026-33217: a filter that overlaps what is denied is denied, in a group as well', () => {
    const harness = new Harness();
    const client = join(harness, { version, subscribe: ['a/+/c', 'b/#'] });
    for (const filter of ['a/#', 'a/+/+', '+/b/c', '#', '+/+/c', 'a/b/#', '+/#', 'b', 'a/+/c/#']) {
      if (filter === 'b') continue; // `b/#` covers it. [MQTT-4.7.1-2]
      expectNoSubscription(client, filter);
      expectNoSubscription(client, `$share/g/${filter}`);
    }
    const admin = join(harness, staff);
    for (const topic of ['a/b/d', 'a/b', 'x/b/c', 'a/b/c/d']) admin.publish(topic, 'x', { qos: 1 });
    expect(heard(client)).toEqual([]);
  });

  test('row 7, CVE-2026-33215: the same Client Identifier of another user is another session', () => {
    const harness = new Harness();
    const one = stay(harness, { version, client: 'x' });
    one.subscribe('1_news');
    const two = stay(harness, { version, user: '2', client: 'x' });
    join(harness, staff).publish('1_news', 'x', { qos: 1 });
    expect([one.closed, heard(one), heard(two)]).toEqual([false, ['1_news: x'], []]);
  });

  test('row 22: a Will meets the rights at CONNECT, when it is sent, and after the token', () => {
    const harness = new Harness();
    const handler = handlerOf(harness, 'c');
    const refused = arrive(harness, { version });
    expect(refused.connect({ will: will('$CONTROL/x', 'x') }).reasonCode).toBe(0x87);
    const device = join(
      harness,
      { version, expiresAtMs: harness.now + 1 },
      { will: will('c', 'x') },
    );
    handler.unsubscribe('c');
    harness.advance(1);
    expect([device.closed, heard(handler), denied(harness)]).toEqual([
      true,
      [],
      ['will $CONTROL/x', 'will c'],
    ]);
  });
});

test('row 8, CVE-2026-33246: the reserved user properties are the broker’s', () => {
  const harness = new Harness();
  const handler = handlerOf(harness, 'c');
  join(harness, { client: 'p' }).publish('c', 'x', { properties: { userProperties: forged } });
  const [message] = handler.messages();
  expect(message?.properties?.userProperties).toEqual([
    ['kept', 'yes'],
    ['bellhop-user', '1'],
    ['bellhop-client', 'p'],
  ]);
});

/** Row 9: NUL is malformed wherever it is; other control characters are text, and stay where they were. */
const nulls = [
  { name: 'a Topic Name', bytes: (v5: boolean) => frame(0x30, string('c\0x'), v5 ? '00' : '') },
  {
    name: 'a Topic Filter',
    bytes: (v5: boolean) => frame(0x82, '0001', v5 ? '00' : '', string('1_\0'), 0),
  },
  {
    name: 'a filter to unsubscribe',
    bytes: (v5: boolean) => frame(0xa2, '0001', v5 ? '00' : '', string('1_\0')),
  },
];
const inThreeVersions = nulls.flatMap((row) => VERSIONS.map((version) => ({ ...row, version })));

test.each(inThreeVersions)(
  'row 9: NUL in $name ends the connection, in version $version',
  (row) => {
    const harness = new Harness();
    const ears = handlerOf(harness, '#', 'c');
    const client = join(harness, { version: row.version });
    client.raw(row.bytes(row.version === 5));
    expect([client.closed, heard(ears)]).toEqual([true, []]);
  },
);

test.each(VERSIONS)(
  'row 9: NUL in a Client Identifier ends the connection, in version %i',
  (version) => {
    const harness = new Harness();
    const name = version === 3 ? 'MQIsdp' : 'MQTT';
    const client = arrive(harness, { version });
    const properties = version === 5 ? '00' : '';
    client.raw(frame(0x10, string(name), version, 0xc2, '0000', properties, string('a\0b')));
    expect(client.closed).toBe(true);
    expect(harness.broker.counters.clientsConnected).toBe(0);
  },
);

test('row 9: line breaks in ids and topics are one field of one event, and of one message', () => {
  const harness = new Harness();
  const admin = join(harness, staff);
  admin.subscribe('#');
  const injected = 'x\r\nPUB evil 1\r\n\u001b[2J';
  const device = join(harness, { user: `1${injected}`, client: injected });
  device.publish(`2_${injected}`, 'x', { qos: 1 });
  device.subscribe(`2_${injected}`);
  const { party, topic } = harness.eventsOf('denied')[0] ?? {};
  expect([party?.user, party?.clientIdentifier, topic]).toEqual([
    `1${injected}`,
    injected,
    `2_${injected}`,
  ]);
  // A user topic has them encoded: the whole id is one part of one level.
  const own = '1x%0D%0APUB evil 1%0D%0A%1B[2J_news';
  expect(device.subscribe(own)).toEqual([GRANTED]);
  join(harness, { ...staff, client: 's2' }).publish(own, 'x');
  expect([heard(device), heard(admin)]).toEqual([[`${own}: x`], [`${own}: x`]]);
});

test('row 10: a token is in no event, whatever is wrong with what carries it', () => {
  const secret = 'eyJhbGciOiJIUzI1NiJ9.e30.a-signature';
  const harness = new Harness();
  for (const version of VERSIONS) {
    const fields = [
      { userName: 'jwt', password: Buffer.from(secret) },
      { userName: 'JWT', password: Buffer.from(`${secret}\n`) },
      { will: will('2_x', 'x'), password: Buffer.from(secret) },
      { clientIdentifier: '', cleanStart: false, password: Buffer.from(secret) },
    ];
    for (const each of fields) arrive(harness, { version }).connect(each);
    const client = join(harness, { version });
    client.send(publishPacket('$token', secret, { qos: 1 }));
    const cut = arrive(harness, { version });
    cut.raw(
      frame(0x10, string('MQTT'), 9, 0xc2, '0000', string(''), string('JWT'), string(secret)),
    );
  }
  harness.accept(identityOf({ expiresAtMs: 1 }), secret);
  arrive(harness).connect({ password: Buffer.from(secret) });
  expect(harness.events.length).toBeGreaterThan(15);
  expect(JSON.stringify(harness.events)).not.toContain('signature');
  expect(harness.eventsOf('refused').map(({ reasonCode }) => reasonCode)).not.toContain(
    ReasonCode.Success,
  );
});

test('the rows are counted', () => {
  const rows = [2, 4, 5, 6, 7, 8, 10, 22].map((row) => ({ name: `row ${row}` }));
  tally('advisories on rights', ids, nulls, rows);
});
