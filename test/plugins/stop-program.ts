/** Stops while a plugin loads that never comes to an end; then nothing is to keep the process up. */
import { Bench, plainHandlerFile, removeFolders } from './folder.ts';

const bench = new Bench(
  {
    'a.ts': plainHandlerFile('a', ''),
    'endless.ts': 'console.log("loading"); await new Promise(() => setInterval(() => {}, 1_000));',
  },
  { loadTimeoutMs: 3_600_000 },
);
void bench.pool.start();
await bench.until(() => bench.ofKind('handler-log').length > 0);
await bench.pool.stop(0);
removeFolders();
console.log('stopped');
