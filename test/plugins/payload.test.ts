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
  expect(packed.payloads.buffer.byteLength).toBe(2);
  expect(packed.properties?.[0]?.correlationData?.buffer.byteLength).toBe(3);
});
