import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { takeSnapshot } from '../../core/plugins/snapshot.ts';
import {
  type Contents,
  changedPaths,
  clearCopies,
  type Taken,
  type TakeRequest,
  takeVersion,
  type Version,
} from '../../core/plugins/version.ts';
import { newWriteLock } from '../../core/plugins/write-lock.ts';
import { type Files, folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

/** A plugins folder whose versions are taken one after the other. */
class Versions {
  readonly folder: string;
  readonly copies: string;
  contents: Contents | undefined = undefined;
  number = 0;

  constructor(files: Files) {
    this.folder = folderOf(files);
    this.copies = clearCopies(join(folderOf({}), 'copies'), this.folder);
  }

  take(more: Partial<TakeRequest> = {}): Taken {
    const { folder, copies, number, contents: before } = this;
    return takeVersion({
      folder,
      copies,
      number: number + 1,
      before,
      atOnce: true,
      store: undefined,
      ...more,
    });
  }

  /** Takes one that there must be. */
  next(more: Partial<TakeRequest> = {}): Version {
    const taken = this.take(more);
    if (taken.kind !== 'taken') throw new Error(JSON.stringify(taken));
    this.contents = taken.version.contents;
    this.number = taken.version.number;
    return taken.version;
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.folder, path), text);
  }
}

/** All files of a copy with what is in them; links are not followed. */
function contentsOf(root: string, path = ''): { [path: string]: string } {
  const found: { [path: string]: string } = {};
  for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isFile()) found[inner] = readFileSync(join(root, inner), 'utf8');
    if (entry.isSymbolicLink()) found[inner] = 'link';
    if (entry.isDirectory()) Object.assign(found, contentsOf(root, inner));
  }
  return found;
}

