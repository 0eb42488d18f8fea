/**
 * Crashes, simulated: the broker dies at any step, with all that its disk had not yet made durable;
 * the batch under way is lost or just made. Disks are slow, fill up and recover; connections break.
 * Whatever was acknowledged must arrive, QoS 2 once, and in order; a command must be carried out
 * once by each of its handlers, or end as a dead letter.
 *
 *     SIM_RUNS=100000 bun test test/sim/crash.test.ts     # more seeds
 *     SIM_SEED=17 SIM_RUNS=1 bun test …                  # one of them
 */
import { expect, test } from 'bun:test';
import { CrashSimulation } from './crash-simulation.ts';

const runs = Number(process.env.SIM_RUNS ?? 10_000);
const firstSeed = Number(process.env.SIM_SEED ?? 1);

test(
  'what was acknowledged survives a crash at any step, once and in order',
  () => {
    let crashes = 0;
    let restored = 0;
    let replays = 0;
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      const simulation = new CrashSimulation(seed);
      expect([seed, simulation.run()]).toEqual([seed, []]);
      crashes += simulation.crashes;
      restored += simulation.plugins.restored;
      replays += simulation.plugins.replays;
    }
    console.log(
      `simulated seeds ${firstSeed} to ${firstSeed + runs - 1}: ${crashes} crashes, ${restored} commands restored, ${replays} letters replayed`,
    );
    expect(crashes).toBeGreaterThan(runs);
    if (runs < 1_000) return; // by chance there may be none
    expect(restored).toBeGreaterThan(runs / 4);
    expect(replays).toBeGreaterThan(runs / 20);
  },
  Number.MAX_SAFE_INTEGER,
);
