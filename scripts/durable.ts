/**
 * Durable throughput beside Mosquitto with persistence, in one run and on the same work:
 *
 *     bun scripts/durable.ts [--seconds 5] [--rounds 3]
 *
 * 50 publishers send QoS 1 to 50 stored sessions, first while these are online and then while they
 * are away, in a closed loop; counted are acknowledgements to the publishers. Bellhop syncs the disk
 * before it acknowledges (DURABILITY=fsync); Mosquitto acknowledges from memory and saves now and
 * then. Beside each, an unrelated QoS 0 flow: its latency without and with the durable load.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Socket } from 'bun';
import { decode } from '../core/mqtt/codec.ts';
import { Framer } from '../core/mqtt/framing.ts';
import type { Publish, QoS } from '../core/mqtt/packet.ts';
import { connectFrame, freePort, mint, publishFrame, SECRET, subscribeFrame } from './load.ts';

const PAIRS = 50;
const WINDOW = 32;
const PAYLOAD = new Uint8Array(64);
const FLOW_INTERVAL_MS = 2;

const { values } = parseArgs({
  options: {
    binary: { type: 'string', default: 'dist/bellhop' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
const seconds = Number(values.seconds);

const token = await mint('measure');

/** A client that hears of PUBACKs and PUBLISHes, and acknowledges the latter. */
class LoadClient {
  readonly #framer = new Framer(1 << 20);
  socket!: Socket;
  readonly ready = Promise.withResolvers<void>();
  onAcknowledged: (packetIdentifier: number) => void = () => {};
  onMessage: (packet: Publish) => void = () => {};
  /** Answers of one chunk, written at once. */
  #answers: Uint8Array[] = [];
  readonly #filter: string | undefined;
  readonly #qos: QoS;

  constructor(filter: string | undefined, qos: QoS) {
    this.#filter = filter;
    this.#qos = qos;
  }

