/** Wills that a crash leaves to the next start. */
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
