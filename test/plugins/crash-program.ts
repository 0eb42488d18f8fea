/**
 * A process that runs the commands it is given, until it is killed. What a broker would put on disk in one
 * batch, the sends of a run and that its command is done, it writes out in one line.
 */
import { writeSync } from 'node:fs';
import { Pool } from '../../core/plugins/pool.ts';
import { by, command } from './folder.ts';

const [folder = '', copies = '', storePath = '', first = '', done = ''] = process.argv.slice(2);
const decoder = new TextDecoder();
const isDone = new Set(done.split(',').map(Number));
let sent: string[] = [];
let position = 0;

const pool = new Pool(
  {
    folder,
    copies,
    watched: false,
    storePath,
    separator: '_',
    workers: 3,
    timeoutMs: 10_000,
    memoryBytes: 512 * 1024 * 1024,
    loadTimeoutMs: 10_000,
    queuedCommands: 10_000,
    queuedBytes: 64 * 1024 * 1024,
  },
  {
    now: () => Date.now(),
    sent: ({ payload }) => {
      sent.push(decoder.decode(payload));
      return undefined;
    },
    declares: () => false,
    mayReply: () => false,
    storageFails: () => false,
    handled: (number) => {
      writeSync(1, `${JSON.stringify({ number, sent })}\n`);
      sent = [];
      position++;
      queueMicrotask(() => pool.stored(position));
      return position;
    },
    tried: () => {},
    buried: ({ detail }) => void writeSync(1, `${JSON.stringify({ buried: detail })}\n`),
    serves: () => {},
    enqueue: () => {},
    fetch: undefined,
    report: () => {},
  },
);
await pool.start();
for (let number = 1; number <= Number(first); number++) {
  if (isDone.has(number)) continue;
  pool.dispatch(command('move', { number }, by(`user${number % 7}`)), number, undefined);
}
pool.restore(Number(first));
writeSync(1, '"given"\n');
