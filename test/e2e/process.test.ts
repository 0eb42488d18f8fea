/** The broker as a process: what it makes, what it says, how it is told to stop, and how it tells. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadableStreamDefaultReader } from 'node:stream/web';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Subprocess } from 'bun';
import mqtt, { type MqttClient } from 'mqtt';
import { Broker, bellhop, Folder, freePorts, run } from './executable.ts';

setDefaultTimeout(60_000);

async function tokenOf(broker: Broker, ...more: string[]): Promise<string> {
  const { out, err, code } = await run(broker.folder, ['token', ...more]);
  if (code !== 0) throw new Error(err);
  return out.trim();
}

async function client(
  broker: Broker,
  user: string,
  { version = 5, role = 'device' }: { version?: 4 | 5; role?: 'device' | 'handler' } = {},
): Promise<MqttClient> {
  return mqtt.connectAsync(`mqtts://127.0.0.1:${broker.mqttsPort}`, {
    username: 'JWT',
    password: await tokenOf(broker, '--sub', user, '--role', role),
    protocolVersion: version,
    reconnectPeriod: 0,
    ca: readFileSync(join(broker.folder.path, 'data', 'tls.crt')),
  });
}

function closeOf(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', resolve));
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

test('the first start makes a folder, a secret and a certificate for us alone, and tells how to try it', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder);
  expect(modeOf(join(folder.path, 'data'))).toBe(0o700);
  for (const name of ['jwt-secret', 'tls.crt', 'tls.key']) {
    expect([name, modeOf(join(folder.path, 'data', name))]).toEqual([name, 0o600]);
  }
  broker.signal('SIGTERM');
  await broker.ended();
  const port = broker.mqttsPort;
  expect(broker.errors).toMatch(/^ {2}.* token --sub 23412$/m);
  expect(broker.errors).toMatch(
    new RegExp(`^ {2}mosquitto_sub -h localhost -p ${port} --cafile data/tls.crt -u JWT -P `, 'm'),
  );
  expect(broker.errors).toMatch(/^ {2}mosquitto_pub .*-t request_contact/m);
});

test('the lines that it prints work as they stand', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder);
  // Retained, so that it does not matter when the subscription stands.
  const handler = await client(broker, 'shop', { role: 'handler' });
  const message = '{"from":"68946"}';
  await handler.publishAsync('23412_contact_requested', message, { qos: 1, retain: true });
  await handler.endAsync();

  const line = async (program: string): Promise<string> => {
    const printed = await broker.said(new RegExp(`^ {2}${program}.*$`, 'm'));
    // From the sources, `bun index.ts` is meant to be called where index.ts is.
    return printed.replaceAll('bun index.ts', bellhop.join(' '));
  };
  const shell = (text: string) =>
    Bun.spawnSync(['bash', '-c', text], {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: '/' },
    });
  const subscribed = shell(`${await line('mosquitto_sub')} -C 1 -W 30`);
  expect(subscribed.stdout.toString()).toBe(`${message}\n`);
  const published = shell(await line('mosquitto_pub'));
  expect([published.exitCode, published.stderr.toString()]).toEqual([0, '']);
});

test('a second start finds what the first one made', async () => {
  using folder = new Folder();
  const secret = () => readFileSync(join(folder.path, 'data', 'jwt-secret'), 'utf8');
  await using first = await Broker.start(folder);
  const made = secret();
  first.signal('SIGTERM');
  await first.ended();
  await using second = await Broker.start(folder);
  expect(secret()).toBe(made);
  await (await client(second, 'u')).endAsync();
});

test('SIGTERM: 5.0 clients are told that the server shuts down, and the exit code is 0', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder);
  const five = await client(broker, 'five');
  const four = await client(broker, 'four', { version: 4 });
  const told = new Promise((resolve) => five.once('disconnect', resolve));
  const closed = Promise.all([closeOf(five), closeOf(four)]);
  broker.signal('SIGTERM');
  expect(await told).toMatchObject({ reasonCode: 0x8b });
  await closed;
  expect(await broker.ended()).toBe(0);
  expect(broker.lines.at(-1)).toContain('"stopped"');
  expect(broker.errors).not.toContain('rror');
});

/** A megabyte, so often that it fits into no socket's buffers and not into OUTBOUND_BYTES. */
const MEGABYTES = 14;

/** Sends user u more than sockets hold, while its client stands still. */
async function fill(broker: Broker): Promise<StoppedReader> {
  const writer = await client(broker, 'h', { role: 'handler' });
  await writer.publishAsync('u_big', 'first', { qos: 1, retain: true });
  const reader = await StoppedReader.start(broker);
  const payload = Buffer.alloc(1_000_000, 'x');
  for (let sent = 0; sent < MEGABYTES; sent++) {
    await writer.publishAsync('u_big', payload, { qos: 1 });
  }
  await writer.endAsync();
  return reader;
}

/** `mosquitto_sub`, stopped by SIGSTOP once it has its first message: it reads no more, and its socket stands. */
class StoppedReader {
  readonly #child: Subprocess<'ignore', 'pipe', 'inherit'>;
  readonly #output: ReadableStreamDefaultReader<string>;

  private constructor(
    child: Subprocess<'ignore', 'pipe', 'inherit'>,
    output: ReadableStreamDefaultReader<string>,
  ) {
    this.#child = child;
    this.#output = output;
  }

