import { afterEach, expect, spyOn, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { runCommandLine } from '../../core/cli/command-line.ts';

const stderr = spyOn(process.stderr, 'write').mockImplementation(() => true);
afterEach(() => void stderr.mockClear());

async function run(...written: string[]): Promise<[number, string]> {
  const code = await runCommandLine(written);
  return [code, stderr.mock.calls.map(([text]) => text).join('')];
}

test('a usage error names the page of its command, and that of the program where it is none', async () => {
  expect(await run('bench')).toEqual([
    2,
    'bellhop: SCENARIO is missing (see bellhop help bench)\n',
  ]);
  stderr.mockClear();
  expect(await run('bnech')).toEqual([
    2,
    'bellhop: there is no command "bnech" (see bellhop --help)\n',
  ]);
});

test('a backup into a folder that is not there says so', async () => {
  const umask = process.umask();
  try {
    expect(existsSync('/nowhere')).toBe(false);
    expect(await run('backup', '/nowhere/broker.sqlite')).toEqual([
      1,
      'bellhop: there is no folder /nowhere\n',
    ]);
  } finally {
    process.umask(umask);
  }
});
