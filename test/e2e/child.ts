/** A process that a test has started: what it writes, line by line, and its end. It is ended by its process id. */
import type { Subprocess } from 'bun';

export class Child implements AsyncDisposable {
  /** Lines of stdout so far. */
  readonly lines: string[] = [];
  /** Text of stderr so far. */
  errors = '';
  readonly #process: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #read: Promise<unknown>;
  #arrived: () => void = () => {};

  protected constructor(
    command: readonly string[],
    cwd: string,
    env: { readonly [name: string]: string },
  ) {
    this.#process = Bun.spawn([...command], {
      cwd,
      env: environment(env),
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    this.#read = Promise.all([this.#readLines(), this.#readErrors()]);
  }

  get pid(): number {
    return this.#process.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
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

  /** Resolves once it serves. */
  async serving(): Promise<void> {
    await this.line((line) => line.includes('"serving"'));
  }

  /** The first match of `pattern` in stderr, now or later. Rejects where the process ends before it. */
  async said(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.errors)?.[0];
      if (found !== undefined) return found;
      await this.#more(() => pattern.test(this.errors));
    }
  }

  /** Resolves to the exit code once the process is gone and all that it wrote is read. */
  async ended(): Promise<number> {
    const [code] = await Promise.all([this.#process.exited, this.#read]);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended();
  }

  /** Resolves when something has come; rejects where the process has ended without what is wanted. */
  async #more(isThere: () => boolean): Promise<void> {
    const arrived = new Promise<'more'>((resolve) => {
      this.#arrived = () => resolve('more');
    });
    const ended = this.#read.then(() => 'end' as const);
    if ((await Promise.race([arrived, ended])) === 'end' && !isThere()) {
      throw new Error(`the process ended: ${this.lines.join('\n')}\n${this.errors}`);
    }
  }

  async #readLines(): Promise<void> {
    let rest = '';
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
      this.#arrived();
    }
  }

  async #readErrors(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.errors += text;
      this.#arrived();
    }
  }
}

/** Only what a process cannot do without: the settings of whoever runs the tests stay outside. */
export function environment(more: { readonly [name: string]: string }): {
  readonly [name: string]: string;
} {
  return { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', ...more };
}
