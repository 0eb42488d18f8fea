/**
 * What handlers leave behind, in a process of its own: under `bun test`, an error that nobody catches
 * ends a worker before the worker hears of it. Prints what was reported, a line each.
 */
import { Bench, command, handlerFile, plainHandlerFile, removeFolders } from './folder.ts';

const bench = new Bench({
  'a.ts': plainHandlerFile(
    'a',
    "setTimeout(() => { throw new Error('from a timer'); }); Promise.reject(new Error('alone'));",
  ),
  'b.ts': handlerFile('b', "setTimeout(() => { send('x', 'too late'); });"),
  'c.ts': plainHandlerFile('c', "send('x', 'still here');"),
});
await bench.pool.start();
await bench.run(command('a'), command('b'));
await bench.until(() => bench.ofKind('stray').length === 3);
await bench.run(command('c'));
for (const { fault } of bench.ofKind('stray')) console.log(`${fault.at}: ${fault.detail}`);
console.log(`sent ${bench.texts}`);
console.log(`${bench.pool.counters.workersReplaced} workers replaced`);
await bench.pool.stop(0);
removeFolders();
