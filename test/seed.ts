/**
 * The seed of the randomised tests, printed: the same each run, so that a check that passed passes
 * again; TEST_SEED=17 takes that one, TEST_SEED=random any. fast-check adds the path to the smallest
 * counterexample.
 */
const { TEST_SEED = '1' } = process.env;
export const seed =
  TEST_SEED === 'random' ? Math.floor(Math.random() * 0x7fffffff) : Number(TEST_SEED);
console.info(`randomised tests run with TEST_SEED=${seed}`);

/** How often a randomised test runs: `count` times, or TEST_RUNS times as often for a long search. */
export function runs(count: number): number {
  return Math.ceil(count * Number(process.env.TEST_RUNS ?? 1));
}

/**
 * How long one of them may take, on a machine that does other things as well, for `setDefaultTimeout` of
 * the file that it is in: from anywhere else it holds for one file of a run alone.
 */
export const patienceMs = runs(30_000);
