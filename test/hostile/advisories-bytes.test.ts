/**
 * One regression test for each class of security advisory about brokers that is about bytes, by the
 * rows of the table of advisories (see `advisories.test.ts`):
 *
 *   11 memory before CONNECT · 12 packets before CONNECT · 13 malformed lengths · 14 zeros, and packets
 *   of servers
 *
 * The harness throws where the broker reports a fault of its own, so each of these fails on one.
 */
import { describe, expect, test } from 'bun:test';
import { defaultLimits } from '../../core/broker/limits.ts';
import { encode } from '../../core/mqtt/codec.ts';
import type { ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, subscribePacket, variable } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import { expectAlive, tally } from './company.ts';

describe('row 11, CVE-2023-0809, CVE-2021-22116: before CONNECT is accepted', () => {
  test.each([0x10, 0x30, 0x82, 0xf0])(
    'a packet of 256 MB that begins with %i ends as announced',
    (first) => {
      const harness = new Harness();
      const client = harness.client('c');
      client.raw(bytes(first, 'ff ff ff 7f'));
      expect([client.closed, harness.broker.counters.connections]).toEqual([true, 0]);
      expectAlive(harness);
    },
  );

  test('CONNECT of one byte more than is accepted ends before its body has come', () => {
    const harness = new Harness({ limits: { connectPacketBytes: 1_000 } });
    for (const [remaining, closed] of [
      [998, true],
      [997, false],
    ] as const) {
      const client = harness.client('c');
      client.raw(bytes(0x10, variable(remaining)));
      expect([remaining, client.closed]).toEqual([remaining, closed]);
    }
  });

  test.each(VERSIONS)(
    'a CONNECT that drips for ever is cut at its time, in version %i',
    (version) => {
      const harness = new Harness();
      const client = harness.client('c', { version });
      const padding = { password: new Uint8Array(60_000) };
      const packet = encode(client.connectPacket(padding), version);
      let dripped = 0;
      while (!client.closed) {
        client.raw(packet.subarray(dripped, dripped + 1));
        dripped++;
        harness.advance(100);
        expect(dripped).toBeLessThan(1_000);
      }
      expect(harness.now).toBeLessThanOrEqual(
        Date.UTC(2030, 0, 1) + defaultLimits.connectTimeoutMs,
      );
      expect(harness.broker.counters.connections).toBe(0);
    },
  );

  test('what is sent behind a CONNECT whose token is being checked is not acted on, and reading stops', () => {
    const harness = new Harness();
    harness.holdVerdicts = true;
    const client = harness.client('c');
    client.send(client.connectPacket());
    expect(client.paused).toBe(true);
    client.send(publishPacket('a', 'x', { qos: 1 }));
    expect(harness.broker.counters.publishReceived).toBe(0);
  });
});

/** A packet of each type that would be good in its place. */
const packets: { name: string; bytes(version: ProtocolVersion): Uint8Array }[] = [
  { name: '0', bytes: () => bytes('00 00') },
  { name: 'CONNACK', bytes: (v) => bytes(v === 5 ? '20 03 00 00 00' : '20 02 00 00') },
  { name: 'PUBLISH', bytes: (v) => encode(publishPacket('a', 'x', { qos: 1 }), v) },
  { name: 'PUBACK', bytes: () => bytes('40 02 00 01') },
  { name: 'PUBREC', bytes: () => bytes('50 02 00 01') },
  { name: 'PUBREL', bytes: () => bytes('62 02 00 01') },
  { name: 'PUBCOMP', bytes: () => bytes('70 02 00 01') },
  { name: 'SUBSCRIBE', bytes: (v) => encode(subscribePacket(['a']), v) },
  { name: 'SUBACK', bytes: (v) => bytes(v === 5 ? '90 04 00 01 00 00' : '90 03 00 01 00') },
  {
    name: 'UNSUBSCRIBE',
    bytes: (v) => encode({ type: 'unsubscribe', packetIdentifier: 1, topicFilters: ['a'] }, v),
  },
  { name: 'UNSUBACK', bytes: (v) => bytes(v === 5 ? 'b0 04 00 01 00 00' : 'b0 02 00 01') },
  { name: 'PINGREQ', bytes: () => bytes('c0 00') },
  { name: 'PINGRESP', bytes: () => bytes('d0 00') },
  { name: 'DISCONNECT', bytes: () => bytes('e0 00') },
  { name: 'AUTH', bytes: () => bytes('f0 00') },
];
const first = VERSIONS.flatMap((version) => packets.map((packet) => ({ ...packet, version })));

test.each(first)(
  'row 12: $name before CONNECT ends the connection unanswered, in version $version',
  (row) => {
    const harness = new Harness();
    const client = harness.client('c', { version: row.version });
    client.raw(row.bytes(row.version), encode(client.connectPacket(), row.version));
    expect([client.closed, client.pending]).toEqual([true, 0]);
    expect(harness.broker.counters).toMatchObject({ publishReceived: 0, sessions: 0 });
  },
);

