/**
 * Clients come, subscribe, publish, get their message and go, again and again, and the memory of the
 * broker is written down meanwhile:
 *
 *     bun scripts/churn.ts [--minutes 30] [--slots 200] [--rate 500] [--binary dist/bellhop]
 *
 * Every fourth client leaves a stored session that its next life comes back to, one in ten vanishes
 * without DISCONNECT, and topics and client identifiers are new each time for the others. Prints the
 * resident memory by the minute, and how much it grew from the second fifth of the time to the last.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Socket } from 'bun';
import { bellhopAt, startBroker } from './broker.ts';
import { connectFrame, freePort, mint, publishFrame, subscribeFrame } from './load.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    slots: { type: 'string', default: '200' },
    rate: { type: 'string', default: '500' },
    binary: { type: 'string', default: 'dist/bellhop' },
  },
});
const minutes = Number(values.minutes);
const slots = Number(values.slots);
const perSecond = Number(values.rate);

const folder = mkdtempSync(join(tmpdir(), 'bellhop-churn-'));
const port = await freePort();
const broker = startBroker(bellhopAt(values.binary), port, folder);
const token = await mint('churn');
const DISCONNECT = Uint8Array.of(0xe0, 0);
const payload = new Uint8Array(64).fill(120);

let lives = 0;
let completed = 0;
let failed = 0;

/** A client's whole life. Packets of the broker are small and come whole on loopback, one behind the other. */
function live(slot: number): Promise<void> {
  const life = ++lives;
  const stored = life % 4 === 0;
  const name = stored ? `stored-${slot}` : `once-${life}`;
  const topic = stored ? `churn/${slot}` : `churn/${life % 100_000}/${slot}`;
  return new Promise((resolve) => {
    const end = (socket: Socket, fine: boolean): void => {
      if (fine) completed++;
      else failed++;
      socket.data = undefined;
      if (life % 10 === 0) socket.terminate();
      else {
        socket.write(DISCONNECT);
        socket.end();
      }
      resolve();
    };
    void Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => void socket.write(connectFrame(name, token, stored)),
        data(socket, bytes) {
          for (let at = 0; at < bytes.length; at += 2 + (bytes[at + 1] as number)) {
            const type = (bytes[at] as number) >> 4;
            if (type === 2) {
              if (bytes[at + 3] !== 0) return end(socket, false);
              socket.write(subscribeFrame(topic, 1));
            } else if (type === 9) socket.write(publishFrame(topic, 1, 7, payload));
            else if (type === 3) return end(socket, true);
          }
        },
        close: () => resolve(),
        error: () => resolve(),
      },
    }).catch(() => {
      failed++;
      resolve();
    });
  });
}

function residentKilobytes(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${broker.pid}/status`, 'utf8'))?.[1]);
}

await Bun.sleep(2_000); // the broker starts; a client that comes too early is counted as failed
const endAt = Date.now() + minutes * 60_000;
const samples: number[] = [];
const sampling = setInterval(() => samples.push(residentKilobytes()), 1_000);
const reporting = setInterval(
  () => console.log(`${completed} lives, ${residentKilobytes()} kB`),
  60_000,
);
await Promise.all(
  Array.from({ length: slots }, async (_, slot) => {
    while (Date.now() < endAt) {
      const next = Bun.sleep((1_000 * slots) / perSecond);
      await live(slot);
      await next;
    }
  }),
);
clearInterval(sampling);
clearInterval(reporting);
const mean = (from: number, to: number): number => {
  const part = samples.slice(Math.floor(samples.length * from), Math.floor(samples.length * to));
  return Math.round(part.reduce((sum, each) => sum + each, 0) / part.length);
};
const early = mean(0.2, 0.4);
const late = mean(0.8, 1);
console.log(
  `${completed} lives in ${minutes} minutes, ${failed} failed; ${early} kB in the second fifth, ` +
    `${late} kB in the last: ${(((late - early) / early) * 100).toFixed(1)} %`,
);
broker.kill('SIGTERM');
await broker.exited;
rmSync(folder, { recursive: true, force: true });
process.exit(failed === 0 ? 0 : 1);
