/**
 * Two figures of a running broker, measured from outside:
 *
 *     bun scripts/measure.ts [--binary dist/bellhop] [--subscribers 1000] [--idle 10000] [--seconds 5]
 *
 * First the fan-out of one publisher to many subscribers, over TLS and over plain TCP: messages
 * delivered a second, in a closed loop, so that the broker is as busy as it can be. Then idle TLS
 * connections, each with a session and one subscription: resident memory per connection. Broker and
 * load share the machine's cores, so the figures are lower bounds.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Socket } from 'bun';
import { connectFrame, freePort, mint, publishFrame, SECRET, subscribeFrame } from './load.ts';

const PAYLOAD_BYTES = 64;
/** Messages under way to each subscriber. */
const WINDOW = 16;
/** Handshakes at a time. */
const PARALLEL = 50;

const { values } = parseArgs({
  options: {
    binary: { type: 'string', default: 'dist/bellhop' },
    subscribers: { type: 'string', default: '1000' },
    idle: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '5' },
  },
});
const subscribers = Number(values.subscribers);
const idle = Number(values.idle);
const seconds = Number(values.seconds);

/** Resident memory of the broker, in KiB. */
function residentKib(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+) kB/);
  return Number(line?.[1]);
}

interface Client {
  readonly socket: Socket;
  /** Bytes that came since the SUBACK. */
  bytes: number;
}

const token = await mint('measure');

/** Connects, subscribes where a filter is given, and resolves when that is acknowledged. */
function connect(
  port: number,
  tls: boolean,
  name: string,
  filter: string | undefined,
  onBytes: (client: Client) => void,
): Promise<Client> {
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  // CONNACK has 4 bytes in 3.1.1, SUBACK 5.
  let awaited = filter === undefined ? 4 : 9;
  const client = { bytes: 0 } as { socket: Socket; bytes: number };
  const open = (socket: Socket): void => {
    client.socket = socket;
    socket.write(connectFrame(name, token, false));
    if (filter !== undefined) socket.write(subscribeFrame(filter, 0));
  };
  Bun.connect({
    hostname: '127.0.0.1',
    port,
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      open: (socket) => {
        if (!tls) open(socket);
      },
      handshake: (socket) => open(socket),
      data: (_socket, data) => {
        if (awaited > 0) {
          awaited -= data.length;
          if (awaited <= 0) resolve(client);
        } else {
          client.bytes += data.length;
          onBytes(client);
        }
      },
      close: () => reject(new Error(`${name} was disconnected`)),
      error: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}

async function connectMany(
  count: number,
  one: (index: number) => Promise<Client>,
): Promise<Client[]> {
  const clients: Client[] = [];
  for (let begun = 0; begun < count; begun += PARALLEL) {
    const batch = Array.from({ length: Math.min(PARALLEL, count - begun) }, (_, at) =>
      one(begun + at),
    );
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

/** Messages delivered a second, with `WINDOW` of them under way to every subscriber. */
async function fanOut(port: number, tls: boolean): Promise<number> {
  const frame = publishFrame('fan', 0, 0, new Uint8Array(PAYLOAD_BYTES));
  let total = 0;
  let sent = 0;
  let counting = false;
  let publisher: Client | undefined;
  const refill = (): void => {
    const wholes = Math.floor(total / frame.length / subscribers);
    const missing = wholes + WINDOW - sent;
    if (!counting || publisher === undefined || missing <= 0) return;
    sent += missing;
    publisher.socket.write(Buffer.concat(Array.from({ length: missing }, () => frame)));
  };
  const clients = await connectMany(subscribers, (index) => {
    let before = 0;
    return connect(port, tls, `fan-${tls}-${index}`, 'fan', (client) => {
      total += client.bytes - before;
      before = client.bytes;
      refill();
    });
  });
  publisher = await connect(port, tls, `fan-${tls}-publisher`, undefined, () => {});
  counting = true;
  refill();
  await Bun.sleep(1_000);
  const begun = performance.now();
  const bytesBefore = total;
  await Bun.sleep(seconds * 1_000);
  const delivered = (total - bytesBefore) / frame.length;
  const took = (performance.now() - begun) / 1_000;
  counting = false;
  for (const client of [...clients, publisher]) client.socket.end();
  return delivered / took;
}

const folder = mkdtempSync(join(tmpdir(), 'bellhop-measure-'));
const ports = { tls: await freePort(), plain: await freePort() };
const command = existsSync(values.binary) ? [values.binary] : [process.execPath, 'index.ts'];
const broker = Bun.spawn([...command, 'serve'], {
  env: {
    ...process.env,
    HOST: '127.0.0.1',
    MQTTS_PORT: String(ports.tls),
    MQTT_PORT: String(ports.plain),
    HTTPS_PORT: '0',
    DATA_DIR: folder,
    PLUGINS_DIR: join(folder, 'no-plugins'),
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'error',
  },
  stdout: 'ignore',
  stderr: 'inherit',
});
try {
  for (;;) {
    try {
      (await connect(ports.plain, false, 'first', undefined, () => {})).socket.end();
      break;
    } catch {
      await Bun.sleep(50);
    }
  }
  console.log(`${command.join(' ')}, ${cpus().length} cores (${cpus()[0]?.model})`);
  for (const tls of [true, false]) {
    const rate = await fanOut(ports.tls && tls ? ports.tls : ports.plain, tls);
    const over = tls ? 'TLS' : 'TCP';
    console.log(
      `fan-out 1 to ${subscribers} over ${over}, QoS 0, ${PAYLOAD_BYTES} B: ${Math.round(rate).toLocaleString('en')} messages delivered/s`,
    );
  }
  const before = residentKib(broker.pid);
  const clients = await connectMany(idle, (index) =>
    connect(ports.tls, true, `idle-${index}`, `idle/${index}`, () => {}),
  );
  await Bun.sleep(2_000);
  const after = residentKib(broker.pid);
  const perConnection = ((after - before) * 1_024) / clients.length;
  console.log(
    `${clients.length} idle TLS connections, each with a session and a subscription: ` +
      `RSS ${before} KiB to ${after} KiB, ${Math.round(perConnection).toLocaleString('en')} B each`,
  );
} finally {
  broker.kill();
  await broker.exited;
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
