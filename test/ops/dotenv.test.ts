import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDotenv } from '../../core/ops/dotenv.ts';

const known = (name: string) => name === 'HOME';

const good = [
  { name: 'nothing', text: '', names: [] },
  { name: 'comments and empty lines', text: '# a\n\n   # b\nA=1\n', names: ['A'] },
  { name: 'export', text: 'export A=1', names: ['A'] },
  { name: 'carriage returns', text: 'A=1\r\nB=2\r\n', names: ['A', 'B'] },
  { name: 'a byte order mark', text: '\uFEFFA=1', names: ['A'] },
  { name: 'spaces around the =', text: ' A = 1 ', names: ['A'] },
  { name: 'a colon', text: 'A: 1', names: ['A'] },
  { name: 'quotes with a # and a =', text: `A="a#b=c"\nB='#'\nC=\`#\``, names: ['A', 'B', 'C'] },
  { name: 'a comment behind a value', text: 'A=1 # one\nB="2" # two', names: ['A', 'B'] },
  { name: 'several lines in quotes', text: 'A="x\nB=y\nz"\nC=1', names: ['A', 'C'] },
  { name: 'an escaped quote', text: 'A="x\\"y"', names: ['A'] },
  { name: 'an escaped dollar', text: 'A=pa\\$ss', names: ['A'] },
  { name: 'a dollar that refers to nothing', text: 'A=5$\nB=pa$-ss', names: ['A', 'B'] },
  { name: 'a reference to a variable', text: `A=$HOME/data\nB=\${A}/x`, names: ['A', 'B'] },
  { name: 'a reference with a default', text: `A=\${NOWHERE:-x}`, names: ['A'] },
  { name: 'an empty value', text: 'A=', names: ['A'] },
];

test.each(good)('reads $name', ({ text, names }) => {
  const { entries, problem } = readDotenv(text, known);
  expect(problem).toBeUndefined();
  expect(entries.map((entry) => entry.name)).toEqual(names);
});

const bad = [
  { name: 'a line without =', text: 'A=1\nJWT_SECRET', line: 2, detail: 'has no =' },
  { name: 'a line without a name', text: '=1', line: 1, detail: 'name' },
  { name: 'a name that begins with a digit', text: '1A=1', line: 1, detail: 'name' },
  { name: 'a name with a space', text: 'A B=1', line: 1, detail: 'name' },
  {
    name: 'a quote that is never closed',
    text: 'A=1\n\nB="x\nC=1',
    line: 3,
    detail: 'never closed',
  },
  { name: 'text behind a closing quote', text: 'A="a"b', line: 1, detail: 'behind the closing' },
  { name: 'a # that cuts a value off', text: 'A=abc#def', line: 1, detail: 'in quotes' },
  {
    name: 'a $ that cuts a value off',
    text: 'A=abc$def',
    line: 1,
    detail: 'a plain $ is written \\$',
  },
  { name: 'the same in single quotes', text: "A='abc$def'", line: 1, detail: '$def' },
  { name: 'the same in braces', text: `A=abc\${def}`, line: 1, detail: '$def' },
];

test.each(bad)('refuses $name, with its line', ({ text, line, detail }) => {
  const { problem } = readDotenv(text, known);
  expect(problem?.line).toBe(line);
  expect(problem?.detail).toContain(detail);
});

test('no detail repeats a value, which may be a secret', () => {
  for (const { text } of bad) {
    expect(readDotenv(text.replaceAll('abc', 'hunter2'), known).problem?.detail).not.toContain(
      'hunter2',
    );
  }
});

describe('the runtime', () => {
  /** What Bun makes of `text`: the names it sets, and their values. */
  function loaded(text: string, names: readonly string[]): Record<string, string> {
    const folder = mkdtempSync(join(tmpdir(), 'bellhop-dotenv-'));
    try {
      writeFileSync(join(folder, '.env'), text);
      const { stdout } = Bun.spawnSync(
        [process.execPath, '-e', 'console.log(JSON.stringify(process.env))'],
        {
          cwd: folder,
          env: { HOME: '/home/x', NODE_ENV: 'development' },
        },
      );
      const environment: Record<string, string> = JSON.parse(stdout.toString());
      return Object.fromEntries(
        Object.entries(environment).filter(([name]) => names.includes(name)),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test('sets exactly the names that are read here', () => {
    for (const { text, names } of good) {
      const all = [...names, 'B', 'C', 'A'];
      expect([text, Object.keys(loaded(text, all)).sort()]).toEqual([text, [...names].sort()]);
    }
  });

  test('cuts off what is refused here: a # without quotes, a $ even in quotes', () => {
    expect(loaded('A=abc#def', ['A'])).toEqual({ A: 'abc' });
    expect(loaded("A='abc$def'", ['A'])).toEqual({ A: 'abc' });
    expect(loaded('A="a"b', ['A'])).toEqual({ A: 'a' });
  });
});
