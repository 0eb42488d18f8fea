/**
 * Keeps up with the plugins folder: waits until a change is over, takes a version, and hands it on.
 *
 * A burst of writes is one change: it is over when nothing was heard for `QUIET_MS`, and a folder that
 * never rests is taken at the latest `LONGEST_MS` after its first change. Only what differs by content
 * is a new version.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasDescriptorsForThread } from '../store/descriptors.ts';
import type { PluginEvent } from './events.ts';
import { type Fault, fault } from './fault.ts';
import { StoreProblem } from './store.ts';
import {
  type Contents,
  changedPaths,
  clearCopies,
  MIGRATOR,
  type Taken,
  type TakeRequest,
  takeVersion,
  type Version,
} from './version.ts';
import { FolderWatch } from './watch.ts';
import { freeWriteLock } from './write-lock.ts';

const QUIET_MS = 100;
const LONGEST_MS = 2_000;
/** What looks unfinished gets this long to be finished. */
const PATIENCE_MS = 400;
/** How often to look where the system does not tell of changes, or nothing can be read. */
const UNWATCHED_MS = 2_000;

export interface LiveOptions {
  /** The plugins folder. */
  readonly folder: string;
  /** Where copies of it are made; nobody else may use it. */
  readonly copies: string;
  readonly store: TakeRequest['store'];
}

export interface LiveListener {
  /** There is a new version; `changed` are the paths that differ from the one before. */
  taken(version: Version, changed: readonly string[]): void;
  report(event: PluginEvent): void;
}

export class LiveFolder {
  readonly #options: LiveOptions;
  readonly #listener: LiveListener;
  readonly #copies: string;
  #number = 0;
  #contents: Contents | undefined = undefined;
  #watch: FolderWatch | undefined = undefined;
  /** Of the change that is under way. */
  #touchedSinceMs: number | undefined = undefined;
  #unsettledSinceMs: number | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #thread: Worker | undefined = undefined;
  #refused = new Set<string>();
  #lastProblem = '';
  /** Why it cannot be watched. */
  #unwatched: string | undefined = undefined;
  #stopped = false;

  /** Throws where the folder for copies cannot be made, or is the plugins folder. */
  constructor(options: LiveOptions, listener: LiveListener) {
    this.#options = options;
    this.#listener = listener;
    this.#copies = clearCopies(options.copies, options.folder);
  }

