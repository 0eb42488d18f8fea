/**
 * The seed of the randomised tests: another one each run, printed, and fixed by TEST_SEED so that a
 * failure can be met again. fast-check adds the path to the smallest counterexample.
 */
export const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 0x7fffffff));
console.info(`randomised tests run with TEST_SEED=${seed}`);

/** How often a randomised test runs: `count` times, or TEST_RUNS times as often for a long search. */
export function runs(count: number): number {
  return Math.ceil(count * Number(process.env.TEST_RUNS ?? 1));
}
