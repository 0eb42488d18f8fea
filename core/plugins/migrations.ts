/**
 * The schema of the handlers' database: `migrations/NNNN_name.sql` in the plugins folder, applied in
 * the order of their numbers, each in a transaction of its own, each once.
 */
import type { Database } from 'bun:sqlite';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { insideOf, MIGRATIONS_FOLDER } from './loader.ts';
import { StoreProblem } from './store.ts';

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

/**
 * Applies what is new in the folder and adds the names to `names`, which it returns; `root` is the
 * plugins folder or a copy of it, as a real path. Throws a `StoreProblem` that names the file, since
 * handlers rely on the schema; those before it stay applied. Without migrations, the database is not
 * opened. `alone` does its work while no handler writes.
 */
export function migrate(
  open: () => Database,
  root: string,
  names: string[] = [],
  alone = (work: () => void): void => work(),
): string[] {
  const migrations = readMigrations(root);
  if (migrations.length === 0) return names;
  const database = open();
  try {
    alone(() => applyNew(database, migrations, names));
  } finally {
    database.close();
  }
  return names;
}

function applyNew(database: Database, migrations: readonly Migration[], names: string[]): void {
  database.run(`create table if not exists bellhop_migration (
    number integer primary key, name text not null, checksum text not null,
    applied_at text not null default current_timestamp) strict`);
  const applied = new Map<number, Applied>();
  for (const row of database
    .query<Applied, []>('select number, name, checksum from bellhop_migration')
    .all()) {
    applied.set(row.number, row);
  }
  const last = Math.max(0, ...applied.keys());
  for (const migration of migrations) {
    const before = applied.get(migration.number);
    if (before === undefined) {
      if (migration.number < last) {
        const known = applied.get(last)?.name;
        throw new StoreProblem(
          `${migration.name} comes before ${known}, which is applied already; give it a higher number`,
        );
      }
      apply(database, migration);
      names.push(migration.name);
    } else if (before.checksum !== migration.checksum) {
      throw new StoreProblem(
        `${migration.name} is not what was applied as ${before.name}; put it back and write a new migration`,
      );
    }
  }
}

function apply(database: Database, { number, name, sql, checksum }: Migration): void {
  database.run('begin immediate');
  try {
    database.run(sql);
    if (!database.inTransaction) {
      throw new Error('it ends its transaction; leave out begin, commit and rollback');
    }
    database.run('insert into bellhop_migration (number, name, checksum) values (?, ?, ?)', [
      number,
      name,
      checksum,
    ]);
    database.run('commit');
  } catch (error) {
    if (database.inTransaction) database.run('rollback');
    const { message, byteOffset = -1 } = error as Error & { byteOffset?: number };
    const line =
      byteOffset < 0
        ? ''
        : `:${Buffer.from(sql).subarray(0, byteOffset).toString().split('\n').length}`;
    throw new StoreProblem(`${name}${line}: ${message}`);
  }
}

function readMigrations(root: string): Migration[] {
  const folder = join(root, MIGRATIONS_FOLDER);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw new StoreProblem(`${MIGRATIONS_FOLDER}: ${(error as Error).message}`);
  }
  const migrations = names
    .filter((name) => name.endsWith('.sql') && !name.startsWith('.'))
    .map((name) => readMigration(root, folder, name))
    .sort((a, b) => a.number - b.number);
  for (const [index, { number, name }] of migrations.entries()) {
    const other = migrations[index - 1];
    if (other?.number === number) {
      throw new StoreProblem(`${other.name} and ${name} have the same number`);
    }
  }
  return migrations;
}

function readMigration(root: string, folder: string, file: string): Migration {
  const name = `${MIGRATIONS_FOLDER}/${file}`;
  const number = /^(\d{4})_[\w-]+\.sql$/.exec(file)?.[1];
  if (number === undefined || number === '0000') {
    throw new StoreProblem(`${name} must be named like 0001_contacts.sql`);
  }
  const path = insideOf(root, join(folder, file), []);
  if (path === undefined) {
    throw new StoreProblem(`${name} cannot be read, or leads out of the plugins folder`);
  }
  const sql = readFileSync(path, 'utf8');
  const checksum = new Bun.CryptoHasher('sha256').update(sql).digest('hex');
  return { number: Number(number), name, sql, checksum };
}