  /** The first version, at once. Throws a `StoreProblem` where there is none. */
  first(): Version {
    const taken = takeVersion(this.#request(true));
    if (taken.kind === 'taken') {
      this.#note(taken);
      return taken.version;
    }
    const { detail, at } = taken.kind === 'failed' ? taken.fault : { detail: taken.kind, at: '' };
    throw new StoreProblem(at ? `${at}: ${detail}` : detail);
  }

  /** Follows the folder from now on. */
  watch(): void {
    this.#watch = new FolderWatch(this.#options.folder, () => this.#touched());
    this.#look(false);
  }

  /** Takes it now, if it differs. */
  reload(): void {
    this.#lastProblem = '';
    this.#look(true);
  }

  /** The copy is used no more. Never rejects: what cannot be removed now is removed by the next start. */
  async release({ root, number }: Version): Promise<void> {
    if (root === '') return;
    await rm(join(this.#copies, String(number)), { recursive: true, force: true }).catch(() => {});
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#watch?.stop();
    if (this.#thread === undefined) return;
    this.#thread.terminate();
    // It may have been in the midst of a migration, which is undone.
    if (this.#options.store) freeWriteLock(this.#options.store.writeLock, MIGRATOR);
  }

  #touched(): void {
    if (this.#stopped) return;
    const nowMs = performance.now();
    this.#touchedSinceMs ??= nowMs;
    this.#lookAfter(Math.min(QUIET_MS, this.#touchedSinceMs + LONGEST_MS - nowMs), false);
  }

  #lookAfter(afterMs: number, atOnce: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(atOnce), Math.max(0, afterMs));
  }

  #look(atOnce: boolean): void {
    if (this.#stopped) return;
    // One at a time: whatever is under way is followed by another look.
    if (this.#thread !== undefined) return this.#lookAfter(QUIET_MS, atOnce);
    if (!hasDescriptorsForThread()) return this.#lookAfter(LONGEST_MS, atOnce);
    clearTimeout(this.#timer);
    this.#touchedSinceMs = undefined;
    const waitedMs = performance.now() - (this.#unsettledSinceMs ?? Number.POSITIVE_INFINITY);
    const program = Bun.isStandaloneExecutable
      ? './core/plugins/version-thread.ts'
      : './version-thread.ts';
    const thread = new Worker(new URL(program, import.meta.url));
    const request = this.#request(atOnce || waitedMs > LONGEST_MS);
    const done = (taken: Taken) => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      thread.terminate();
      if (!this.#stopped) this.#came(taken);
    };
    thread.addEventListener('message', ({ data }: MessageEvent<Taken>) => done(data));
    const broken = (detail: string) =>
      done({ kind: 'failed', fault: fault('load', detail), migrated: [], folders: [] });
    thread.addEventListener('error', (event) => {
      event.preventDefault();
      broken(event.message);
    });
    thread.addEventListener('close', () => broken('the thread that reads it ended'));
    this.#thread = thread;
    thread.postMessage(request);
  }

  #came(taken: Taken): void {
    // Where reading broke off, those that were watched before still are.
    const knowsFolders = taken.kind !== 'failed' || taken.folders.length > 0;
    if (knowsFolders && this.#watch?.follow(taken.folders) === true) this.#touched();
    if (taken.kind !== 'unsettled') this.#unsettledSinceMs = undefined;
    switch (taken.kind) {
      case 'same':
        this.#contents = taken.contents;
        this.#lastProblem = '';
        break;
      case 'unsettled':
        this.#unsettledSinceMs ??= performance.now();
        if (this.#touchedSinceMs === undefined) this.#lookAfter(PATIENCE_MS, true);
        break;
      case 'taken': {
        const before = this.#contents;
        this.#note(taken);
        const { version } = taken;
        this.#listener.taken(version, before ? changedPaths(before, version.contents) : []);
        break;
      }
      case 'failed':
        for (const migration of taken.migrated)
          this.#listener.report({ kind: 'migrated', migration });
        this.#complain(taken.fault);
        break;
      default:
        taken satisfies never;
    }
    const problem = this.#watch?.problem;
    if (problem !== undefined && problem !== this.#unwatched) {
      const detail = `it is looked at every ${UNWATCHED_MS} ms, for it cannot be watched: ${problem}`;
      this.#listener.report({ kind: 'plugins-kept', fault: fault('load', detail) });
    }
    this.#unwatched = problem;
    const isWaiting = this.#touchedSinceMs !== undefined || this.#unsettledSinceMs !== undefined;
    if ((problem !== undefined || !knowsFolders) && !isWaiting && this.#watch !== undefined) {
      this.#lookAfter(UNWATCHED_MS, false);
    }
  }

  #note({ version, refused, migrated }: Extract<Taken, { kind: 'taken' }>): void {
    this.#number = version.number;
    this.#contents = version.contents;
    this.#lastProblem = '';
    for (const migration of migrated) this.#listener.report({ kind: 'migrated', migration });
    const told = this.#refused;
    this.#refused = new Set(refused.map(({ at, detail }) => `${at} ${detail}`));
    for (const why of refused) {
      if (told.has(`${why.at} ${why.detail}`)) continue;
      this.#listener.report({ kind: 'plugin-refused', plugin: undefined, fault: why, kept: false });
    }
  }

  /** Once for each problem, not once for each look. */
  #complain(why: Fault): void {
    if (this.#lastProblem === why.detail) return;
    this.#lastProblem = why.detail;
    this.#listener.report({ kind: 'plugins-kept', fault: why });
  }

  #request(atOnce: boolean): TakeRequest {
    const { folder, store } = this.#options;
    const before = this.#contents;
    return { folder, copies: this.#copies, number: this.#number + 1, before, atOnce, store };
  }
}
