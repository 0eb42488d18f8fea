/**
 * A version of the plugins: a copy of the plugins folder as it was at one moment. All workers load
 * from the copy, so that one which is replaced an hour later runs the very same code, and nobody
 * ever imports half of a change.
 *
 * Packages are linked instead of copied. What this does takes as long as the disk does: while the
 * broker serves, it runs in a thread of its own, `version-thread.ts`.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type Fault, fault } from './fault.ts';
import { type PluginFile, scanPlugins } from './loader.ts';
import { migrate } from './migrations.ts';
import {
  type FoundFolder,
  PACKAGES_FOLDER,
  packagesAbove,
  type Snapshot,
  SnapshotProblem,
  takeSnapshot,
} from './snapshot.ts';
import { openDatabase, StoreProblem } from './store.ts';
import { type SharedLock, WriteLock } from './write-lock.ts';

export interface Version {
  /** Counts from 1 in each process, and names the folder of the copy. */
  readonly number: number;
  /** The copy: absolute, real. Empty where there is no plugins folder. */
  readonly root: string;
  /** The plugins folder itself as a real path, under which packages are found; empty where there is none. */
  readonly source: string;
  readonly files: readonly PluginFile[];
  readonly contents: Contents;
}

/** What tells two versions apart. */
export interface Contents {
  /** The hash of each file, by its path from the plugins folder on. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Files without anything in them. */
  readonly empty: ReadonlySet<string>;
  readonly packages: string;
  /** Of the files as they were found: as long as this is the same, none was touched. */
  readonly stamps: string;
}

export interface TakeRequest {
  /** The plugins folder. */
  readonly folder: string;
  /** Where copies are made: absolute, real. */
  readonly copies: string;
  readonly number: number;
  /** What was taken before. */
  readonly before: Contents | undefined;
  /** Whether to take it even though it looks as if somebody were in the midst of a change. */
  readonly atOnce: boolean;
  /** The handlers' database, for migrations; undefined leaves them alone. */
  readonly store: { readonly path: string; readonly writeLock: SharedLock } | undefined;
}

export type Taken = {
  /** What is to be watched from now on. */
  readonly folders: readonly FoundFolder[];
} & (
  | { readonly kind: 'same'; readonly contents: Contents }
  /** To be asked again in a while: it changed while it was read, or a file was emptied that may be about to be filled. */
  | { readonly kind: 'unsettled' }
  | {
      readonly kind: 'taken';
      readonly version: Version;
      readonly refused: readonly Fault[];
      readonly migrated: readonly string[];
    }
  /** Nothing of it can be used. */
  | { readonly kind: 'failed'; readonly fault: Fault; readonly migrated: readonly string[] }
);

/** Whom the right to write belongs to meanwhile; workers count from 1. */
export const MIGRATOR = -1;
/** How long migrations wait for other processes that write. */
const BUSY_MS = 30_000;

const nothing: Contents = { hashes: new Map(), empty: new Set(), packages: '', stamps: '' };

/**
 * Makes the folder for copies and removes those that an earlier process left there, nothing else; returns
 * its real path. Throws a `StoreProblem` where it is the plugins folder itself.
 */
export function clearCopies(folder: string, plugins: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const copies = realpathSync(folder);
  if (copies === realPath(plugins)) {
    throw new StoreProblem(
      `${folder} is for copies of the plugins folder, and cannot be that folder`,
    );
  }
  for (const name of readdirSync(copies)) {
    if (/^\d+$/.test(name)) rmSync(join(copies, name), { recursive: true, force: true });
  }
  return copies;
}

/** Copies the folder and applies its new migrations. Never throws. */
export function takeVersion(request: TakeRequest): Taken {
  const root = join(request.copies, String(request.number));
  const folders: FoundFolder[] = [];
  const migrated: string[] = [];
  try {
    const taken = take(request, root, folders);
    if (taken.kind === 'taken' && request.store !== undefined) {
      const { path, writeLock } = request.store;
      const lock = new WriteLock(writeLock, MIGRATOR, () => {});
      migrate(
        () => openDatabase(path, BUSY_MS),
        root,
        migrated,
        (work) => {
          lock.take();
          try {
            work();
          } finally {
            lock.release();
          }
        },
      );
    }
    return taken.kind === 'taken' ? { ...taken, migrated } : taken;
  } catch (error) {
    rmSync(root, { recursive: true, force: true });
    return { kind: 'failed', fault: faultOf(error, request.folder), migrated, folders };
  }
}

