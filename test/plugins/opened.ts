/** Benches that are stopped after the test that opened them. */
import { afterAll, afterEach } from 'bun:test';
import { Bench, removeFolders } from './folder.ts';

const benches: Bench[] = [];

/** A bench whose plugins have loaded; it is stopped after the test. */
export async function opened(...given: ConstructorParameters<typeof Bench>): Promise<Bench> {
  const bench = new Bench(...given);
  benches.push(bench);
  await bench.pool.start();
  return bench;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.pool.stop(0);
});
afterAll(removeFolders);
