/** MQTT 5.0 sections 3.1.2.5 and 3.1.3.2: Will Delay, Will properties, and DISCONNECT 0x04. */
import { expect, test } from 'bun:test';
import type { Connect, Disconnect } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { type TestClient, will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectClosed, expectQuiet, expectRefused } from '../expect.ts';

function watched(
  fields: Partial<Connect> = {},
  delaySeconds = 0,
): { harness: Harness; watcher: TestClient; client: TestClient } {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('gone');
  const client = harness.connected('c', {
    will: will('gone', 'will', { delaySeconds }),
    ...fields,
  });
  return { harness, watcher, client };
}

/** After how many seconds the Will comes; undefined where none does. */
function secondsUntilWill(harness: Harness, watcher: TestClient): number | undefined {
  for (let seconds = 0; seconds <= 200; seconds++) {
    if (watcher.pending > 0) {
      expect(watcher.texts()).toEqual(['will']);
      return seconds;
    }
    harness.advanceSeconds(1);
  }
  return undefined;
}

test.each([
  { delay: 0, expiry: 0, after: 0 },
  { delay: 0, expiry: 100, after: 0 },
  { delay: 10, expiry: 100, after: 10 },
  { delay: 100, expiry: 10, after: 10 },
  { delay: 10, expiry: 0, after: 0 },
  { delay: 10, expiry: 10, after: 10 },
  { delay: 0xffff_ffff, expiry: 20, after: 20 },
])(
  '[MQTT-3.1.2-8] Will Delay $delay and Session Expiry $expiry: the Will comes after $after seconds',
  ({ delay, expiry, after }) => {
    const { harness, watcher, client } = watched({ sessionExpiryInterval: expiry }, delay);
    client.lose();
    expect(secondsUntilWill(harness, watcher)).toBe(after);
    expect(secondsUntilWill(harness, watcher)).toBeUndefined();
  },
);

test('[MQTT-3.1.3-9] [MQTT-3.1.2-8] who is back before the delay is over has its Will not sent', () => {
  const { harness, watcher, client } = watched({ sessionExpiryInterval: 100 }, 10);
  client.lose();
  harness.advance(9_999);
  const again = harness.connected('c', { cleanStart: false, sessionExpiryInterval: 100 });
  expect(secondsUntilWill(harness, watcher)).toBeUndefined();
  again.lose(); // it has no Will now
  expect(secondsUntilWill(harness, watcher)).toBeUndefined();
});

test('[MQTT-3.1.3-9] who is back after the delay has had its Will sent', () => {
  const { harness, watcher, client } = watched({ sessionExpiryInterval: 100 }, 10);
  client.lose();
  harness.advance(10_000);
  harness.connected('c', { cleanStart: false, sessionExpiryInterval: 100 });
  expect(watcher.texts()).toEqual(['will']);
});

test('[MQTT-3.1.2-8] a Clean Start before the delay is over ends the Session, and so the Will is sent', () => {
  const { harness, watcher, client } = watched({ sessionExpiryInterval: 100 }, 10);
  client.lose();
  harness.advance(5_000);
  harness.connected('c', { cleanStart: true });
  expect(watcher.texts()).toEqual(['will']);
  expect(secondsUntilWill(harness, watcher)).toBeUndefined();
});

test('[MQTT-3.1.3-9] [MQTT-3.1.4-3] a takeover that goes on with the Session sends no delayed Will', () => {
  const { harness, watcher, client } = watched({ sessionExpiryInterval: 100 }, 10);
  harness.connected('c', { cleanStart: false, sessionExpiryInterval: 100 });
  expect(client.closed).toBe(true);
  expect(secondsUntilWill(harness, watcher)).toBeUndefined();
});

test('[MQTT-3.1.2-8] [MQTT-3.1.4-3] a takeover with Clean Start ends the Session, and so the Will is sent', () => {
  const { harness, watcher } = watched({ sessionExpiryInterval: 100 }, 10);
  harness.connected('c', { cleanStart: true });
  expect(watcher.texts()).toEqual(['will']);
});

const normal: Partial<Disconnect> = { reasonCode: ReasonCode.Success };

