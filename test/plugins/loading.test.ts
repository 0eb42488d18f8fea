/** Plugins that do not load, in real workers. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { Bench, command, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

// Workers that load all of them, one after the other.
setDefaultTimeout(60_000);

describe('plugins that do not load', () => {
  test('are told with file and line, and the others serve', async () => {
    const bench = await opened(
      {
        'syntax.ts': 'const a = 1;\nexport default {\n  b: ;\n};\n',
        'throws.ts': 'interface Nothing {}\n\nthrow new Error("at load");\n',
        'rejects.ts': '\nawait Promise.reject(new Error("awaited"));\n',
        'missing.ts':
          "import { defineHandler } from 'bellhop';\nimport a from 'no-such-package';\nexport default a;\n",
        'helper.ts': 'export const a = 1;',
        'name.ts': "\nimport { b } from './helper.ts';\nexport default b;\n",
        'wrong.ts': '// no handler\nexport default { topic: "a", run() {} };\n',
        'definition.ts':
          "import { defineHandler } from 'bellhop';\n\nexport default defineHandler({ topic: '#', run() {} });\n",
        'exit.ts': 'process.exit(1);',
        'loop.ts': 'for (;;);',
        'wait.ts': 'await new Promise(() => {});',
        'fine.ts': plainHandlerFile('fine', "send('x', 'fine');"),
        'twice.ts': plainHandlerFile('fine', ''),
        'later/index.ts': plainHandlerFile('later', ''),
      },
      { loadTimeoutMs: 2_000 },
    );
    const told = bench.ofKind('plugin-refused').map(({ fault }) => `${fault.at}: ${fault.detail}`);
    expect(told.sort()).toEqual([
      'definition.ts:3: the topic # begins with a wildcard; a handler names its commands',
      'exit.ts: it ended with exit code 1',
      'loop.ts: does not load within 2000 ms',
      expect.stringContaining("missing.ts:2: Cannot find package 'no-such-package'"),
      expect.stringContaining("name.ts:2: Export named 'b' not found"),
      'rejects.ts:2: awaited',
      'syntax.ts:3: Unexpected ;',
      'throws.ts:3: at load',
      'twice.ts: the topic fine is handled by fine.ts already',
      'wait.ts: does not load within 2000 ms',
      'wrong.ts:2: its default export must be what defineHandler returns, or a list of that',
    ]);
    expect(bench.ofKind('plugin-loaded').map(({ plugin }) => plugin)).toEqual(['fine', 'later']);
    await bench.run(command('fine'));
    expect(bench.texts).toEqual(['x_fine ']);
  });

  test('no folder, or an empty one, is no plugins', async () => {
    for (const folder of ['/nowhere/at/all', (await opened({})).folder]) {
      const bench = await opened({}, { folder });
      expect(bench.pool.topics).toEqual([]);
      expect(bench.events).toEqual([]);
    }
  });

  test('a folder that is a file is an error', () => {
    const files = { file: '' };
    expect(() => new Bench(files, { folder: join(new Bench(files).folder, 'file') })).toThrow();
  });
});
