import { Database } from 'bun:sqlite';
import { afterAll, beforeEach, expect, test } from 'bun:test';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_NAME, lockFolder, prepareFile } from '../../core/store/data-folder.ts';
import { StorageRefused } from '../../core/store/problem.ts';
import { migrate, SCHEMA_VERSION } from '../../core/store/schema.ts';
import { FileBench } from './bench.ts';
import { message, queued, session } from './changes.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-folder-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(root, 'x-'));
  path = join(folder, FILE_NAME);
});

/** A file with something of everything in it, some of it in the log only, as after a kill. */
async function fill(): Promise<void> {
  const bench = await FileBench.open({ folder, durability: 'os' });
  for (let number = 1; number <= 200; number++) {
    bench.keep(session(number), message(number), queued(number, number, number));
  }
  await bench.settle();
  await bench.dispose();
}

function bytes(): Record<string, string> {
  const kept = readdirSync(folder).filter(
    (name) => !name.endsWith('-shm') && !name.includes('lock'),
  );
  return Object.fromEntries(kept.map((name) => [name, readFileSync(join(folder, name), 'hex')]));
}

function refusal(): string {
  const before = bytes();
  let problem: unknown;
  try {
    prepareFile(folder);
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(StorageRefused);
  expect(bytes()).toEqual(before);
  return (problem as Error).message;
}

/** Changes `path` where it lies, as a failing disk would. */
function overwrite(offset: number, with_: Uint8Array): void {
  const whole = readFileSync(path);
  whole.set(with_, offset);
  writeFileSync(path, whole);
}

test('a new file is ours, whole, and nobody else may read it', () => {
  expect(prepareFile(folder)).toBe(path);
  expect(readdirSync(folder)).toEqual([FILE_NAME]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(prepareFile(folder)).toBe(path);
});

test('a draft that a crash left behind is made anew', () => {
  writeFileSync(`${path}.new`, 'half of it');
  writeFileSync(`${path}.new-wal`, 'and its log');
  prepareFile(folder);
  expect(readdirSync(folder)).toEqual([FILE_NAME]);
});

test('a file that was cut to nothing is refused, not taken for a new one', async () => {
  await fill();
  truncateSync(path, 0);
  expect(refusal()).toContain(`${path} is damaged (it is empty); restore a backup`);
});

test('a log without its file is refused', async () => {
  await fill();
  renameSync(path, `${path}-wal`);
  expect(refusal()).toContain(`${path} is missing and ${path}-wal is there`);
});

test.each([1, 99, 4_096, 20_480])('a file that was cut to %i bytes is refused', async (size) => {
  await fill();
  truncateSync(path, size);
  expect(refusal()).toMatch(/is damaged|is no SQLite database/);
});

test('a file of something else is refused', () => {
  writeFileSync(path, 'Dear diary, '.repeat(1_000));
  expect(refusal()).toContain(`${path} is no SQLite database; restore a backup`);
});

test('the database of another program is refused', () => {
  const database = new Database(path, { create: true });
  database.run('create table session (number integer primary key)');
  database.close();
  expect(refusal()).toContain(`${path} is a database of another program; move it away`);
});

test('a header of garbage is refused', async () => {
  await fill();
  overwrite(0, crypto.getRandomValues(new Uint8Array(100)));
  expect(refusal()).toContain('is no SQLite database');
});

test('a page of garbage is refused wherever it is', async () => {
  await fill();
  const whole = readFileSync(path);
  const pages = whole.length / 4_096;
  expect(pages).toBeGreaterThan(10);
  for (let page = 1; page < pages; page++) {
    writeFileSync(path, whole);
    overwrite(page * 4_096, new Uint8Array(4_096).fill(0xa5));
    expect(refusal()).toContain('is damaged');
  }
});

test('of a large file all but the messages is checked', async () => {
  await fill();
  const database = new Database(path, { readonly: true });
  const rootPage = (table: string) =>
    Number(
      database.query('select rootpage from sqlite_schema where name = ?').values(table)[0]?.[0],
    );
  const pages = [rootPage('message'), rootPage('delivery')].map((page) => (page - 1) * 4_096);
  database.close();
  const whole = readFileSync(path);
  overwrite(pages[0] as number, new Uint8Array(4_096).fill(0xa5));
  expect(prepareFile(folder, 0)).toBe(path);
  writeFileSync(path, whole);
  overwrite(pages[1] as number, new Uint8Array(4_096).fill(0xa5));
  expect(() => prepareFile(folder, 0)).toThrow('is damaged');
});

test('a file of a newer Bellhop is refused, also where only its log says so', async () => {
  await fill();
  const database = new Database(path);
  database.run(`pragma user_version = ${SCHEMA_VERSION + 1}`);
  // As a kill leaves it: the new version is in the log, and the file itself still says the old one.
  const copy = mkdtempSync(join(root, 'x-'));
  for (const end of ['', '-wal']) {
    writeFileSync(join(copy, FILE_NAME + end), readFileSync(path + end));
  }
  database.close();
  expect(refusal()).toContain(
    `was written by a newer Bellhop (schema ${SCHEMA_VERSION + 1}, this one knows ${SCHEMA_VERSION})`,
  );
  folder = copy;
  path = join(copy, FILE_NAME);
  expect(readFileSync(path).readUInt32BE(60)).toBe(SCHEMA_VERSION);
  expect(refusal()).toContain('was written by a newer Bellhop');
});

test('migrations are applied once each, in order, and a failing one leaves the file as it was', () => {
  const database = new Database(path, { create: true });
  const steps = ['create table a (x)', 'insert into a values (1); create table b (x)'];
  const version = () => database.query('pragma user_version').values()[0]?.[0];
  migrate(database, 0, steps.slice(0, 1));
  expect(version()).toBe(1);
  migrate(database, 1, steps);
  expect(version()).toBe(2);
  const broken = [...steps, 'insert into a values (2); insert into nowhere values (1)'];
  expect(() => migrate(database, 2, broken)).toThrow('nowhere');
  expect(version()).toBe(2);
  expect(database.query('select x from a').values()).toEqual([[1]]);
  database.close();
});

test('a folder that is not there, or holds something else under the name, is refused', () => {
  expect(() => lockFolder(join(folder, 'nowhere'))).toThrow(StorageRefused);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, '');
  expect(() => lockFolder(folder)).toThrow(StorageRefused);
});

test('a second Bellhop is refused, until the first has ended', async () => {
  const first = await FileBench.open({ folder, durability: 'os' });
  const second = FileBench.open({ folder, durability: 'os' });
  await expect(second).rejects.toThrow(`${folder} is in use by another Bellhop; stop that one`);
  first.keep(session(1));
  await first.settle();
  await first.dispose();
  const third = await FileBench.open({ folder, durability: 'os' });
  expect(third.found.sessions.length).toBe(1);
  await third.dispose();
});

test('a Bellhop of another process is in the way until it is killed', async () => {
  const holder = Bun.spawn([process.execPath, join(import.meta.dir, 'hold-folder.ts'), folder], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  try {
    const { value } = await holder.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe('held\n');
    expect(() => lockFolder(folder)).toThrow('in use by another Bellhop');
  } finally {
    holder.kill('SIGKILL');
    await holder.exited;
  }
  lockFolder(folder).close();
});

test('a start that is refused gives the folder back', async () => {
  writeFileSync(path, 'no database');
  await expect(FileBench.open({ folder, durability: 'os' })).rejects.toThrow(StorageRefused);
  rmSync(path);
  const bench = await FileBench.open({ folder, durability: 'os' });
  expect(existsSync(path)).toBe(true);
  await bench.dispose();
});
