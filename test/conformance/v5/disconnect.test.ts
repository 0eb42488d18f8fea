/** MQTT 5.0 sections 3.14 and 4.13: DISCONNECT, and how errors end a connection. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, publishPacket, string, will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed, expectEnded, expectQuiet } from '../expect.ts';

test('[MQTT-3.14.4-2] [MQTT-3.14.4-1] DISCONNECT is answered with a close and nothing else', () => {
  for (const packet of ['e0 00', 'e0 01 00', 'e0 02 00 00']) {
    const client = new Harness().connected('c');
    client.raw(packet);
    expectClosed(client);
  }
});

test('[MQTT-3.14.4-1] what follows DISCONNECT is not acted on', () => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('#');
  const client = harness.connected('c');
  client.raw('e0 00', frame(0x32, string('a'), '0001 00'), 'c0 00');
  client.send(publishPacket('a', 'late'));
  expectClosed(client);
  expectQuiet(watcher);
});

test.each([0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])(
  '[MQTT-3.14.2-1] a client may leave with Reason Code %i',
  (code) => {
    const client = new Harness().connected('c');
    client.raw(frame(0xe0, code));
    expectClosed(client);
  },
);

test.each([0x01, 0x03, 0x05, 0x10, 0x7f, 0x84, 0x86, 0x91, 0x92, 0xa3, 0xff])(
  '[MQTT-3.14.2-1] [MQTT-4.13.1-1] Reason Code %i is none of DISCONNECT',
  (code) => {
    const client = new Harness().connected('c');
    client.raw(frame(0xe0, code));
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

test.each(['e0 03 00 00 00', 'e0 02 00 05', 'e0 03 00 01 11'])(
  '[MQTT-4.13.1-1] DISCONNECT %s is malformed',
  (packet) => {
    const client = new Harness().connected('c');
    client.raw(packet);
    expectEnded(client, ReasonCode.MalformedPacket);
  },
);

test('[MQTT-3.14.2-2] [MQTT-3.14.2-1] a DISCONNECT of the broker names a reason and no Session Expiry Interval', () => {
  const harness = new Harness();
  const client = harness.connected('c', { sessionExpiryInterval: 100 });
  harness.shutDown();
  const disconnect = expectEnded(client, ReasonCode.ServerShuttingDown);
  expect(disconnect?.sessionExpiryInterval).toBeUndefined();
  expect(disconnect?.reasonString).toMatch(/./);
});

test('[MQTT-3.14.2-3] [MQTT-3.1.2-24] its Reason String is left out where it does not fit', () => {
  const harness = new Harness();
  const client = harness.connected('c', { maximumPacketSize: 20 });
  harness.shutDown();
  expect(expectEnded(client, ReasonCode.ServerShuttingDown)?.reasonString).toBeUndefined();
});

test('[MQTT-3.14.4-1] [MQTT-4.13.2-1] after its DISCONNECT the broker sends nothing more', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.subscribe('#');
  client.raw(
    frame(0x30, string('a'), 0),
    frame(0x82, '0001 00', string('a'), 0x40), // malformed
    frame(0x30, string('b'), 0),
    'c0 00',
  );
  harness.connected('p').publish('c', 'x');
  expect(client.packets()).toMatchObject([
    { type: 'publish', topic: 'a' },
    { type: 'disconnect', reasonCode: ReasonCode.MalformedPacket },
  ]);
  expect(client.closed).toBe(true);
});

test('[MQTT-4.13.1-1] a violation ends one connection, and no other', () => {
  const harness = new Harness();
  const other = harness.connected('o');
  other.subscribe('gone');
  const client = harness.connected('c', { will: will('gone', 'x') });
  client.raw(bytes('f5 00'));
  expectEnded(client, ReasonCode.MalformedPacket);
  expect(other.texts()).toEqual(['x']);
  other.ping();
});

test('[MQTT-4.13.1-1] [MQTT-4.1.0-1] a violation does not end the Session', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const client = harness.connected('c', fields);
  client.subscribe('a');
  client.raw('00 00');
  harness.connected('p').publish('a', 'x', { qos: 1 });
  const again = harness.client('c');
  expect(again.connect(fields).sessionPresent).toBe(true);
  expect(again.texts()).toEqual(['x']);
});

test('[MQTT-4.13.1-1] every violation is reported with the statement that decides', () => {
  const harness = new Harness();
  const client = harness.connected('c');
  client.raw(frame(0x30, string('a/#'), 0));
  expect(harness.eventsOf('violation')).toMatchObject([
    {
      reasonCode: ReasonCode.TopicNameInvalid,
      statement: 'MQTT-3.3.2-2',
      party: { clientIdentifier: 'c' },
    },
  ]);
});

test('a client that does not read loses QoS 0, and is then told 0x97', () => {
  const harness = new Harness({ limits: { outboundBytes: 10_000, slowReaderTimeoutMs: 5_000 } });
  const client = harness.connected('c');
  client.subscribe('a');
  client.stuck = true;
  const publisher = harness.connected('p');
  for (let i = 0; i < 100; i++) publisher.publish('a', 'x'.repeat(1_000));
  expect(client.pending).toBeLessThan(13);
  expect(harness.broker.counters.dropped['slow-reader']).toBeGreaterThan(80);
  harness.advance(5_000);
  expect(client.packets().at(-1)).toMatchObject({
    type: 'disconnect',
    reasonCode: ReasonCode.QuotaExceeded,
  });
  expect(client.closed).toBe(true);
});
