/** Types are checked by `tsc`; what is checked at run time is what JavaScript authors meet. */
import { expect, test } from 'bun:test';
import * as v from 'valibot';
import { isHandler } from '../../core/plugins/definition.ts';
import { defineHandler } from '../../core/plugins/handler.ts';
import { describeIssues } from '../../core/plugins/standard-schema.ts';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const type = <_ extends true>(): void => {};

test('the input has the type that the schema makes of it', () => {
  const handler = defineHandler({
    topic: 'request_contact',
    input: v.object({ to: v.string(), since: v.pipe(v.string(), v.transform(Number)) }),
    run({ input }) {
      type<Equal<typeof input, { to: string; since: number }>>();
    },
  });
  expect(isHandler(handler)).toBe(true);
  expect(handler.topics as readonly string[]).toEqual(['request_contact']);
});

test('without a schema, the input has the type that decoding gives', () => {
  defineHandler({
    topic: 'a',
    decode: 'text',
    run: ({ input }) => type<Equal<typeof input, string>>(),
  });
  defineHandler({
    topic: 'a',
    decode: 'bytes',
    run: ({ input }) => type<Equal<typeof input, Uint8Array>>(),
  });
  defineHandler({
    topic: 'a',
    decode: 'json',
    run: ({ input }) => type<Equal<typeof input, unknown>>(),
  });
  defineHandler({ topic: 'a', run: ({ input }) => type<Equal<typeof input, unknown>>() });
  defineHandler({
    topics: ['a', 'b'],
    async run({ store }) {
      const row = store.get<{ n: number }>`select 1 as n`;
      type<Equal<typeof row, { n: number } | undefined>>();
    },
  });
  // @ts-expect-error: one of the two, not both
  expect(() => defineHandler({ topic: 'a', topics: ['b'], run() {} })).toThrow(TypeError);
  // @ts-expect-error: not neither
  expect(() => defineHandler({ run() {} })).toThrow(TypeError);
});

const run = () => {};
const wrong = [
  { definition: undefined, detail: 'defined by an object' },
  { definition: { topic: 'a' }, detail: '`run`' },
  { definition: { run }, detail: 'either `topic` or `topics`' },
  { definition: { topic: 'a', topics: ['b'], run }, detail: 'either `topic` or `topics`' },
  { definition: { topics: [], run }, detail: 'list of topics' },
  { definition: { topics: 'a', run }, detail: 'list of topics' },
  { definition: { topic: '', run }, detail: '"" is not a topic' },
  { definition: { topic: 5, run }, detail: '5 is not a topic' },
  { definition: { topic: 'a/#/b', run }, detail: '"a/#/b" is not a topic' },
  { definition: { topic: '#', run }, detail: 'begins with a wildcard' },
  { definition: { topic: '+/a', run }, detail: 'begins with a wildcard' },
  { definition: { topics: ['a', '$SYS/x'], run }, detail: 'begins with $' },
  { definition: { topic: '$share/g/a', run }, detail: 'begins with $' },
  { definition: { topic: 'a', decode: 'cbor', run }, detail: '`decode`' },
  { definition: { topic: 'a', input: { parse() {} }, run }, detail: 'Standard Schema' },
  { definition: { topic: 'a', reply: '', run }, detail: '`reply`' },
  { definition: { topic: 'a', schedule: '* * * * *', run }, detail: 'no property `schedule`' },
];
test.each(wrong)('a definition is refused: $detail', ({ definition, detail }) => {
  expect(() => defineHandler(definition as never)).toThrow(detail);
});

test('wildcards are welcome from the second level on, and a topic named twice counts once', () => {
  const { topics } = defineHandler({ topics: ['orders/+/cancel', 'orders/#', 'orders/#'], run });
  expect(topics as readonly string[]).toEqual(['orders/+/cancel', 'orders/#']);
});

test('what is no handler is not taken for one', () => {
  for (const value of [undefined, null, 5, 'handler', {}, { topics: ['a'], run }]) {
    expect(isHandler(value)).toBe(false);
  }
});

test('issues are told in one line, each with its place', () => {
  const schema = v.object({ to: v.string(), at: v.object({ year: v.number() }) });
  const { issues } = schema['~standard'].validate({ at: { year: 'x' } }) as { issues: [] };
  expect(describeIssues(issues)).toContain('to: Invalid key');
  expect(describeIssues(issues)).toContain('at.year: Invalid type');
});
