/**
 * Measures the storage: what a change costs the event loop, what the thread commits, and what a start
 * takes with many sessions and messages. `bun scripts/store-figures.ts [sessions] [messages]`, by
 * default 100 000 and 1 000 000, on a data folder of its own under TMPDIR.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change, StoredSession } from '../core/broker/changes.ts';
import type { Message } from '../core/mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../core/mqtt/topic.ts';
import { packBatch } from '../core/store/batch.ts';
import type { Durability } from '../core/store/broker-file.ts';
import { FILE_NAME } from '../core/store/data-folder.ts';
import { Journal } from '../core/store/journal.ts';
import { Packer } from '../core/store/packed.ts';
import { openStorage } from '../core/store/storage.ts';
import { freePort, SECRET } from './load.ts';

const PAYLOAD_BYTES = 128;
const SUBSCRIPTIONS = 5;
const BINARY = 'dist/bellhop';
const sessionCount = Number(process.argv[2] ?? 100_000);
const messageCount = Number(process.argv[3] ?? 1_000_000);

const starting = process.argv[2] === '--start';
/** A start measures the folder that its parent filled. */
const folder = starting ? (process.argv[3] ?? '') : mkdtempSync(join(tmpdir(), 'bellhop-figures-'));

function content(number: number): Message {
  return {
    topic: `${number % sessionCount}_contact_list` as TopicName,
    payload: new Uint8Array(PAYLOAD_BYTES).fill(number),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: `${number % 1_000}`, clientIdentifier: 'a-publisher', device: false },
    reach: 2,
  };
}

function message(number: number): Change {
  return { kind: 'message', message: number, content: content(number) };
}

function queued(session: number, number: number, packetIdentifier: number): Change {
  const delivery = {
    sequence: number,
    message: number,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: undefined,
    group: undefined,
    packetIdentifier,
    released: false,
  } as const;
  return { kind: 'queued', session, delivery };
}

/** CPU time of `work` in microseconds for each of `count`. */
function cpu(count: number, work: () => void): string {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / count).toFixed(2);
}

/** On the loop: keeping and packing, in gatherings of 2 000 messages, once the code is warm. */
function loopFigures(acknowledged: boolean): void {
  const numbers = Array.from({ length: 2_000 }, (_, index) => index + 1);
  const changes = numbers.flatMap((number): Change[] => {
    const session = 1 + (number % 50);
    const inflight = [message(number), queued(session, number, number)];
    if (acknowledged) inflight.push({ kind: 'done', session, sequence: number });
    return inflight;
  });
  let room: ArrayBuffer | undefined;
  const gather = (): void => {
    const journal = new Journal();
    for (const change of changes) journal.keep(change);
    const gathering = journal.take();
    const packer = new Packer(room);
    if (gathering !== undefined) packBatch(gathering, packer);
    room = packer.release();
  };
  const rounds = 200;
  for (let round = 0; round < rounds; round++) gather();
  const cost = cpu(rounds * changes.length, () => {
    for (let round = 0; round < rounds; round++) gather();
  });
  const what = acknowledged ? 'queued and acknowledged within one batch' : 'queued';
  console.log(`loop, ${what}: ${cost} µs a change`);
}

/** The whole way, at the pace at which batches are committed. */
async function threadFigures(durability: Durability): Promise<void> {
  const own = mkdtempSync(join(folder, 'x-'));
  let stored = 0;
  let kept = 0;
  let next = 0;
  const total = 200_000;
  const done = Promise.withResolvers<void>();
  const { storage, snapshot } = await openStorage({
    folder: own,
    durability,
    stored: (count) => {
      stored = count;
      // As many as may be under way: what waits for the disk in a broker is bounded by its clients.
      while (next < total && kept - stored < 8_000) {
        next++;
        storage.keep(message(next));
        storage.keep(queued(1 + (next % 50), next, 0));
        kept += 2;
      }
      storage.post();
      if (stored >= 2 * total + 50) done.resolve();
    },
    fetched() {},
    status: (status) => console.log(status),
    fault: (detail) => console.log(detail),
  });
  for (const _ of snapshot);
  for (let number = 1; number <= 50; number++) storage.keep(session(number));
  kept = 50;
  const startedAt = performance.now();
  storage.post();
  await done.promise;
  const seconds = (performance.now() - startedAt) / 1_000;
  const { batches, commitSeconds, operations } = storage.counters;
  console.log(
    `thread, ${durability}: ${(operations / seconds / 1_000).toFixed(0)} k rows/s, ` +
      `${(batches / seconds).toFixed(0)} batches/s of ${(operations / batches).toFixed(0)} rows, ` +
      `${((100 * commitSeconds) / seconds).toFixed(0)} % of the time in commits`,
  );
  await storage.close();
  rmSync(own, { recursive: true });
}

