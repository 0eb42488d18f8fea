/** That `docs/conformance.md` says what is so, and that nothing is left out of it. */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformancePage } from '../../scripts/conformance.ts';
import { findTests, mqtt5, mqtt311, type Statement } from './statements.ts';

const root = join(import.meta.dir, '..', '..');
const all: readonly Statement[] = [...mqtt5, ...mqtt311];
const known = new Set(all.map(({ id }) => id));
const tests = findTests();
const tested = new Set(tests.flatMap(({ statements }) => statements));

test('the tables hold each statement of the standards once', () => {
  expect([mqtt5.length, mqtt311.length]).toEqual([251, 141]);
  expect(known.size).toBe(251 + 141);
  expect(mqtt5.every(({ id }) => id.startsWith('MQTT-'))).toBe(true);
  expect(mqtt311.every(({ id }) => id.startsWith('MQTT3-'))).toBe(true);
});

test('every statement that binds a server has a test, or the reason why it has none', () => {
  const open = all.filter(({ id, binds, reason }) => {
    return binds !== 'client' && reason === undefined && !tested.has(id);
  });
  expect(open.map(({ id }) => id)).toEqual([]);
});

test('no statement has both', () => {
  const both = all.filter(({ id, reason }) => reason !== undefined && tested.has(id));
  expect(both.map(({ id }) => id)).toEqual([]);
});

test('tests name only statements that there are', () => {
  const wrong = tests.filter(({ statements }) => statements.some((id) => !known.has(id)));
  expect(wrong).toEqual([]);
});

test('so does the code', () => {
  const wrong: string[] = [];
  for (const file of readdirSync(join(root, 'core'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(join(root, 'core', file), 'utf8');
    for (const [id] of source.matchAll(/\bMQTT3?-\d[\d.]*-\d+\b/g)) {
      if (!known.has(id)) wrong.push(`${file}: ${id}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('docs/conformance.md is what `bun run docs` prints', () => {
  expect(readFileSync(join(root, 'docs', 'conformance.md'), 'utf8')).toBe(conformancePage());
});
