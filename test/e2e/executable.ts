/**
 * Bellhop as a process, in a folder of its own: the executable that BELLHOP_BIN names, or the sources.
 * Each broker gets free ports and is ended by its process id.
 */

import { setDefaultTimeout } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';

setDefaultTimeout(60_000);

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

/** Only what a process cannot do without: the settings of whoever runs the tests stay outside. */
function environment(more: Environment): Environment {
  return { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', ...more };
}

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

export class Broker {
  readonly folder: Folder;
  readonly mqttsPort: number;
  readonly httpsPort: number;
  readonly mqttPort: number;
  /** Lines of stdout so far. */
  readonly lines: string[] = [];
  /** Text of stderr so far. */
  errors = '';
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #read: Promise<unknown>;
  #arrived: () => void = () => {};

  private constructor(
    folder: Folder,
    ports: readonly number[],
    child: Subprocess<'ignore', 'pipe', 'pipe'>,
  ) {
    this.folder = folder;
    [this.mqttsPort = 0, this.httpsPort = 0, this.mqttPort = 0] = ports;
    this.#child = child;
    this.#read = Promise.all([this.#readLines(), this.#readErrors()]);
  }

  /** Starts a broker and resolves once it serves. Its plaintext listener is on, for tests of that. */
  static async start(
    folder: Folder,
    written: readonly string[] = [],
    env: Environment = {},
  ): Promise<Broker> {
    const ports = await freePorts(3);
    const [mqttsPort = 0, httpsPort = 0, mqttPort = 0] = ports;
    const child = Bun.spawn([...bellhop, 'serve', ...written], {
      cwd: folder.path,
      env: environment({
        HOST: '127.0.0.1',
        MQTTS_PORT: String(mqttsPort),
        HTTPS_PORT: String(httpsPort),
        MQTT_PORT: String(mqttPort),
        LOG_FORMAT: 'json',
        ...env,
      }),
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const broker = new Broker(folder, ports, child);
    await broker.line((line) => line.includes('"serving"'));
    return broker;
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /**
   * The first line of stdout behind the first `after`, now or later, that `wanted` accepts. Rejects
   * where the process ends before it.
   */
  async line(wanted: (line: string) => boolean, after = 0): Promise<string> {
    for (let index = after; ; index++) {
      while (index >= this.lines.length) await this.#more(() => index < this.lines.length);
      const line = this.lines[index] ?? '';
      if (wanted(line)) return line;
    }
  }

  /** The first match of `pattern` in stderr, now or later. Rejects where the process ends before it. */
  async said(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.errors)?.[0];
      if (found !== undefined) return found;
      await this.#more(() => pattern.test(this.errors));
    }
  }

  /** Resolves when something has come; rejects where the process has ended without what is wanted. */
  async #more(isThere: () => boolean): Promise<void> {
    const arrived = new Promise<'more'>((resolve) => {
      this.#arrived = () => resolve('more');
    });
    const ended = this.#read.then(() => 'end' as const);
    if ((await Promise.race([arrived, ended])) === 'end' && !isThere()) {
      throw new Error(`the broker ended: ${this.lines.join('\n')}\n${this.errors}`);
    }
  }

  /** Resolves to the exit code once the process is gone and all that it wrote is read. */
  async ended(): Promise<number> {
    const [code] = await Promise.all([this.#child.exited, this.#read]);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  async #readLines(): Promise<void> {
    let rest = '';
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
      this.#arrived();
    }
  }

  async #readErrors(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.errors += text;
      this.#arrived();
    }
  }
}
