import { expect, test } from 'bun:test';
import type { Change } from '../../core/broker/changes.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { packBatch } from '../../core/store/batch.ts';
import { type Gathering, Journal } from '../../core/store/journal.ts';
import { Packer } from '../../core/store/packed.ts';
import { command, dead, filter, message, queued, session, topic } from './changes.ts';

function gather(...changes: readonly Change[]): Gathering {
  const journal = new Journal();
  for (const change of changes) journal.keep(change);
  const gathering = journal.take();
  if (gathering === undefined) throw new Error('nothing was kept');
  expect(gathering.position).toBe(changes.length);
  return gathering;
}

/** How many rows `changes` touch when they share a batch. */
function rows(...changes: readonly Change[]): number {
  return packBatch(gather(...changes), new Packer());
}

const done = (session: number, sequence: number): Change => ({ kind: 'done', session, sequence });
const sent = (session: number, sequence: number): Change => ({
  kind: 'sent',
  session,
  sequence,
  packetIdentifier: 5,
});
const released = (session: number, sequence: number): Change => ({
  kind: 'released',
  session,
  sequence,
});
const retained = (message: number): Change => ({ kind: 'retained', topic, message });
const received: Change = { kind: 'received', session: 1, packetIdentifier: 9 };
const freed: Change = { kind: 'freed', session: 1, packetIdentifier: 9 };

test('a message that was queued and is done never touches the disk', () => {
  expect(rows(message(1), queued(1, 1, 1), done(1, 1))).toBe(0);
  expect(rows(message(1), queued(1, 1, 1), sent(1, 1), released(1, 1), done(1, 1))).toBe(0);
});

test('a message that somebody waits for is written once, with those who wait', () => {
  expect(rows(message(1), queued(1, 1, 1), queued(2, 2, 1), queued(3, 3, 1), done(2, 2))).toBe(3);
});

test('a message that changes hands stays', () => {
  expect(rows(message(1), queued(1, 1, 1), done(1, 1), queued(2, 2, 1))).toBe(2);
});

test('a message that nothing refers to is not written', () => {
  expect(rows(message(1))).toBe(0);
});

test('what becomes of a delivery goes into its row, whether that is new or on disk', () => {
  expect(rows(message(1), queued(1, 1, 1), sent(1, 1), released(1, 1))).toBe(2);
  expect(rows(sent(1, 1), released(1, 1))).toBe(1);
  expect(rows(sent(1, 1), released(1, 1), done(1, 1))).toBe(1);
});

test('of a topic the last message counts, and what was replaced meanwhile is not written', () => {
  expect(rows(message(1), retained(1), message(2), retained(2), message(3), retained(3))).toBe(2);
  expect(rows(message(1), retained(1), { kind: 'cleared', topic })).toBe(1);
});

test('a retained message that was replaced stays while a session waits for it', () => {
  expect(rows(message(1), retained(1), queued(1, 1, 1), message(2), retained(2))).toBe(4);
});

test('an identifier that was used and is free is not written; one that was used before is freed', () => {
  expect(rows(received, freed)).toBe(0);
  expect(rows(received, freed, received, freed, received)).toBe(1);
  expect(rows(freed, received, freed)).toBe(1);
  expect(rows(freed, received)).toBe(1);
});

test('a command that was handled meanwhile is not written', () => {
  expect(rows(message(1), command(1), { kind: 'command-done', message: 1 })).toBe(0);
  expect(rows(message(1), command(1))).toBe(2);
});

test('of what is known of a command the last is written, and nothing once it is done', () => {
  const tried = (attempts: number): Change => {
    return { kind: 'command-tried', message: 1, handler: 'a', attempts };
  };
  const partDone: Change = { kind: 'command-part-done', message: 1, handler: 'a' };
  const commandDone: Change = { kind: 'command-done', message: 1 };
  expect(rows(tried(1), tried(2), partDone)).toBe(1);
  expect(rows(message(1), command(1), tried(1), partDone)).toBe(3);
  expect(rows(message(1), command(1), tried(1), commandDone)).toBe(0);
  expect(rows(tried(1), commandDone)).toBe(1);
});

test('a letter that is dropped meanwhile is not written, nor its message', () => {
  const dropped: Change = { kind: 'dead-dropped', number: 2 };
  expect(rows(message(1), command(1), dead(2, 1), { kind: 'command-done', message: 1 })).toBe(2);
  expect(rows(message(1), dead(2, 1), dropped)).toBe(0);
  expect(rows(dropped)).toBe(1);
});

test('of a session and of a subscription the last state counts', () => {
  const subscribed: Change = {
    kind: 'subscribed',
    session: 1,
    subscription: {
      filter,
      shareName: '',
      maximumQoS: 1,
      noLocal: false,
      retainAsPublished: false,
      identifier: 0,
      standing: 2,
      declares: false,
    },
  };
  const unsubscribed: Change = { kind: 'unsubscribed', session: 1, filter, shareName: '' };
  expect(rows(session(1), session(1), subscribed, unsubscribed, subscribed)).toBe(2);
});

test('the subscriptions of two sessions, and one in a group and one that is not, are two', () => {
  const unsubscribed = (session: number, shareName: string): Change => {
    return { kind: 'unsubscribed', session, filter, shareName };
  };
  expect(rows(unsubscribed(1, ''), unsubscribed(11, ''), unsubscribed(1, 'g'))).toBe(3);
});

test('however long a batch takes, what comes to nothing meanwhile takes no room', () => {
  const journal = new Journal();
  for (let number = 1; number <= 20_000; number++) {
    for (const change of [message(number), queued(1, number, number), done(1, number)]) {
      journal.keep(change);
    }
    journal.keep({ kind: 'retained', topic: `t/${number % 7}` as TopicName, message: number });
    journal.keep(session(number % 5));
    journal.tidy();
  }
  const gathering = journal.take();
  expect(gathering?.position).toBe(100_000);
  expect(gathering?.messages.size).toBeLessThan(1_100);
  expect(gathering?.deliveries.length).toBeLessThan(1_100);
  expect(gathering?.bySequence.size).toBeLessThan(1_100);
  expect(packBatch(gathering as Gathering, new Packer())).toBe(7 + 7 + 5);
});
