/** A real folder that is watched, and a real thread that takes its versions. */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { PluginEvent } from '../../core/plugins/events.ts';
import { LiveFolder } from '../../core/plugins/live.ts';
import type { Version } from '../../core/plugins/version.ts';
import { type Files, folderOf, removeFolders } from './folder.ts';

setDefaultTimeout(30_000);

const opened: Watched[] = [];
afterEach(() => {
  for (const watched of opened.splice(0)) watched.live.stop();
});
afterAll(removeFolders);

class Watched {
  readonly live: LiveFolder;
  readonly copies = join(folderOf({}), 'copies');
  readonly first: Version;
  readonly events: PluginEvent[] = [];
  readonly #came: { version: Version; changed: readonly string[] }[] = [];
  readonly folder: string;
  #wanted: (() => void) | undefined = undefined;

  constructor(folder: string) {
    this.folder = folder;
    opened.push(this);
    this.live = new LiveFolder(
      { folder, copies: this.copies, store: undefined },
      {
        taken: (version, changed) => {
          this.#came.push({ version, changed });
          this.#wanted?.();
        },
        report: (event) => {
          this.events.push(event);
          this.#wanted?.();
        },
      },
    );
    this.first = this.live.first();
    this.live.watch();
  }

  static of(files: Files): Watched {
    return new Watched(folderOf(files));
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** The version that comes next, as the paths that it changed. */
  async changed(): Promise<readonly string[]> {
    while (this.#came.length === 0) await this.#more();
    return this.#came.shift()?.changed ?? [];
  }

  async event(): Promise<PluginEvent> {
    while (this.events.length === 0) await this.#more();
    return this.events.shift() as PluginEvent;
  }

  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = resolve;
    return promise;
  }
}

test('a burst of changes is one version, and what it wrote last is in it', async () => {
  const watched = Watched.of({ 'a.ts': 'a', 'lib/helper.ts': 'h' });
  for (let round = 0; round < 50; round++) {
    watched.write('a.ts', `a${round}`);
    watched.write('lib/helper.ts', `h${round}`);
  }
  expect(await watched.changed()).toEqual(['a.ts', 'lib/helper.ts']);
  expect(readFileSync(join(watched.copies, '2/a.ts'), 'utf8')).toBe('a49');
  watched.write('last.ts', 'x');
  expect(await watched.changed()).toEqual(['last.ts']);
});

test('files that are written by rename, in new folders, in renamed ones and in ones that were moved in', async () => {
  const watched = Watched.of({ 'a.ts': 'a' });
  watched.write('.a.tmp', 'aa');
  renameSync(join(watched.folder, '.a.tmp'), join(watched.folder, 'a.ts'));
  expect(await watched.changed()).toEqual(['a.ts']);
  watched.write('new/deep/er/b.ts', 'b');
  expect(await watched.changed()).toEqual(['new/deep/er/b.ts']);
  watched.write('new/deep/er/b.ts', 'bb');
  expect(await watched.changed()).toEqual(['new/deep/er/b.ts']);
  renameSync(join(watched.folder, 'new'), join(watched.folder, 'old'));
  expect(await watched.changed()).toEqual(['new/deep/er/b.ts', 'old/deep/er/b.ts']);
  watched.write('old/deep/er/b.ts', 'bbb');
  expect(await watched.changed()).toEqual(['old/deep/er/b.ts']);
  const moved = folderOf({ 'inner/c.ts': 'c' });
  renameSync(join(moved, 'inner'), join(watched.folder, 'moved'));
  expect(await watched.changed()).toEqual(['moved/c.ts']);
  watched.write('moved/c.ts', 'cc');
  expect(await watched.changed()).toEqual(['moved/c.ts']);
  rmSync(join(watched.folder, 'old'), { recursive: true });
  expect(await watched.changed()).toEqual(['old/deep/er/b.ts']);
  // Removed and made anew, it is another folder under the same name.
  watched.write('old/deep/er/b.ts', 'b');
  expect(await watched.changed()).toEqual(['old/deep/er/b.ts']);
});

test('what does not change the contents is no version, and neither are tests and types', async () => {
  const watched = Watched.of({ 'a.ts': 'a', 'b.ts': 'b' });
  utimesSync(join(watched.folder, 'a.ts'), 1, 1);
  watched.write('b.ts', 'b');
  watched.write('.b.ts.swp', 'x');
  watched.write('4913', 'x');
  watched.write('b.ts~', 'x');
  watched.write('.git/index', 'x');
  watched.write('b.test.ts', 'x');
  watched.write('bellhop.d.ts', 'x');
  watched.live.reload();
  watched.write('c.ts', 'c');
  expect(await watched.changed()).toEqual(['c.ts']);
});

test('a file that is emptied first is taken when it is written', async () => {
  const watched = Watched.of({ 'a.ts': 'a' });
  watched.write('a.ts', '');
  watched.write('a.ts', 'aa');
  expect(await watched.changed()).toEqual(['a.ts']);
  expect(readFileSync(join(watched.copies, '2/a.ts'), 'utf8')).toBe('aa');
  // One that stays empty is meant to be.
  watched.write('a.ts', '');
  expect(await watched.changed()).toEqual(['a.ts']);
});

test('a folder that never rests is taken all the same', async () => {
  const watched = Watched.of({ 'a.ts': 'a' });
  watched.write('a.ts', 'aa');
  await watched.changed();
  let count = 0;
  const busy = setInterval(() => watched.write('noise.txt', `${count++}`), 20);
  watched.write('a.ts', 'aaa');
  while (!(await watched.changed()).includes('a.ts'));
  clearInterval(busy);
});

test('packages are followed, and what is in them is not', async () => {
  const manifest = (version: string) => JSON.stringify({ name: 'one', version });
  const watched = Watched.of({ 'a.ts': 'a', 'node_modules/one/package.json': manifest('1.0.0') });
  watched.write('node_modules/one/index.js', '1');
  watched.write('node_modules/two/package.json', manifest('1.0.0'));
  expect(await watched.changed()).toEqual(['node_modules']);
  watched.write('package/package.json', manifest('1.0.1'));
  expect(await watched.changed()).toEqual(['package/package.json']);
  rmSync(join(watched.folder, 'node_modules/one'), { recursive: true });
  renameSync(join(watched.folder, 'package'), join(watched.folder, 'node_modules/one'));
  expect(await watched.changed()).toEqual(['node_modules', 'package/package.json']);
});

test('the folder may be missing at first, go, come back, and be a symlink that is switched', async () => {
  const parent = folderOf({ 'one/a.ts': '1', 'two/a.ts': '2' });
  const folder = join(parent, 'plugins');
  const watched = new Watched(folder);
  expect(watched.first.files).toEqual([]);
  symlinkSync('one', folder);
  expect(await watched.changed()).toEqual(['a.ts']);
  symlinkSync('two', join(parent, 'next'));
  renameSync(join(parent, 'next'), folder);
  expect(await watched.changed()).toEqual(['a.ts']);
  rmSync(folder);
  expect(await watched.changed()).toEqual(['a.ts']);
  mkdirSync(folder);
  watched.write('b.ts', 'b');
  expect(await watched.changed()).toEqual(['b.ts']);
  watched.write('b.ts', 'bb');
  expect(await watched.changed()).toEqual(['b.ts']);
});

test('a folder mounted by Kubernetes is swapped with its hidden symlink', async () => {
  const folder = folderOf({ '..1/a.ts': '1', '..2/a.ts': '2' });
  symlinkSync('..1', join(folder, '..data'));
  symlinkSync('..data/a.ts', join(folder, 'a.ts'));
  const watched = new Watched(folder);
  symlinkSync('..2', join(folder, '..next'));
  renameSync(join(folder, '..next'), join(folder, '..data'));
  expect(await watched.changed()).toEqual(['a.ts']);
});

test('a folder that cannot be taken is told once, and a copy that is used no more is removed', async () => {
  const watched = Watched.of({ 'a.ts': 'a' });
  watched.write('large/hole.bin', '');
  truncateSync(join(watched.folder, 'large/hole.bin'), 300 * 1024 * 1024);
  expect(await watched.event()).toMatchObject({
    kind: 'plugins-kept',
    fault: { detail: 'the plugins folder has more than 256 MiB, at large/hole.bin' },
  });
  rmSync(join(watched.folder, 'large'), { recursive: true });
  watched.write('a.ts', 'aa');
  expect(await watched.changed()).toEqual(['a.ts']);
  expect(watched.events).toEqual([]);
  await watched.live.release(watched.first);
  expect(readdirSync(watched.copies)).toEqual(['2']);
});
