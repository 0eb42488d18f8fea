/** Benches that are stopped after the test that opened them. */
import { afterAll, afterEach } from 'bun:test';
import { Bench, removeFolders } from './folder.ts';

/**
 * For the top of a test file: what it gives makes a bench whose plugins have loaded. The hooks that stop it
 * are the calling file's own, since a module is evaluated once for all files.
 */
export function benches(): (...given: ConstructorParameters<typeof Bench>) => Promise<Bench> {
  const open: Bench[] = [];
  afterEach(async () => {
    for (const bench of open.splice(0)) await bench.pool.stop(0);
  });
  afterAll(removeFolders);
  return async (...given) => {
    const bench = new Bench(...given);
    open.push(bench);
    await bench.pool.start();
    return bench;
  };
}
