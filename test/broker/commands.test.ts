/** When commands go to the plugins: those that are stored once they are on disk, the others at once. */
import { expect, test } from 'bun:test';
import { publishPacket, type TestClient } from '../client.ts';
import { Harness } from '../harness.ts';

/** A broker whose plugins handle `c`, whose disk takes nothing, and a client to publish to `c`. */
function stalled() {
  const harness = new Harness({ durable: true });
  harness.handles('c');
  const client = harness.connected('phone');
  harness.holdStorage = true;
  return { harness, client };
}

/** Sends a command, and waits for no answer. Returns how many changes there are by then. */
function command(harness: Harness, client: TestClient, payload: string, qos: 0 | 1 | 2): number {
  const packetIdentifier = qos === 0 ? 0 : client.nextIdentifier();
  client.send(publishPacket('c', payload, { qos, packetIdentifier }));
  return harness.kept.length;
}

function handled(harness: Harness): string[] {
  return harness.handled.splice(0).map(({ payload }) => new TextDecoder().decode(payload));
}

test.each([1, 2] as const)(
  'a command of QoS %i goes to the plugins once it is on disk, and not before',
  (qos) => {
    const { harness, client } = stalled();
    command(harness, client, 'x', qos);
    expect(handled(harness)).toEqual([]);
    harness.store();
    expect(handled(harness)).toEqual(['x']);
    harness.store();
    expect(handled(harness)).toEqual([]);
  },
);

test('what is on disk goes, in order, and what is not waits on', () => {
  const { harness, client } = stalled();
  command(harness, client, 'one', 1);
  const second = command(harness, client, 'two', 1);
  const third = command(harness, client, 'three', 2);
  harness.broker.stored(second, harness.now);
  expect(handled(harness)).toEqual(['one', 'two']);
  harness.broker.stored(third - 1, harness.now);
  harness.broker.stored(third, harness.now);
  expect(handled(harness)).toEqual(['three']);
});

test('a command of QoS 0 waits for no disk, and so overtakes one that does', () => {
  const { harness, client } = stalled();
  command(harness, client, 'stored', 1);
  command(harness, client, 'not stored', 0);
  expect(handled(harness)).toEqual(['not stored']);
  harness.store();
  expect(handled(harness)).toEqual(['stored']);
});

test('without storage a command goes at once, whatever its QoS', () => {
  const harness = new Harness({ durable: false });
  harness.handles('c');
  const client = harness.connected('phone');
  for (const qos of [2, 0, 1] as const) command(harness, client, `QoS ${qos}`, qos);
  expect(handled(harness)).toEqual(['QoS 2', 'QoS 0', 'QoS 1']);
});
