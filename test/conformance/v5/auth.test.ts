/** MQTT 5.0 sections 3.15 and 4.12: enhanced authentication and re-authentication; and `$token`, which is ours. */
import { expect, test } from 'bun:test';
import type { Auth, Connect } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import {
  bytes,
  frame,
  publishPacket,
  string,
  subscribePacket,
  type TestClient,
} from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed, expectEnded, expectQuiet, expectRefused } from '../expect.ts';

const JWT = 'JWT';

function auth(
  reasonCode: ReasonCode,
  token: string | undefined,
  method: string | undefined = JWT,
): Auth {
  return {
    type: 'auth',
    reasonCode,
    authenticationMethod: method,
    authenticationData: token === undefined ? undefined : Buffer.from(token),
  };
}

/** CONNECT fields: the method, and the token where one is given. */
function enhanced(token?: string): Partial<Connect> {
  const authenticationData = token === undefined ? undefined : Buffer.from(token);
  return { authenticationMethod: JWT, authenticationData };
}

/** A client that was let in by enhanced authentication. */
function connected(harness: Harness, expiresInMs = Number.POSITIVE_INFINITY): TestClient {
  const client = harness.client('c', { identity: { expiresAtMs: harness.now + expiresInMs } });
  client.send(client.connectPacket(enhanced(client.token)));
  expect(client.next('connack').reasonCode).toBe(ReasonCode.Success);
  return client;
}

test('[MQTT-4.12.0-5] [MQTT-3.1.4-5] CONNECT with the token is answered with CONNACK and its method', () => {
  const client = new Harness().client('c');
  expect(client.connect(enhanced(client.token))).toMatchObject({
    reasonCode: ReasonCode.Success,
    authenticationMethod: JWT,
  });
  expectQuiet(client);
});

test('[MQTT-4.12.0-2] [MQTT-4.12.0-5] [MQTT-3.15.2-1] CONNECT without the token is answered with AUTH 0x18, and that with the token with CONNACK', () => {
  const client = new Harness().client('c');
  client.send(client.connectPacket(enhanced()));
  expect(client.next('auth')).toMatchObject({
    reasonCode: ReasonCode.ContinueAuthentication,
    authenticationMethod: JWT,
  });
  expectQuiet(client);
  client.send(auth(ReasonCode.ContinueAuthentication, client.token));
  expect(client.next('connack')).toMatchObject({
    reasonCode: ReasonCode.Success,
    authenticationMethod: JWT,
  });
});

test('[MQTT-3.15.2-1] AUTH has the form of 5.0 to the byte', () => {
  const client = new Harness().client('c');
  client.send(client.connectPacket(enhanced()));
  const expected = frame(0xf0, '18', 6, '15', string(JWT));
  expect(Buffer.from(client.nextBytes())).toEqual(Buffer.from(expected));
});

test('[MQTT-4.12.0-4] [MQTT-3.14.0-1] [MQTT-3.1.4-6] a bad token is refused with CONNACK at either step', () => {
  const harness = new Harness();
  const first = harness.client('c');
  first.send(first.connectPacket(enhanced('forged')));
  expectRefused(first, ReasonCode.BadUserNameOrPassword);
  const second = harness.client('c');
  second.send(second.connectPacket(enhanced()));
  second.next('auth');
  second.send(auth(ReasonCode.ContinueAuthentication, 'forged'));
  expectRefused(second, ReasonCode.BadUserNameOrPassword);
  second.send(auth(ReasonCode.ContinueAuthentication, second.token));
  expectClosed(second);
});

test.each(['', 'jwt', 'SCRAM-SHA-256', 'JWT '])(
  '[MQTT-4.12.0-1] authentication method "%s" is refused with 0x8C',
  (authenticationMethod) => {
    const client = new Harness().client('c');
    const authenticationData = Buffer.from(client.token);
    client.send(client.connectPacket({ authenticationMethod, authenticationData }));
    expectRefused(client, ReasonCode.BadAuthenticationMethod);
  },
);

test('[MQTT-4.12.0-6] without a method in CONNECT there is none in CONNACK, and no AUTH', () => {
  const client = new Harness().client('c');
  expect(client.connect().authenticationMethod).toBeUndefined();
  expectQuiet(client);
});

