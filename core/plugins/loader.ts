/**
 * Finds the plugins in the plugins folder. A file is a plugin, and so is a folder: its `index` file,
 * or without one all of its files; those that export no handler are helpers.
 *
 * Whatever is to run lies inside the plugins folder: what a symlink leads out of it is refused, so
 * that who may put files there cannot have others of this machine run or read (field notes 2i, 23).
 */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Fault, fault, shownPath } from './fault.ts';
import { isIgnored } from './snapshot.ts';

/** A file to import. */
export interface PluginFile {
  /** The name of its plugin: that of the file or folder right in the plugins folder. */
  readonly plugin: string;
  /** Absolute, and real. */
  readonly path: string;
  /** The folder whose contents are those of the plugins folder at one moment; `path` lies in it. */
  readonly root: string;
}

export interface Scan {
  /** The plugins folder, as a real path; undefined where there is none, which is no error. */
  readonly root: string | undefined;
  /** In a fixed order. */
  readonly files: readonly PluginFile[];
  readonly refused: readonly Fault[];
}

export const MIGRATIONS_FOLDER = 'migrations';

/** Reads the folder. Throws where it is there and cannot be read. */
export function scanPlugins(folder: string): Scan {
  let root: string;
  try {
    root = realpathSync(folder);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
    return { root: undefined, files: [], refused: [] };
  }
  const files: PluginFile[] = [];
  const refused: Fault[] = [];
  for (const name of namesIn(root)) {
    const path = insideOf(root, join(root, name), refused);
    if (path === undefined || name === MIGRATIONS_FOLDER) continue;
    const stat = statSync(path);
    if (stat.isFile() && isSource(name)) files.push({ plugin: withoutExtension(name), path, root });
    if (stat.isDirectory()) {
      for (const file of filesOf(root, path, refused)) {
        files.push({ plugin: name, path: file, root });
      }
    }
  }
  return { root, files: withNamesOfTheirOwn(files, refused), refused };
}

/**
 * What the handlers of a file are known by from one version and one start to the next: where the file
 * lies in the plugins folder, without extension and `/index`; with `#2`, `#3` and so on for those
 * after its first. `position` counts from 0.
 */
export function handlerName({ path, root }: PluginFile, position: number): string {
  const name = withoutExtension(shownPath(path, root)).replace(/\/index$/, '');
  return position === 0 ? name : `${name}#${position + 1}`;
}

/** Refuses files whose handlers could not be told from those of another file, or whose names are no part of a topic. */
function withNamesOfTheirOwn(files: readonly PluginFile[], refused: Fault[]): PluginFile[] {
  const named = new Map<string, PluginFile>();
  for (const file of files) {
    const name = handlerName(file, 0);
    const shown = shownPath(file.path, file.root);
    const other = named.get(name);
    if (other !== undefined) {
      const detail = `its handlers would have the names of those of ${shownPath(other.path, other.root)}`;
      refused.push(fault('load', detail, shown));
    } else if (/[+#\p{Cc}]/u.test(name)) {
      refused.push(fault('load', 'a plugin has no + or # in its name', shown));
    } else {
      named.set(name, file);
    }
  }
  return [...named.values()];
}

/** The files of a plugin that is a folder. */
function filesOf(root: string, folder: string, refused: Fault[]): string[] {
  const names = namesIn(folder).filter(isSource);
  const index = names.find((name) => withoutExtension(name) === 'index');
  const files: string[] = [];
  for (const name of index === undefined ? names : [index]) {
    const path = insideOf(root, join(folder, name), refused);
    if (path !== undefined && statSync(path).isFile()) files.push(path);
  }
  return files;
}

/** `path` with its symlinks resolved; undefined, and a refusal, where they lead out of `root` or nowhere. */
export function insideOf(root: string, path: string, refused: Fault[]): string | undefined {
  const shown = shownPath(path, root);
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    refused.push(fault('load', `cannot be read: ${(error as Error).message}`, shown));
    return undefined;
  }
  if (real.startsWith(`${root}/`)) return real;
  refused.push(fault('load', 'a symlink leads out of the plugins folder', shown));
  return undefined;
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && name !== 'node_modules')
    .sort();
}

function isSource(name: string): boolean {
  return /\.[jt]s$/.test(name) && !isIgnored(name);
}

function withoutExtension(name: string): string {
  return name.slice(0, name.lastIndexOf('.'));
}
