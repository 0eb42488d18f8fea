/** The queue of a stored session: what is in memory, and the tail on disk, of which only sums are known. */
import { describe, expect, test } from 'bun:test';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { Queue, queuedSize } from '../../core/session/queue.ts';

function delivery(payload: string) {
  const message: Message = {
    topic: 't' as TopicName,
    payload: new TextEncoder().encode(payload),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: '1', clientIdentifier: 'c', device: true },
    reach: 0,
  };
  return { message };
}

type Entry = ReturnType<typeof delivery>;

const sums = (queue: Queue<Entry>) => ({
  length: queue.length,
  waiting: queue.waiting,
  bytes: queue.waitingBytes,
  onDisk: queue.diskLength,
});

const nothing = { length: 0, waiting: 0, bytes: 0, onDisk: 0 };

describe('the tail on disk', () => {
  test('what is parked from memory waits on disk, and is counted as it was', () => {
    const queue = new Queue<Entry>();
    const entries = ['a', 'bcd'].map(delivery);
    for (const entry of entries) queue.push(entry);
    const bytes = entries.reduce((sum, { message }) => sum + queuedSize(message), 0);
    expect(sums(queue)).toEqual({ length: 2, waiting: 2, bytes, onDisk: 0 });
    queue.park();
    expect(sums(queue)).toEqual({ length: 2, waiting: 2, bytes, onDisk: 2 });
    expect(queue.shift()).toBeUndefined();
  });

  test('what was in flight lies there and does not wait: no limit is about it, and it is not dropped', () => {
    const queue = new Queue<Entry>();
    queue.pushToDisk(2, 200);
    queue.parkInflight(3, 900);
    expect(sums(queue)).toEqual({ length: 5, waiting: 2, bytes: 200, onDisk: 5 });
    for (let count = 0; count < 4; count++) queue.dropFromDisk();
    expect(sums(queue)).toEqual({ length: 3, waiting: 0, bytes: 0, onDisk: 3 });
  });

  test('one that is dropped counts for the mean of those that wait', () => {
    const queue = new Queue<Entry>();
    queue.parkInflight(1, 1_000);
    queue.pushToDisk(4, 400);
    queue.dropFromDisk();
    expect(sums(queue)).toEqual({ length: 4, waiting: 3, bytes: 300, onDisk: 4 });
  });

  test('while a read leaves more, at least one is left; what was in flight is read first', () => {
    const queue = new Queue<Entry>();
    queue.parkInflight(1, 100);
    queue.pushToDisk(3, 300);
    queue.reading();
    queue.read(2, 200, true, 0, 0);
    expect(sums(queue)).toEqual({ length: 2, waiting: 2, bytes: 200, onDisk: 2 });
    queue.reading();
    queue.read(2, 200, true, 0, 0);
    expect(sums(queue)).toEqual({ length: 1, waiting: 1, bytes: 0, onDisk: 1 });
  });

  test('once all is read, what is left is what went there since and was not in what was read', () => {
    const queue = new Queue<Entry>();
    queue.pushToDisk(2, 200);
    queue.reading();
    queue.pushToDisk(3, 330);
    queue.read(3, 310, false, 1, 110);
    expect(sums(queue)).toEqual({ length: 2, waiting: 2, bytes: 220, onDisk: 2 });
  });

  test('what was only estimated is forgotten once nothing is left', () => {
    const queue = new Queue<Entry>();
    queue.pushToDisk(3, 100);
    queue.dropFromDisk();
    queue.reading();
    queue.read(2, 90, false, 0, 0);
    expect(sums(queue)).toEqual(nothing);
    queue.pushToDisk(1, 70);
    expect(sums(queue)).toEqual({ length: 1, waiting: 1, bytes: 70, onDisk: 1 });
  });

  test('there is none until something goes there', () => {
    const queue = new Queue<Entry>();
    queue.pushToDisk(0, 0);
    queue.parkInflight(0, 0);
    queue.dropFromDisk();
    queue.reading();
    queue.park();
    expect(sums(queue)).toEqual(nothing);
  });
});
