import { afterAll, expect, test } from 'bun:test';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { handlerName, scanPlugins } from '../../core/plugins/loader.ts';
import { folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

/** What is found, as `plugin path`, with the folder left out. */
function found(folder: string): string[] {
  return scanPlugins(folder).files.map(
    ({ plugin, path }) => `${plugin} ${path.slice(folder.length + 1)}`,
  );
}

test('files and folders are plugins, in a fixed order; what is none is left alone', () => {
  const folder = folderOf({
    'b.ts': '',
    'a.js': '',
    'a.test.ts': '',
    'types.d.ts': '',
    'notes.md': '',
    '.hidden.ts': '',
    'package.json': '',
    'node_modules/package/index.js': '',
    'migrations/0001_a.sql': '',
    'migrations/seed.ts': '',
    'many/one.ts': '',
    'many/two.ts': '',
    'many/two.test.ts': '',
    'many/node_modules/package/index.js': '',
    'many/deeper/three.ts': '',
    'whole/index.ts': '',
    'whole/part.ts': '',
    '.git/config.ts': '',
    'empty/readme.txt': '',
  });
  expect(found(folder)).toEqual([
    'a a.js',
    'b b.ts',
    'many many/one.ts',
    'many many/two.ts',
    'whole whole/index.ts',
  ]);
  expect(scanPlugins(folder).refused).toEqual([]);
});

test('a symlink that leads out of the folder is refused, file by file, and one within it is followed', () => {
  const outside = folderOf({ 'secret.ts': '', 'plugin/index.ts': '', 'sql/0001_a.sql': '' });
  const folder = folderOf({ '..data/real.ts': '', 'fine.ts': '', 'many/one.ts': '' });
  const links: readonly (readonly [string, string])[] = [
    ['file.ts', join(outside, 'secret.ts')],
    ['up.ts', join('..', outside.slice(outside.lastIndexOf('/') + 1), 'secret.ts')],
    ['plugin', join(outside, 'plugin')],
    ['many/two.ts', join(outside, 'secret.ts')],
    ['gone.ts', join(folder, 'nowhere.ts')],
    ['self', folder],
    ['migrations', join(outside, 'sql')],
    ['mounted.ts', join('..data', 'real.ts')],
  ];
  for (const [name, target] of links) symlinkSync(target, join(folder, name));
  expect(found(folder)).toEqual(['fine fine.ts', 'many many/one.ts', 'mounted ..data/real.ts']);
  const refused = scanPlugins(folder).refused.map(({ at, detail }) => `${at} ${detail}`);
  const out = 'a symlink leads out of the plugins folder';
  expect(refused.sort()).toEqual([
    `file.ts ${out}`,
    expect.stringContaining('gone.ts cannot be read'),
    `many/two.ts ${out}`,
    `migrations ${out}`,
    `plugin ${out}`,
    `self ${out}`,
    `up.ts ${out}`,
  ]);
});

test('the folder itself may be a symlink, or missing', () => {
  const folder = folderOf({ 'real/a.ts': '' });
  symlinkSync(join(folder, 'real'), join(folder, 'link'));
  expect(scanPlugins(join(folder, 'link')).root).toBe(join(folder, 'real'));
  expect(scanPlugins(join(folder, 'missing'))).toEqual({ root: undefined, files: [], refused: [] });
  mkdirSync(join(folder, 'none'));
  expect(scanPlugins(join(folder, 'none')).files).toEqual([]);
});

test('a handler has the name of its file, and no two have the same', () => {
  const folder = folderOf({
    'a.js': '',
    'a.ts': '',
    'a/index.ts': '',
    'b/one.ts': '',
    'b/one.js': '',
    'b/index/part.ts': '',
    'c#2.ts': '',
    'd+.ts': '',
    'e/index.ts': '',
    'f.test.ts': '',
  });
  const { files, refused } = scanPlugins(folder);
  expect(files.map((file) => handlerName(file, 0))).toEqual(['a', 'b/one', 'e']);
  expect(files.map((file) => handlerName(file, 2))).toEqual(['a#3', 'b/one#3', 'e#3']);
  const names = 'its handlers would have the names of those of';
  expect(refused.map(({ at, detail }) => `${at}: ${detail}`)).toEqual([
    `a.js: ${names} a/index.ts`,
    `a.ts: ${names} a/index.ts`,
    `b/one.ts: ${names} b/one.js`,
    'c#2.ts: a plugin has no + or # in its name',
    'd+.ts: a plugin has no + or # in its name',
  ]);
});
