/**
 * Kills the broker again and again while clients publish and subscribe, and counts what is lost:
 *
 *     bun scripts/crash.ts [--cycles 300] [--seed N] [--binary dist/bellhop]
 *
 * Publishers with stored sessions send numbered messages at QoS 1 and 2, as fast as their windows
 * allow; subscribers with stored sessions take them, one of them away every other cycle; others keep
 * a retained value up to date, or vanish and leave a Will. After the last cycle all is let drain, and
 * each line of the report must be 0. Exits with 1 where one is not.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bellhopAt, startBroker } from './broker.ts';
import { CrashClient } from './crash/client.ts';
import { randomFrom } from './crash/random.ts';
import { freePort, mint } from './load.ts';
import { numberOf, optionsOf } from './options.ts';

const WINDOW = 20;
const DRAIN_MS = 60_000;

const { values } = optionsOf({
  options: {
    cycles: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(1 + (Date.now() % 1_000_000)) },
    binary: { type: 'string', default: 'dist/bellhop' },
  },
});
const cycles = numberOf(values, 'cycles');
const seed = numberOf(values, 'seed');

const folder = mkdtempSync(join(tmpdir(), 'bellhop-crash-'));
const port = await freePort();
const random = randomFrom(seed);

const command = bellhopAt(values.binary);
const start = () => startBroker(command, port, folder, { QUEUED_MESSAGES: '1000000' });

// What was sent, acknowledged and received, by topic; messages of a topic are numbered from 1.
interface Track {
  sent: number;
  readonly acknowledged: Set<number>;
}
const tracks = new Map<string, Track>();
const failures = {
  'acknowledged messages lost': 0,
  'QoS 2 duplicates': 0,
  'order violations': 0,
  'retained values wrong': 0,
  'Wills lost': 0,
  refusals: 0,
};

class Receiver {
  readonly client: CrashClient;
  readonly got = new Map<string, Set<number>>();
  readonly #last = new Map<string, number>();

  constructor(name: string, token: string, version: 4 | 5) {
    this.client = new CrashClient({
      port,
      clientIdentifier: name,
      token,
      version,
      subscriptions: [
        { topicFilter: 'q1/#', qos: 1 },
        { topicFilter: 'q2/#', qos: 2 },
      ],
      received: (topic, payload, packet) => this.#receive(topic, Number(payload), packet.qos === 2),
    });
  }

  #receive(topic: string, number: number, once: boolean): void {
    const got = this.got.get(topic) ?? new Set<number>();
    this.got.set(topic, got);
    if (got.has(number)) {
      if (once) failures['QoS 2 duplicates']++;
      return;
    }
    got.add(number);
    const last = this.#last.get(topic) ?? 0;
    if (number < last) failures['order violations']++;
    this.#last.set(topic, Math.max(last, number));
  }

  missing(): number {
    let missing = 0;
    for (const [topic, { acknowledged }] of tracks) {
      const got = this.got.get(topic);
      for (const number of acknowledged) if (!got?.has(number)) missing++;
    }
    return missing;
  }
}

let publishing = true;

function startPublisher(name: string, token: string, version: 4 | 5, qos: 1 | 2): CrashClient {
  const topic = `q${qos}/${name}`;
  const track: Track = { sent: 0, acknowledged: new Set() };
  tracks.set(topic, track);
  const client = new CrashClient({
    port,
    clientIdentifier: name,
    token,
    version,
    subscriptions: [],
  });
  client.onRoom = () => {
    while (publishing && client.open && client.inFlight < WINDOW) {
      const number = ++track.sent;
      client.publish(topic, String(number), qos, false, () => track.acknowledged.add(number));
    }
  };
  client.start();
  return client;
}

// A value that is kept up to date as a retained message.
const retained = { sent: 0, acknowledged: 0 };
function startKeeper(token: string): CrashClient {
  const client = new CrashClient({
    port,
    clientIdentifier: 'keeper',
    token,
    version: 5,
    subscriptions: [],
  });
  client.onRoom = () => {
    if (!publishing || !client.open || client.inFlight > 0) return;
    const number = ++retained.sent;
    client.publish('kept/value', String(number), 1, true, () => {
      retained.acknowledged = number;
    });
  };
  client.start();
  return client;
}

/** Subscribes anew and compares what is retained with what was acknowledged before. */
async function checkRetained(token: string, cycle: number): Promise<void> {
  const atLeast = retained.acknowledged;
  const { promise, resolve } = Promise.withResolvers<number>();
  const client = new CrashClient({
    port,
    clientIdentifier: `looker-${cycle}`,
    token,
    version: 5,
    subscriptions: [{ topicFilter: 'kept/value', qos: 1 }],
    received: (_topic, payload) => resolve(Number(payload)),
  });
  if (atLeast > 0) {
    client.start();
    const value = await Promise.race([promise, Bun.sleep(5_000).then(() => -1)]);
    if (value < atLeast || value > retained.sent) failures['retained values wrong']++;
  }
  client.drop();
}

