/** MQTT 5.0 section 3.2: CONNACK, and the limits that it tells and that CONNECT told. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { bytes, frame, string, textOf, will } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';
import { expectClosed, expectEnded, expectQuiet, expectRefused } from '../expect.ts';

/** A device by its default rights: it may not retain. */
const device = { user: 'ann', role: 'device', grants: undefined } as const;

test('[MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] the Connect Acknowledge Flags are 0, or 1 for a Session that is present', () => {
  const harness = new Harness();
  const flagsOf = (cleanStart: boolean): number | undefined => {
    const client = harness.client('c');
    client.send(client.connectPacket({ cleanStart, sessionExpiryInterval: 60 }));
    const connack = client.nextBytes();
    client.lose();
    return connack[2];
  };
  expect([false, false, true, false, true].map(flagsOf)).toEqual([0, 1, 0, 1, 0]);
});

test('[MQTT-3.2.2-2] Session Present is 0 after Clean Start 1, while the old connection is still there too', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 60 });
  const client = harness.client('c');
  expect(client.connect({ cleanStart: true }).sessionPresent).toBe(false);
});

test('[MQTT-3.2.2-3] Session Present is 1 for a Session that is in use by another connection', () => {
  const harness = new Harness();
  harness.connected('c', { sessionExpiryInterval: 60 });
  const client = harness.client('c');
  expect(client.connect({ cleanStart: false })).toMatchObject({
    reasonCode: ReasonCode.Success,
    sessionPresent: true,
  });
});

test.each([
  { code: ReasonCode.BadUserNameOrPassword, detail: 'bad signature' },
  { code: ReasonCode.NotAuthorized, detail: 'token expired' },
  { code: ReasonCode.ServerUnavailable, detail: 'keys unavailable' },
])(
  '[MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8] [MQTT-3.2.0-2] a refusal for "$detail" is one CONNACK with a code of the table, and the end',
  ({ code, detail }) => {
    const harness = new Harness();
    const client = harness.client('c');
    const password = Buffer.from(harness.refuse(code, detail));
    client.send(client.connectPacket({ password, cleanStart: false }));
    expect(expectRefused(client, code).reasonString).toBe(detail);
  },
);

test.each([
  { what: 'while the broker shuts down', code: ReasonCode.ServerShuttingDown, limits: {} },
  {
    what: 'over the limit on connections',
    code: ReasonCode.ServerBusy,
    limits: { maximumConnections: 1 },
  },
  {
    what: 'over the limit per address',
    code: ReasonCode.QuotaExceeded,
    limits: { maximumConnectionsPerAddress: 1 },
  },
])('[MQTT-3.2.2-8] who connects $what is told so', ({ code, limits }) => {
  const harness = new Harness({ limits });
  harness.connected('first');
  const client = harness.client('c');
  if (code === ReasonCode.ServerShuttingDown) {
    harness.shutDown();
    expectClosed(client); // it had not said what it speaks
    return;
  }
  client.send(client.connectPacket());
  expectRefused(client, code);
});

test('[MQTT-3.2.2-8] a client whose token is being checked when the broker shuts down is told 0x88, and the others that come after it are told as well', () => {
  const harness = new Harness();
  const before = harness.connected('before');
  const client = harness.client('c');
  const after = harness.connected('after');
  harness.holdVerdicts = true;
  client.send(client.connectPacket());
  harness.shutDown();
  expect(client.next('connack').reasonCode).toBe(ReasonCode.ServerUnavailable);
  for (const other of [before, after]) {
    expect(other.next('disconnect').reasonCode).toBe(ReasonCode.ServerShuttingDown);
  }
});

test('CONNACK names Receive Maximum, Maximum Packet Size and Topic Alias Maximum', () => {
  const limits = { receiveMaximum: 12, maximumPacketSize: 34_567, topicAliasMaximum: 8 };
  const client = new Harness({ limits }).client('c');
  expect(client.connect()).toMatchObject({
    receiveMaximum: 12,
    maximumPacketSize: 34_567,
    topicAliasMaximum: 8,
  });
});

