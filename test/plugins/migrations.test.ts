import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '../../core/plugins/migrations.ts';
import { StoreProblem } from '../../core/plugins/store.ts';
import { type Files, folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

/** A plugins folder with its database. */
function place(files: Files) {
  const folder = folderOf(files);
  const path = join(folderOf({}), 'store.sqlite');
  return {
    folder,
    migrate: () => migrate(() => new Database(path), folder),
    tables: () => {
      const database = new Database(path);
      const names = database.query(
        "select name from sqlite_master where type = 'table' order by 1",
      );
      const found = names.values().flat();
      database.close();
      return found;
    },
    write: (name: string, text: string) => writeFileSync(join(folder, 'migrations', name), text),
  };
}

const a = { 'migrations/0001_a.sql': 'create table a (n);' };

test('migrations are applied in the order of their numbers, each once', () => {
  const { migrate, tables, write } = place({
    'migrations/0010_c.sql': 'insert into b select n from a;',
    'migrations/0002_b-more.sql': 'create table b (n); -- the second\ninsert into a values (1);',
    ...a,
    'migrations/notes.md': '',
  });
  const names = ['0001_a.sql', '0002_b-more.sql', '0010_c.sql'].map((name) => `migrations/${name}`);
  expect(migrate()).toEqual(names);
  expect(tables()).toEqual(['a', 'b', 'bellhop_migration']);
  expect(migrate()).toEqual([]);
  write('0011_d.sql', 'create table d (n);');
  expect(migrate()).toEqual(['migrations/0011_d.sql']);
});

test('one that fails leaves nothing of itself, and is tried again when it is put right', () => {
  const { migrate, tables, write } = place({
    ...a,
    'migrations/0002_b.sql': 'create table b (n);\n\ninsert into nowhere values (1);',
  });
  expect(migrate).toThrow(new StoreProblem('migrations/0002_b.sql: no such table: nowhere'));
  expect(tables()).toEqual(['a', 'bellhop_migration']);
  write('0002_b.sql', 'create table b (n);');
  expect(migrate()).toEqual(['migrations/0002_b.sql']);
});

test('one that was applied stays as it was, and none comes in before it', () => {
  const { folder, migrate, write } = place({ 'migrations/0002_a.sql': 'create table a (n);' });
  migrate();
  write('0002_a.sql', 'create table a (n, m);');
  expect(migrate).toThrow('is not what was applied as migrations/0002_a.sql');
  write('0002_a.sql', 'create table a (n);');
  renameSync(join(folder, 'migrations', '0002_a.sql'), join(folder, 'migrations', '0002_new.sql'));
  expect(migrate()).toEqual([]);
  write('0001_early.sql', 'create table b (n);');
  expect(migrate).toThrow('migrations/0001_early.sql comes before migrations/0002_a.sql');
});

const wrong: { name: string; files: Files; detail: string }[] = [
  { name: 'no number', files: { 'migrations/a.sql': '' }, detail: 'must be named like' },
  { name: 'number 0', files: { 'migrations/0000_a.sql': '' }, detail: 'must be named like' },
  {
    name: 'a number twice',
    files: { ...a, 'migrations/0001_b.sql': '' },
    detail: 'the same number',
  },
  {
    name: 'a commit of its own',
    files: { 'migrations/0001_a.sql': 'create table a (n); commit;' },
    detail: 'it ends its transaction',
  },
  {
    name: 'a transaction of its own',
    files: { 'migrations/0001_a.sql': 'begin; create table a (n); commit;' },
    detail: 'within a transaction',
  },
];
test.each(wrong)('refused: $name', ({ files, detail }) => {
  expect(place(files).migrate).toThrow(detail);
});

test('a migration that is a symlink out of the folder is refused', () => {
  const { folder, migrate } = place(a);
  const outside = folderOf({ 'b.sql': 'create table b (n);' });
  symlinkSync(join(outside, 'b.sql'), join(folder, 'migrations', '0002_b.sql'));
  expect(migrate).toThrow('leads out of the plugins folder');
});

test('without migrations the database is not opened', () => {
  const open = () => {
    throw new Error('opened');
  };
  expect(migrate(open, folderOf({ 'a.ts': '' }))).toEqual([]);
});