test.each(packets)('row 12: $name in place of the token ends enhanced authentication', (row) => {
  const harness = new Harness();
  const client = harness.client('c');
  client.send(client.connectPacket({ authenticationMethod: 'JWT' }));
  client.next('auth');
  client.raw(row.bytes(5));
  expect(client.closed).toBe(true);
  expect(harness.broker.counters).toMatchObject({
    publishReceived: 0,
    subscriptions: 0,
    sessions: 0,
  });
});

test.each(first)(
  'row 12: $name behind a CONNECT that is refused is not read, in version $version',
  (row) => {
    const harness = new Harness();
    const client = harness.client('c', { version: row.version });
    const connect = client.connectPacket({ password: Buffer.from('bad') });
    client.raw(encode(connect, row.version), row.bytes(row.version));
    client.next('connack');
    expect([client.closed, client.pending]).toEqual([true, 0]);
    expect(harness.broker.counters).toMatchObject({
      publishReceived: 0,
      subscriptions: 0,
      sessions: 0,
    });
  },
);

/** Row 13: lengths that lie, after CONNECT. `v5`: only where there are properties. */
const lies: { name: string; bytes: Uint8Array; v5?: true }[] = [
  { name: 'a Remaining Length of five bytes', bytes: bytes('30 ff ff ff ff 01') },
  { name: 'a Remaining Length of five bytes that is 0', bytes: bytes('c0 80 80 80 80 00') },
  { name: 'a Remaining Length that is longer than it need be', bytes: bytes('c0 80 00') },
  { name: 'a Topic Name that ends behind its packet', bytes: bytes('30 04 00 09 61 62') },
  { name: 'a PUBLISH of nothing', bytes: bytes('30 00') },
  { name: 'a PUBLISH of half a length', bytes: bytes('30 01 00') },
  { name: 'a PUBLISH of QoS 1 without an identifier', bytes: bytes('32 03 00 01 61') },
  { name: 'a PUBLISH of QoS 1 with half an identifier', bytes: bytes('32 04 00 01 61 00') },
  { name: 'a PUBACK of nothing', bytes: bytes('40 00') },
  { name: 'a PUBACK of half an identifier', bytes: bytes('40 01 00') },
  { name: 'a SUBSCRIBE of nothing', bytes: bytes('82 00') },
  { name: 'a SUBSCRIBE without a filter', bytes: bytes('82 02 00 01') },
  { name: 'a filter that ends behind its packet', bytes: bytes('82 06 00 01 00 ff ff 61') },
  { name: 'an UNSUBSCRIBE of nothing', bytes: bytes('a2 00') },
  { name: 'a PINGREQ with a body', bytes: bytes('c0 01 00') },
  {
    name: 'properties that end behind their packet',
    bytes: bytes('30 05 00 01 61 7f 01'),
    v5: true,
  },
  {
    name: 'a property length of five bytes',
    bytes: bytes('30 08 00 01 61 ff ff ff ff 01'),
    v5: true,
  },
  {
    name: 'a property that ends behind the properties',
    bytes: bytes('30 06 00 01 61 01 02 00'),
    v5: true,
  },
  {
    name: 'a user property whose value ends behind them',
    bytes: bytes('30 0b 00 01 61 07 26 00 01 61 00 09 62'),
    v5: true,
  },
  { name: 'a DISCONNECT whose properties end behind it', bytes: bytes('e0 03 00 05 11'), v5: true },
  { name: 'an AUTH whose data end behind it', bytes: bytes('f0 06 19 04 16 ff ff 00'), v5: true },
];
const liesByVersion = VERSIONS.flatMap((version) =>
  lies.filter(({ v5 }) => v5 === undefined || version === 5).map((lie) => ({ ...lie, version })),
);

test.each(liesByVersion)(
  'row 13: $name ends this connection, in version $version, cut anywhere',
  (row) => {
    for (let cut = 0; cut < row.bytes.length; cut++) {
      const harness = new Harness();
      const client = harness.connected('c', {}, { version: row.version });
      if (cut > 0) client.raw(row.bytes.subarray(0, cut));
      client.raw(row.bytes.subarray(cut));
      expect([cut, client.closed]).toEqual([cut, true]);
      if (cut === 0) expectAlive(harness);
    }
  },
);

test.each(VERSIONS)(
  'row 13: no first byte with a short body is a fault, in version %i',
  (version) => {
    for (let first = 0; first < 256; first++) {
      const harness = new Harness();
      for (const body of [
        '',
        '00',
        'ff',
        '0000',
        '0001',
        '00 01 00',
        'ff ff ff ff',
        '00 00 00 00 00',
      ]) {
        harness.connected('c', {}, { version }).raw(frame(first, body));
        harness.client('d', { version }).raw(frame(first, body));
        if (version < 5) continue;
        const midway = harness.client('e');
        midway.send(midway.connectPacket({ authenticationMethod: 'JWT' }));
        midway.raw(frame(first, body));
      }
      expectAlive(harness);
    }
  },
  60_000,
);

