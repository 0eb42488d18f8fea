/** What remote handlers send on its way to the broker, over connections that end at any moment. */
import { expect, test } from 'bun:test';
import type { Message, QoS } from '../../core/mqtt/packet.ts';
import { parseTopicName } from '../../core/mqtt/topic.ts';
import { type Outgoing, Sends } from '../../core/plugins/remote-sends.ts';

function message(text: string, qos: QoS = 1, expiresAtMs = Number.POSITIVE_INFINITY): Message {
  const topic = parseTopicName(text);
  if (topic === undefined) throw new Error(`${text} is no topic`);
  return {
    topic,
    payload: new Uint8Array(),
    qos,
    retain: false,
    properties: undefined,
    expiresAtMs,
    publisher: { user: '', clientIdentifier: 'p', device: false },
    reach: 2,
  };
}

function taken(sends: Sends, now = 0): string[] {
  const found: Outgoing[] = [];
  for (let next = sends.next(now); next !== undefined; next = sends.next(now)) found.push(next);
  return found.map(
    ({ message: { topic }, qos, packetIdentifier, dup }) =>
      `${topic} qos${qos} ${packetIdentifier}${dup ? ' dup' : ''}`,
  );
}

function sendsOf(...topics: readonly string[]): Sends {
  const sends = new Sends();
  for (const topic of topics) sends.add(message(topic));
  return sends;
}

test('[MQTT-3.3.4-7] no more are in flight than the broker takes', () => {
  const sends = sendsOf('a', 'b', 'c');
  expect(taken(sends)).toEqual([]); // not connected
  sends.attach(2, false);
  expect(taken(sends)).toEqual(['a qos1 1', 'b qos1 2']);
  sends.end(2);
  expect(taken(sends)).toEqual(['c qos1 3']);
});

test('what is settled is all up to the first that is not', () => {
  const sends = sendsOf('a', 'b', 'c');
  sends.attach(10, false);
  taken(sends);
  expect(sends.settled).toBe(0);
  sends.end(2);
  expect(sends.settled).toBe(0);
  sends.end(1);
  expect(sends.settled).toBe(2);
  sends.end(3);
  expect([sends.settled, sends.last]).toEqual([3, 3]);
});

test('[MQTT-4.4.0-1] what was in flight is sent again first, in order, with DUP where the broker knows the session', () => {
  const sends = sendsOf('a', 'b', 'c', 'd');
  sends.attach(3, false);
  taken(sends);
  sends.end(2);
  sends.detach();
  expect(taken(sends)).toEqual([]);
  sends.attach(10, true);
  expect(taken(sends)).toEqual(['a qos1 1 dup', 'c qos1 3 dup', 'd qos1 4']);
  sends.detach();
  sends.attach(10, false);
  expect(taken(sends)).toEqual(['a qos1 5', 'c qos1 6', 'd qos1 7']);
});

test('a smaller window on the next connection holds for what is sent again', () => {
  const sends = sendsOf('a', 'b', 'c');
  sends.attach(3, false);
  taken(sends);
  sends.detach();
  sends.attach(1, true);
  expect(taken(sends)).toEqual(['a qos1 1 dup']);
  sends.end(1);
  expect(taken(sends)).toEqual(['b qos1 2 dup']);
});

test('QoS 0 is settled when it is written, and QoS 2 goes as QoS 1', () => {
  const sends = new Sends();
  sends.add(message('a', 0));
  sends.add(message('b', 2));
  sends.attach(10, false);
  expect(taken(sends)).toEqual(['a qos0 0', 'b qos1 1']);
  expect(sends.settled).toBe(1);
});

test('[MQTT-3.3.2-5] what has expired before it was sent is settled, and not sent', () => {
  const sends = new Sends();
  sends.add(message('a', 1, 1_000));
  sends.add(message('b'));
  sends.attach(10, false);
  expect(taken(sends, 1_000)).toEqual(['b qos1 1']);
  expect(sends.settled).toBe(1);
});

test('what the broker has no room for waits, and is the next; what lies behind it waits with it', () => {
  const sends = sendsOf('a', 'b');
  sends.attach(10, false);
  expect(taken(sends, 0)).toEqual(['a qos1 1', 'b qos1 2']);
  sends.postpone(1, 500);
  sends.add(message('c'));
  expect(taken(sends, 499)).toEqual([]);
  expect(taken(sends, 500)).toEqual(['a qos1 3', 'c qos1 4']);
  sends.end(2);
  expect(sends.settled).toBe(0);
});

test('[MQTT-2.2.1-3] a Packet Identifier is not used twice at a time, however often they go round', () => {
  const sends = sendsOf('first');
  sends.attach(2, false);
  taken(sends);
  for (let count = 0; count < 70_000; count++) {
    sends.add(message('x'));
    const next = sends.next(0);
    if (next === undefined || next.packetIdentifier === 1) throw new Error('1 is in use');
    sends.end(next.packetIdentifier);
  }
  expect(sends.settled).toBe(0);
  sends.end(1);
  expect(sends.settled).toBe(70_001);
});
