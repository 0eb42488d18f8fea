/** How simulations with crashes start a broker over a disk, and what the broker is told of that disk. */
import { type Broker, createBroker } from '../../core/broker/broker.ts';
import type { StorageFailure } from '../../core/broker/ledger.ts';
import { defaultLimits } from '../../core/broker/limits.ts';
import type { Outbox } from '../../core/broker/outbox.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { StorageStatus } from '../../core/store/problem.ts';

export function durableBroker(outbox: Outbox, startedAt: number): Broker {
  return createBroker({
    ...{ outbox, startedAt, durable: true, version: '0' },
    limits: { ...defaultLimits, sysIntervalSeconds: 0 },
    policy: { commands: [], roles: {}, separator: '_' },
    assignClientIdentifier: () => 'assigned',
  });
}

export function failureOf(status: StorageStatus): StorageFailure | undefined {
  if (status.ok) return undefined;
  return { reasonCode: ReasonCode.QuotaExceeded, detail: status.reason };
}
