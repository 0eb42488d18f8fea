/** `bellhop handlers` as a process beside a broker, with a plugins folder and a store of its own. */
import type { Subprocess } from 'bun';
import { type Broker, bellhop, type Folder } from './executable.ts';

type Child = Subprocess<'ignore', 'pipe', 'pipe'>;

export class Handlers implements AsyncDisposable {
  /** Lines of stdout so far. */
  readonly lines: string[] = [];
  errors = '';
  readonly #child: Child;
  readonly #read: Promise<unknown>;
  #arrived: () => void = () => {};

  private constructor(child: Child) {
    this.#child = child;
    this.#read = Promise.all([this.#readLines(), this.#readErrors()]);
  }

  /** Begins one that runs what is in `plugins` of `folder`; it need not come up. */
  static spawn(
    folder: Folder,
    broker: Pick<Broker, 'mqttsPort'>,
    written: readonly string[] = [],
    env: { readonly [name: string]: string } = {},
  ): Handlers {
    const url = `mqtts://localhost:${broker.mqttsPort}`;
    const child = Bun.spawn([...bellhop, 'handlers', '--broker', url, ...written], {
      cwd: folder.path,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '/',
        LOG_FORMAT: 'json',
        HANDLER_WORKERS: '2',
        ...env,
      },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    return new Handlers(child);
  }

  /** As `spawn`, and resolves once it serves. */
  static async start(...given: Parameters<typeof Handlers.spawn>): Promise<Handlers> {
    const handlers = Handlers.spawn(...given);
    await handlers.line((line) => line.includes('"serving"'));
    return handlers;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The first line of stdout from `from` on, now or later, that `wanted` accepts. Rejects where the process ends before it. */
  async line(wanted: (line: string) => boolean, from = 0): Promise<string> {
    for (let index = from; ; index++) {
      while (index >= this.lines.length) await this.#more(() => index < this.lines.length);
      const line = this.lines[index] ?? '';
      if (wanted(line)) return line;
    }
  }

  async ended(): Promise<number> {
    const [code] = await Promise.all([this.#child.exited, this.#read]);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  async #more(isThere: () => boolean): Promise<void> {
    const arrived = new Promise<'more'>((resolve) => {
      this.#arrived = () => resolve('more');
    });
    const ended = this.#read.then(() => 'end' as const);
    if ((await Promise.race([arrived, ended])) === 'end' && !isThere()) {
      throw new Error(`the handlers ended: ${this.lines.join('\n')}\n${this.errors}`);
    }
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
