/**
 * The first hour of docs/handlers.md, as the page has it: what it says is typed and saved in its order, and
 * has to come out as it says. Only the ports are others, since those of the page may be taken.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Subprocess } from 'bun';
import { bellhop, Folder, freePorts } from './executable.ts';
import { areLines, FIRST_TERMINAL, isLine, type Step, stepsOf } from './transcript.ts';

setDefaultTimeout(60_000);

const root = join(import.meta.dir, '..', '..');
const page = readFileSync(join(root, 'docs', 'handlers.md'), 'utf8');
const steps = stepsOf(page, '## The first hour');

const STEP_TIMEOUT_MS = 60_000;

/** A terminal in which something goes on: what it has said, and how far the page has read. */
class Terminal {
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #read: Promise<unknown>;
  readonly #lines: string[] = [];
  #position = 0;
  #ended = false;
  #arrived: () => void = () => {};

  constructor(command: string, cwd: string, env: { readonly [name: string]: string }) {
    this.#child = Bun.spawn(['bash', '-c', `exec ${command}`], {
      cwd,
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    this.#read = Promise.all([this.#take(this.#child.stdout), this.#take(this.#child.stderr)]);
    void this.#read.then(() => {
      this.#ended = true;
      this.#arrived();
    });
  }

  /** Resolves once these lines have come, in this order, with whatever between them. */
  async says(expected: readonly string[]): Promise<void> {
    for (const said of expected) {
      while (!this.#find(said)) {
        // Whoever waits for nothing should see for what, and what came instead.
        const late = setTimeout(
          () => console.error(`${said}\n— not in —\n${this.#lines.join('\n')}`),
          STEP_TIMEOUT_MS - 1_000,
        );
        if (this.#ended) throw new Error(`it never said ${said}, but\n${this.#lines.join('\n')}`);
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
        clearTimeout(late);
      }
    }
  }

  #find(said: string): boolean {
    while (this.#position < this.#lines.length) {
      if (isLine(said, this.#lines[this.#position++] ?? '')) return true;
    }
    return false;
  }

  async #take(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = '';
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      this.#lines.push(...parts);
      this.#arrived();
    }
  }

  async end(): Promise<void> {
    this.#child.kill();
    await this.#read;
  }
}

const folder = new Folder();
const terminals = new Map<string, Terminal>();
let cwd = folder.path;
let mqttsPort = 0;
let environment: { readonly [name: string]: string } = {};

beforeAll(async () => {
  const [mqtts = 0, https = 0] = await freePorts(2);
  mqttsPort = mqtts;
  const bin = join(folder.path, 'bin');
  mkdirSync(bin);
  const words = bellhop.map((word) => `'${word}'`).join(' ');
  writeFileSync(join(bin, 'bellhop'), `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(join(bin, 'bellhop'), 0o755);
  environment = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: folder.path,
    HOST: '127.0.0.1',
    MQTTS_PORT: String(mqtts),
    HTTPS_PORT: String(https),
    LOG_FORMAT: 'pretty', // as on a terminal
  };
});

afterAll(async () => {
  await Promise.all([...terminals.values()].map((terminal) => terminal.end()));
  folder[Symbol.dispose]();
});

async function type({ terminal, command, expected }: Extract<Step, { kind: 'type' }>) {
  const typed = command.replace('-p 8883', `-p ${mqttsPort}`);
  if (terminal !== FIRST_TERMINAL) {
    const opened = new Terminal(typed, cwd, environment);
    terminals.set(terminal, opened);
    return opened.says(expected);
  }
  const [, into] = /^cd (.+)$/.exec(typed) ?? [];
  if (into !== undefined) {
    cwd = join(cwd, into);
    return;
  }
  const child = Bun.spawn(['bash', '-c', `${typed} 2>&1`], {
    cwd,
    env: environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const lines = (await child.stdout.text()).split('\n').slice(0, -1);
  const fine = areLines(expected, lines);
  expect(fine ? expected : lines).toEqual([...expected]);
}

function titleOf(step: Step): string {
  switch (step.kind) {
    case 'save':
      return `${step.path} is saved`;
    case 'type':
      return `$ ${step.command}`;
    case 'read':
      return `${step.terminal}: ${step.expected[0]}`;
    default:
      return step satisfies never;
  }
}

test('the page has its first hour, and shows the example as it is', () => {
  expect(steps.length).toBeGreaterThan(20);
  const example = readFileSync(join(root, 'core/cli/starter/hello.ts.txt'), 'utf8');
  expect(page).toContain(`\`\`\`ts\n${example}\`\`\``);
});

async function take(step: Step): Promise<void> {
  switch (step.kind) {
    case 'save':
      mkdirSync(dirname(join(cwd, step.path)), { recursive: true });
      return writeFileSync(join(cwd, step.path), step.text);
    case 'type':
      return type(step);
    case 'read':
      return terminals.get(step.terminal)?.says(step.expected);
    default:
      return step satisfies never;
  }
}

let done = 0;
for (const [index, step] of steps.entries()) {
  test(
    `line ${step.line}: ${titleOf(step)}`,
    async () => {
      if (done < index) throw new Error('a step before this one failed');
      await take(step);
      done++;
    },
    STEP_TIMEOUT_MS,
  );
}
