/**
 * The seeded simulation. SIM_RUNS sets how many seeds are run (2,000), SIM_SEED runs one, SIM_FIRST is
 * the first of them (1).
 */
import { expect, test } from 'bun:test';
import { simulate } from './simulation.ts';

const first = Number(process.env.SIM_SEED ?? process.env.SIM_FIRST ?? 1);
const runs = process.env.SIM_SEED === undefined ? Number(process.env.SIM_RUNS ?? 2_000) : 1;

function simulateAll(count: number, durable: boolean): void {
  let steps = 0;
  let published = 0;
  let delivered = 0;
  for (let seed = first; seed < first + count; seed++) {
    const report = simulate(seed, { durable });
    steps += report.steps;
    published += report.published;
    delivered += report.delivered;
  }
  console.info(
    `simulated seeds ${first} to ${first + count - 1}${durable ? ' with storage' : ''}: ` +
      `${steps} steps, ${published} messages published, ${delivered} delivered`,
  );
  expect(delivered).toBeGreaterThan(0);
}

const timeout = Number.MAX_SAFE_INTEGER;

test(
  'whatever clients and networks do: nothing lost, nothing twice, in order, by right, within bounds',
  () => simulateAll(runs, false),
  { timeout },
);

test(
  'the same with storage behind the core, which is slow and does not fail',
  () => simulateAll(Math.ceil(runs / 4), true),
  { timeout },
);
