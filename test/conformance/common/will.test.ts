/** Section 3.1.2.5 of both standards: the Will, and what sends it or takes it away. */
import { expect, test } from 'bun:test';
import type { Connect, ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { type TestClient, textOf, will } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet, VERSIONS } from '../expect.ts';

/** A watcher of `gone/#`, and a client of `version` whose Will goes there. */
function watched(
  version: ProtocolVersion,
  fields: Partial<Connect> = {},
): { harness: Harness; watcher: TestClient; client: TestClient } {
  const harness = new Harness();
  const watcher = harness.connected('w', {}, { version });
  watcher.subscribe('gone/#');
  const client = harness.connected('c', { will: will('gone/c', 'will'), ...fields }, { version });
  return { harness, watcher, client };
}

test.each(VERSIONS)(
  '[MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT3-3.1.2-8] the Will is sent when the connection breaks, and not before, in version %i',
  (version) => {
    const { harness, watcher, client } = watched(version);
    client.ping();
    harness.advanceSeconds(10_000);
    expectQuiet(watcher);
    client.lose();
    const message = watcher.next('publish');
    expect(message).toMatchObject({ topic: 'gone/c', qos: 0, retain: false, dup: false });
    expect(textOf(message)).toBe('will');
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-8] [MQTT3-3.1.2-8] the Will is sent when the client is silent for too long, in version %i',
  (version) => {
    const { harness, watcher } = watched(version, { keepAliveSeconds: 10 });
    harness.advance(14_999);
    expectQuiet(watcher);
    harness.advance(1);
    expect(watcher.texts()).toEqual(['will']);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-8] [MQTT3-3.1.2-8] the Will is sent when the client breaks the protocol, in version %i',
  (version) => {
    const { watcher, client } = watched(version);
    client.raw('00 00');
    expect(client.closed).toBe(true);
    expect(watcher.texts()).toEqual(['will']);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-8] [MQTT3-3.1.2-8] the Will is sent when another connection takes the identifier, in version %i',
  (version) => {
    const { harness, watcher, client } = watched(version);
    harness.connected('c', {}, { version });
    expect(client.closed).toBe(true);
    expect(watcher.texts()).toEqual(['will']);
  },
);

test.each(VERSIONS)('the Will is sent when the token expires, in version %i', (version) => {
  const harness = new Harness();
  const watcher = harness.connected('w');
  watcher.subscribe('gone');
  const identity = { expiresAtMs: harness.now + 5_000 };
  harness.connected('c', { will: will('gone', 'will') }, { version, identity });
  harness.advance(4_999);
  expectQuiet(watcher);
  harness.advance(1);
  expect(watcher.texts()).toEqual(['will']);
});

test.each(VERSIONS)(
  '[MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT3-3.1.2-8] [MQTT3-3.1.2-10] [MQTT3-3.14.4-3] DISCONNECT takes the Will away, in version %i',
  (version) => {
    const { harness, watcher, client } = watched(version);
    client.disconnect();
    expect(client.closed).toBe(true);
    client.lose();
    harness.advanceSeconds(1_000);
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-10] [MQTT3-3.1.2-10] a Will that was sent is forgotten, in version %i',
  (version) => {
    const fields = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
    const { harness, watcher, client } = watched(version, fields);
    client.lose();
    expect(watcher.texts()).toEqual(['will']);
    const again = harness.connected('c', fields, { version });
    again.lose();
    harness.advanceSeconds(1_000);
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT3-3.1.2-12] [MQTT-3.1.2-8] without a Will nothing is sent, in version %i',
  (version) => {
    const { watcher, client } = watched(version, { will: undefined });
    client.lose();
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-14] [MQTT3-3.1.2-16] a Will without Will Retain is not kept, in version %i',
  (version) => {
    const { watcher, client } = watched(version);
    client.lose();
    expect(watcher.next('publish').retain).toBe(false);
    watcher.subscribe('gone/+');
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-15] [MQTT3-3.1.2-17] a Will with Will Retain is kept, in version %i',
  (version) => {
    const fields = { will: will('gone/c', 'kept', { retain: true }) };
    const { watcher, client } = watched(version, fields);
    client.lose();
    expect(watcher.next('publish').retain).toBe(false);
    watcher.subscribe('gone/+');
    const message = watcher.next('publish');
    expect([textOf(message), message.retain]).toEqual(['kept', true]);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-15] a retained Will without a payload takes the retained message away, in version %i',
  (version) => {
    const { harness, watcher, client } = watched(version, {
      will: will('gone/c', '', { retain: true }),
    });
    harness.connected('p').publish('gone/c', 'online', { retain: true, qos: 1 });
    expect(watcher.texts()).toEqual(['online']);
    client.lose();
    expect(watcher.texts()).toEqual(['']);
    watcher.subscribe('gone/+');
    expectQuiet(watcher);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-12] [MQTT3-3.1.2-9] [MQTT3-3.1.2-14] the Will is sent with its QoS, in version %i',
  (version) => {
    for (const qos of [0, 1, 2] as const) {
      const { watcher, client } = watched(version, { will: will('gone/c', 'x', { qos }) });
      client.lose();
      expect(watcher.receive().qos).toBe(qos);
    }
  },
);

test.each(VERSIONS)('an empty Will is a message as well, in version %i', (version) => {
  const { watcher, client } = watched(version, { will: will('gone/c', '') });
  client.lose();
  expect(watcher.texts()).toEqual(['']);
});

test.each(VERSIONS)(
  '[MQTT-4.5.0-1] [MQTT3-4.5.0-1] [MQTT3-3.1.2-5] the Will waits for those who are away, in version %i',
  (version) => {
    const harness = new Harness();
    const fields = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
    const watcher = harness.connected('w', fields, { version });
    watcher.subscribe('gone');
    watcher.lose();
    harness.connected('c', { will: will('gone', 'x', { qos: 1 }) }, { version }).lose();
    expect(harness.connected('w', fields, { version }).texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  'the Will of the client that takes an identifier is its own, in version %i',
  (version) => {
    const { harness, watcher } = watched(version);
    const second = harness.connected('c', { will: will('gone/c', 'second') }, { version });
    expect(watcher.texts()).toEqual(['will']);
    second.lose();
    expect(watcher.texts()).toEqual(['second']);
  },
);
