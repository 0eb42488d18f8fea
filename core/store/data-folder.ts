/**
 * The broker's file at start: one process at a time, made where it is missing, refused where it is
 * not ours, newer than we know or damaged. A file that is refused is left as it is, byte for byte.
 */
import { Database } from 'bun:sqlite';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describeProblem, isBusy, StorageRefused } from './problem.ts';
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from './schema.ts';

export const FILE_NAME = 'broker.sqlite';
const LOCK_NAME = 'broker.lock';
/** Files up to this size are checked whole at a start; of larger ones all but the messages. */
const WHOLE_CHECK_BYTES = 128 * 1024 * 1024;
const RESTORE = 'restore a backup, or move it away to start with an empty one';

/**
 * Takes the data folder for this process, until the handle is closed or the process ends, however
 * it does. Throws a `StorageRefused` where another has it.
 *
 * The lock is on a file of its own, so that the broker's file can be read by others, for a backup or
 * with the sqlite3 shell, while the broker runs.
 */
export function lockFolder(folder: string): Database {
  const path = join(folder, LOCK_NAME);
  let lock: Database | undefined;
  try {
    lock = new Database(path, { create: true });
    lock.run('pragma busy_timeout = 0');
    lock.run('begin exclusive');
    return lock;
  } catch (error) {
    lock?.close(true);
    if (isBusy(error)) {
      throw new StorageRefused(
        `${folder} is in use by another Bellhop; stop that one, or give this one a DATA_DIR of its own`,
      );
    }
    throw new StorageRefused(`${path}: ${describeProblem(error).reason}`);
  }
}

/** Checks the file in `folder`, or makes it, and brings its tables up to date. Throws a `StorageRefused`. */
export function prepareFile(folder: string, wholeCheckBytes = WHOLE_CHECK_BYTES): string {
  const path = join(folder, FILE_NAME);
  try {
    if (!existsSync(path)) create(path);
    else {
      const version = check(path, wholeCheckBytes);
      if (version < SCHEMA_VERSION) update(path, version);
    }
  } catch (error) {
    if (error instanceof StorageRefused) throw error;
    throw new StorageRefused(`${path}: ${describeProblem(error).reason}`);
  }
  return path;
}

/** Under another name first: what bears the right one is complete, and an empty file is a lost one. */
function create(path: string): void {
  for (const rest of [`${path}-wal`, `${path}-journal`]) {
    if (existsSync(rest) && statSync(rest).size > 0) {
      throw new StorageRefused(
        `${path} is missing and ${rest} is there; put back the one or move away the other`,
      );
    }
  }
  const draft = `${path}.new`;
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(draft + end, { force: true });
  const database = new Database(draft, { create: true });
  try {
    chmodSync(draft, 0o600);
    database.run(`pragma application_id = ${APPLICATION_ID}`);
    database.run('pragma journal_mode = wal');
    migrate(database, 0);
    database.run('pragma wal_checkpoint(truncate)');
  } finally {
    database.close(true);
  }
  renameSync(draft, path);
  syncFolder(dirname(path));
}

export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The version of the file's schema, where it is fit for use. Reads only. */
function check(path: string, wholeCheckBytes: number): number {
  checkHeader(path);
  const log = `${path}-wal`;
  const hadLog = existsSync(log);
  try {
    return checkContent(path, wholeCheckBytes);
  } catch (error) {
    // Even to read SQLite makes a log where there is none, and leaves it.
    if (!hadLog && existsSync(log) && statSync(log).size === 0) {
      for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true });
    }
    const { code } = describeProblem(error);
    if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') throw damaged(path, code);
    throw error;
  }
}

function checkContent(path: string, wholeCheckBytes: number): number {
  const database = new Database(path, { readonly: true });
  try {
    database.run('pragma busy_timeout = 1000');
    const version = pragma(database, 'user_version');
    if (version > SCHEMA_VERSION) {
      throw new StorageRefused(
        `${path} was written by a newer Bellhop (schema ${version}, this one knows ${SCHEMA_VERSION}); run that one, or ${RESTORE}`,
      );
    }
    const whole = statSync(path).size <= wholeCheckBytes;
    for (const { name } of tablesOf(database)) {
      if (whole || name !== 'message') checkTable(database, path, name);
    }
    return version;
  } finally {
    database.close(true);
  }
}

function tablesOf(database: Database): { readonly name: string }[] {
  return database
    .query<{ name: string }, []>(`select name from sqlite_schema where type = 'table'`)
    .all();
}

function checkTable(database: Database, path: string, name: string): void {
  const found = database.query(`pragma quick_check('${name}')`).values()[0]?.[0];
  if (found !== 'ok') throw damaged(path, String(found));
}

function pragma(database: Database, name: string): number {
  return Number(database.query(`pragma ${name}`).values()[0]?.[0]);
}

function damaged(path: string, detail: string): StorageRefused {
  return new StorageRefused(`${path} is damaged (${detail}); ${RESTORE}`);
}

/** By the first 100 bytes, which never change once the file is made: see sqlite.org/fileformat2.html. */
function checkHeader(path: string): void {
  const header = Buffer.alloc(100);
  const handle = openSync(path, 'r');
  let length: number;
  try {
    length = readSync(handle, header, 0, 100, 0);
  } finally {
    closeSync(handle); // before SQLite opens it: closing any handle drops the process's locks on a file
  }
  if (length === 0) throw damaged(path, 'it is empty');
  if (length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
    throw new StorageRefused(`${path} is no SQLite database; ${RESTORE}`);
  }
  if (header.readUInt32BE(68) !== APPLICATION_ID) {
    throw new StorageRefused(`${path} is a database of another program; move it away`);
  }
}

function update(path: string, version: number): void {
  const database = new Database(path, { readwrite: true, create: false });
  try {
    database.run('pragma synchronous = full');
    migrate(database, version);
  } finally {
    database.close(true);
  }
}
