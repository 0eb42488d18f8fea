/**
 * Hears of changes in folders. Each folder is watched by itself instead of with all beneath it, so
 * that what a package manager does inside of packages costs nothing; the owner names the folders anew
 * after each look.
 *
 * What events do not tell, the folder at the top coming, going or being replaced, is looked for twice a
 * second.
 */
import { type FSWatcher, realpathSync, watch } from 'node:fs';
import { type FoundFolder, folderIdentity, isIgnored } from './snapshot.ts';

const LOOK_MS = 500;

export class FolderWatch {
  readonly #top: string;
  readonly #touched: () => void;
  /** By identity and path. */
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #timer: NodeJS.Timeout;
  #identity: string;
  /** Why a folder could not be watched. */
  problem: string | undefined = undefined;

  /** `touched` is called for whatever may be a change: often, and sometimes for nothing. */
  constructor(top: string, touched: () => void) {
    this.#top = top;
    this.#touched = touched;
    this.#identity = this.#look();
    this.#timer = setInterval(() => {
      const identity = this.#look();
      if (identity === this.#identity) return;
      this.#identity = identity;
      touched();
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** Watches these folders and no others; true where one is new, and may have changed before it was watched. */
  follow(folders: readonly FoundFolder[]): boolean {
    this.problem = undefined;
    const wanted = new Map(folders.map((folder) => [`${folder.identity} ${folder.path}`, folder]));
    for (const [key, watcher] of this.#watchers) {
      if (wanted.has(key)) continue;
      watcher.close();
      this.#watchers.delete(key);
    }
    let added = false;
    for (const [key, { path }] of wanted) {
      if (this.#watchers.has(key)) continue;
      const watcher = this.#watch(path, () => this.#forget(key));
      if (watcher === undefined) continue;
      this.#watchers.set(key, watcher);
      added = true;
    }
    return added;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watch(path: string, failed: () => void): FSWatcher | undefined {
    try {
      const watcher = watch(path, (_, name) => {
        if (name === null || !isIgnored(name)) this.#touched();
      });
      // Some systems tell so that the folder is gone.
      watcher.on('error', failed);
      return watcher;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      // A folder that is gone by now is no problem: its parent has an event for that.
      if (code !== 'ENOENT') this.problem = message;
      return undefined;
    }
  }

  #forget(key: string): void {
    this.#watchers.get(key)?.close();
    this.#watchers.delete(key);
    this.#touched();
  }

  #look(): string {
    try {
      const real = realpathSync(this.#top);
      return `${real} ${folderIdentity(real)}`;
    } catch {
      return '';
    }
  }
}
