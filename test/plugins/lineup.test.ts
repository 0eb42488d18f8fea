import { expect, test } from 'bun:test';
import type { LoadedHandler } from '../../core/plugins/exchange.ts';
import { describeSwap, Lineup } from '../../core/plugins/lineup.ts';
import type { PluginFile } from '../../core/plugins/loader.ts';
import type { Version } from '../../core/plugins/version.ts';

/** A version with these files and what is in them; the first folder of a path is its plugin. */
function version(number: number, contents: { readonly [path: string]: string }): Version {
  const root = `/copies/${number}`;
  const files = Object.keys(contents).map((path): PluginFile => {
    return { plugin: path.split('/')[0] ?? '', path: `${root}/${path}`, root };
  });
  const hashes = new Map(Object.entries(contents));
  return {
    number,
    root,
    source: '/plugins',
    files,
    contents: { hashes, empty: new Set(), packages: '', stamps: '' },
  };
}

const paths = (files: readonly PluginFile[]): string[] =>
  files.map(({ path }) => path.slice('/copies/'.length));

function fileOf(lineup: Lineup, path: string): PluginFile {
  const found = lineup.files.find((file) => file.path.endsWith(path));
  if (found === undefined) throw new Error(`no ${path}`);
  return found;
}

test('at the start, what does not load is left out, file by file', () => {
  const lineup = new Lineup(version(1, { 'a/one.ts': '1', 'a/two.ts': '1', 'b/b.ts': '1' }), []);
  expect(paths(lineup.files)).toEqual(['1/a/one.ts', '1/a/two.ts', '1/b/b.ts']);
  expect(lineup.refuse(fileOf(lineup, 'a/two.ts'))).toBe('dropped');
  expect(paths(lineup.files)).toEqual(['1/a/one.ts', '1/b/b.ts']);
});

test('later, a plugin that does not load is kept as a whole, before what comes new', () => {
  const first = version(1, { 'b/one.ts': '1', 'b/two.ts': '1', 'c/c.ts': '1' });
  const second = version(2, { 'a/a.ts': '2', 'b/one.ts': '2', 'b/two.ts': '2', 'c/c.ts': '2' });
  const lineup = new Lineup(second, first.files);
  // Those that run already come first: a topic stays with who has it.
  expect(paths(lineup.files)).toEqual(['2/b/one.ts', '2/b/two.ts', '2/c/c.ts', '2/a/a.ts']);
  expect(lineup.refuse(fileOf(lineup, 'b/two.ts'))).toBe('kept');
  expect(paths(lineup.files)).toEqual(['1/b/one.ts', '1/b/two.ts', '2/c/c.ts', '2/a/a.ts']);
  expect(lineup.refuse(fileOf(lineup, 'c/c.ts'))).toBe('kept');
  expect(paths(lineup.files)).toEqual(['1/b/one.ts', '1/b/two.ts', '1/c/c.ts', '2/a/a.ts']);
  expect(lineup.refuse(fileOf(lineup, 'a/a.ts'))).toBe('dropped');
  expect(paths(lineup.files)).toEqual(['1/b/one.ts', '1/b/two.ts', '1/c/c.ts']);
  expect(lineup.refuse(fileOf(lineup, 'b/one.ts'))).toBe('hopeless');
});

test('a plugin that was removed is not kept', () => {
  const first = version(1, { 'a/a.ts': '1', 'b/b.ts': '1' });
  expect(paths(new Lineup(version(2, { 'b/b.ts': '1' }), first.files).files)).toEqual(['2/b/b.ts']);
});

function handlersOf(files: readonly PluginFile[]): LoadedHandler[] {
  return files.map((file) => {
    const topic = file.path.slice(file.root.length + 1);
    const trigger = { kind: 'command', topics: [topic as never] } as const;
    const rules = {
      trigger,
      timeoutMs: undefined,
      concurrency: 1,
      ordered: false,
      attempts: 1,
      firstDelayMs: 1,
      longestDelayMs: 1,
    };
    return { name: topic, file, position: 0, rules, secrets: [] };
  });
}

test('a swap is told by plugins that are new, changed, mended or removed', () => {
  const first = version(1, { 'a/a.ts': '1', 'b/b.ts': '1', 'c/c.ts': '1', 'lib/x.txt': '1' });
  const second = version(2, { 'a/a.ts': '2', 'b/b.ts': '2', 'd/d.ts': '1', 'lib/x.txt': '2' });
  const kept = [...second.files.filter(({ plugin }) => plugin !== 'b'), ...first.files.slice(1, 2)];
  const before = { version: first, handlers: handlersOf(first.files) };
  const between = { version: second, handlers: handlersOf(kept) };
  const lines = (events: ReturnType<typeof describeSwap>): string[] =>
    events.map((event) => {
      if (event.kind === 'plugins-swapped') return `${event.version}: ${event.changed.join(' ')}`;
      return 'plugin' in event ? `${event.kind} ${event.plugin}` : event.kind;
    });
  expect(lines(describeSwap(undefined, before)).length).toBe(4);
  expect(lines(describeSwap(before, between))).toEqual([
    'plugin-loaded a',
    'plugin-loaded d',
    'plugin-loaded lib',
    'plugin-removed c',
    '2: a/a.ts b/b.ts c/c.ts d/d.ts lib/x.txt',
  ]);
  const third = version(3, { 'a/a.ts': '2', 'b/b.ts': '2', 'd/d.ts': '1' });
  expect(
    lines(describeSwap(between, { version: third, handlers: handlersOf(third.files) })),
  ).toEqual(['plugin-loaded b', 'plugin-removed lib', '3: lib/x.txt']);
});
