/** Addresses that connections come from: counted together, and forgotten with the last of them. */
import { expect, test } from 'bun:test';
import { createBroker } from '../../core/broker/broker.ts';
import { defaultLimits } from '../../core/broker/limits.ts';
import type { Outbox } from '../../core/broker/outbox.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { Harness, START } from '../harness.ts';
import { liveObjects } from '../live-objects.ts';

test('of an address, those count that are connected: who comes when one has gone is let in', () => {
  const harness = new Harness({ limits: { maximumConnectionsPerAddress: 2 } });
  const from = (name: string, address: string) => harness.client(name, { address });
  const reasonOf = (name: string, address: string) => from(name, address).connect().reasonCode;
  const first = from('1', '192.0.2.1');
  expect(first.connect().reasonCode).toBe(ReasonCode.Success);
  const silent = from('2', '192.0.2.1'); // says nothing, and counts
  expect(reasonOf('3', '192.0.2.1')).toBe(ReasonCode.QuotaExceeded);
  expect(reasonOf('4', '192.0.2.2')).toBe(ReasonCode.Success);
  first.lose();
  expect(reasonOf('5', '192.0.2.1')).toBe(ReasonCode.Success);
  expect(reasonOf('6', '192.0.2.1')).toBe(ReasonCode.QuotaExceeded);
  silent.lose();
  expect(reasonOf('7', '192.0.2.1')).toBe(ReasonCode.Success);
});

test('of 20,000 addresses that nobody is connected from any more nothing stays', () => {
  const broker = createBroker({
    outbox: nowhere,
    limits: { ...defaultLimits, sysIntervalSeconds: 0 },
    policy: { commands: [], roles: {}, separator: '_' },
    assignClientIdentifier: () => '',
    version: '0.0.0',
    startedAt: START,
    durable: false,
  });
  const visit = (from: number, to: number) => {
    for (let number = from; number < to; number++) {
      const address = `2001:db8::${number.toString(16)}`;
      broker.opened(number, { transport: 'mqtts', address }, START);
      broker.lost(number, START);
    }
  };
  visit(0, 1_000);
  const before = liveObjects();
  visit(1_000, 20_000);
  expect(liveObjects() - before).toBeLessThan(1_000);
}, 60_000);

const nowhere: Outbox = {
  send() {},
  share() {},
  close() {},
  pause() {},
  resume() {},
  probe() {},
  verify() {},
  handle() {},
  keep() {},
  fetch() {},
  forward() {},
  report() {},
};
