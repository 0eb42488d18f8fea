/**
 * What an unrelated flow of QoS 0 on the same broker notices of durable load, beside Mosquitto with
 * persistence at its defaults:
 *
 *     bun scripts/durable.ts [--rounds 3] [--seconds 5] [--binary dist/bellhop]
 *
 * The flow is one pair at 500 messages a second; the load is 50 pairs with stored sessions at QoS 1, as
 * fast as it goes. Both come from `bellhop bench`, in a process each on the core that the broker has not,
 * so that some of the latency is the generators' own. Bellhop syncs the disk before it acknowledges;
 * Mosquitto acknowledges from memory. How fast durable load is by itself, and while the subscribers are
 * away, is in `bun run bench -- --only 'durable-*'`.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchReport } from '../core/bench/report.ts';
import { duration, number } from '../core/bench/report-text.ts';
import { type Broker, bellhop, mosquitto, type Place } from './bench/brokers.ts';
import { ownGenerator } from './bench/generator.ts';
import { makeCertificate, pinned, withBroker } from './bench/runner.ts';
import type { Scenario } from './bench/scenarios.ts';
import { giveUp, numberOf, optionsOf } from './options.ts';

const { values } = optionsOf({
  options: {
    binary: {
      type: 'string',
      default: fileURLToPath(new URL('../dist/bellhop', import.meta.url)),
    },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
if (!existsSync(values.binary)) {
  giveUp(`${values.binary} is missing: bun run build host`, 1);
}
const seconds = numberOf(values, 'seconds');
const generator = ownGenerator(values.binary);
const flow: Scenario = {
  ...{ id: 'flow', title: 'an unrelated flow', kind: 'pairs' },
  options: { pairs: 1, rate: 500, user: 'flow-%d' },
};
const load: Scenario = {
  ...{ id: 'load', title: 'durable load', kind: 'pairs', form: 'durable' },
  options: { pairs: 50, qos: 1, stored: true },
};

/** By `longer` it begins to count earlier, in seconds: all that is counted beside it lies within. */
async function run(
  scenario: Scenario,
  broker: Broker,
  { port }: Place,
  pid: number,
  longer: number,
): Promise<BenchReport> {
  const times = { seconds: seconds + longer, warmUpSeconds: 2 - longer, idleSeconds: 0 };
  const { command, env } = generator.command(scenario, broker, port, pid, times);
  const child = Bun.spawn(pinned(1, command), {
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const out = await child.stdout.text();
  if ((await child.exited) > 1) throw new Error(`${broker.name}: ${scenario.title} failed`);
  return JSON.parse(out) as BenchReport;
}

const scratch = mkdtempSync(join(tmpdir(), 'bellhop-durable-'));
const certificate = makeCertificate(scratch);
const brokers = [bellhop(values.binary), mosquitto()].filter((each) => each !== undefined);
const found = new Map<string, number[]>();
for (let round = 1; round <= numberOf(values, 'rounds'); round++) {
  for (const broker of round % 2 === 1 ? brokers : brokers.toReversed()) {
    await withBroker(load, broker, certificate, async (place, { pid }) => {
      const alone = await run(flow, broker, place, pid, 0);
      const [busy, durable] = await Promise.all([
        run(flow, broker, place, pid, 0),
        run(load, broker, place, pid, 1),
      ]);
      const note = (name: string, figure: number): void => {
        const key = `${broker.name}: ${name}`;
        found.set(key, [...(found.get(key) ?? []), figure]);
      };
      note('p50 of the flow alone', alone.latency.p50);
      note('p99 of the flow alone', alone.latency.p99);
      note('p50 beside the load', busy.latency.p50);
      note('p99 beside the load', busy.latency.p99);
      note('lost of the flow', alone.lost + busy.lost);
      note('durable messages a second meanwhile', durable.receivedPerSecond);
    });
  }
}
rmSync(scratch, { recursive: true });
const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0;
console.log(`${cpus().length} cores (${cpus()[0]?.model}), medians of ${values.rounds} rounds`);
for (const [name, figures] of found) {
  const value = median(figures);
  console.log(`${name}: ${/: p\d/.test(name) ? duration(value) : number(value)}`);
}
