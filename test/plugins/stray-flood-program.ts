/** A flood of what a handler leaves behind, in a process of its own, as in stray-program.ts. */
import { Bench, command, handlerFile, removeFolders } from './folder.ts';

const THROWN = 2_000;

const bench = new Bench({
  'a.ts': handlerFile(
    'a',
    `for (let count = 0; count < ${THROWN}; count++) setTimeout(() => { throw new Error('flood'); });
    setTimeout(() => log.info('the last'));`,
  ),
});
await bench.pool.start();
await bench.run(command('a'));
await bench.until(() => bench.ofKind('handler-log').length === 1);
const told = bench.ofKind('stray').map(({ fault }) => fault.detail);
console.log(told.length < THROWN / 2 ? 'few are told' : `${told.length} are told`);
console.log(told[100]);
await bench.pool.stop(0);
removeFolders();
