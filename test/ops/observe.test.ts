import { expect, test } from 'bun:test';
import type { BrokerEvent, Party } from '../../core/broker/outbox.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { parseTopicFilter, type TopicFilter } from '../../core/mqtt/topic.ts';
import { Logger, type LogRecord } from '../../core/ops/log.ts';
import { observe } from '../../core/ops/observe.ts';

const party: Party = { connection: 3, address: '192.0.2.1', user: 'u', clientIdentifier: 'c' };
const who = { user: 'u', client: 'c', address: '192.0.2.1', connection: 3 };

function lineOf(event: BrokerEvent): LogRecord | undefined {
  const records: LogRecord[] = [];
  const sink = { write: (record: LogRecord) => void records.push(record), flush: async () => {} };
  observe(new Logger({ level: 'debug', burst: 10, sinks: [sink] }))(event);
  return records[0];
}

test('a refused CONNECT is told with who, from where and why', () => {
  const reasonCode = ReasonCode.NotAuthorized;
  expect(lineOf({ kind: 'refused', party, reasonCode, detail: 'token expired' })).toMatchObject({
    level: 'warn',
    message: 'refused',
    fields: { ...who, reason: 'NotAuthorized', detail: 'token expired' },
  });
});

test('a denial is told with what was tried and the topic', () => {
  expect(lineOf({ kind: 'denied', party, action: 'will', topic: '1_x' })).toMatchObject({
    level: 'warn',
    fields: { ...who, reason: 'will', topic: '1_x' },
  });
});

test('a violation is told with its statement', () => {
  const line = lineOf({
    kind: 'violation',
    party,
    reasonCode: ReasonCode.MalformedPacket,
    statement: 'MQTT-2.2.1-3',
    detail: 'Packet Identifier 0',
  });
  expect(line?.fields).toMatchObject({ statement: 'MQTT-2.2.1-3', reason: 'MalformedPacket' });
});

test('a fault of ours is an error with its stack', () => {
  const line = lineOf({ kind: 'fault', party, error: new Error('oh') });
  expect(line?.level).toBe('error');
  expect(line?.fields).toMatchObject({
    ...who,
    detail: 'oh',
    stack: expect.stringContaining('oh'),
  });
});

test('every other event has a line that says who', () => {
  const events: BrokerEvent[] = [
    { kind: 'connected', party, protocolVersion: 5, sessionPresent: false },
    { kind: 'disconnected', party, reasonCode: ReasonCode.Success, by: 'client', detail: '' },
    { kind: 'dropped', party, reason: 'queue-full', topic: 't' },
    { kind: 'taken-over', party },
    { kind: 'session-expired', party },
    { kind: 'topic-collision', party, command: parseTopicFilter('a_b') as TopicFilter },
  ];
  for (const event of events) expect(lineOf(event)?.fields).toMatchObject(who);
});
