/** `bellhop init` and `bellhop new`, and that an editor checks what they make. */
import { afterAll, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readArguments } from '../../core/cli/arguments.ts';
import { makeBackend } from '../../core/cli/init.ts';
import { create } from '../../core/cli/new.ts';
import { sdkTypes as printTypes } from '../../scripts/sdk-types.ts';

const root = new URL('../..', import.meta.url).pathname;
const sdkTypes = printTypes();
const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true });
});

function folderWith(files: { readonly [path: string]: string } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-init-'));
  made.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const read = (folder: string, path: string) => readFileSync(join(folder, path), 'utf8');
const outcomes = (folder: string) =>
  Object.fromEntries(makeBackend(folder).map(({ path, what }) => [path, what]));

test('an empty folder, or one that is not there, becomes a backend', () => {
  const folder = join(folderWith(), 'a', 'b');
  expect(outcomes(folder)).toEqual({
    '.env': 'written',
    '.gitignore': 'written',
    'plugins/tsconfig.json': 'written',
    'plugins/bellhop.d.ts': 'written',
    'plugins/hello.ts': 'written',
    'plugins/hello.test.ts': 'written',
  });
  expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
});

test('every setting in .env is one, and stands there with its default or as an example', () => {
  const folder = folderWith();
  makeBackend(folder);
  const names = [...read(folder, '.env').matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(10);
  const page = readFileSync(join(root, 'docs', 'configuration.md'), 'utf8');
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  // As it is, it sets nothing.
  expect(read(folder, '.env').replace(/^(#.*)?\n/gm, '')).toBe('');
});

test('nothing that is there is overwritten, and the second time only the types are written', () => {
  const files = {
    '.env': 'JWT_SECRET=mine',
    '.gitignore': 'node_modules',
    'plugins/mine.ts': 'export {};',
    'plugins/tsconfig.json': '{}',
  };
  const folder = folderWith(files);
  expect(outcomes(folder)).toEqual({
    '.env': 'left alone',
    '.gitignore': 'left alone; you may want .env, data/ in it',
    'plugins/tsconfig.json': 'left alone',
    'plugins/bellhop.d.ts': 'written',
  });
  for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text);
  expect(outcomes(folder)).toMatchObject({ 'plugins/bellhop.d.ts': 'is that of this version' });
  const [firstLine] = sdkTypes.split('\n');
  writeFileSync(join(folder, 'plugins', 'bellhop.d.ts'), `${firstLine}\nof an older version`);
  expect(outcomes(folder)).toMatchObject({ 'plugins/bellhop.d.ts': 'written anew' });
  expect(read(folder, 'plugins/bellhop.d.ts')).toBe(sdkTypes);
  writeFileSync(join(folder, 'plugins', 'bellhop.d.ts'), 'mine');
  expect(outcomes(folder)['plugins/bellhop.d.ts']).toContain('left alone');
  expect(read(folder, 'plugins/bellhop.d.ts')).toBe('mine');
});

test('an example that was deleted does not come back', () => {
  const folder = folderWith();
  makeBackend(folder);
  rmSync(join(folder, 'plugins', 'hello.ts'));
  makeBackend(folder);
  expect(existsSync(join(folder, 'plugins', 'hello.ts'))).toBe(false);
});

test('a symlink is not written through, and a file is no folder', () => {
  const folder = folderWith();
  const elsewhere = join(folderWith(), 'target');
  symlinkSync(elsewhere, join(folder, '.env'));
  expect(outcomes(folder)).toMatchObject({ '.env': 'left alone' });
  expect(existsSync(elsewhere)).toBe(false);
  expect(() => makeBackend(join(folderWith({ file: '' }), 'file'))).toThrow('cannot be made');
});

test('the types that are embedded are those of the sources', () => {
  const embedded = readFileSync(join(root, 'core/cli/starter/bellhop.d.ts.txt'), 'utf8');
  // `bun run docs` prints them anew.
  expect(embedded).toBe(sdkTypes);
});

describe('an editor', () => {
  /** What `tsc` says of a fresh backend with these files beside its own. */
  function check(files: { readonly [path: string]: string }): readonly string[] {
    const folder = folderWith(
      Object.fromEntries(Object.entries(files).map(([path, text]) => [`plugins/${path}`, text])),
    );
    makeBackend(folder);
    const given = [
      '--project',
      join(folder, 'plugins'),
      '--pretty',
      'false',
      '--skipLibCheck',
      'false',
    ];
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const { stdout } = Bun.spawnSync([tsc, ...given], { cwd: folder });
    return stdout
      .toString()
      .split('\n')
      .filter((line) => line !== '');
  }

  test('finds nothing wrong with what init writes, nor with the types themselves', () => {
    expect(check({})).toEqual([]);
  });

  test('finds nothing wrong with good handlers', () => {
    expect(
      check({
        'push.ts': `import { defineHandler, NonRetryableError } from 'bellhop';
export default [
  defineHandler({
    on: 'undelivered',
    secrets: ['APNS'],
    setup: ({ secrets }) => ({ key: secrets.APNS }),
    async run({ input, resources, signal, invocation }) {
      const answer = await fetch('https://push.example.com/' + input.to, {
        headers: { authorization: resources.key, 'idempotency-key': invocation.id },
        signal,
      });
      if (answer.status === 400) throw new NonRetryableError('refused');
    },
  }),
  defineHandler({
    topic: 'orders/+/cancel',
    retry: { attempts: 2 },
    run({ store, user }) {
      return store.get<{ n: number }>\`select count(*) as n from orders where user = \${user.id}\`?.n;
    },
  }),
];
`,
        'helper.ts': `import type { Context, StandardSchema } from 'bellhop';
export const name: StandardSchema<unknown, string> = {
  '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value: String(value) }) },
};
export const greet = ({ user }: Context<string>): string => user.id;
`,
      }),
    ).toEqual([]);
  });

  test('finds what is wrong, on its line', () => {
    const errors = check({
      'wrong.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'a',
  decode: 'text',
  run({ input, send, secrets }) {
    send(5, input);
    return input.from + secrets.KEY;
  },
});
`,
    });
    expect(errors).toEqual([
      expect.stringMatching(/wrong\.ts\(6,10\): error TS2345: .*number.*string/),
      expect.stringMatching(/wrong\.ts\(7,18\): error TS2339: .*'from'.*'string'/),
      expect.stringMatching(/wrong\.ts\(7,33\): error TS2339: .*'KEY'/),
    ]);
  });

  test('finds triggers that do not go together, and misspelt properties', () => {
    const errors = check({
      'both.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'a', on: 'connect', run() {} });
`,
      'misspelt.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'a', timeout: 5, run() {} });
`,
    });
    expect(errors.filter((line) => /^\S.*both\.ts\(2,/.test(line))).toHaveLength(1);
    expect(errors.join('\n')).toMatch(/misspelt\.ts\(2,44\): error TS\d+: [\s\S]*'timeout'/);
  });
});

describe('bellhop new handler', () => {
  async function add(folder: string, ...written: string[]): Promise<number> {
    const given = ['handler', ...written, '--plugins-dir', join(folder, 'plugins')];
    return create.run(readArguments(given, create.options, create.operands));
  }

  test('adds handlers of each kind that load and are checked', async () => {
    const folder = folderWith();
    makeBackend(folder);
    await add(folder, 'place_order');
    await add(folder, 'orders/cancel-order');
    await add(folder, 'nightly', '--schedule', '0 3 * * *');
    await add(folder, 'presence', '--on', 'disconnect');
    await add(folder, 'push', '--on', 'undelivered');
    expect(read(folder, 'plugins/place-order.ts')).toContain("topic: 'place_order'");
    expect(read(folder, 'plugins/orders/cancel-order.ts')).toContain("topic: 'cancel_order'");
    expect(read(folder, 'plugins/nightly.ts')).toContain("schedule: '0 3 * * *'");
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const { stdout } = Bun.spawnSync([tsc, '--project', join(folder, 'plugins')], { cwd: folder });
    expect(stdout.toString()).toBe('');
  });

  test('overwrites nothing', async () => {
    const folder = folderWith({ 'plugins/a.ts': 'mine', 'plugins/b/index.ts': 'mine' });
    await expect(add(folder, 'a')).rejects.toThrow('is there already');
    await expect(add(folder, 'b')).rejects.toThrow('is there already');
    await expect(add(folder, 'b/c')).rejects.toThrow('by its index.ts alone');
    expect(read(folder, 'plugins/a.ts')).toBe('mine');
  });

  test.each([
    '',
    'A',
    '../a',
    '/a',
    'a/../b',
    'a//b',
    'a.test',
    'a b',
    '$a',
    'a/b/c',
    'migrations/a',
  ])('refuses the name %p', async (name) => {
    await expect(add(folderWith(), name)).rejects.toThrow('is no name for a handler');
  });

  test('makes nothing but handlers, and of one kind', async () => {
    const given = (...written: string[]) =>
      create.run(readArguments(written, create.options, create.operands));
    await expect(given('plugin', 'x')).rejects.toThrow('bellhop new handler NAME');
    await expect(given('handler')).rejects.toThrow('NAME is missing');
    const both = ['--schedule', '* * * * *', '--on', 'connect'];
    await expect(add(folderWith(), 'x', ...both)).rejects.toThrow('do not go together');
    await expect(add(folderWith(), 'x', '--on', 'publish')).rejects.toThrow('must be one of');
  });
});
