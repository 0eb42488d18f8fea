import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { pack, unpack } from '../../core/plugins/batch.ts';
import { decodePayload, encodePayload, PayloadProblem } from '../../core/plugins/payload.ts';
import { seed } from '../seed.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('text and bytes are sent as they are, undefined as nothing, and the rest as JSON', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    ['"ü"', '"ü"'],
    [bytes('a'), 'a'],
    [bytes('b').buffer, 'b'],
    [undefined, ''],
    [null, 'null'],
    [false, 'false'],
    [1.5, '1.5'],
    [{ a: [1, undefined] }, '{"a":[1,null]}'],
  ];
  for (const [value, text] of cases) expect(encodePayload(value)).toEqual(bytes(text));
  expect(() => encodePayload(Symbol('a'))).toThrow('a symbol cannot be sent');
});

test('where the Content Type says so, all but bytes is sent as CBOR', () => {
  const hexOf = (value: unknown) =>
    Buffer.from(encodePayload(value, 'application/cbor')).toString('hex');
  expect(hexOf({ a: [1, 'x'], b: undefined })).toBe('a1616182016178');
  expect(hexOf('x')).toBe('6178');
  expect(hexOf(bytes('x'))).toBe('78');
  expect(hexOf(undefined)).toBe('');
  expect(encodePayload({ a: 1 }, 'application/json')).toEqual(bytes('{"a":1}'));
});

const cbor = (hex: string) => decodePayload(Buffer.from(hex, 'hex'), 'cbor', undefined);

test('CBOR is read, and what is sent as CBOR comes back', () => {
  expect(cbor('a1616182016178')).toEqual({ a: [1, 'x'] });
  expect(cbor('')).toBeUndefined();
  expect(decodePayload(Uint8Array.of(0x18, 0x64), undefined, 'Application/CBOR')).toBe(100);
  expect(decodePayload(Uint8Array.of(0x05), undefined, 'application/senml+cbor')).toBe(5);
  expect(cbor('9f018202039f0405ffff')).toEqual([1, [2, 3], [4, 5]]);
  expect(cbor(`${'81'.repeat(64)}05`)).toBeArray();
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const plain = JSON.parse(JSON.stringify(value));
      expect(decodePayload(encodePayload(plain, 'application/cbor'), 'cbor', undefined)).toEqual(
        plain,
      );
    }),
    { seed },
  );
});

const hostile: readonly (readonly [string, string, string])[] = [
  ['nested arrays', '81'.repeat(200_000), 'items deep'],
  ['nested arrays without a length', '9f'.repeat(200_000), 'items deep'],
  ['nested maps', 'a100'.repeat(100_000), 'items deep'],
  ['nested tags', 'c1'.repeat(200_000), 'items deep'],
  ['65 items deep', `${'81'.repeat(65)}05`, 'items deep'],
  ['an array of 2^53 items', '9b0020000000000000', ''],
  ['an array of 2^32 items, of which one is there', '9affffffff00', ''],
  ['a map of 2^32 entries', 'baffffffff', ''],
  ['bytes that are not there', '5affffffff00', ''],
  ['text that is not there', '7b7fffffffffffffff00', ''],
  ['a name twice', 'a2616101616102', 'repeat map key'],
  ['a name that is no text', 'a10102', ''],
  ['a break without a beginning', 'ff', ''],
  ['a break as a tag of something', 'c1ff', ''],
  ['a head that is cut off', '19', ''],
  ['a reserved length', '1c', ''],
  ['something behind', '0000', ''],
];
test.each(hostile)('hostile CBOR is refused: %s', (_name, hex, detail) => {
  expect(() => cbor(hex)).toThrow(PayloadProblem);
  expect(() => cbor(hex)).toThrow(detail);
});

test('a name in CBOR or JSON reaches no prototype', () => {
  for (const value of [
    cbor('a1695f5f70726f746f5f5fa1617801'),
    decodePayload(bytes('{"__proto__":{"x":1}}'), 'json', undefined),
  ]) {
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect((value as { x?: unknown }).x).toBeUndefined();
  }
  expect(({} as { x?: unknown }).x).toBeUndefined();
});

test('whatever bytes are taken for CBOR, it is a value or a PayloadProblem', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
      try {
        decodePayload(payload, 'cbor', undefined);
      } catch (error) {
        expect(error).toBeInstanceOf(PayloadProblem);
      }
    }),
    { seed, numRuns: 2_000 },
  );
});

const decodings = [
  { payload: '{"a":1}', as: { a: 1 } },
  { payload: '', as: undefined },
  { payload: '5', type: 'application/json; charset=utf-8', as: 5 },
  { payload: '5', type: 'Application/Problem+JSON', as: 5 },
  { payload: '5', type: 'text/plain', as: '5' },
  { payload: '', type: 'text/plain', as: '' },
  { payload: '5', type: 'application/octet-stream', as: bytes('5') },
  { payload: '5', type: 'application/octet-stream', decode: 'json', as: 5 },
  { payload: '5', type: 'image/png', decode: 'text', as: '5' },
  { payload: '5', decode: 'bytes', as: bytes('5') },
] as const;
test.each(decodings)('$payload of type $type decodes with $decode', (each) => {
  const { type, decode } = each as { type?: string; decode?: 'json' };
  expect(decodePayload(bytes(each.payload), decode, type)).toEqual(each.as);
});

test('what cannot be read is said to be what it is', () => {
  const broken = Uint8Array.of(0x22, 0xff, 0x22);
  expect(() => decodePayload(broken, 'json', undefined)).toThrow('not UTF-8');
  expect(() => decodePayload(broken, 'text', undefined)).toThrow('not UTF-8');
  expect(() => decodePayload(bytes('{'), undefined, undefined)).toThrow(/not JSON: ./);
  expect(() => decodePayload(bytes('5'), undefined, 'image/png')).toThrow(PayloadProblem);
  expect(decodePayload(broken, 'bytes', undefined)).toEqual(broken);
});

const message: fc.Arbitrary<Message> = fc.record({
  topic: fc.string({ minLength: 1 }) as unknown as fc.Arbitrary<TopicName>,
  payload: fc.uint8Array({ maxLength: 20 }),
  qos: fc.constantFrom(0, 1, 2),
  retain: fc.boolean(),
  properties: fc.option(
    fc.record({
      contentType: fc.string(),
      correlationData: fc.uint8Array({ maxLength: 5 }),
      userProperties: fc.array(fc.tuple(fc.string(), fc.string())),
    }),
    { nil: undefined },
  ),
  expiresAtMs: fc.constantFrom(0, 1_700_000_000_000, Number.POSITIVE_INFINITY),
  publisher: fc.record({ user: fc.string(), clientIdentifier: fc.string(), device: fc.boolean() }),
  reach: fc.constantFrom(0, 1, 2),
});

test('what is packed, cloned and unpacked is what it was', () => {
  fc.assert(
    fc.property(fc.array(message), (messages) => {
      expect(unpack(structuredClone(pack(messages)))).toEqual(messages);
    }),
    { seed },
  );
});

test('a payload that is a small piece of something large goes without the rest', () => {
  const large = new Uint8Array(1 << 20).fill(7);
  const [small] = fc.sample(message, { seed, numRuns: 1 }) as [Message];
  const correlationData = large.subarray(5, 8);
  const packed = pack([
    { ...small, payload: large.subarray(3, 5), properties: { correlationData } },
  ]);
  expect(packed.bytes.buffer.byteLength).toBe(2);
  expect(packed.properties?.[0]?.correlationData?.buffer.byteLength).toBe(3);
});