function faultOf(error: unknown, folder: string): Fault {
  const { message } = error as Error;
  if (error instanceof StoreProblem) {
    const [, at, detail = message] =
      /^(migrations\/\S+\.sql(?::\d+)?):? (.*)$/s.exec(message) ?? [];
    return fault('load', detail, at);
  }
  return fault('load', error instanceof SnapshotProblem ? message : `${folder}: ${message}`);
}

const MOST_ATTEMPTS = 3;

function take(request: TakeRequest, root: string, folders: FoundFolder[]): Taken {
  const { folder, copies, number, before, atOnce } = request;
  const source = realPath(folder);
  if (source === undefined) return takeNothing(request);
  for (let attempt = 1; ; attempt++) {
    const snapshot = takeSnapshot(source, copies);
    folders.splice(0, folders.length, ...snapshot.folders);
    const stamps = stampsOf(snapshot);
    const { packages } = snapshot;
    if (before?.stamps === stamps && before.packages === packages) {
      return { kind: 'same', contents: before, folders };
    }
    const hashes = copy(snapshot, source, root);
    const torn = hashes === undefined || stampsOf(takeSnapshot(source, copies)) !== stamps;
    if (torn && (attempt < MOST_ATTEMPTS || !atOnce || hashes === undefined)) {
      rmSync(root, { recursive: true, force: true });
      if (attempt < MOST_ATTEMPTS) continue;
      if (!atOnce) return { kind: 'unsettled', folders };
      throw new SnapshotProblem('its files come and go all the time');
    }
    const empty = new Set(
      snapshot.files.filter((file) => file.bytes === 0).map(({ path }) => path),
    );
    // What was torn is never taken for untouched.
    const contents = { hashes, empty, packages, stamps: torn ? `torn ${stamps}` : stamps };
    if (before !== undefined && changedPaths(before, contents).length === 0) {
      rmSync(root, { recursive: true, force: true });
      return { kind: 'same', contents, folders };
    }
    if (!atOnce && wasEmptied(before, contents)) {
      rmSync(root, { recursive: true, force: true });
      return { kind: 'unsettled', folders };
    }
    const { files, refused } = scanPlugins(root);
    const version: Version = { number, root, source, files, contents };
    return {
      kind: 'taken',
      version,
      refused: [...snapshot.refused, ...refused],
      migrated: [],
      folders,
    };
  }
}

/** There is no folder, which is no error. One that was there may be about to be replaced. */
function takeNothing({ number, before, atOnce }: TakeRequest): Taken {
  if (before !== undefined && before.stamps === '') {
    return { kind: 'same', contents: before, folders: [] };
  }
  if (before !== undefined && !atOnce) return { kind: 'unsettled', folders: [] };
  const version: Version = { number, root: '', source: '', files: [], contents: nothing };
  return { kind: 'taken', version, refused: [], migrated: [], folders: [] };
}

/** The hash of each file that is copied; undefined where one is gone by then. */
function copy(
  snapshot: Snapshot,
  source: string,
  root: string,
): ReadonlyMap<string, string> | undefined {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const hashes = new Map<string, string>();
  for (const { path, real } of snapshot.files) {
    const to = join(root, path);
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(real);
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, bytes);
    hashes.set(path, new Bun.CryptoHasher('sha256').update(bytes).digest('base64'));
  }
  for (const path of snapshot.packageFolders) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(realpathSync(join(source, path)), join(root, path));
  }
  const above = packagesAbove(source);
  const link = join(dirname(root), PACKAGES_FOLDER);
  if (realPath(link) !== above) {
    rmSync(link, { force: true });
    if (above !== undefined) symlinkSync(above, link);
  }
  return hashes;
}

/** The paths of files that came, went or have changed; `node_modules` stands for all packages. */
export function changedPaths(before: Contents, after: Contents): string[] {
  const changed: string[] = [];
  for (const [path, hash] of after.hashes) {
    if (before.hashes.get(path) !== hash) changed.push(path);
  }
  for (const path of before.hashes.keys()) if (!after.hashes.has(path)) changed.push(path);
  if (before.packages !== after.packages) changed.push(PACKAGES_FOLDER);
  return changed.sort();
}

/** Some write a file by emptying it first: what is empty now and was not may get the rest in a moment. */
function wasEmptied(before: Contents | undefined, after: Contents): boolean {
  if (before === undefined) return after.empty.size > 0;
  for (const path of after.empty) if (!before.empty.has(path)) return true;
  return false;
}

function stampsOf({ files }: Snapshot): string {
  const hasher = new Bun.CryptoHasher('sha256');
  for (const { path, stamp } of files) hasher.update(`${path}\0${stamp}\0`);
  return hasher.digest('base64');
}

function realPath(folder: string): string | undefined {
  try {
    return realpathSync(folder);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}