test('[MQTT-3.2.2-9] CONNACK does not limit QoS, wildcards, Subscription Identifiers or sharing', () => {
  const connack = new Harness().client('c').connect();
  expect(connack.maximumQoS).toBeUndefined();
  expect(connack.retainAvailable).not.toBe(false);
  expect(connack.wildcardSubscriptionAvailable).not.toBe(false);
  expect(connack.subscriptionIdentifiersAvailable).not.toBe(false);
  expect(connack.sharedSubscriptionAvailable).not.toBe(false);
});

test('[MQTT-3.2.2-13] a device that may not retain is told so, and a retained Will of it is refused with 0x9A', () => {
  const harness = new Harness({ policy: { commands: ['gone'] as never } });
  const options = { identity: device };
  expect(harness.client('a', options).connect().retainAvailable).toBe(false);
  const other = harness.client('b', options);
  other.send(other.connectPacket({ will: will('gone', 'x', { retain: true }) }));
  expectRefused(other, ReasonCode.RetainNotSupported);
  const third = harness.client('c', options);
  expect(third.connect({ will: will('gone', 'x') }).reasonCode).toBe(ReasonCode.Success);
});

test('[MQTT-3.2.2-14] RETAIN of a device that was told Retain Available 0 ends the connection with 0x9A', () => {
  const harness = new Harness({ policy: { commands: ['command'] as never } });
  const client = harness.connected('c', {}, { identity: device });
  expect(client.publish('command', 'x', { qos: 1 })?.reasonCode).toBeLessThan(0x80);
  client.raw(frame(0x31, string('command'), 0));
  expectEnded(client, ReasonCode.RetainNotSupported);
});

test('[MQTT-3.2.2-15] a packet larger than the Maximum Packet Size ends the connection with 0x95, before its body is sent', () => {
  const harness = new Harness({ limits: { maximumPacketSize: 100 } });
  const client = harness.connected('c');
  client.subscribe('a');
  client.publish('a', new Uint8Array(100 - 2 - 4)); // 100 bytes with its headers
  expect(client.next('publish').payload.length).toBe(94);
  client.raw('30 63'); // announces 101
  expectEnded(client, ReasonCode.PacketTooLarge);
});

test('[MQTT-3.2.2-19] [MQTT-3.1.2-24] a Reason String that does not fit the client is left out of CONNACK', () => {
  const harness = new Harness();
  const password = Buffer.from(harness.refuse(ReasonCode.NotAuthorized, 'token expired'));
  const refusal = (maximumPacketSize: number): ReturnType<typeof expectRefused> => {
    const client = harness.client('c');
    client.send(client.connectPacket({ password, maximumPacketSize }));
    return expectRefused(client, ReasonCode.NotAuthorized);
  };
  const whole = 2 + 3 + 1 + 2 + 'token expired'.length;
  expect(refusal(whole).reasonString).toBe('token expired');
  expect(refusal(whole - 1).reasonString).toBeUndefined();
  expect(refusal(5).reasonString).toBeUndefined();
});

test('[MQTT-3.1.2-24] a client that takes nothing as large as a CONNACK gets none', () => {
  const client = new Harness().client('c');
  client.send(client.connectPacket({ password: Buffer.from('bad'), maximumPacketSize: 4 }));
  expectClosed(client);
});

test('[MQTT-3.1.2-24] [MQTT-3.2.0-1] a client whose CONNACK does not fit is refused, and not left without an answer', () => {
  const harness = new Harness();
  const client = harness.client('c');
  client.send(client.connectPacket({ maximumPacketSize: 10, sessionExpiryInterval: 60 }));
  expectRefused(client, ReasonCode.PacketTooLarge);
  expect(harness.broker.counters.clientsConnected).toBe(0);
  const again = harness.client('c');
  expect(again.connect({ cleanStart: false }).sessionPresent).toBe(false);
});