describe('a version', () => {
  test('is a copy of all but packages, tests, types, dotfiles and what editors leave behind', () => {
    const versions = new Versions({
      'a.ts': 'a',
      'deep/er/data.json': '{}',
      'deep/node_modules/own/index.js': 'own',
      'migrations/0001_a.sql': 'create table a (b)',
      'node_modules/package/index.js': 'package',
      '.git/config': '',
      '.env': 'SECRET=1',
      'a.test.ts': '',
      'deep/b.test.js': '',
      'bellhop.d.ts': '',
      'a.ts~': '',
      '.a.ts.swp': '',
      'b.swp': '',
      '4913': '',
      '#a.ts#': '',
    });
    const version = versions.next();
    expect(version).toMatchObject({ number: 1, source: versions.folder });
    expect(version.root).toBe(join(versions.copies, '1'));
    expect(contentsOf(version.root)).toEqual({
      'a.ts': 'a',
      'deep/er/data.json': '{}',
      'deep/node_modules': 'link',
      'migrations/0001_a.sql': 'create table a (b)',
      node_modules: 'link',
    });
    expect(readFileSync(join(version.root, 'node_modules/package/index.js'), 'utf8')).toBe(
      'package',
    );
    expect(version.files).toEqual([
      { plugin: 'a', path: join(version.root, 'a.ts'), root: version.root },
    ]);
  });

  test('is removed without what it links to, and so are those of an earlier process and nothing else', () => {
    const versions = new Versions({ 'a.ts': '', 'node_modules/package/index.js': 'package' });
    versions.next();
    mkdirSync(join(versions.copies, '12/inner'), { recursive: true });
    mkdirSync(join(versions.copies, 'contacts'));
    clearCopies(versions.copies, versions.folder);
    expect(readdirSync(versions.copies)).toEqual(['contacts']);
    expect(existsSync(join(versions.folder, 'node_modules/package/index.js'))).toBe(true);
  });

  test('is not made where the plugins are', () => {
    const folder = folderOf({ '1/index.ts': 'mine' });
    const link = join(folderOf({}), 'link');
    symlinkSync(folder, link);
    expect(() => clearCopies(link, folder)).toThrow('cannot be that folder');
    expect(readFileSync(join(folder, '1/index.ts'), 'utf8')).toBe('mine');
  });

  test('differs from the one before by content, not by time', () => {
    const versions = new Versions({ 'a.ts': 'a', 'b.ts': 'b' });
    const first = versions.next();
    expect(versions.take()).toMatchObject({
      kind: 'same',
      contents: { stamps: first.contents.stamps },
    });
    utimesSync(join(versions.folder, 'a.ts'), 1, 1);
    versions.write('b.ts', 'b');
    const touched = versions.take();
    expect(touched.kind).toBe('same');
    expect(existsSync(join(versions.copies, '2'))).toBe(false);
    versions.write('b.ts', 'bb');
    versions.write('c.ts', 'c');
    rmSync(join(versions.folder, 'a.ts'));
    const second = versions.next();
    expect(second.number).toBe(2);
    expect(changedPaths(first.contents, second.contents)).toEqual(['a.ts', 'b.ts', 'c.ts']);
    expect(contentsOf(first.root)).toEqual({ 'a.ts': 'a', 'b.ts': 'b' });
  });

  test('follows packages by their manifests', () => {
    const versions = new Versions({
      'a.ts': 'a',
      'node_modules/@scope/one/package.json': '{"version":"1.0.0"}',
      'node_modules/@scope/one/index.js': '1',
    });
    const first = versions.next();
    versions.write('node_modules/@scope/one/index.js', '2');
    expect(versions.take().kind).toBe('same');
    versions.write('node_modules/@scope/one/package.json', '{"version":"1.0.11"}');
    const second = versions.next();
    expect(changedPaths(first.contents, second.contents)).toEqual(['node_modules']);
    mkdirSync(join(versions.folder, 'node_modules/two'));
    expect(changedPaths(second.contents, versions.next().contents)).toEqual(['node_modules']);
  });

  test('finds packages above the plugins folder as imports do', () => {
    const project = folderOf({ 'node_modules/package/index.js': 'above', 'plugins/a.ts': '' });
    const folder = join(project, 'plugins');
    const copies = clearCopies(join(folderOf({}), 'copies'), folder);
    takeVersion({ folder, copies, number: 1, before: undefined, atOnce: true, store: undefined });
    expect(readFileSync(join(copies, 'node_modules/package/index.js'), 'utf8')).toBe('above');
  });

  test('has in it what symlinks in the folder lead to, and nothing from outside, helpers included', () => {
    const outside = folderOf({ 'secret.ts': 'secret', 'many/one.ts': '' });
    const versions = new Versions({ '..data/real.ts': 'real', 'lib/helper.ts': 'helper' });
    for (const [name, target] of [
      ['mounted.ts', '..data/real.ts'],
      ['lib/leak.ts', join(outside, 'secret.ts')],
      ['many', join(outside, 'many')],
      ['lib/again', join(versions.folder, 'lib')],
      ['gone.ts', 'nowhere.ts'],
      ['self', versions.folder],
    ] as const) {
      symlinkSync(target, join(versions.folder, name));
    }
    const taken = versions.take();
    if (taken.kind !== 'taken') throw new Error(taken.kind);
    expect(contentsOf(taken.version.root)).toEqual({
      'lib/helper.ts': 'helper',
      'mounted.ts': 'real',
    });
    const out = 'a symlink leads out of the plugins folder';
    expect(taken.refused.map(({ at, detail }) => `${at} ${detail}`)).toEqual([
      expect.stringContaining('gone.ts cannot be read'),
      'lib/again a symlink leads in a circle, or folders lie too deep',
      `lib/leak.ts ${out}`,
      `many ${out}`,
      `self ${out}`,
    ]);
  });

  test('has a bound on files and bytes', () => {
    const { folder, copies } = new Versions({ 'a.ts': '12345', 'b/c.bin': '12345' });
    expect(takeSnapshot(folder, copies, { files: 2, bytes: 10 }).files.length).toBe(2);
    expect(() => takeSnapshot(folder, copies, { files: 1, bytes: 100 })).toThrow(
      'there are more than 1 files in the plugins folder',
    );
    expect(() => takeSnapshot(folder, copies, { files: 9, bytes: 9 })).toThrow(
      'the plugins folder has more than',
    );
  });

  test('leaves out the data folder where that lies in the plugins folder', () => {
    const folder = folderOf({ 'a.ts': 'a', 'data/store.sqlite': 'x' });
    const copies = clearCopies(join(folder, 'data', 'plugin-versions'), folder);
    expect(takeSnapshot(folder, copies).files.map(({ path }) => path)).toEqual(['a.ts']);
  });

  test('waits for what was emptied or newly made without anything in it, and for a folder that is gone', () => {
    const versions = new Versions({ 'a.ts': 'a', 'marker.txt': '' });
    versions.next();
    versions.write('a.ts', '');
    expect(versions.take({ atOnce: false }).kind).toBe('unsettled');
    expect(existsSync(join(versions.copies, '2'))).toBe(false);
    versions.write('a.ts', 'a');
    versions.write('new.ts', '');
    expect(versions.take({ atOnce: false }).kind).toBe('unsettled');
    versions.write('new.ts', 'new');
    versions.next({ atOnce: false });
    renameSync(versions.folder, `${versions.folder}-away`);
    expect(versions.take({ atOnce: false }).kind).toBe('unsettled');
    expect(versions.next()).toMatchObject({ number: 3, root: '', files: [] });
    expect(versions.take({ atOnce: false }).kind).toBe('same');
    renameSync(`${versions.folder}-away`, versions.folder);
    expect(versions.next()).toMatchObject({ number: 4 });
  });

  test('is not taken where a migration fails, which is told with its file and line', () => {
    const versions = new Versions({ 'a.ts': 'a', 'migrations/0001_a.sql': 'create table a (b);' });
    const path = join(folderOf({}), 'store.sqlite');
    const store = { path, writeLock: newWriteLock() };
    expect(versions.take({ store })).toMatchObject({
      kind: 'taken',
      migrated: ['migrations/0001_a.sql'],
    });
    versions.next({ store });
    versions.write('migrations/0002_b.sql', 'create table c (d);');
    versions.write('migrations/0003_c.sql', 'create table e (f);\ncreate tabel g (h);');
    const { fault, ...more } = versions.take({ store }) as Extract<Taken, { kind: 'failed' }>;
    expect(more).toMatchObject({ kind: 'failed', migrated: ['migrations/0002_b.sql'] });
    expect(fault.at).toBe('migrations/0003_c.sql:2');
    expect(fault.detail).toContain('syntax error');
    expect(existsSync(join(versions.copies, '2'))).toBe(false);
    using database = new Database(path);
    const tables = database.query("select name from sqlite_schema where name in ('a', 'c', 'e')");
    expect(tables.values().flat()).toEqual(['a', 'c']);
    versions.write('migrations/0003_c.sql', '');
    versions.write('migrations/0001_a.sql', 'create table aa (b);');
    const changed = versions.take({ store }) as Extract<Taken, { kind: 'failed' }>;
    expect(changed.fault).toMatchObject({
      at: 'migrations/0001_a.sql',
      detail: expect.stringContaining('is not what was applied'),
    });
  });
});
