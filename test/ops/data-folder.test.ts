import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureSecret, openDataFolder, readSecret } from '../../core/ops/data-folder.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-data-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test('the folder is made with its parents, for us alone', () => {
  const path = join(folder, 'a', 'b');
  openDataFolder(path);
  openDataFolder(path);
  expect(modeOf(path)).toBe(0o700);
});

test('a folder that cannot be made is named, with its setting', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => openDataFolder(join(folder, 'file', 'x'))).toThrow(
    /^DATA_DIR: .*file\/x cannot be used/,
  );
  expect(() => openDataFolder(join(folder, 'file'))).toThrow(/^DATA_DIR: /);
});

test('the secret is random, for us alone, and the same at the next start', () => {
  expect(readSecret(folder)).toBeUndefined();
  const first = ensureSecret(folder);
  expect(first).toMatch(/^[\w-]{43}/);
  expect(modeOf(join(folder, 'jwt-secret'))).toBe(0o600);
  expect(ensureSecret(folder)).toBe(first);
  expect(readSecret(folder)).toBe(first);
});

test('an empty file is no secret, and does not pass for one', () => {
  writeFileSync(join(folder, 'jwt-secret'), '\n');
  expect(() => ensureSecret(folder)).toThrow('is empty');
});
