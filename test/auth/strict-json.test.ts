import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseStrictJson } from '../../core/auth/strict-json.ts';
import { seed } from '../seed.ts';

fc.configureGlobal({ seed });

describe('strict JSON', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(parseStrictJson(spaced)).toEqual(JSON.parse(spaced));
      }),
    );
  });

  test('refuses what JSON.parse refuses', () => {
    const scraps = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '"a"',
        '"b"',
        '\\',
        '\\u00',
        '1',
        '01',
        '-',
        '.5',
        '1e',
      ],
      ...['1.5e+3', 'true', 'nul', ' ', '\n', '\u00a0', '\u0001', "'a'", '//', 'NaN'],
    );
    let read = 0;
    fc.assert(
      fc.property(fc.array(scraps, { maxLength: 7 }), (parts) => {
        const text = parts.join('');
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => parseStrictJson(text)).toThrow(/^line \d+, column \d+: /);
          return;
        }
        read++;
        try {
          expect(parseStrictJson(text)).toEqual(expected);
        } catch (error) {
          expect((error as Error).message).toMatch(/stands twice/);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  test.each([
    ['', 'line 1, column 1: expected a value, found the end'],
    ['{\n  "a": 1,\n  "a": 2\n}', 'line 3, column 3: "a" stands twice'],
    ['{"a": 1, "\\u0061": 2}', 'line 1, column 10: "\\u0061" stands twice'],
    ['{"a": 1,}', 'line 1, column 9: a comma without a member behind it'],
    ['{"a" 1}', 'line 1, column 6: expected a colon'],
    ['[1\n2]', 'line 2, column 1: expected a comma or ], not 2'],
    ['[1,]', 'line 1, column 4: expected a value, not ]'],
    ['{} x', 'line 1, column 4: expected nothing more'],
    ['{a: 1}', 'line 1, column 2: expected a name or }'],
  ])('says where the mistake in %j is', (text, message) => {
    expect(() => parseStrictJson(text)).toThrow(message);
  });

  test('goes 32 levels deep and no further', () => {
    expect(parseStrictJson(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeArray();
    expect(() => parseStrictJson('['.repeat(33))).toThrow('more than 32 levels');
    expect(() => parseStrictJson('{"a":'.repeat(100_000))).toThrow('more than 32 levels');
  });

  test('a member called __proto__ is a member', () => {
    const value = parseStrictJson('{"__proto__": 1}') as object;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});