test.each([
  { what: 'DISCONNECT 0x00', disconnect: normal, after: undefined },
  {
    what: 'DISCONNECT 0x00 with a Session Expiry Interval',
    disconnect: { ...normal, sessionExpiryInterval: 50 },
    after: undefined,
  },
  {
    what: 'DISCONNECT 0x04',
    disconnect: { reasonCode: ReasonCode.DisconnectWithWillMessage },
    after: 10,
  },
  {
    what: 'DISCONNECT 0x04 with Session Expiry Interval 0',
    disconnect: { reasonCode: ReasonCode.DisconnectWithWillMessage, sessionExpiryInterval: 0 },
    after: 0,
  },
  {
    what: 'DISCONNECT 0x04 with Session Expiry Interval 3',
    disconnect: { reasonCode: ReasonCode.DisconnectWithWillMessage, sessionExpiryInterval: 3 },
    after: 3,
  },
  {
    what: 'DISCONNECT 0x80',
    disconnect: { reasonCode: ReasonCode.UnspecifiedError },
    after: 10,
  },
])(
  '[MQTT-3.14.4-3] [MQTT-3.1.2-8] [MQTT-3.1.2-10] after $what the Will comes after $after seconds',
  ({ disconnect, after }) => {
    const { harness, watcher, client } = watched({ sessionExpiryInterval: 100 }, 10);
    client.disconnect(disconnect);
    expectClosed(client);
    expect(secondsUntilWill(harness, watcher)).toBe(after as number);
  },
);

test('[MQTT-3.1.3-10] the properties of a Will come with it, User Properties in their order', () => {
  const properties = {
    payloadFormatIndicator: 1 as const,
    contentType: 'text/plain',
    responseTopic: 'answer/here',
    correlationData: Buffer.from([1, 0, 255]),
    userProperties: [
      ['b', '2'],
      ['a', '1'],
      ['b', '1'],
      ['', ''],
    ] as [string, string][],
  };
  const { watcher, client } = watched({ will: will('gone', 'will', { properties }) });
  client.lose();
  expect(watcher.next('publish').properties).toEqual({
    ...properties,
    correlationData: new Uint8Array([1, 0, 255]),
  });
});

test('[MQTT-3.3.2-6] the Message Expiry Interval of a Will begins when it is sent', () => {
  const harness = new Harness();
  const watcher = harness.connected('w', { sessionExpiryInterval: 1_000 });
  watcher.subscribe('gone');
  watcher.lose();
  const message = will('gone', 'will', { qos: 1, delaySeconds: 30, messageExpiryInterval: 20 });
  harness.connected('c', { will: message, sessionExpiryInterval: 1_000 }).lose();
  harness.advanceSeconds(35);
  const again = harness.connected('w', { cleanStart: false, sessionExpiryInterval: 1_000 });
  expect(again.next('publish').messageExpiryInterval).toBe(15);
  again.lose();
  harness.advanceSeconds(20);
});

test.each([
  { topic: 'gone/#', what: 'a wildcard' },
  { topic: 'gone/+', what: 'a wildcard' },
  { topic: '', what: 'nothing' },
])(
  '[MQTT-3.1.4-1] [MQTT-4.7.0-1] [MQTT-4.7.3-1] a Will Topic with $what in it, "$topic", is refused with 0x90',
  ({ topic }) => {
    const client = new Harness().client('c');
    client.send(client.connectPacket({ will: will(topic, 'x') }));
    expectRefused(client, ReasonCode.TopicNameInvalid);
  },
);

test('[MQTT-3.1.4-2] a Will that its client may not publish is refused with 0x87', () => {
  const harness = new Harness();
  const client = harness.client('c', { identity: { grants: undefined } });
  client.send(client.connectPacket({ will: will('anywhere', 'x') }));
  expectRefused(client, ReasonCode.NotAuthorized);
});

test('a Will that says UTF-8 and is not is refused with 0x99', () => {
  const client = new Harness().client('c');
  const payload = Buffer.from([0xff]);
  const properties = { payloadFormatIndicator: 1 as const };
  client.send(client.connectPacket({ will: will('gone', '', { payload, properties }) }));
  expectRefused(client, ReasonCode.PayloadFormatInvalid);
});

test('a Will whose right was lost with a later token is not sent', () => {
  const { harness, watcher, client } = watched();
  const token = harness.accept({ ...client.identity, grants: undefined });
  client.publish('$token', token, { qos: 1 });
  client.lose();
  expectQuiet(watcher);
});
