/** `bellhop test` as a process: the executable alone runs tests of handlers, and says how they came out. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Folder, run } from './executable.ts';

setDefaultTimeout(60_000);

let folder: Folder;
let scratch: string;
beforeAll(async () => {
  folder = new Folder();
  scratch = join(folder.path, 'tmp');
  mkdirSync(scratch);
  expect((await run(folder, ['init'])).code).toBe(0);
});
afterAll(() => folder[Symbol.dispose]());

/** With a temporary folder of its own, to see what is left in it. */
const runTests = (...written: string[]) =>
  run(folder, ['test', ...written], { env: { TMPDIR: scratch, BUN_TMPDIR: scratch } });

test('the tests are run, and nothing is left behind', async () => {
  const { code, err } = await runTests();
  expect(err).toContain(' 1 pass\n 0 fail\n');
  expect(code).toBe(0);
  expect(readdirSync(scratch)).toEqual([]);
});

test('filters and names choose among them', async () => {
  folder.write(
    'plugins/other.test.ts',
    `import { test } from 'bellhop/test';\ntest('other', () => {});`,
  );
  expect((await runTests('other')).err).toContain(' 1 pass\n');
  expect((await runTests('other', 'hello')).err).toContain(' 2 pass\n');
  expect((await runTests('--name', 'greeted')).err).toMatch(/ 1 pass\n[\s\S]* 1 filtered out/);
  const { code, err } = await runTests('nothing-of-that-name');
  expect(err).toContain('did not match any test files');
  expect(code).toBe(1);
});

test('a test that fails is told with its line, and by the exit code', async () => {
  folder.write(
    'plugins/failing.test.ts',
    `import { expect, test, testHandler } from 'bellhop/test';
import hello from './hello.ts';

test('fails', async () => {
  const { reply } = await testHandler(hello, { user: '1' });
  expect(reply).toEqual({ hello: '2', visits: 1 });
});
`,
  );
  const { code, err } = await runTests('failing');
  expect(err).toContain('failing.test.ts:6');
  expect(err).toContain('(fail) fails');
  expect(code).toBe(1);
  expect(readdirSync(scratch)).toEqual([]);
});

test('all of bun:test is at hand, and the SDK is that of the executable', async () => {
  folder.write(
    'plugins/sdk.test.ts',
    `import { expect, mock, test } from 'bun:test';
import { defineHandler, NonRetryableError } from 'bellhop';
import { testHandler } from 'bellhop/test';

test('a handler that is defined in the test', async () => {
  const called = mock(() => Promise.reject(new NonRetryableError('no')));
  const { error } = await testHandler(defineHandler({ topic: 'a', run: called }));
  expect(called).toHaveBeenCalledTimes(1);
  expect(error).toMatchObject({ kind: 'failed', retry: false });
});
`,
  );
  const { code, err } = await runTests('sdk');
  expect(err).toContain(' 1 pass\n 0 fail\n');
  expect(code).toBe(0);
});

test('without a plugins folder there is nothing to test', async () => {
  const { code, err } = await run(folder, ['test', '--plugins-dir', 'nowhere']);
  expect(err).toMatch(/^bellhop: .*nowhere is no folder.*\n$/);
  expect(code).toBe(1);
});
