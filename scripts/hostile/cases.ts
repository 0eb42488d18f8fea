/**
 * The hostile plugins: what each does, how it is brought to do it, what becomes of its commands, and what
 * the log has to say. All handle the topic `hostile`, so one is in the folder at a time.
 */
import { readFileSync } from 'node:fs';

export interface HostileCase {
  readonly name: string;
  /** In half a sentence. */
  readonly does: string;
  /**
   * What becomes of a command: `dead`, a dead letter after its last attempt; `done`, carried out, for
   * the harm comes otherwise; `none`, there is no handler, for the file does not load.
   */
  readonly fate: 'dead' | 'done' | 'none';
  /** The message of the log line that tells of it, and what its fields have to match. */
  readonly message: string;
  readonly fields: { readonly [name: string]: string | RegExp };
  /** Messages that come of one command; undefined for none. */
  readonly sends?: { readonly name: string; readonly count: number };
}

export const HOSTILE_TOPIC = 'hostile';

const notLoaded = 'plugin does not load';
const failed = 'handler failed';

export const cases: readonly HostileCase[] = [
  {
    name: 'endless-loop',
    does: 'never awaits and never ends',
    fate: 'dead',
    message: failed,
    fields: { reason: 'timeout', detail: /^took longer than 200 ms/ },
  },
  {
    name: 'endless-promise',
    does: 'awaits what never comes',
    fate: 'dead',
    message: failed,
    fields: { reason: 'timeout', at: 'endless-promise.ts', detail: /^took longer than 200 ms/ },
  },
  {
    name: 'blocked-event-loop',
    does: 'leaves a timer that blocks its worker',
    fate: 'done',
    message: 'worker replaced',
    fields: { detail: /^what a run left behind blocked it for \d+ ms/ },
  },
  {
    name: 'unbounded-allocation',
    does: 'takes memory without end',
    fate: 'dead',
    message: failed,
    fields: { reason: 'worker-lost', detail: /^took more than \d+ MiB of memory/ },
  },
  {
    name: 'process-exit',
    does: 'calls `process.exit`',
    fate: 'dead',
    message: failed,
    fields: { reason: 'worker-lost', detail: 'it ended with exit code 1' },
  },
  {
    name: 'throw-at-run',
    does: 'writes, sends and throws',
    fate: 'dead',
    message: failed,
    fields: { reason: 'failed', at: 'throw-at-run.ts:10', detail: 'thrown in a run' },
  },
  {
    name: 'timers-left',
    does: 'leaves 40 timers a run, which throw every millisecond',
    fate: 'done',
    message: 'left behind by a handler',
    fields: { at: /^timers-left\.ts:(9|11)$/, detail: /^the run is over/ },
  },
  {
    name: 'open-transaction',
    does: 'writes, and awaits what never comes',
    fate: 'dead',
    message: failed,
    fields: { reason: 'timeout', detail: /^took longer than 200 ms/ },
  },
  {
    name: 'huge-payload',
    does: 'sends 50 MB',
    fate: 'dead',
    message: failed,
    fields: { reason: 'failed', at: 'huge-payload.ts:8', detail: /bytes at most$/ },
  },
  {
    name: 'large-payloads',
    does: 'sends 30 MB, which it may',
    fate: 'done',
    message: 'handler ran',
    fields: { handler: 'large-payloads' },
    sends: { name: 'weight', count: 3 },
  },
  {
    name: 'throw-at-load',
    does: 'throws while it is imported',
    fate: 'none',
    message: notLoaded,
    fields: { at: 'throw-at-load.ts:4', detail: 'thrown while it was imported' },
  },
  {
    name: 'syntax-error',
    does: 'is no TypeScript',
    fate: 'none',
    message: notLoaded,
    fields: { at: 'syntax-error.ts:5' },
  },
  {
    name: 'wrong-default-export',
    does: 'exports a plain object',
    fate: 'none',
    message: notLoaded,
    fields: { at: 'wrong-default-export.ts:2', detail: /defineHandler/ },
  },
];

/** The text of a plugin. One that no tool can read is kept under another name. */
export function textOf({ name }: HostileCase): string {
  const stored = name === 'syntax-error' ? `${name}.ts.txt` : `${name}.ts`;
  return readFileSync(new URL(`plugins/${stored}`, import.meta.url), 'utf8');
}

/** Files of a plugins folder with the neighbour alone, by their path. */
export function neighbourFiles(): { readonly [path: string]: string } {
  const read = (path: string) =>
    readFileSync(new URL(`neighbour/${path}`, import.meta.url), 'utf8');
  return Object.fromEntries(
    ['neighbour.ts', 'migrations/0001_entry.sql'].map((path) => [path, read(path)]),
  );
}

/** A line of the log, as `LOG_FORMAT=json` has it. */
export interface LogLine {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Whether a line is the one that tells of a case. */
export function tellsOf({ message, fields }: HostileCase, line: LogLine): boolean {
  return (
    line.message === message &&
    Object.entries(fields).every(([name, wanted]) => {
      const found = String(line[name] ?? '');
      return typeof wanted === 'string' ? found === wanted : wanted.test(found);
    })
  );
}