  async open(port: number, name: string, stored: boolean): Promise<void> {
    this.socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (_socket, data) => this.#read(new Uint8Array(data)),
        error: (_socket, error) => this.ready.reject(error),
        close: () => this.ready.reject(new Error(`${name} was disconnected`)),
      },
    });
    this.socket.write(connectFrame(name, token, stored));
    await this.ready.promise;
  }

  close(): void {
    this.socket.write(new Uint8Array([0xe0, 0]));
    this.socket.end();
  }

  #read(bytes: Uint8Array): void {
    this.#framer.push(bytes);
    while (this.#framer.next()) {
      const { bytes: frames, start, end } = this.#framer;
      const packet = decode(frames, start, end, 4);
      if (packet.type === 'puback') this.onAcknowledged(packet.packetIdentifier);
      else if (packet.type === 'publish') {
        const { packetIdentifier: id } = packet;
        if (packet.qos === 1) this.#answers.push(new Uint8Array([0x40, 2, id >> 8, id & 255]));
        this.onMessage(packet);
      } else if (packet.type === 'connack' && this.#filter !== undefined) {
        this.socket.write(subscribeFrame(this.#filter, this.#qos));
      } else this.ready.resolve();
    }
    if (this.#answers.length === 0) return;
    this.socket.write(Buffer.concat(this.#answers));
    this.#answers = [];
  }
}

/** Latencies of an unrelated QoS 0 flow while `during` runs, in microseconds: p50 and p99. */
async function flowBeside(port: number, during: () => Promise<unknown>): Promise<[number, number]> {
  const latencies: number[] = [];
  const receiver = new LoadClient('flow', 0);
  receiver.onMessage = ({ payload }) => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    latencies.push((performance.now() - view.getFloat64(0)) * 1_000);
  };
  const sender = new LoadClient(undefined, 0);
  await Promise.all([receiver.open(port, 'flow-in', false), sender.open(port, 'flow-out', false)]);
  const timer = setInterval(() => {
    const payload = new Uint8Array(16);
    new DataView(payload.buffer).setFloat64(0, performance.now());
    sender.socket.write(publishFrame('flow', 0, 0, payload));
  }, FLOW_INTERVAL_MS);
  await during();
  clearInterval(timer);
  receiver.close();
  sender.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  return [at(0.5), at(0.99)];
}

/** Acknowledged messages a second from 50 publishers to 50 stored sessions. */
async function load(port: number, online: boolean, round: string): Promise<number> {
  const receivers = Array.from({ length: PAIRS }, (_, at) => new LoadClient(`${round}/${at}`, 1));
  await Promise.all(receivers.map((each, at) => each.open(port, `${round}-in-${at}`, true)));
  if (!online) for (const receiver of receivers) receiver.close();
  let acknowledged = 0;
  let running = true;
  const publishers = Array.from({ length: PAIRS }, () => new LoadClient(undefined, 1));
  await Promise.all(publishers.map((each, at) => each.open(port, `${round}-out-${at}`, false)));
  for (const [at, publisher] of publishers.entries()) {
    publisher.onAcknowledged = (identifier) => {
      acknowledged++;
      if (running) publisher.socket.write(publishFrame(`${round}/${at}`, 1, identifier, PAYLOAD));
    };
    for (let identifier = 1; identifier <= WINDOW; identifier++) {
      publisher.socket.write(publishFrame(`${round}/${at}`, 1, identifier, PAYLOAD));
    }
  }
  await Bun.sleep(1_000);
  const before = acknowledged;
  const begun = performance.now();
  await Bun.sleep(seconds * 1_000);
  const rate = (acknowledged - before) / ((performance.now() - begun) / 1_000);
  running = false;
  await Bun.sleep(500);
  for (const client of [...publishers, ...(online ? receivers : [])]) client.close();
  return rate;
}

const folder = mkdtempSync(join(tmpdir(), 'bellhop-durable-'));
let started = 0;
async function startBroker(name: 'bellhop' | 'mosquitto'): Promise<[Bun.Subprocess, number]> {
  const port = await freePort();
  const data = join(folder, `${name}-${++started}`);
  mkdirSync(data);
  const ours = existsSync(values.binary) ? [values.binary] : [process.execPath, 'index.ts'];
  const conf = join(data, 'mosquitto.conf');
  writeFileSync(
    conf,
    `user root\nallow_anonymous true\nlog_type error\nset_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\n` +
      `persistence true\npersistence_location ${data}/\nlistener ${port} 127.0.0.1\n`,
  );
  const command = name === 'bellhop' ? [...ours, 'serve'] : ['mosquitto', '-c', conf];
  const child = Bun.spawn(command, {
    env: {
      ...process.env,
      PATH: `${process.env.PATH}:/usr/sbin`,
      HOST: '127.0.0.1',
      MQTT_PORT: String(port),
      MQTTS_PORT: '0',
      HTTPS_PORT: '0',
      DATA_DIR: data,
      PLUGINS_DIR: join(data, 'no-plugins'),
      JWT_SECRET: SECRET,
      LOG_LEVEL: 'error',
      QUEUED_MESSAGES: '100000000',
      QUEUED_BYTES: String(2 ** 40),
    },
    stdout: 'ignore',
    stderr: 'inherit',
  });
  for (;;) {
    try {
      const probe = new LoadClient(undefined, 0);
      await probe.open(port, 'probe', false);
      probe.close();
      return [child, port];
    } catch {
      await Bun.sleep(50);
    }
  }
}

const results = new Map<string, number[]>();
function note(name: string, figure: number): void {
  results.set(name, [...(results.get(name) ?? []), figure]);
}
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const name of round % 2 === 1
    ? (['bellhop', 'mosquitto'] as const)
    : (['mosquitto', 'bellhop'] as const)) {
    const [child, port] = await startBroker(name);
    const [calm50, calm99] = await flowBeside(port, () => Bun.sleep(2_000));
    let online = 0;
    const [busy50, busy99] = await flowBeside(port, async () => {
      online = await load(port, true, `on${round}`);
    });
    const away = await load(port, false, `off${round}`);
    note(`${name}: online sessions, acknowledged/s`, online);
    note(`${name}: absent sessions, acknowledged/s`, away);
    note(`${name}: QoS 0 beside nothing, p50 us`, calm50);
    note(`${name}: QoS 0 beside nothing, p99 us`, calm99);
    note(`${name}: QoS 0 beside the load, p50 us`, busy50);
    note(`${name}: QoS 0 beside the load, p99 us`, busy99);
    child.kill('SIGKILL');
    await child.exited;
  }
}
rmSync(folder, { recursive: true, force: true });
const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0;
console.log(`${cpus().length} cores (${cpus()[0]?.model}), medians of ${values.rounds} rounds`);
for (const [name, figures] of results) {
  console.log(`${name}: ${Math.round(median(figures)).toLocaleString('en')}`);
}
for (const what of ['online', 'absent']) {
  const of = (name: string): number =>
    median(results.get(`${name}: ${what} sessions, acknowledged/s`) ?? []);
  console.log(`${what}: ${(of('bellhop') / of('mosquitto')).toFixed(2)} times Mosquitto`);
}
process.exit(0);
