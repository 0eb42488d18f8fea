import { afterAll } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileBench } from './bench.ts';
import { storageSuite } from './storage-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-storage-'));
afterAll(() => rmSync(root, { recursive: true }));

storageSuite('the file', () =>
  FileBench.open({ folder: mkdtempSync(join(root, 'x-')), durability: 'os' }),
);