const wills = { left: new Set<string>(), came: new Set<string>() };
async function leaveWill(token: string, cycle: number): Promise<void> {
  const payload = `will-${cycle}`;
  const client = new CrashClient({
    port,
    clientIdentifier: `mortal-${cycle}`,
    token,
    version: 5,
    subscriptions: [],
    will: { topic: 'wills/gone', payload, delaySeconds: 1 },
  });
  await client.ready();
  // A PUBACK for a message of its own session proves that the session and its Will are on disk.
  await new Promise<void>((resolve) => client.publish('kept/proof', payload, 1, true, resolve));
  wills.left.add(payload);
  client.drop();
}

const token = await mint('crash');
console.log(`crash: ${cycles} cycles, seed ${seed}, port ${port}, data ${folder}`);
let broker = start();
const receivers = [
  new Receiver('sub-a', token, 5),
  new Receiver('sub-b', token, 4),
  new Receiver('sub-away', token, 5),
];
const heir = new CrashClient({
  port,
  clientIdentifier: 'heir',
  token,
  version: 5,
  subscriptions: [{ topicFilter: 'wills/#', qos: 1 }],
  received: (_topic, payload) => wills.came.add(payload),
});
for (const client of [...receivers.map((each) => each.client), heir]) {
  await client.ready();
}
const publishers = [
  startPublisher('pub-1', token, 5, 1),
  startPublisher('pub-2', token, 4, 1),
  startPublisher('pub-3', token, 5, 2),
  startPublisher('pub-4', token, 4, 2),
];
const keeper = startKeeper(token);
const away = receivers[2] as Receiver;
let restarts = 0;
for (let cycle = 1; cycle <= cycles; cycle++) {
  if (cycle % 25 === 0) await checkRetained(token, cycle);
  if (cycle % 10 === 0) await leaveWill(token, cycle);
  if (cycle % 4 === 1) away.client.drop();
  if (cycle % 4 === 3) away.client.start();
  while (!publishers.some((each) => each.open)) await Bun.sleep(5);
  await Bun.sleep(Math.floor(random() * 300));
  broker.kill('SIGKILL');
  await broker.exited;
  restarts++;
  broker = start();
  if (cycle % 50 === 0) {
    const acknowledged = [...tracks.values()].reduce(
      (sum, each) => sum + each.acknowledged.size,
      0,
    );
    console.log(`cycle ${cycle}: ${acknowledged} acknowledged, ${JSON.stringify(failures)}`);
  }
}
publishing = false;
away.client.start();
const deadline = Date.now() + DRAIN_MS;
const drained = (): boolean =>
  publishers.every((each) => each.inFlight === 0) &&
  receivers.every((each) => each.missing() === 0) &&
  [...wills.left].every((each) => wills.came.has(each));
while (!drained() && Date.now() < deadline) await Bun.sleep(50);
await checkRetained(token, cycles + 1);

failures['acknowledged messages lost'] = receivers.reduce((sum, each) => sum + each.missing(), 0);
failures['Wills lost'] = [...wills.left].filter((each) => !wills.came.has(each)).length;
const clients = [...publishers, keeper, heir, ...receivers.map((each) => each.client)];
failures.refusals = clients.reduce((sum, each) => sum + each.refusals.length, 0);
for (const client of clients) client.drop();
broker.kill('SIGKILL');
await broker.exited;
rmSync(folder, { recursive: true, force: true });

let acknowledged = 0;
for (const track of tracks.values()) acknowledged += track.acknowledged.size;
console.log(
  `${restarts} kills, ${acknowledged} messages acknowledged to publishers and due to ${receivers.length} subscribers, ` +
    `${retained.sent} retained values, ${wills.left.size} Wills`,
);
for (const [name, count] of Object.entries(failures)) console.log(`${name}: ${count}`);
process.exit(Object.values(failures).some((count) => count > 0) ? 1 : 0);
