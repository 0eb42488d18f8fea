/** What the broker knows of time tables: their runs are commands, and what a restart knows of them. */
import { expect, test } from 'bun:test';
import { hookCommand } from '../../core/broker/hooks.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { Harness } from '../harness.ts';
import { crash } from './hooks.ts';

const table = '0 3 * * * Europe/Berlin';

function due(handler: string): Message {
  const publisher = { user: '', clientIdentifier: 'reports', device: false };
  return hookCommand(`$hook/schedule/${handler}` as TopicName, new Uint8Array(1), publisher);
}

test('a run is a command for its handler alone, kept as one change with the due time', () => {
  const harness = new Harness({ durable: true });
  harness.broker.schedules('a', table, 1_000, harness.now);
  harness.kept.length = 0;
  harness.broker.tick('a', table, 2_000, due('a'), harness.now);
  expect(harness.kept).toMatchObject([
    { kind: 'message', message: 1 },
    { kind: 'command', message: 1, only: 'a' },
    { kind: 'scheduled', handler: 'a', table, throughMs: 2_000, message: 1 },
  ]);
  expect(harness.handled).toEqual([]);
  harness.settle();
  expect(harness.handled.map(({ topic }) => String(topic))).toEqual(['$hook/schedule/a']);
});

test('it waits until its command is done, and no other', () => {
  const harness = new Harness({ durable: true });
  harness.broker.tick('a', table, 1_000, due('a'), harness.now);
  harness.broker.tick('b', table, 1_000, due('b'), harness.now);
  harness.broker.handled(2, undefined, harness.now);
  expect(harness.broker.scheduleOf('a')?.message).toBe(1);
  expect(harness.broker.scheduleOf('b')?.message).toBe(0);
  harness.broker.handled(1, 'a', harness.now);
  expect(harness.broker.scheduleOf('a')).toEqual({
    handler: 'a',
    table,
    throughMs: 1_000,
    message: 0,
  });
});

test('another time table waits for the run of the earlier one', () => {
  const harness = new Harness({ durable: true });
  harness.broker.tick('a', table, 1_000, due('a'), harness.now);
  harness.broker.schedules('a', '* * * * * UTC', 5_000, harness.now);
  expect(harness.broker.scheduleOf('a')?.message).toBe(1);
  harness.broker.handled(1, undefined, harness.now);
  expect(harness.broker.scheduleOf('a')?.message).toBe(0);
});

test('a restart knows the time tables, and the runs that wait', () => {
  const harness = new Harness({ durable: true });
  harness.broker.schedules('new', table, 500, harness.now);
  harness.broker.tick('waits', table, 1_000, due('waits'), harness.now);
  harness.broker.tick('done', table, 1_000, due('done'), harness.now);
  harness.broker.schedules('gone', table, 500, harness.now);
  harness.broker.unschedules('gone', harness.now);
  harness.broker.handled(2, undefined, harness.now);
  const next = crash(harness);
  expect(next.broker.scheduleOf('new')).toMatchObject({ throughMs: 500, message: 0 });
  expect(next.broker.scheduleOf('waits')).toMatchObject({ throughMs: 1_000, message: 1 });
  expect(next.broker.scheduleOf('done')).toMatchObject({ throughMs: 1_000, message: 0 });
  expect(next.broker.scheduleOf('gone')).toBeUndefined();
  next.broker.handled(1, undefined, next.now);
  expect(next.broker.scheduleOf('waits')?.message).toBe(0);
});

test('without storage a run is handed over, and no restart knows', () => {
  const harness = new Harness({ durable: false });
  harness.broker.tick('a', table, 1_000, due('a'), harness.now);
  expect(harness.handled).toHaveLength(1);
  expect(harness.kept).toEqual([]);
  expect(harness.broker.scheduleOf('a')).toMatchObject({ throughMs: 1_000, message: 0 });
});
