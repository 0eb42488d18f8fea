/** What is checked of a definition at run time: what authors of JavaScript meet. Types have a test of their own. */
import { expect, test } from 'bun:test';
import * as v from 'valibot';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import { isHandler, readDefinition } from '../../core/plugins/definition.ts';
import { defineHandler } from '../../core/plugins/handler.ts';
import { describeIssues } from '../../core/plugins/standard-schema.ts';

const run = () => {};
const wrong = [
  { definition: undefined, detail: 'defined by an object' },
  { definition: { topic: 'a' }, detail: '`run`' },
  { definition: { run }, detail: 'one of `topic`, `topics`, `schedule` and `on`' },
  {
    definition: { topic: 'a', topics: ['b'], run },
    detail: 'one of `topic`, `topics`, `schedule` and `on`',
  },
  { definition: { topics: [], run }, detail: 'list of topics' },
  { definition: { topics: 'a', run }, detail: 'list of topics' },
  { definition: { topic: '', run }, detail: '"" is not a topic' },
  { definition: { topic: 5, run }, detail: '5 is not a topic' },
  { definition: { topic: 'a/#/b', run }, detail: '"a/#/b" is not a topic' },
  { definition: { topic: '#', run }, detail: 'begins with a wildcard' },
  { definition: { topic: '+/a', run }, detail: 'begins with a wildcard' },
  { definition: { topics: ['a', '$SYS/x'], run }, detail: 'begins with $' },
  { definition: { topic: '$share/g/a', run }, detail: 'begins with $' },
  { definition: { topic: 'a', decode: 'xml', run }, detail: '`decode`' },
  { definition: { topic: 'a', input: { parse() {} }, run }, detail: 'Standard Schema' },
  { definition: { topic: 'a', reply: '', run }, detail: '`reply`' },
  { definition: { topic: 'a', schedule: '* * * * *', run }, detail: 'one of `topic`' },
  { definition: { topic: 'a', cron: '* * * * *', run }, detail: 'no property `cron`' },
  { definition: { schedule: 5, run }, detail: 'cron expression' },
  { definition: { schedule: { timeZone: 'UTC' }, run }, detail: 'an object with `cron`' },
  { definition: { schedule: { cron: '', timeZone: 5 }, run }, detail: '`schedule.timeZone`' },
  { definition: { schedule: { cron: '', missed: 'all' }, run }, detail: '`schedule.missed`' },
  { definition: { on: 'publish', run }, detail: '`on` must be one of' },
  { definition: { on: [], run }, detail: '`on` must be one of' },
  { definition: { on: ['undelivered', 'connect'], run }, detail: 'stands alone' },
  { definition: { on: 'connect', decode: 'text', run }, detail: '`decode` is for handlers of' },
  { definition: { topic: 'a', timeoutMs: 0, run }, detail: '`timeoutMs` must be a whole number' },
  { definition: { topic: 'a', concurrency: 1.5, run }, detail: '`concurrency` must be a whole' },
  { definition: { topic: 'a', order: 'topic', run }, detail: "`order` can only be 'user'" },
  { definition: { topic: 'a', retry: true, run }, detail: '`retry` must be false' },
  { definition: { topic: 'a', retry: { attempts: 101 }, run }, detail: '`retry.attempts`' },
  { definition: { topic: 'a', secrets: 'KEY', run }, detail: '`secrets` must be a list' },
  { definition: { topic: 'a', secrets: ['A-B'], run }, detail: '`secrets` must be a list' },
  { definition: { topic: 'a', setup: {}, run }, detail: '`setup` must be a function' },
  { definition: { topic: 'a', teardown: 5, run }, detail: '`teardown` must be a function' },
];
test.each(wrong)('a definition is refused: $detail', ({ definition, detail }) => {
  expect(() => defineHandler(definition as never)).toThrow(detail);
});

test('wildcards are welcome from the second level on, and a topic named twice counts once', () => {
  const { rules } = readDefinition({ topics: ['orders/+/cancel', 'orders/#', 'orders/#'], run });
  expect(rules.trigger).toEqual({
    kind: 'command',
    topics: ['orders/+/cancel', 'orders/#'] as TopicFilter[],
  });
});

test('what is not said has its default', () => {
  expect(readDefinition({ topic: 'a', run }).rules).toEqual({
    trigger: { kind: 'command', topics: ['a'] as TopicFilter[] },
    timeoutMs: undefined,
    concurrency: Number.POSITIVE_INFINITY,
    ordered: false,
    attempts: 5,
    firstDelayMs: 1_000,
    longestDelayMs: 300_000,
  });
  expect(readDefinition({ topic: 'a', retry: false, run }).rules.attempts).toBe(1);
});

test('what is said is read', () => {
  const { rules, secrets } = readDefinition({
    schedule: { cron: '0 3 * * *', timeZone: 'Europe/Berlin', missed: 'skip' },
    timeoutMs: 5_000,
    concurrency: 1,
    order: 'user',
    retry: { attempts: 2, firstDelayMs: 10, longestDelayMs: 20 },
    secrets: ['KEY'],
    run,
  });
  expect(secrets).toEqual(['KEY']);
  expect(rules).toEqual({
    trigger: {
      kind: 'schedule',
      cron: '0 3 * * *',
      timeZone: 'Europe/Berlin',
      missed: 'skip',
    },
    timeoutMs: 5_000,
    concurrency: 1,
    ordered: true,
    attempts: 2,
    firstDelayMs: 10,
    longestDelayMs: 20,
  });
  const hook = readDefinition({ on: ['connect', 'disconnect', 'connect'], run });
  expect(hook.rules.trigger).toEqual({ kind: 'hook', events: ['connect', 'disconnect'] });
  const short = readDefinition({ schedule: '* * * * *', run });
  expect(short.rules.trigger).toMatchObject({ timeZone: 'UTC', missed: 'once' });
});

test('`this` in run, setup and teardown is the definition', () => {
  const handler = readDefinition({
    topic: 'a',
    setup(): unknown {
      return this;
    },
    teardown(): unknown {
      return this;
    },
    run(): unknown {
      return this;
    },
  });
  const found = handler.run({} as never);
  expect(found).toMatchObject({ topic: 'a' });
  expect(handler.setup?.({} as never)).toBe(found);
  expect(handler.teardown?.(undefined as never)).toBe(found);
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
