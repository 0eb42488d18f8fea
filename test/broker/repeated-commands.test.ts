/** QoS 1 commands that a stored session sends again over a new connection: carried out once. */
import { expect, test } from 'bun:test';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import { publishPacket, type TestClient } from '../client.ts';
import { Harness } from '../harness.ts';
import { crash } from './hooks.ts';

function stage(): Harness {
  const harness = new Harness({ durable: true });
  harness.broker.handles(['move' as TopicFilter], [], harness.now);
  return harness;
}

const stored = { cleanStart: false, sessionExpiryInterval: 600 };

function move(client: TestClient, payload: string, packetIdentifier: number, dup: boolean): void {
  client.send(publishPacket('move', payload, { qos: 1, packetIdentifier, dup }));
}

/** Goes away without a word. */
function vanish(client: TestClient): void {
  client.lose();
}

test.each([4, 5] as const)(
  'a command that comes again over a new connection is acknowledged and not carried out again, in version %i',
  (version) => {
    const harness = stage();
    const before = harness.connected('c', stored, { version });
    move(before, 'x', 7, false);
    vanish(before);
    const after = harness.connected('c', stored, { version });
    move(after, 'x', 7, true);
    expect(after.next('puback')).toMatchObject({ packetIdentifier: 7, reasonCode: 0 });
    expect(harness.handled).toHaveLength(1);
    expect(harness.broker.counters.commandsRepeated).toBe(1);
  },
);

test('neither is it after a crash, when the broker knows of it from its disk', () => {
  const before = stage();
  move(before.connected('c', stored), 'x', 7, false);
  const harness = crash(before);
  harness.broker.handles(['move' as TopicFilter], [], harness.now);
  const restored = harness.handled.length;
  const client = harness.connected('c', stored);
  move(client, 'x', 7, true);
  expect(client.next('puback')).toMatchObject({ packetIdentifier: 7, reasonCode: 0 });
  expect(harness.handled).toHaveLength(restored);
});

test('another message under its identifier is carried out', () => {
  const harness = stage();
  const before = harness.connected('c', stored);
  move(before, 'x', 7, false);
  vanish(before);
  const after = harness.connected('c', stored);
  move(after, 'y', 7, true);
  move(after, 'y', 7, false);
  expect(harness.handled).toHaveLength(3);
});

test('[MQTT-4.3.2-5] over the same connection it is a new message, DUP or not', () => {
  const harness = stage();
  const client = harness.connected('c', stored);
  move(client, 'x', 7, false);
  move(client, 'x', 7, true);
  expect(harness.handled).toHaveLength(2);
});

test('a client that begins a new session, or keeps none, is not known again', () => {
  const harness = stage();
  for (const fields of [{}, { ...stored, cleanStart: true }]) {
    const before = harness.connected('c', fields);
    move(before, 'x', 7, false);
    vanish(before);
    move(harness.connected('c', fields), 'x', 7, true);
  }
  expect(harness.handled).toHaveLength(4);
});

test('the last 64 commands are known, and those before them are not', () => {
  const harness = stage();
  const before = harness.connected('c', stored);
  for (let identifier = 1; identifier <= 66; identifier++) move(before, 'x', identifier, false);
  vanish(before);
  const after = harness.connected('c', stored);
  for (let identifier = 1; identifier <= 66; identifier++) move(after, 'x', identifier, true);
  expect(harness.broker.counters.commandsRepeated).toBe(64);
  expect(harness.handled).toHaveLength(68);
});
