/** What stands beside Bellhop in a storm over TLS: no broker, but every connection gets its CONNACK. */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lead } from '../../core/bench/leader.ts';
import { LocalMember } from '../../core/bench/member.ts';
import type { BenchOptions } from '../../core/bench/options.ts';
import { WHOLE } from '../../core/bench/plan.ts';
import { bareTls } from '../../scripts/bench/brokers.ts';
import { makeCertificate, withBroker } from '../../scripts/bench/runner.ts';
import { fullSizes, singlesOf } from '../../scripts/bench/scenarios.ts';

const storm: BenchOptions = {
  ...{ scenario: 'storm', version: 4, qos: 0, payloadBytes: 16, rate: undefined, window: 1 },
  ...{ publishers: 0, subscribers: 0, connections: 5, subscriptions: 0, handler: false },
  ...{ levels: 1, command: 'ask', reply: 'answer', userTemplate: 'u-%d', separator: '_' },
  ...{ stored: false, absent: false, keepAliveSeconds: 0, warmUpSeconds: 0, durationSeconds: 0 },
  drainSeconds: 0,
};

test('bare TLS takes part in the storm over TLS alone, and connects everybody there', async () => {
  const scenarios = singlesOf(fullSizes).filter((each) => bareTls().can(each));
  expect(scenarios.map(({ id }) => id)).toEqual(['storm-tls', 'storm-tls-cold']);
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-bare-tls-'));
  try {
    const [scenario] = scenarios;
    if (scenario === undefined) throw new Error('unreachable');
    const report = await withBroker(
      scenario,
      bareTls(),
      makeCertificate(folder),
      (place, { pid }) => {
        const tls = { rejectUnauthorized: false };
        const target = { hostname: '127.0.0.1', port: place.tlsPort, tls };
        const member = new LocalMember(storm, WHOLE, {
          dial: { targets: [target], parallel: 5, perSecond: undefined, timeoutSeconds: 20 },
          run: 42,
          credentials: async () => ({ userName: undefined, password: undefined }),
        });
        const stopped = new AbortController().signal;
        const watch = { brokerPids: [pid], settleSeconds: 0, stopped, progress: () => {} };
        return lead([member], storm, watch);
      },
    );
    expect(report).toMatchObject({ connections: 5, disconnects: 0, connectTime: { count: 5 } });
    expect(report.broker?.residentEnd).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
