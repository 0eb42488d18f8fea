/** Hostile cases: where a token must not show, whatever it is sent with (design section 3). */
import { expect, test } from 'bun:test';
import { createBroker } from '../../core/broker/broker.ts';
import { defaultLimits } from '../../core/broker/limits.ts';
import type { Outbox } from '../../core/broker/outbox.ts';
import { encode } from '../../core/mqtt/codec.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket, will } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { granted, Harness, START } from '../harness.ts';
import { handlerOf, heard, identityOf, join, rawText, stay, tally } from './company.ts';

test('a token shows up in nothing that the broker sends, keeps, forwards or reports', () => {
  for (const version of VERSIONS) {
    const harness = new Harness({ durable: true, limits: { sysIntervalSeconds: 10 } });
    const admin = join(harness, { user: 'root', role: 'admin', client: 'admin' });
    for (const filter of ['#', '$token', '$token/#', '+/#', '$SYS/#', '$share/g/#']) {
      admin.subscribe(filter);
    }
    const handler = handlerOf(harness, '#', '$token');
    const watcher = join(harness, { user: '9', client: 'w', subscribe: ['#', '$token'] });
    watcher.subscribe('#');
    watcher.subscribe('$token');
    const client = stay(harness, { version });
    const tokens = [
      harness.accept(identityOf({}), 'eyJhbGciOiJub25lIn0.good-token'),
      'eyJhbGciOiJub25lIn0.bad-token',
    ];
    for (const [index, token] of tokens.entries()) {
      for (const qos of [0, 1, 2] as const) {
        for (const retain of [false, true]) {
          const sender =
            index === 0 ? client : stay(harness, { version, client: `s${qos}${retain}` });
          // By the letter of CONNACK a 5.0 device may not retain; by ours, `$token` is no message at all.
          const packetIdentifier = qos === 0 ? 0 : 1 + qos;
          sender.send(publishPacket('$token', token, { qos, retain, packetIdentifier }));
          if (qos === 2 && !sender.closed) sender.acknowledge('pubrel', packetIdentifier);
          expect(rawText(sender)).not.toContain(token);
        }
      }
    }
    harness.advanceSeconds(20);
    admin.subscribe('$token'); // nothing was retained either
    const out = [admin, handler, watcher].map(rawText).join('');
    const noted = JSON.stringify([harness.events, harness.forwarded, harness.handled]);
    for (const token of tokens) {
      expect(out).not.toContain(token);
      expect(noted).not.toContain(token);
    }
    expect(out).not.toContain('$token');
    expect(harness.broker.counters.retainedMessages).toBe(0);
  }
});

test('a token is in no change that is kept, and in no note but the one that has it verified', () => {
  const notes: string[] = [];
  const text = (_: string, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value;
  const outbox = new Proxy({} as Outbox, {
    get:
      (_target, name) =>
      (...given: unknown[]) => {
        if (name !== 'verify') notes.push(`${String(name)} ${JSON.stringify(given, text)}`);
      },
  });
  const broker = createBroker({
    outbox,
    limits: defaultLimits,
    policy: { commands: [], roles: {}, separator: '_' },
    assignClientIdentifier: () => 'assigned',
    version: '0',
    startedAt: START,
    durable: true,
  });
  const secret = 'eyJ.the-whole-token';
  const harness = new Harness();
  const template = stayPacket(harness, secret);
  broker.opened(1, { transport: 'mqtts', address: '::1' }, START);
  broker.received(1, encode(template, 5), START);
  broker.verified({ kind: 'accept', connection: 1, identity: granted }, START);
  for (const [index, qos] of ([0, 1, 2] as const).entries()) {
    const packetIdentifier = qos === 0 ? 0 : index + 1;
    broker.received(
      1,
      encode(publishPacket('$token', secret, { qos, packetIdentifier }), 5),
      START,
    );
    broker.verified({ kind: 'accept', connection: 1, identity: granted }, START);
    broker.stored(1_000, START);
  }
  broker.received(
    1,
    encode(publishPacket('$token', secret, { qos: 1, packetIdentifier: 9 }), 5),
    START,
  );
  const detail = 'bad token';
  broker.verified({ kind: 'refuse', connection: 1, reasonCode: 0x87, detail }, START);
  expect(notes.some((note) => note.startsWith('keep'))).toBe(true);
  expect(notes.some((note) => note.startsWith('send'))).toBe(true);
  expect(notes.filter((note) => note.includes('the-whole-token'))).toEqual([]);
});

function stayPacket(harness: Harness, token: string) {
  const packet = harness.client('c').connectPacket({ cleanStart: false, sessionExpiryInterval: 9 });
  return { ...packet, password: Buffer.from(token) };
}

const tokenTopicCases = [
  { name: 'a device by default', who: {} },
  { name: 'a device with a grant on it', who: { publish: ['$token', '#'] } },
  { name: 'a handler', who: { role: 'handler' } },
  { name: 'an admin', who: { role: 'admin' } },
] as const;

test.each(tokenTopicCases)('no Will of $name goes to the topic of tokens', ({ who }) => {
  for (const version of VERSIONS) {
    const harness = new Harness();
    const admin = join(harness, { user: 'root', role: 'admin', client: 'admin' });
    admin.subscribe('$token');
    const client = harness.client('c', { version, identity: identityOf(who) });
    const { reasonCode } = client.connect({ will: will('$token', 'token', { retain: true }) });
    if (reasonCode === ReasonCode.Success) client.lose();
    expect(heard(admin)).toEqual([]);
    expect(harness.broker.counters.retainedMessages).toBe(0);
  }
});

test('the cases of tokens are counted', () => {
  expect(tally('tokens', tokenTopicCases)).toBe(tokenTopicCases.length);
});
