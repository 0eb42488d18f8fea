/** Plugin folders for tests, and a pool over one with a broker that only takes notes. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CommandState, DeadLetter } from '../../core/broker/changes.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import type { HandlerCounters, PluginEvent } from '../../core/plugins/events.ts';
import { Pool, type PoolOptions } from '../../core/plugins/pool.ts';
import type { PoolHost } from '../../core/plugins/pool-host.ts';
import type { RetryClock } from '../../core/plugins/retries.ts';

export type Files = { readonly [path: string]: string };

const made: string[] = [];

/** A temporary folder with these files in it. */
export function folderOf(files: Files): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bellhop-plugins-')));
  made.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** For `afterAll`. */
export function removeFolders(): void {
  // A worker that was ended may still let go of its files.
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, maxRetries: 10 });
}

/** A handler file: `body` is that of its `run`, with the whole context at hand. It is tried once, unless `more` says otherwise. */
export function handlerFile(topic: string, body: string, more = 'retry: false,'): string {
  return `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: '${topic}', ${more}
  async run(context) {
    const { input, user, client, topic, store, send, publish, log, signal } = context;
    ${body}
  },
});
`;
}

/** As `handlerFile`, for a `run` that is over when it returns. */
export function plainHandlerFile(topic: string, body: string, more = 'retry: false,'): string {
  return handlerFile(topic, body, more).replace('async run', 'run');
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function command(
  topic: string,
  payload: unknown = '',
  more: Partial<Message> = {},
): Message {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return {
    topic: topic as TopicName,
    payload: encoder.encode(text),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: 'ada', clientIdentifier: 'phone', device: true },
    reach: 0,
    ...more,
  };
}

export const by = (user: string): Partial<Message> => ({
  publisher: { user, clientIdentifier: `${user}-phone`, device: true },
});

/** A test's own time: what waits is due when `pass` says so. */
export class TestClock implements RetryClock {
  nowMs = 1_000_000;
  /** What `random` gives. */
  chance = 0.5;
  #timers: { readonly atMs: number; readonly call: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  random(): number {
    return this.chance;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { call } of due.sort((one, other) => one.atMs - other.atMs)) call();
  }
}

/** What is told of a command to the broker, in order. */
export type Note =
  | { readonly kind: 'sent'; readonly text: string }
  | { readonly kind: 'handled'; readonly number: number; readonly handler: string | undefined }
  | {
      readonly kind: 'tried';
      readonly number: number;
      readonly handler: string;
      readonly attempts: number;
    }
  | { readonly kind: 'buried'; readonly number: number };

export class Bench {
  readonly pool: Pool;
  readonly folder: string;
  readonly storePath: string;
  readonly events: PluginEvent[] = [];
  readonly sent: Message[] = [];
  /** Commands that all handlers are done with. */
  readonly handled: number[] = [];
  readonly notes: Note[] = [];
  readonly letters: DeadLetter[] = [];
  readonly clock = new TestClock();
  /** Topics that are declared by others than plugins. */
  readonly declared = new Set<string>();
  /** Where requesters may have a response. */
  readonly replies = new Set<string>();
  readonly fetches: Parameters<NonNullable<PoolHost['fetch']>>[] = [];
  served: readonly string[] = [];
  refusal: string | undefined = undefined;
  failing = false;
  position = 0;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  /**
   * `disk`: whether there is one that the pool can read commands from; `retriesAtOnce`: whether what
   * failed is tried again at once, rather than when the clock says so.
   */
  constructor(
    files: Files,
    options: Partial<PoolOptions> = {},
    { disk = false, retriesAtOnce = true } = {},
  ) {
    this.folder = options.folder ?? folderOf(files);
    this.storePath = options.storePath ?? join(folderOf({}), 'store.sqlite');
    const host: PoolHost = {
      now: () => Date.now(),
      sent: (message) => {
        this.sent.push(message);
        this.#note({ kind: 'sent', text: textOf(message) });
        return this.refusal;
      },
      declares: (topic) => this.declared.has(topic),
      mayReply: (_publisher, topic) => this.replies.has(topic),
      storageFails: () => this.failing,
      handled: (number, handler) => {
        if (handler === undefined) this.handled.push(number);
        this.#note({ kind: 'handled', number, handler });
        return ++this.position;
      },
      tried: (number, handler, attempts) => {
        this.#note({ kind: 'tried', number, handler, attempts });
      },
      buried: (letter) => {
        this.letters.push(letter);
        this.#note({ kind: 'buried', number: letter.message });
      },
      serves: (topics) => {
        this.served = topics;
      },
      enqueue: () => {},
      fetch: disk
        ? (...wanted) => {
            this.fetches.push(wanted);
            this.#look();
          }
        : undefined,
      report: (event) => {
        this.events.push(event);
        // Its next attempt is due, unless the test has its own idea of time.
        if (retriesAtOnce && event.kind === 'run-failed' && event.retryInMs !== undefined) {
          queueMicrotask(() => this.clock.pass(3_600_000));
        }
        this.#look();
      },
    };
    this.pool = new Pool(
      {
        folder: this.folder,
        copies: folderOf({}),
        watched: false,
        storePath: this.storePath,
        separator: '_',
        workers: 1,
        timeoutMs: 10_000,
        memoryBytes: 512 * 1024 * 1024,
        loadTimeoutMs: 10_000,
        queuedCommands: 100_000,
        queuedBytes: 64 * 1024 * 1024,
        clock: this.clock,
        ...options,
      },
      host,
    );
  }

  /** Resolves when `holds` does; looked at whenever something comes from the pool. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve });
      this.#look();
    });
  }

  dispatch(message: Message, number = 0, state?: CommandState): void {
    this.pool.dispatch(message, number, state);
  }

  /** Dispatches, and resolves when every handler is done with it. */
  async run(...messages: readonly Message[]): Promise<void> {
    const first = this.handled.length;
    messages.forEach((message, index) => {
      this.dispatch(message, first + index + 1);
    });
    await this.until(() => this.handled.length >= first + messages.length);
  }

  ofKind<K extends PluginEvent['kind']>(kind: K): Extract<PluginEvent, { kind: K }>[] {
    return this.events.filter((event) => event.kind === kind) as never;
  }

  /** The faults of runs, as `kind place: detail`. */
  get faults(): string[] {
    return this.ofKind('run-failed').map(
      ({ fault }) => `${fault.kind} ${fault.at}: ${fault.detail}`,
    );
  }

  /** What was sent, as `topic payload`. */
  get texts(): string[] {
    return this.sent.map(textOf);
  }

  /** What is counted of a handler. */
  countersOf(name: string): HandlerCounters {
    const found = [...this.pool.handlers].find((handler) => handler.name === name);
    if (found === undefined) throw new Error(`there is no handler ${name}`);
    return found.counters;
  }

  #note(note: Note): void {
    this.notes.push(note);
    this.#look();
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}

function textOf({ topic, payload }: Message): string {
  return `${topic} ${decoder.decode(payload)}`;
}
