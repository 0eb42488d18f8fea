import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import fc from 'fast-check';
import { readString, readTopic, stringSize, writeString } from '../../core/mqtt/encoded-string.ts';
import { ProtocolViolation } from '../../core/mqtt/reason-code.ts';
import { patienceMs, runs, seed } from '../seed.ts';
import { hex } from './bytes.ts';

setDefaultTimeout(patienceMs);

function read(bytes: Uint8Array): string | undefined {
  try {
    return readString(bytes, 0, bytes.length, 'text', 5);
  } catch (error) {
    if (error instanceof ProtocolViolation) return undefined;
    throw error;
  }
}

/** RFC 3629 section 4 as it reads, U+0000 excepted. */
const wellFormed = (() => {
  const tail = '[\\x80-\\xbf]';
  const two = `[\\xc2-\\xdf]${tail}`;
  const three = `\\xe0[\\xa0-\\xbf]${tail}|[\\xe1-\\xec]${tail}{2}|\\xed[\\x80-\\x9f]${tail}|[\\xee-\\xef]${tail}{2}`;
  const four = `\\xf0[\\x90-\\xbf]${tail}{2}|[\\xf1-\\xf3]${tail}{3}|\\xf4[\\x80-\\x8f]${tail}{2}`;
  return new RegExp(`^([\\x01-\\x7f]|${two}|${three}|${four})*$`);
})();

describe('[MQTT-1.5.4-1] well-formed UTF-8 and nothing else', () => {
  test('every character there is, but U+0000, is read as it was written', () => {
    for (let from = 0; from < 0x110000; from += 0x400) {
      if (from >= 0xd800 && from < 0xe000) continue;
      const codes = Array.from({ length: 0x400 }, (_, at) => from + at).filter((code) => code > 0);
      const text = String.fromCodePoint(...codes);
      const size = stringSize(text, 'text');
      const bytes = Buffer.alloc(2 + size);
      expect(writeString(bytes, 0, text, size)).toBe(2 + size);
      expect(bytes.readUInt16BE(0)).toBe(size);
      expect(read(bytes.subarray(2))).toBe(text);
    }
  });

  test('every sequence of two bytes, and of three and four with a lead byte', () => {
    const starts = [
      [],
      [0xe0],
      [0xe1],
      [0xed],
      [0xef],
      [0xf0, 0x8f],
      [0xf0, 0x90],
      [0xf4, 0x8f],
      [0xf4, 0x90],
    ];
    for (const start of starts) {
      for (let pair = 0; pair < 0x10000; pair += start.length === 0 ? 1 : 7) {
        const bytes = Buffer.from([...start, pair >> 8, pair & 0xff]);
        const sound = wellFormed.test(bytes.toString('latin1'));
        if ((read(bytes) !== undefined) !== sound) throw new Error(bytes.toString('hex'));
      }
    }
  });

  test('random bytes', () => {
    const byte = fc.oneof(
      fc.integer({ min: 0x80, max: 0xff }),
      fc.constantFrom(0x61, 0xc3, 0xe2, 0xf0, 0xbf, 0x80, 0xed, 0xa0),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 6 }), (list) => {
        const bytes = Buffer.from(list);
        const sound = wellFormed.test(bytes.toString('latin1'));
        expect(read(bytes)).toBe(sound ? bytes.toString('utf8') : undefined);
      }),
      { seed, numRuns: runs(2_000) },
    );
  });

  test('[MQTT-1.5.4-3] U+FEFF stays, in front as elsewhere', () => {
    expect(read(hex`efbbbf 'a' efbbbf`)).toBe('\ufeffa\ufeff');
  });

  test('control characters and non-characters pass', () => {
    expect(read(hex`01 1f 7f c280 efbfbf`)).toBe('\u0001\u001f\u007f\u0080\uffff');
  });
});

describe('topics', () => {
  test('are their bytes, whatever was read before', () => {
    // `Aa` and `BB` have one hash: each puts the other out of its place.
    const names = ['Aa', 'BB', 'Aa/x', 'BB/x', 'AaAa', 'BBBB', 'AaBB', 'é', 'x'.repeat(500), ''];
    for (let i = 0; i < 4_000; i++) names.push(`device/${i}/temperature`);
    for (let round = 0; round < 3; round++) {
      for (const name of names) {
        const bytes = Buffer.from(`..${name}..`);
        expect(readTopic(bytes, 2, bytes.length - 2, 5)).toBe(name);
      }
    }
  });
});

describe('sizes', () => {
  test('65 535 bytes fit, one more does not', () => {
    expect(stringSize('x'.repeat(65_535), 'text')).toBe(65_535);
    expect(() => stringSize('x'.repeat(65_536), 'the Reason String')).toThrow(
      'the Reason String of 65536 bytes does not fit a packet',
    );
  });

  test('a lone surrogate is written as the replacement character that its size counts', () => {
    const text = 'a\ud800b';
    const size = stringSize(text, 'text');
    const bytes = Buffer.alloc(2 + size + 1, 0x7e);
    expect(writeString(bytes, 0, text, size)).toBe(2 + size);
    expect(bytes.toString('hex')).toBe('000561efbfbd627e');
  });
});
