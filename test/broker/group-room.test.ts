/** A group's message goes to a member that has room for it, and is refused where none has. */
import { describe, expect, test } from 'bun:test';
import type { Identity } from '../../core/auth/rights.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket } from '../client.ts';
import { Harness } from '../harness.ts';

const handler: Partial<Identity> = { user: 'serve', role: 'handler', grants: undefined };
const kept = { cleanStart: false, sessionExpiryInterval: 0xffff_ffff };

/** A member of `$share/g/room` that is there, with one message in flight and another one queued: full. */
function withFullMember(queuePolicy: 'refuse' | 'drop-newest') {
  const harness = new Harness({
    limits: { queuedMessages: 1, queuePolicy },
    policy: { commands: ['room' as never] },
  });
  const client = harness.connected('full', { ...kept, receiveMaximum: 1 }, { identity: handler });
  client.subscribe('$share/g/room');
  const publisher = harness.connected('p');
  for (const text of ['1', '2']) publisher.publish('room', text, { qos: 1 });
  return { harness, publisher };
}

describe.each(['refuse', 'drop-newest'] as const)('queue policy %s', (queuePolicy) => {
  test('a member that is away and has room gets what one that is there has no room for', () => {
    const { harness, publisher } = withFullMember(queuePolicy);
    const away = harness.connected('away', kept);
    away.subscribe('$share/g/room');
    away.lose();
    publisher.publish('room', '3', { qos: 1 });
    expect(harness.connected('away', kept).texts()).toEqual(['3']);
  });
});

test('who may not have a message keeps nobody from being told that there is no room for it', () => {
  const { harness } = withFullMember('refuse');
  const grants = { publish: [], subscribe: ['room'], retain: false, share: true };
  const phone = harness.connected(
    'phone',
    {},
    { identity: { user: 'ann', role: 'device', grants } },
  );
  phone.subscribe('$share/g/room');
  const other: Partial<Identity> = { user: 'bob', role: 'device', grants: undefined };
  const device = harness.connected('device', {}, { identity: other });
  device.send(publishPacket('room', '3', { qos: 1, packetIdentifier: 9 }));
  expect(device.find('puback').reasonCode).toBe(ReasonCode.QuotaExceeded);
  expect(phone.texts()).toEqual([]);
});
