/**
 * What a run says: through `log`, and through `console`, which handlers and the packages that they use
 * take for granted. Who is speaking follows what a run awaits, and timers that it leaves behind.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { format } from 'node:util';
import type { HandlerLog, LogFields } from './context.ts';
import type { LogLine } from './exchange.ts';
import type { Redactor } from './secrets.ts';

/** What one run may log; the rest is left out, and the last line says so. */
const MOST_LINES = 1_000;
const LONGEST_TEXT = 4_096;

type Level = LogLine['level'];

/** What all that is said in a worker has in common. */
export interface Voice {
  readonly redactor: Redactor;
  readonly post: (line: LogLine) => void;
}

export class Speaker {
  readonly #voice: Voice;
  readonly #who: Pick<LogLine, 'handler' | 'invocation' | 'trace'>;
  #lines = 0;

  constructor(voice: Voice, who: Pick<LogLine, 'handler' | 'invocation' | 'trace'>) {
    this.#voice = voice;
    this.#who = who;
  }

  say(level: Level, message: string, fields: LogFields = {}): void {
    if (this.#lines > MOST_LINES) return;
    const full = this.#lines++ === MOST_LINES;
    this.#voice.post({
      kind: 'log',
      level,
      message: full ? 'further log lines of this run are left out' : this.#shown(message),
      fields: full ? {} : this.#read(fields),
      ...this.#who,
    });
  }

  /** The `log` of a context. */
  get log(): HandlerLog {
    const at = (level: Level) => (message: string, fields?: LogFields) =>
      this.say(level, String(message), fields);
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  #read(fields: LogFields): LogLine['fields'] {
    const read: { [name: string]: string | number | boolean } = {};
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      if (typeof value === 'number' || typeof value === 'boolean') read[name] = value;
      else read[name] = this.#shown(typeof value === 'string' ? value : Bun.inspect(value));
    }
    return read;
  }

  /** Redacted before it is cut, so that no part of a secret is left at the end. */
  #shown(text: string): string {
    const shown = this.#voice.redactor.text(text);
    return shown.length <= LONGEST_TEXT ? shown : `${shown.slice(0, LONGEST_TEXT)}…`;
  }
}

/** Whoever has a speaker; made when it is asked for, for most runs say nothing. */
export interface Speaking {
  readonly speaker: Speaker;
}

export const speaking = new AsyncLocalStorage<Speaking>();

const levels: { readonly [method: string]: Level } = {
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
  debug: 'debug',
  trace: 'debug',
  dir: 'info',
};

/** Has `console` speak for whoever is at it; for `otherwise` where that is nobody. */
export function takeConsole(otherwise: Speaking): void {
  for (const [method, level] of Object.entries(levels)) {
    Object.assign(console, {
      [method]: (...said: unknown[]) => {
        const { speaker } = speaking.getStore() ?? otherwise;
        speaker.say(level, method === 'dir' ? format(said[0]) : format(...said));
      },
    });
  }
}
