/** Plugin folders for tests, and a pool over one with a broker that only takes notes. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import type { PluginEvent } from '../../core/plugins/events.ts';
import { Pool, type PoolOptions } from '../../core/plugins/pool.ts';

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
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
}

/** A handler file: `body` is that of its `run`, with the whole context at hand. */
export function handlerFile(topic: string, body: string, more = ''): string {
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
export function plainHandlerFile(topic: string, body: string, more = ''): string {
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

export class Bench {
  readonly pool: Pool;
  readonly folder: string;
  readonly storePath: string;
  readonly events: PluginEvent[] = [];
  readonly sent: Message[] = [];
  readonly handled: number[] = [];
  /** Topics that are declared by others than plugins. */
  readonly declared = new Set<string>();
  refusal: string | undefined = undefined;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  constructor(files: Files, options: Partial<PoolOptions> = {}) {
    this.folder = folderOf(files);
    this.storePath = join(folderOf({}), 'store.sqlite');
    this.pool = new Pool(
      {
        folder: this.folder,
        storePath: this.storePath,
        separator: '_',
        workers: 1,
        timeoutMs: 10_000,
        loadTimeoutMs: 10_000,
        queuedCommands: 100_000,
        queuedBytes: 64 * 1024 * 1024,
        ...options,
      },
      {
        now: () => Date.now(),
        sent: (message) => {
          this.sent.push(message);
          this.#look();
          return this.refusal;
        },
        declares: (topic) => this.declared.has(topic),
        handled: (number) => {
          this.handled.push(number);
          this.#look();
        },
        report: (event) => {
          this.events.push(event);
          this.#look();
        },
      },
    );
  }

  /** Resolves when `holds` does; looked at whenever something comes from the pool. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve });
      this.#look();
    });
  }

  /** Dispatches, and resolves when every handler is done with it. */
  async run(...messages: readonly Message[]): Promise<void> {
    const first = this.handled.length;
    messages.forEach((message, index) => {
      this.pool.dispatch(message, first + index + 1);
    });
    await this.until(() => this.handled.length >= first + messages.length);
  }

  ofKind<K extends PluginEvent['kind']>(kind: K): Extract<PluginEvent, { kind: K }>[] {
    return this.events.filter((event) => event.kind === kind) as never;
  }

  /** What was sent, as `topic payload`. */
  get texts(): string[] {
    return this.sent.map(({ topic, payload }) => `${topic} ${decoder.decode(payload)}`);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}
