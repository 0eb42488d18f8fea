/**
 * A consistent copy of the broker's file, made beside a broker that runs: it reads one state of the
 * database, whatever is committed meanwhile.
 */
import { Database } from 'bun:sqlite';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FILE_NAME, syncFolder } from './data-folder.ts';
import { describeProblem, StorageRefused } from './problem.ts';

/**
 * Copies the broker's file of `folder` to `target`, which must not exist yet; it is there whole and on
 * disk, or not at all. Throws a `StorageRefused`.
 */
export function backUp(folder: string, target: string): void {
  const path = join(folder, FILE_NAME);
  if (!existsSync(path))
    throw new StorageRefused(`${path} does not exist: there is nothing to copy`);
  if (existsSync(target)) throw new StorageRefused(`${target} exists; name a file that does not`);
  const unfinished = `${target}.unfinished`;
  try {
    rmSync(unfinished, { force: true });
    const database = new Database(path, { readonly: true });
    try {
      database.run('pragma busy_timeout = 5000');
      database.run('vacuum into ?', [unfinished]);
    } finally {
      database.close();
    }
    const file = openSync(unfinished, 'r+');
    fsyncSync(file);
    closeSync(file);
    renameSync(unfinished, target);
    syncFolder(dirname(target));
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new StorageRefused(`${target}: ${describeProblem(error).reason}`);
  }
}
