/**
 * Bellhop as a process, in a folder of its own: the executable that BELLHOP_BIN names, or the sources.
 * Each broker gets free ports.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, environment } from './child.ts';

const root = new URL('../..', import.meta.url).pathname;
const binary = process.env.BELLHOP_BIN;

/** How Bellhop is called. */
export const bellhop: readonly string[] =
  binary === undefined || binary === '' ? [process.execPath, join(root, 'index.ts')] : [binary];

/** An empty folder with what a test puts into it. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'bellhop-e2e-'));

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Environment = { readonly [name: string]: string };

/** Runs Bellhop to its end. */
export async function run(
  folder: Folder,
  written: readonly string[],
  { env = {}, input = '' }: { env?: Environment; input?: string } = {},
): Promise<Finished> {
  const child = Bun.spawn([...bellhop, ...written], {
    cwd: folder.path,
    env: environment(env),
    stdin: Buffer.from(input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

/** Ports of 127.0.0.1 that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address !== null && typeof address === 'object') ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

export class Broker extends Child {
  readonly folder: Folder;
  readonly mqttsPort: number;
  readonly httpsPort: number;
  readonly mqttPort: number;

  private constructor(
    folder: Folder,
    ports: readonly number[],
    written: readonly string[],
    env: Environment,
  ) {
    const [mqttsPort = 0, httpsPort = 0, mqttPort = 0] = ports;
    super([...bellhop, 'serve', ...written], folder.path, {
      HOST: '127.0.0.1',
      MQTTS_PORT: String(mqttsPort),
      HTTPS_PORT: String(httpsPort),
      MQTT_PORT: String(mqttPort),
      LOG_FORMAT: 'json',
      ...env,
    });
    this.folder = folder;
    this.mqttsPort = mqttsPort;
    this.httpsPort = httpsPort;
    this.mqttPort = mqttPort;
  }

  /** Starts a broker and resolves once it serves. Its plaintext listener is on, for tests of that. */
  static async start(
    folder: Folder,
    written: readonly string[] = [],
    env: Environment = {},
  ): Promise<Broker> {
    const broker = new Broker(folder, await freePorts(3), written, env);
    await broker.serving();
    return broker;
  }
}