function session(number: number): Change {
  return {
    kind: 'session',
    session: number,
    user: `${number}`,
    clientIdentifier: `phone-of-${number}`,
    expirySeconds: 3_600,
    expiresAtMs: 1_700_000_000_000,
  };
}

async function fill(): Promise<void> {
  const stored = { count: 0, wake: () => {} };
  const { storage, snapshot } = await openStorage({
    folder,
    durability: 'os',
    stored: (count) => {
      stored.count = count;
      stored.wake();
    },
    fetched() {},
    status: (status) => console.log(status),
    fault: (detail) => console.log(detail),
  });
  for (const _ of snapshot);
  let kept = 0;
  const keep = async (change: Change) => {
    storage.keep(change);
    if (++kept % 20_000 !== 0) return;
    storage.post();
    while (stored.count < kept - 40_000) await new Promise<void>((wake) => (stored.wake = wake));
  };
  const startedAt = performance.now();
  for (let number = 1; number <= sessionCount; number++) {
    await keep(session(number));
    for (let each = 0; each < SUBSCRIPTIONS; each++) {
      const filter = `${number}_topic_${each}` as TopicFilter;
      await keep({
        kind: 'subscribed',
        session: number,
        subscription: {
          filter,
          shareName: '',
          maximumQoS: 1,
          noLocal: false,
          retainAsPublished: false,
          identifier: 0,
          standing: 2,
          declares: false,
        },
      });
    }
  }
  for (let number = 1; number <= messageCount; number++) {
    await keep(message(number));
    await keep(queued(1 + (number % sessionCount), number, 0));
  }
  await storage.close();
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  const megabytes = (statSync(join(folder, FILE_NAME)).size / 1e6).toFixed(0);
  console.log(`filled in ${seconds} s: ${megabytes} MB`);
}

/** In a process of its own, so that its memory is that of a start. */
async function startFigures(): Promise<void> {
  const child = Bun.spawn([process.execPath, import.meta.path, '--start', folder], {
    stdout: 'inherit',
    stderr: 'inherit',
  });
  await child.exited;
}

async function start(): Promise<void> {
  const before = process.memoryUsage.rss();
  const startedAt = performance.now();
  const { storage, snapshot } = await openStorage({
    folder,
    durability: 'fsync',
    stored() {},
    fetched() {},
    status: (status) => console.log(status),
    fault: (detail) => console.log(detail),
  });
  const openedAt = performance.now();
  const sessions: StoredSession[] = [];
  let longest = 0;
  let pieceAt = performance.now();
  for (const piece of snapshot) {
    sessions.push(...piece.sessions);
    longest = Math.max(longest, performance.now() - pieceAt);
    pieceAt = performance.now();
  }
  const readAt = performance.now();
  const queuedMessages = sessions.reduce((sum, each) => sum + each.queuedMessages, 0);
  const growth = process.memoryUsage.rss() - before;
  console.log(
    `start with ${sessions.length} sessions and ${queuedMessages} messages: ` +
      `checked and opened in ${(openedAt - startedAt).toFixed(0)} ms, ` +
      `read in ${(readAt - openedAt).toFixed(0)} ms, the longest piece ${longest.toFixed(0)} ms; ` +
      `memory grew by ${(growth / 1e6).toFixed(0)} MB`,
  );
  await storage.close();
}

/** Starts the executable, if it is built, on the folder that was filled: time to serve, and memory. */
async function brokerFigures(): Promise<void> {
  if (!existsSync(BINARY))
    return console.log(`${BINARY} is not built: the broker's start is not measured`);
  const startedAt = performance.now();
  const broker = Bun.spawn([BINARY, 'serve'], {
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      MQTT_PORT: String(await freePort()),
      MQTTS_PORT: '0',
      HTTPS_PORT: '0',
      DATA_DIR: folder,
      PLUGINS_DIR: join(folder, 'no-plugins'),
      JWT_SECRET: SECRET,
      LOG_FORMAT: 'json',
    },
    stdout: 'pipe',
    stderr: 'ignore',
  });
  let log = '';
  for await (const chunk of broker.stdout) {
    log += new TextDecoder().decode(chunk);
    if (log.includes('"message":"serving"')) break;
  }
  const took = performance.now() - startedAt;
  const resident = readFileSync(`/proc/${broker.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1];
  console.log(`${BINARY} on that folder: serving after ${took.toFixed(0)} ms, RSS ${resident} KiB`);
  broker.kill();
  await broker.exited;
}

if (starting) {
  await start();
} else {
  try {
    loopFigures(false);
    loopFigures(true);
    await threadFigures('fsync');
    await threadFigures('os');
    await fill();
    await startFigures();
    await startFigures();
    await brokerFigures();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