/** CONNECT again: what is wrong inside may have a Reason Code that only CONNACK has. */
const secondConnects = [
  { name: 'of a version that nobody speaks', bytes: connectBytes('MQTT', 9) },
  { name: 'of another protocol', bytes: connectBytes('MQTX', 5) },
  { name: 'of nothing', bytes: frame(0x10) },
  { name: 'that is good', bytes: connectBytes('MQTT', 5) },
].flatMap((row) => VERSIONS.map((version) => ({ ...row, version })));

function connectBytes(protocol: string, level: number): Uint8Array {
  return frame(0x10, string(protocol), level, 2, '0000 00', string('c'));
}

test.each(secondConnects)(
  'row 13: a second CONNECT $name is no fault, in version $version',
  (row) => {
    const harness = new Harness();
    const client = harness.connected('c', {}, { version: row.version });
    client.raw(row.bytes);
    expect([client.closed, harness.broker.counters.sessions]).toEqual([true, 0]);
    const told = client.packets();
    if (row.version === 5) expect(told).toMatchObject([{ type: 'disconnect' }]);
    else expect(told).toEqual([]);
  },
);

/** Row 14, CVE-2021-34432: zeros, and what only a server sends. */
const zeros: { name: string; bytes(v5: boolean): Uint8Array; reasonCode?: ReasonCode }[] = [
  { name: 'an empty Topic Name', bytes: (v5) => frame(0x30, '0000', v5 ? '00' : '', 'ff') },
  {
    name: 'PUBLISH QoS 1 under identifier 0',
    bytes: (v5) => frame(0x32, string('a'), '0000', v5 ? '00' : ''),
  },
  {
    name: 'PUBLISH QoS 2 under identifier 0',
    bytes: (v5) => frame(0x34, string('a'), '0000', v5 ? '00' : ''),
  },
  { name: 'PUBLISH QoS 3', bytes: (v5) => frame(0x36, string('a'), '0001', v5 ? '00' : '') },
  {
    name: 'SUBSCRIBE under identifier 0',
    bytes: (v5) => frame(0x82, '0000', v5 ? '00' : '', string('a'), 0),
  },
  {
    name: 'SUBSCRIBE of an empty filter',
    bytes: (v5) => frame(0x82, '0001', v5 ? '00' : '', string(''), 0),
  },
  {
    name: 'UNSUBSCRIBE under identifier 0',
    bytes: (v5) => frame(0xa2, '0000', v5 ? '00' : '', string('a')),
  },
  { name: 'PUBACK under identifier 0', bytes: () => frame(0x40, '0000') },
  { name: 'PUBREC under identifier 0', bytes: () => frame(0x50, '0000') },
  { name: 'PUBREL under identifier 0', bytes: () => frame(0x62, '0000') },
  { name: 'PUBCOMP under identifier 0', bytes: () => frame(0x70, '0000') },
  { name: 'CONNACK', bytes: (v5) => frame(0x20, '0000', v5 ? '00' : '') },
  { name: 'SUBACK', bytes: (v5) => frame(0x90, '0001', v5 ? '00' : '', '00') },
  { name: 'UNSUBACK', bytes: (v5) => frame(0xb0, '0001', v5 ? '0000' : '') },
  { name: 'PINGRESP', bytes: () => frame(0xd0) },
  { name: 'packet type 0', bytes: () => frame(0x00) },
  { name: 'a wildcard in a Topic Name', bytes: (v5) => frame(0x30, string('a/#'), v5 ? '00' : '') },
];
const zerosByVersion = VERSIONS.flatMap((version) => zeros.map((zero) => ({ ...zero, version })));

test.each(zerosByVersion)('row 14: $name comes to nothing, in version $version', (row) => {
  const harness = new Harness();
  const ears = harness.connected('ears');
  ears.subscribe('#');
  const client = harness.connected('c', {}, { version: row.version });
  client.raw(row.bytes(row.version === 5));
  const answers = client.packets();
  // An empty filter is answered in 5.0; all else ends the connection.
  const answered = row.version === 5 && answers[0]?.type === 'suback';
  if (answered) expect(answers).toMatchObject([{ reasonCodes: [ReasonCode.TopicFilterInvalid] }]);
  else expect(client.closed).toBe(true);
  expect([ears.pending, harness.broker.counters.subscriptions]).toEqual([0, 1]);
});

test('the rows on bytes are counted', () => {
  const inVersions = <T extends { name: string; version: number }>(
    rows: readonly T[],
    of: string,
  ) => rows.map(({ name, version }) => ({ name: `${of}: ${name}, ${version}` }));
  tally(
    'advisories on bytes',
    inVersions(first, 'first'),
    inVersions(liesByVersion, 'lie'),
    inVersions(zerosByVersion, 'zero'),
    inVersions(secondConnects, 'second CONNECT'),
  );
});