test.each([
  ReasonCode.Success,
  ReasonCode.ContinueAuthentication,
  ReasonCode.ReAuthenticate,
] as const)(
  '[MQTT-4.12.0-7] [MQTT-4.13.1-1] AUTH %i of who named no method in CONNECT is a Protocol Error',
  (code) => {
    const client = new Harness().connected('c');
    client.send(auth(code, client.token));
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

const early: [name: string, packet: Uint8Array][] = [
  ['PUBLISH', frame(0x30, string('a'), 0)],
  ['SUBSCRIBE', frame(0x82, '0001 00', string('a'), 0)],
  ['UNSUBSCRIBE', frame(0xa2, '0001 00', string('a'))],
  ['PINGREQ', bytes('c0 00')],
  ['PUBACK', bytes('40 02 0001')],
  ['CONNECT', frame(0x10, string('MQTT'), '05 02 0000 00', string('c'))],
];

test.each(early)(
  '[MQTT-3.1.2-30] [MQTT-3.2.0-1] [MQTT-3.14.0-1] %s during authentication is a Protocol Error, told by CONNACK',
  (_name, packet) => {
    const client = new Harness().client('c');
    client.send(client.connectPacket(enhanced()));
    client.next('auth');
    client.raw(packet);
    expectRefused(client, ReasonCode.ProtocolError);
  },
);

test('[MQTT-3.1.2-30] DISCONNECT during authentication is in order', () => {
  const client = new Harness().client('c');
  client.send(client.connectPacket(enhanced()));
  client.next('auth');
  client.disconnect();
  expectClosed(client);
});

test.each([
  { what: 'another method', packet: auth(ReasonCode.ContinueAuthentication, 'x', 'OTHER') },
  { what: 'Reason Code 0x19', packet: auth(ReasonCode.ReAuthenticate, 'x') },
  { what: 'Reason Code 0x00', packet: auth(ReasonCode.Success, 'x') },
])(
  '[MQTT-4.12.0-3] [MQTT-4.12.0-5] AUTH with $what during authentication is a Protocol Error',
  ({ packet }) => {
    const client = new Harness().client('c');
    client.send(client.connectPacket(enhanced()));
    client.next('auth');
    client.send(packet);
    expectRefused(client, ReasonCode.ProtocolError);
  },
);

test('authentication that takes too long ends with a close', () => {
  const harness = new Harness({ limits: { connectTimeoutMs: 3_000 } });
  const client = harness.client('c');
  client.send(client.connectPacket(enhanced()));
  client.next('auth');
  harness.advance(3_000);
  expect(client.closed).toBe(true);
});

test.each([0x01, 0x17, 0x1a, 0x80, 0x87])(
  '[MQTT-3.15.2-1] AUTH with Reason Code %i ends the connection',
  (code) => {
    const client = connected(new Harness());
    client.raw(frame(0xf0, code, 6, '15', string(JWT)));
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

test('[MQTT-4.13.1-1] an AUTH of nothing is Success, which a client has no use for', () => {
  const client = connected(new Harness());
  client.raw('f0 00');
  expectEnded(client, ReasonCode.ProtocolError);
});

test('[MQTT-4.12.1-1] [MQTT-4.12.0-5] AUTH 0x19 with a new token of the same user is answered with AUTH 0x00, and the connection lives on by it', () => {
  const harness = new Harness();
  const client = connected(harness, 10_000);
  const token = harness.accept({ expiresAtMs: harness.now + 30_000 });
  client.send(auth(ReasonCode.ReAuthenticate, token));
  expect(client.next('auth')).toMatchObject({
    reasonCode: ReasonCode.Success,
    authenticationMethod: JWT,
  });
  harness.advance(29_999);
  expectQuiet(client);
  harness.advance(1);
  expect(expectEnded(client, ReasonCode.NotAuthorized)?.reasonString).toBe('token expired');
});

test('[MQTT-4.12.1-1] [MQTT-4.12.0-2] re-authentication without a token is asked for it', () => {
  const harness = new Harness();
  const client = connected(harness);
  client.send(auth(ReasonCode.ReAuthenticate, undefined));
  expect(client.next('auth')).toMatchObject({
    reasonCode: ReasonCode.ContinueAuthentication,
    authenticationMethod: JWT,
  });
  client.ping();
  client.send(auth(ReasonCode.ContinueAuthentication, harness.accept({})));
  expect(client.next('auth').reasonCode).toBe(ReasonCode.Success);
});

test('[MQTT-4.12.1-2] [MQTT-4.13.2-1] a bad token ends the connection with 0x87', () => {
  const client = connected(new Harness());
  client.send(auth(ReasonCode.ReAuthenticate, 'forged'));
  expectEnded(client, ReasonCode.NotAuthorized);
});

test('[MQTT-4.12.1-2] a token of another user ends the connection with 0x87', () => {
  const harness = new Harness();
  const client = connected(harness);
  client.send(auth(ReasonCode.ReAuthenticate, harness.accept({ user: 'somebody else' })));
  expectEnded(client, ReasonCode.NotAuthorized);
});

test.each([
  { what: 'another method', packet: auth(ReasonCode.ReAuthenticate, 'x', 'OTHER') },
  { what: 'Reason Code 0x18', packet: auth(ReasonCode.ContinueAuthentication, 'x') },
  { what: 'Reason Code 0x00', packet: auth(ReasonCode.Success, 'x') },
])(
  '[MQTT-4.12.1-1] [MQTT-4.13.1-1] AUTH with $what on an open connection is a Protocol Error',
  ({ packet }) => {
    const client = connected(new Harness());
    client.send(packet);
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

test('[MQTT-4.12.1-1] what comes while the new token is checked is carried out behind the answer', () => {
  const harness = new Harness();
  const client = connected(harness);
  harness.holdVerdicts = true;
  client.send(auth(ReasonCode.ReAuthenticate, harness.accept({})));
  client.send({ type: 'pingreq' });
  client.send(subscribePacket(['a']));
  harness.verdicts();
  expect(client.packets().map(({ type }) => type)).toEqual(['auth', 'pingresp', 'suback']);
});

test('re-authentication takes away what the new token does not cover', () => {
  const harness = new Harness();
  const client = connected(harness);
  client.subscribe(['a', 'b']);
  const grants = { publish: [], subscribe: ['a'], retain: false, share: false };
  client.send(auth(ReasonCode.ReAuthenticate, harness.accept({ grants })));
  client.next('auth');
  const publisher = harness.connected('p');
  publisher.publish('a', 'x');
  publisher.publish('b', 'y');
  expect(client.texts()).toEqual(['x']);
  expect(client.publish('a', 'z', { qos: 1 })?.reasonCode).toBe(ReasonCode.NotAuthorized);
});

test('a token that expires ends the connection with 0x87 and says so, whatever the client does', () => {
  const harness = new Harness();
  const identity = { expiresAtMs: harness.now + 60_000 };
  const client = harness.connected('c', { keepAliveSeconds: 10 }, { identity });
  for (let second = 0; second < 59; second++) {
    harness.advance(1_000);
    client.ping();
  }
  harness.advance(1_000);
  expect(expectEnded(client, ReasonCode.NotAuthorized)?.reasonString).toBe('token expired');
});

test('a new token can be published to $token in place of AUTH; it goes nowhere else', () => {
  const harness = new Harness();
  const names = ['#', '$token', '+', '$token/#'];
  const grants = { publish: names, subscribe: names, retain: true, share: true };
  const watcher = harness.connected('w', {}, { identity: { grants, role: 'admin' } });
  watcher.subscribe(names);
  const identity = { expiresAtMs: harness.now + 10_000 };
  const client = harness.connected('c', {}, { identity });
  const token = harness.accept({ expiresAtMs: harness.now + 20_000 });
  const answer = client.publish('$token', token, { qos: 1, retain: true });
  expect(answer?.reasonCode).toBe(ReasonCode.Success);
  harness.advance(19_999);
  expectQuiet(client);
  expectQuiet(watcher);
  expect(harness.forwarded).toEqual([]);
  expect(harness.broker.counters.retainedMessages).toBe(0);
});

test('a bad token at $token is answered with 0x87, and the old one stands', () => {
  const harness = new Harness();
  const identity = { expiresAtMs: harness.now + 10_000 };
  const client = harness.connected('c', {}, { identity });
  for (const qos of [1, 2] as const) {
    expect(client.publish('$token', 'forged', { qos })?.reasonCode).toBe(ReasonCode.NotAuthorized);
  }
  harness.advance(9_999);
  expectQuiet(client);
  client.send(publishPacket('$token', harness.accept({ user: 'another' }), { qos: 1 }));
  expectEnded(client, ReasonCode.NotAuthorized);
});
