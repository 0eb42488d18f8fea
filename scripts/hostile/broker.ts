/** A broker with a plugins folder that changes while it serves. */
import { Database } from 'bun:sqlite';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { environmentOf } from '../broker.ts';
import { freePort } from '../load.ts';
import { type LogLine, neighbourFiles } from './cases.ts';

/** Workers and memory of the brokers here: small, so that what is hostile hurts. */
const WORKERS = 2;
const MEMORY_MB = 128;

export class HostileBroker {
  readonly port: number;
  readonly #folder: string;
  readonly #command: readonly string[];
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  /** What it has logged. */
  readonly lines: LogLine[] = [];
  #waiting: { readonly holds: () => boolean; readonly resolve: (held: boolean) => void }[] = [];
  #ended = false;

  /** Resolves when it serves, with the neighbour alone in its folder. `command` is how Bellhop is called. */
  static async start(command: readonly string[]): Promise<HostileBroker> {
    const folder = mkdtempSync(join(tmpdir(), 'bellhop-hostile-'));
    for (const [path, text] of Object.entries(neighbourFiles())) {
      mkdirSync(dirname(join(folder, 'plugins', path)), { recursive: true });
      writeFileSync(join(folder, 'plugins', path), text);
    }
    const broker = new HostileBroker(command, folder, await freePort());
    const serves = () => broker.lines.some(({ message }) => message === 'serving');
    if (!(await broker.until(serves, 30_000))) throw new Error('the broker does not start');
    return broker;
  }

  private constructor(command: readonly string[], folder: string, port: number) {
    this.#command = command;
    this.#folder = folder;
    this.port = port;
    this.#child = Bun.spawn([...command, 'serve'], {
      env: {
        ...environmentOf(port, folder),
        LOG_FORMAT: 'json',
        HANDLER_WORKERS: String(WORKERS),
        HANDLER_MEMORY_MB: String(MEMORY_MB),
      },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    void this.#read();
  }

  get alive(): boolean {
    return !this.#ended;
  }

  /** Resolves to true once `holds`, looked at with every line; to false where it does not in time, or the broker ends. */
  async until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return true;
    if (this.#ended) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ holds, resolve });
    const timer = setTimeout(() => resolve(holds()), timeoutMs);
    const held = await promise;
    clearTimeout(timer);
    return held;
  }

  /** As an editor does: what is seen is whole. */
  save(path: string, text: string): void {
    const to = join(this.#folder, 'plugins', path);
    writeFileSync(`${to}.swp`, text);
    renameSync(`${to}.swp`, to);
  }

  remove(path: string): void {
    rmSync(join(this.#folder, 'plugins', path));
  }

  /** How many dead letters of a handler there are. */
  async deadLetters(handler: string): Promise<number> {
    const listed = ['dead', 'list', '--handler', handler, '--limit', '1000000', '--json'];
    const child = Bun.spawn(
      [...this.#command, ...listed, '--data-dir', join(this.#folder, 'data')],
      {
        stdout: 'pipe',
        stderr: 'inherit',
      },
    );
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error('dead letters cannot be listed');
    return text.split('\n').filter((line) => line !== '').length;
  }

  /** Ends it in good order; resolves to the numbers that the neighbour has noted. */
  async stop(): Promise<readonly number[]> {
    this.#child.kill('SIGTERM');
    await this.#child.exited;
    const store = new Database(join(this.#folder, 'data', 'store.sqlite'), { readonly: true });
    const numbers = store.query('select number from entry order by number').values();
    store.close();
    rmSync(this.#folder, { recursive: true, force: true });
    return numbers.flat().map(Number);
  }

  async #read(): Promise<void> {
    let rest = '';
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('{')) this.lines.push(JSON.parse(part));
      this.#look();
    }
    this.#ended = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve(true);
      return false;
    });
  }
}
