/**
 * The seeded simulation. SIM_RUNS sets how many seeds are run (2,000), SIM_SEED runs one, SIM_FIRST is
 * the first of them (1).
 */
import { expect, test } from 'bun:test';
import { simulate } from './simulation.ts';

const first = Number(process.env.SIM_SEED ?? process.env.SIM_FIRST ?? 1);
const runs = process.env.SIM_SEED === undefined ? Number(process.env.SIM_RUNS ?? 2_000) : 1;

test(
  'whatever clients and networks do: nothing lost, nothing twice, in order, by right, within bounds',
  () => {
    let steps = 0;
    let published = 0;
    let delivered = 0;
    for (let seed = first; seed < first + runs; seed++) {
      const report = simulate(seed);
      steps += report.steps;
      published += report.published;
      delivered += report.delivered;
    }
    console.info(
      `simulated seeds ${first} to ${first + runs - 1}: ` +
        `${steps} steps, ${published} messages published, ${delivered} delivered`,
    );
    expect(delivered).toBeGreaterThan(0);
  },
  { timeout: Number.MAX_SAFE_INTEGER },
);
