/** With `slow-publishers`, who publishes to a slow reader is not read from until that has drained. */
import { expect, test } from 'bun:test';
import type { TestClient } from '../client.ts';
import { Harness } from '../harness.ts';

const SLOW_READER_SECONDS = 60;
const KEEP_ALIVE_SECONDS = 10;

/** A reader that takes nothing, and a publisher with a Keep Alive that is held because of it. */
function heldUp() {
  const limits = {
    slowReader: 'slow-publishers',
    outboundBytes: 1_000,
    slowReaderTimeoutMs: SLOW_READER_SECONDS * 1_000,
  } as const;
  const harness = new Harness({ limits });
  const reader = harness.connected('reader');
  reader.subscribe({ topicFilter: 'a', maximumQoS: 0 });
  reader.stuck = true;
  const publisher = harness.connected('publisher', { keepAliveSeconds: KEEP_ALIVE_SECONDS });
  while (!publisher.paused) publisher.publish('a', 'x'.repeat(100));
  return { harness, reader, publisher };
}

function drain(harness: Harness, reader: TestClient): void {
  reader.stuck = false;
  harness.settle();
}

test('it is read from again once the reader has drained, or has gone', () => {
  const { harness, reader, publisher } = heldUp();
  drain(harness, reader);
  expect([publisher.paused, publisher.closed]).toEqual([false, false]);
  const other = heldUp();
  other.reader.lose();
  expect([other.publisher.paused, other.publisher.closed]).toEqual([false, false]);
});

test('it is not cut by its Keep Alive for what was not read, and has all of it once it is read from', () => {
  const { harness, reader, publisher } = heldUp();
  harness.advanceSeconds(4 * KEEP_ALIVE_SECONDS);
  expect([publisher.paused, publisher.closed, reader.closed]).toEqual([true, false, false]);
  drain(harness, reader);
  harness.advanceSeconds(1.4 * KEEP_ALIVE_SECONDS);
  expect([publisher.paused, publisher.closed]).toEqual([false, false]);
  harness.advanceSeconds(0.2 * KEEP_ALIVE_SECONDS);
  expect(publisher.closed).toBe(true);
});

test('it waits no longer than a slow reader may take', () => {
  const { harness, reader, publisher } = heldUp();
  harness.advanceSeconds(SLOW_READER_SECONDS);
  expect([reader.closed, publisher.paused, publisher.closed]).toEqual([true, false, false]);
});
