/**
 * What lies in the plugins folder at one moment: every file that a version is made of, the folders to
 * watch, and what stands for the packages, which are not copied.
 *
 * Whatever belongs to a version lies inside the plugins folder: what a symlink leads out of it is
 * refused, helpers included, so that who may put files there cannot have others of this machine run
 * or read (field notes 2i, 23).
 */
import { type BigIntStats, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Fault, fault } from './fault.ts';

export const PACKAGES_FOLDER = 'node_modules';

/** A version with more than this is refused as a whole: a wrong folder was given, or something else fills it. */
export interface SnapshotLimits {
  readonly files: number;
  readonly bytes: number;
}
export const snapshotLimits: SnapshotLimits = { files: 10_000, bytes: 256 * 1024 * 1024 };
const MOST_DEPTH = 64;

/** A file as it is found; `path` is from the plugins folder on. */
export interface FoundFile {
  readonly path: string;
  /** With its symlinks resolved. */
  readonly real: string;
  readonly bytes: number;
  /** Changes whenever the file is written or replaced. */
  readonly stamp: string;
}

export interface FoundFolder {
  /** Absolute, real. */
  readonly path: string;
  /** Tells it from another that takes its place. */
  readonly identity: string;
}

export interface Snapshot {
  /** In a fixed order. */
  readonly files: readonly FoundFile[];
  /** The package folders beside the files, from the plugins folder on. */
  readonly packageFolders: readonly string[];
  /** Changes when packages come, go or change their version. */
  readonly packages: string;
  /** What is to be watched. */
  readonly folders: readonly FoundFolder[];
  readonly refused: readonly Fault[];
}

/** The folder as a whole cannot be taken. */
export class SnapshotProblem extends Error {}

/**
 * Names that are no part of a version: dotfiles, what editors put beside a file while they write it,
 * and what no plugin is made of: tests and types. Names with two dots in front are those by which
 * Kubernetes swaps a mounted folder.
 */
export function isIgnored(name: string): boolean {
  if (/\.(?:test|d)\.[jt]s$/.test(name)) return true;
  return /^\.(?!\.)|^4913$|~$|\.sw[a-z]$|^#.*#$|\.crswap$|___jb_(?:tmp|old)___$/.test(name);
}

/**
 * Reads the folder, whose real path is `root`. What contains `leftOut`, a real path, is left alone: the
 * data folder may lie in the plugins folder. Throws a `SnapshotProblem` where there is too much, and
 * the error of the file system where the folder cannot be read.
 */
export function takeSnapshot(root: string, leftOut: string, limits = snapshotLimits): Snapshot {
  return new Walk(root, leftOut, limits).result();
}

class Walk {
  readonly #root: string;
  readonly #leftOut: string;
  readonly #limits: SnapshotLimits;
  readonly #files: FoundFile[] = [];
  readonly #packageFolders: string[] = [];
  readonly #packages: string[] = [];
  readonly #folders = new Map<string, FoundFolder>();
  readonly #refused: Fault[] = [];
  #bytes = 0;

  constructor(root: string, leftOut: string, limits: SnapshotLimits) {
    this.#root = root;
    this.#leftOut = leftOut;
    this.#limits = limits;
  }

  result(): Snapshot {
    this.#walk('', this.#root, []);
    return {
      files: this.#files,
      packageFolders: this.#packageFolders,
      packages: this.#packages.join('\n'),
      folders: [...this.#folders.values()],
      refused: this.#refused,
    };
  }

  /** `above` are the real paths of the folders that lead here. */
  #walk(path: string, real: string, above: readonly string[]): void {
    this.#addFolder(real);
    for (const name of readdirSync(real).sort()) {
      if (isIgnored(name) || name.startsWith('..')) continue;
      const inner = path === '' ? name : `${path}/${name}`;
      if (name === PACKAGES_FOLDER) this.#lookAtPackages(inner, join(real, name));
      else this.#look(inner, join(real, name), [...above, real]);
    }
  }

  #look(path: string, found: string, above: readonly string[]): void {
    let real: string;
    let stat: BigIntStats;
    try {
      real = realpathSync(found);
      stat = statSync(real, { bigint: true });
    } catch (error) {
      // Gone since the folder was listed, or a symlink to nowhere.
      this.#refuse(path, `cannot be read: ${(error as Error).message}`);
      return;
    }
    if (!real.startsWith(`${this.#root}/`)) {
      return this.#refuse(path, 'a symlink leads out of the plugins folder');
    }
    if (stat.isFile()) return this.#add(path, real, stat);
    if (!stat.isDirectory() || `${this.#leftOut}/`.startsWith(`${real}/`)) return;
    if (above.includes(real) || above.length > MOST_DEPTH) {
      return this.#refuse(path, 'a symlink leads in a circle, or folders lie too deep');
    }
    this.#walk(path, real, above);
  }

  #add(path: string, real: string, stat: BigIntStats): void {
    const bytes = Number(stat.size);
    this.#bytes += bytes;
    this.#files.push({ path, real, bytes, stamp: stampOf(stat) });
    const { files, bytes: mostBytes } = this.#limits;
    if (this.#files.length > files) {
      throw new SnapshotProblem(`there are more than ${files} files in the plugins folder`);
    }
    if (this.#bytes > mostBytes) {
      throw new SnapshotProblem(
        `the plugins folder has more than ${mostBytes / 1024 / 1024} MiB, at ${path}`,
      );
    }
  }

  /** Packages are not read: their names and manifests stand for them. A package folder may be a symlink. */
  #lookAtPackages(path: string, found: string): void {
    const names = namesIn(found);
    if (names === undefined) return;
    this.#packageFolders.push(path);
    const real = realpathSync(found);
    this.#packages.push(real);
    this.#addFolder(real);
    for (const name of [...names, '.package-lock.json']) {
      if (!name.startsWith('@')) {
        this.#packages.push(`${path}/${name} ${manifestStamp(found, name)}`);
        continue;
      }
      const scope = join(found, name);
      const scoped = namesIn(scope);
      if (scoped !== undefined) this.#addFolder(realpathSync(scope));
      for (const each of scoped ?? []) {
        this.#packages.push(`${path}/${name}/${each} ${manifestStamp(scope, each)}`);
      }
    }
  }

  #addFolder(real: string): void {
    this.#folders.set(real, { path: real, identity: folderIdentity(real) });
  }

  #refuse(path: string, detail: string): void {
    this.#refused.push(fault('load', detail, path));
  }
}

/** Numbers of inodes are used again, so the time of birth belongs to it. Throws where there is no such folder. */
export function folderIdentity(path: string): string {
  const { dev, ino, birthtimeNs } = statSync(path, { bigint: true });
  return `${dev} ${ino} ${birthtimeNs}`;
}

/** The nearest package folder above the plugins folder, where imports look when they find nothing in it. */
export function packagesAbove(root: string): string | undefined {
  for (let folder = dirname(root); ; folder = dirname(folder)) {
    const found = join(folder, PACKAGES_FOLDER);
    if (namesIn(found) !== undefined) return found;
    if (folder === dirname(folder)) return undefined;
  }
}

function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch {
    return undefined; // no folder
  }
}

function manifestStamp(folder: string, name: string): string {
  const path = name.startsWith('.') ? join(folder, name) : join(folder, name, 'package.json');
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : stampOf(stat);
}

function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}
