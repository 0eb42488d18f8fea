/** Where the response to a command may go. */
import { expect, test } from 'bun:test';
import type { Publisher } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { Harness } from '../harness.ts';
import { join, type Who } from '../hostile/company.ts';

const phone: Publisher = { user: '1', clientIdentifier: 'phone', device: true };

function asker(harness: Harness, publisher = phone) {
  return (topic: string) => harness.broker.mayReply(publisher, topic as TopicName);
}

test('a device that is connected may have it on its own topics', () => {
  const harness = new Harness();
  join(harness);
  const may = asker(harness);
  expect(may('1_answer')).toBe(true);
  expect(may('1_answer/42')).toBe(true);
  for (const topic of ['2_answer', '1%5F2_answer', 'answers', '1', '1_', '11_answer', 'x/1_answer'])
    expect([topic, may(topic)]).toEqual([topic, false]);
});

test('grants count while it is connected, and its own topics alone when it is gone', () => {
  const harness = new Harness();
  const client = join(harness, { publish: ['ask'], subscribe: ['rooms/+'] });
  const may = asker(harness);
  expect([may('rooms/7'), may('rooms/7/x'), may('1_answer')]).toEqual([true, false, false]);
  client.lose();
  expect([may('rooms/7'), may('1_answer')]).toEqual([false, true]);
});

test.each([
  { user: '1', role: 'device' },
  { user: '1', role: 'handler' },
  { user: '1', role: 'admin' },
  { user: '1', publish: ['#'], subscribe: ['#'] },
] satisfies Who[])('nobody may have it on a declared command or on $…: %j', (who) => {
  const harness = new Harness();
  harness.handles('1_command', 'request_contact');
  join(harness, who);
  const may = asker(harness);
  for (const topic of [
    ...['1_command', 'request_contact', '$SYS/broker/uptime', '$SYS', '$token', '$hook/connect'],
    ...['$share/g/1_answer', '$1_answer'],
  ]) {
    expect([topic, may(topic)]).toEqual([topic, false]);
  }
  expect(may('1_answer')).toBe(true);
});

test('another client of the same user, and the same client of another, are others', () => {
  const harness = new Harness();
  join(harness, { user: '2', client: 'phone', publish: [], subscribe: ['rooms/+'] });
  join(harness, { user: '1', client: 'tablet', publish: [], subscribe: ['rooms/+'] });
  expect(asker(harness)('rooms/7')).toBe(false);
});

test('a plugin has no topics of its own', () => {
  const harness = new Harness();
  const may = asker(harness, { user: '', clientIdentifier: 'contacts', device: false });
  expect([may('_answer'), may('answer'), may('contacts_answer')]).toEqual([false, false, false]);
});

test('the separator decides which topics are its own', () => {
  const harness = new Harness({ policy: { separator: '/' } });
  expect(asker(harness)('1/answer')).toBe(true);
  expect(asker(harness)('1_answer')).toBe(false);
});
