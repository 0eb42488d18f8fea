/**
 * Clients come, subscribe, publish, get their message and go, again and again, and the memory of the
 * broker is written down meanwhile:
 *
 *     bun scripts/churn.ts [--minutes 30] [--slots 200] [--rate 500] [--binary dist/bellhop]
 *
 * Every fourth client leaves a stored session that its next life comes back to, one in ten vanishes
 * without a PUBACK or a DISCONNECT, and topics and client identifiers are new each time for the others.
 * All others acknowledge what they get, so that what the broker has to keep does not grow. Prints the
 * resident memory and the deliveries in the broker's file by the minute, and how much the memory grew
 * from the second fifth of the time to the last.
 */
import { Database } from 'bun:sqlite';
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
const PAYLOAD_BYTES = 64;

let lives = 0;
let completed = 0;
let failed = 0;

/**
 * A client's whole life, which ends with the message that it published itself: a stored session may
 * bring one of an earlier life first. Packets of the broker are small and come whole on loopback, one
 * behind the other.
 */
function live(slot: number): Promise<void> {
  const life = ++lives;
  const stored = life % 4 === 0;
  const vanishes = life % 10 === 0;
  const name = stored ? `stored-${slot}` : `once-${life}`;
  const topic = stored ? `churn/${slot}` : `churn/${life % 100_000}/${slot}`;
  const payload = Buffer.alloc(PAYLOAD_BYTES, String(life).padStart(16));
  return new Promise((resolve) => {
    let over = false;
    const end = (fine: boolean): void => {
      if (over) return;
      over = true;
      if (fine) completed++;
      else failed++;
      resolve();
    };
    void Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => void socket.write(connectFrame(name, token, stored)),
        data(socket, bytes) {
          for (let at = 0; at < bytes.length; ) {
            const next = at + 2 + (bytes[at + 1] as number);
            const type = (bytes[at] as number) >> 4;
            if (type === 2) {
              if (bytes[at + 3] !== 0) return void socket.terminate();
              socket.write(subscribeFrame(topic, 1));
            } else if (type === 9) socket.write(publishFrame(topic, 1, 7, payload));
            else if (type === 3) {
              const own = payload.equals(bytes.subarray(next - PAYLOAD_BYTES, next));
              if (!(own && vanishes)) socket.write(pubackFor(bytes.subarray(at, next)));
              if (own) {
                end(true);
                return leave(socket, vanishes);
              }
            }
            at = next;
          }
        },
        close: () => end(false),
        error: () => end(false),
      },
    }).catch(() => end(false));
  });
}

function leave(socket: Socket, vanishes: boolean): void {
  if (vanishes) socket.terminate();
  else {
    socket.write(DISCONNECT);
    socket.end();
  }
}

/** The PUBACK of 3.1.1 to a PUBLISH of QoS 1. */
function pubackFor(publish: Buffer): Uint8Array {
  const at = 4 + publish.readUInt16BE(2); // behind the fixed header and the topic
  return Uint8Array.of(0x40, 2, publish[at] as number, publish[at + 1] as number);
}

function residentKilobytes(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${broker.pid}/status`, 'utf8'))?.[1]);
}

/** What waits for clients in the broker's file. */
function storedDeliveries(): number {
  const database = new Database(join(folder, 'data/broker.sqlite'), { readonly: true });
  const count = database.query('select count(*) from delivery').values()[0]?.[0] as number;
  database.close();
  return count;
}

await Bun.sleep(2_000); // the broker starts; a client that comes too early is counted as failed
const endAt = Date.now() + minutes * 60_000;
const samples: number[] = [];
const sampling = setInterval(() => samples.push(residentKilobytes()), 1_000);
const reporting = setInterval(
  () =>
    console.log(
      `${completed} lives, ${residentKilobytes()} kB, ${storedDeliveries()} deliveries in the file`,
    ),
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