  static async start(broker: Broker): Promise<StoppedReader> {
    const where = ['-h', '127.0.0.1', '-p', String(broker.mqttPort)];
    const who = ['-u', 'JWT', '-P', await tokenOf(broker, '--sub', 'u')];
    const child = Bun.spawn(['mosquitto_sub', ...where, ...who, '-t', 'u_big', '-F', '%l'], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    expect((await output.read()).value).toBe('5\n');
    child.kill('SIGSTOP');
    return new StoppedReader(child, output);
  }

  /** Lets it read again, and resolves to the sizes of the next messages. */
  async sizes(count: number): Promise<string[]> {
    this.#child.kill('SIGCONT');
    let text = '';
    while (text.split('\n').length <= count) {
      const { value, done } = await this.#output.read();
      if (done) break;
      text += value;
    }
    return text.trim().split('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }
}

test('SIGTERM: what waits for a client is sent before the connection ends', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder);
  await using reader = await fill(broker);
  broker.signal('SIGTERM');
  await broker.line((line) => line.includes('"stopping"'));
  expect(await reader.sizes(MEGABYTES)).toEqual(Array.from({ length: MEGABYTES }, () => '1000000'));
  expect(await broker.ended()).toBe(0);
  expect(broker.lines.join('\n')).not.toContain('did not take what waited');
});

test('a client that takes nothing holds the end up for DRAIN_TIMEOUT_MS and no longer', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder, ['--drain-timeout-ms', '200']);
  await using _reader = await fill(broker);
  broker.signal('SIGTERM');
  expect(await broker.ended()).toBe(0);
  expect(broker.lines.join('\n')).toContain('did not take what waited for them in time');
});

test('a second signal ends it at once, with exit code 1', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder, ['--drain-timeout-ms', '600000']);
  await using _reader = await fill(broker);
  broker.signal('SIGTERM');
  await broker.line((line) => line.includes('"stopping"'));
  broker.signal('SIGINT');
  expect(await broker.ended()).toBe(1);
});

test('SIGHUP: new connections get the new certificate, and those that stand live on', async () => {
  using folder = new Folder();
  using other = new Folder();
  for (const { path } of [folder, other]) {
    const made = Bun.spawnSync(
      [
        ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
        ...[
          '-nodes',
          '-days',
          '30',
          '-subj',
          '/CN=localhost',
          '-addext',
          'subjectAltName=DNS:localhost',
        ],
        ...['-keyout', 'key.pem', '-out', 'cert.pem'],
      ],
      { cwd: path },
    );
    expect(made.exitCode).toBe(0);
  }
  const files = ['--tls-cert', 'cert.pem', '--tls-key', 'key.pem'];
  await using broker = await Broker.start(folder, files);
  const shown = async (port: number): Promise<string> => {
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = [await shown(broker.mqttsPort), await shown(broker.httpsPort)];
  const standing = await mqtt.connectAsync(`mqtts://127.0.0.1:${broker.mqttsPort}`, {
    username: 'JWT',
    password: await tokenOf(broker, '--sub', 'u'),
    reconnectPeriod: 0,
    rejectUnauthorized: false,
  });
  await standing.subscribeAsync('u_x');

  for (const name of ['cert.pem', 'key.pem'])
    copyFileSync(join(other.path, name), join(folder.path, name));
  broker.signal('SIGHUP');
  await broker.line((line) => line.includes('certificates read anew'));
  const after = [await shown(broker.mqttsPort), await shown(broker.httpsPort)];
  expect(after[0]).not.toBe(before[0] ?? '');
  expect(after[1]).toBe(after[0] ?? '');
  await standing.unsubscribeAsync('u_x');
  await standing.endAsync();

  folder.write('key.pem', 'no key');
  broker.signal('SIGHUP');
  await broker.line((line) => line.includes('could not be read anew'));
  expect(await shown(broker.mqttsPort)).toBe(after[0] ?? '');
});

test('the service manager hears of readiness, the watchdog and the end', async () => {
  using folder = new Folder();
  const name = join(folder.path, 'notify');
  const receiver = spawn('python3', [
    '-uc',
    `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(${JSON.stringify(name)}); print('bound')
while True: print(s.recv(4096).decode())`,
  ]);
  const seen: string[] = [];
  let arrived = (): void => {};
  receiver.stdout.on('data', (chunk) => {
    seen.push(
      ...String(chunk)
        .split('\n')
        .filter((line) => line !== ''),
    );
    arrived();
  });
  const until = async (line: string): Promise<void> => {
    while (!seen.includes(line)) {
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };
  try {
    await until('bound');
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '200000' };
    await using broker = await Broker.start(folder, [], env);
    await until('READY=1');
    await until('WATCHDOG=1');
    expect(seen.indexOf('READY=1')).toBe(1);
    broker.signal('SIGTERM');
    await until('STOPPING=1');
    expect(await broker.ended()).toBe(0);
  } finally {
    receiver.kill();
    await once(receiver, 'exit');
  }
});

test('a reader of the log that goes away does not stop the broker', async () => {
  using folder = new Folder();
  const [port = 0] = await freePorts(1);
  const [program = '', ...more] = bellhop;
  const child = spawn(program, [...more, 'serve'], {
    cwd: folder.path,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/',
      HOST: '127.0.0.1',
      MQTTS_PORT: '0',
      HTTPS_PORT: '0',
      MQTT_PORT: String(port),
    },
  });
  let log = '';
  for await (const chunk of child.stdout) {
    log += String(chunk);
    if (log.includes('"serving"')) break; // which also closes our end of the pipe
  }
  const token = (await run(folder, ['token', '--sub', 'u'])).out.trim();
  for (let time = 0; time < 3; time++) {
    const user = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      username: 'JWT',
      password: token,
      reconnectPeriod: 0,
    });
    await user.subscribeAsync('u_x');
    await user.endAsync();
  }
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