test('[MQTT-3.1.2-24] [MQTT-3.1.2-25] a message too large for one subscriber is dropped for it alone, and counts as delivered', () => {
  const harness = new Harness();
  const large = harness.connected('large');
  const small = harness.connected('small', { maximumPacketSize: 60, receiveMaximum: 1 });
  for (const client of [large, small]) client.subscribe('a');
  const publisher = harness.connected('p');
  const head = 2 + 2 + 1 + 2 + 1;
  publisher.publish('a', 'x'.repeat(60 - head + 1), { qos: 1 });
  publisher.publish('a', 'y'.repeat(60 - head), { qos: 1 });
  expect(large.texts().map((text) => text[0])).toEqual(['x', 'y']);
  const [message, ...others] = small.messages();
  expect(message === undefined ? '' : textOf(message)[0]).toBe('y');
  expect(others).toEqual([]);
  expect(harness.broker.counters.dropped['packet-too-large']).toBe(1);
});

test('[MQTT-3.1.2-25] a message too large for a resumed client is not sent again, and holds nothing up', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 60 };
  const client = harness.connected('c', fields);
  client.subscribe('a');
  const publisher = harness.connected('p');
  publisher.publish('a', 'x'.repeat(100), { qos: 2 });
  client.lose();
  publisher.publish('a', 'y'.repeat(100), { qos: 1 });
  publisher.publish('a', 'z', { qos: 1 });
  const again = harness.connected('c', { ...fields, maximumPacketSize: 60, receiveMaximum: 1 });
  expect(again.texts()).toEqual(['z']);
});

test('[MQTT-3.2.2-22] without a Server Keep Alive that of the client stands', () => {
  const harness = new Harness({ limits: { maximumKeepAliveSeconds: 60 } });
  const client = harness.client('c');
  expect(client.connect({ keepAliveSeconds: 40 }).serverKeepAliveSeconds).toBeUndefined();
  harness.advance(59_999);
  expectQuiet(client);
  harness.advance(1);
  expectEnded(client, ReasonCode.KeepAliveTimeout);
});

test.each([0, 61, 65_535])(
  '[MQTT-3.1.2-21] [MQTT-3.2.2-21] a Keep Alive of %i becomes the longest allowed, is told as Server Keep Alive, and counts',
  (keepAliveSeconds) => {
    const harness = new Harness({ limits: { maximumKeepAliveSeconds: 60 } });
    const client = harness.client('c');
    expect(client.connect({ keepAliveSeconds }).serverKeepAliveSeconds).toBe(60);
    harness.advance(89_999);
    expectQuiet(client);
    harness.advance(1);
    expectEnded(client, ReasonCode.KeepAliveTimeout);
  },
);

test('a Session Expiry Interval is granted as asked, or told where it is not', () => {
  const harness = new Harness({ limits: { maximumSessionExpirySeconds: 100 } });
  const granted = (sessionExpiryInterval: number): number | undefined =>
    harness.client('c').connect({ sessionExpiryInterval }).sessionExpiryInterval;
  expect([0, 1, 100].map(granted)).toEqual([undefined, undefined, undefined]);
  expect([101, 0xffff_ffff].map(granted)).toEqual([100, 100]);
});

test('[MQTT-3.1.2-28] Response Information comes to who asks, and to nobody else', () => {
  const harness = new Harness();
  const asked = harness.client('a', { identity: { user: 'au|1_2', grants: everything } });
  const connack = asked.connect({ requestResponseInformation: true });
  expect(connack.responseInformation).toBe('au|1%5F2_');
  const not = harness.client('b');
  not.send(not.connectPacket());
  expect(not.next('connack').responseInformation).toBeUndefined();
});

test('[MQTT-3.2.2-8] CONNACK has the form of 5.0 to the byte', () => {
  const limits = { receiveMaximum: 1_000, maximumPacketSize: 4_194_304, topicAliasMaximum: 100 };
  const client = new Harness({ limits }).client('c');
  client.send(client.connectPacket());
  const expected = frame(0x20, '00 00', 11, '21 03e8', '22 0064', '27 00400000');
  expect(Buffer.from(client.nextBytes())).toEqual(Buffer.from(bytes(expected)));
});
