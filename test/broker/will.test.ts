/** Wills that a crash leaves to the next start, and those for which there is no room or no disk. */
import { describe, expect, test } from 'bun:test';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { will } from '../client.ts';
import { VERSIONS } from '../conformance/expect.ts';
import { Harness } from '../harness.ts';
import { denied, heard, join, renew, stay } from '../hostile/company.ts';
import { crash } from './hooks.ts';

const A_WHILE_SECONDS = 60;

describe.each(VERSIONS)('in version %i', (version) => {
  test('after a crash too a Will is sent by the rights of the last token', () => {
    const before = new Harness({ durable: true });
    const device = stay(before, { version, publish: ['a'] }, { will: will('a', 'x') });
    renew(before, device, { publish: ['b'] });
    const after = crash(before);
    const admin = join(after, { user: 'staff', role: 'admin', client: 'staff' });
    admin.subscribe('a');
    after.advanceSeconds(A_WHILE_SECONDS);
    expect([heard(admin), denied(after)]).toEqual([[], ['will a']]);
  });

  test('a Will that was sent is not found by the next start, also where its token was renewed', () => {
    const before = new Harness({ durable: true });
    const device = stay(before, { version, publish: ['a'] }, { will: will('a', 'x') });
    expect(renew(before, device, { publish: ['a'] })).toBe(ReasonCode.Success);
    device.lose();
    const after = crash(before);
    const admin = join(after, { user: 'staff', role: 'admin', client: 'staff' });
    admin.subscribe('a');
    after.advanceSeconds(A_WHILE_SECONDS);
    expect(heard(admin)).toEqual([]);
  });
});

const kept = { cleanStart: false, sessionExpiryInterval: A_WHILE_SECONDS };
const diskFull = { reasonCode: ReasonCode.QuotaExceeded, detail: 'the disk is full' };

describe('a Will, whose publisher can be told of nothing,', () => {
  test('reaches those that have room for it; for the others it is counted as dropped', () => {
    const harness = new Harness({ limits: { queuedMessages: 1, queuePolicy: 'refuse' } });
    const away = harness.connected('away', kept);
    away.subscribe('end');
    away.lose();
    const watcher = harness.connected('watcher');
    watcher.subscribe('end');
    watcher.publish('end', 'the only one that waits', { qos: 1 });
    watcher.texts();
    harness.connected('phone', { will: will('end', 'gone', { qos: 1 }) }).lose();
    expect(watcher.texts()).toEqual(['gone']);
    expect(harness.broker.counters.dropped['queue-full']).toBe(1);
    expect(harness.connected('away', kept).texts()).toEqual(['the only one that waits']);
  });

  test('reaches those that are there where no room is left to retain it', () => {
    const harness = new Harness({ limits: { retainedMessages: 0 } });
    const watcher = harness.connected('watcher');
    watcher.subscribe('end');
    harness.connected('phone', { will: will('end', 'gone', { qos: 1, retain: true }) }).lose();
    expect(watcher.texts()).toEqual(['gone']);
    const { dropped, retainedMessages } = harness.broker.counters;
    expect([dropped['retained-full'], retainedMessages]).toEqual([1, 0]);
  });

  test('waits for a stored session also while nothing can be stored', () => {
    const harness = new Harness({ durable: true });
    const away = harness.connected('away', kept);
    away.subscribe('end');
    away.lose();
    const phone = harness.connected('phone', { will: will('end', 'gone', { qos: 1 }) });
    harness.holdStorage = true;
    harness.broker.storage(diskFull, harness.now);
    phone.lose();
    harness.holdStorage = false;
    harness.broker.storage(undefined, harness.now);
    harness.settle();
    expect(harness.connected('away', kept).texts()).toEqual(['gone']);
  });

  test('goes to plugins while nothing can be stored, and is not kept', () => {
    const harness = new Harness({ durable: true });
    harness.handles('end');
    const phone = harness.connected('phone', { will: will('end', 'gone', { qos: 1 }) });
    harness.holdStorage = true;
    harness.broker.storage(diskFull, harness.now);
    const before = harness.kept.length;
    phone.lose();
    expect(harness.handled.map(({ topic }): string => topic)).toEqual(['end']);
    expect(harness.kept.slice(before).map(({ kind }) => kind)).not.toContain('command');
  });
});
