/**
 * What plugin authors' editors infer and refuse. `tsc` checks it; each line that it has to refuse is
 * led by `@ts-expect-error`, which is an error itself where there is none. The definitions are also
 * read, so that what has a good type is good at run time.
 */
import { expect, test } from 'bun:test';
import * as v from 'valibot';
import * as z from 'zod';
import { isHandler } from '../../core/plugins/definition.ts';
import {
  type Context,
  defineHandler,
  type HandlerLog,
  type Presence,
  type Scheduled,
  type Undelivered,
} from '../../core/plugins/handler.ts';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const type = <_ extends true>(): void => {};

test('the input has the type that a schema makes of it', () => {
  const handlers = [
    defineHandler({
      topic: 'request_contact',
      input: v.object({ to: v.string(), since: v.pipe(v.string(), v.transform(Number)) }),
      run({ input }) {
        type<Equal<typeof input, { to: string; since: number }>>();
        // @ts-expect-error: not in the schema
        input.from;
      },
    }),
    defineHandler({
      topic: 'request_contact',
      input: z.object({ to: z.string(), since: z.string().transform(Number) }),
      run({ input }) {
        type<Equal<typeof input, { to: string; since: number }>>();
        // @ts-expect-error: not in the schema
        input.from;
      },
    }),
    defineHandler({
      run: ({ input }) => type<Equal<typeof input, { to?: string | undefined }>>(),
      input: z.object({ to: z.string().optional() }),
      topics: ['a', 'b'],
      reply: 'c',
    }),
  ];
  expect(handlers.every(isHandler)).toBe(true);
});

test('without a schema it has the type that decoding gives', () => {
  const handlers = [
    defineHandler({
      topic: 'a',
      decode: 'text',
      run: ({ input }) => type<Equal<typeof input, string>>(),
    }),
    defineHandler({
      topic: 'a',
      run: ({ input }) => type<Equal<typeof input, Uint8Array>>(),
      decode: 'bytes',
    }),
    defineHandler({
      topic: 'a',
      decode: 'cbor',
      run: ({ input }) => type<Equal<typeof input, unknown>>(),
    }),
    defineHandler({ topic: 'a', run: ({ input }) => type<Equal<typeof input, unknown>>() }),
  ];
  expect(handlers.every(isHandler)).toBe(true);
});

test('a schedule and each hook have inputs of their own', () => {
  const handlers = [
    defineHandler({
      schedule: '0 3 * * *',
      run: ({ input }) => type<Equal<typeof input, Scheduled>>(),
    }),
    defineHandler({
      schedule: { cron: '0 3 * * *', timeZone: 'Europe/Berlin', missed: 'skip' },
      async run({ input, store }) {
        type<Equal<typeof input, Scheduled>>();
        const row = store.get<{ n: number }>`select 1 as n`;
        type<Equal<typeof row, { n: number } | undefined>>();
      },
    }),
    defineHandler({
      on: 'connect',
      run: ({ input }) => type<Equal<typeof input, Presence>>(),
    }),
    defineHandler({
      run: ({ input }) => type<Equal<typeof input, Presence>>(),
      on: ['connect', 'disconnect'],
    }),
    defineHandler({
      on: 'undelivered',
      run({ input }) {
        type<Equal<typeof input, Undelivered>>();
        // @ts-expect-error: that is for presence
        input.takeover;
      },
    }),
  ];
  expect(handlers.every(isHandler)).toBe(true);
});

test('secrets are known by their names, and resources by what setup returns', () => {
  class Pushes {
    readonly key: string;
    constructor(key: string) {
      this.key = key;
    }
    async push(_to: string): Promise<void> {}
    close(): void {}
  }
  const handlers = [
    defineHandler({
      on: 'undelivered',
      secrets: ['APNS', 'FCM'],
      setup: ({ secrets, log }) => {
        type<Equal<typeof log, HandlerLog>>();
        return { key: secrets.APNS };
      },
      run({ input, resources, secrets }) {
        type<Equal<typeof resources, { key: string }>>();
        type<Equal<typeof secrets, { readonly APNS: string; readonly FCM: string }>>();
        // @ts-expect-error: it is not in the list
        secrets.APN;
        return input.to;
      },
    }),
    defineHandler({
      topic: 'a',
      input: v.object({ to: v.string() }),
      secrets: ['APNS'],
      async setup({ secrets }) {
        // @ts-expect-error: it is not in the list
        secrets.FCM;
        return new Pushes(secrets.APNS);
      },
      teardown(pushes) {
        type<Equal<typeof pushes, Pushes>>();
        pushes.close();
      },
      async run({ input, resources }) {
        type<Equal<typeof resources, Pushes>>();
        await resources.push(input.to);
      },
    }),
    defineHandler({
      topic: 'a',
      run({ secrets, resources }) {
        type<Equal<typeof resources, undefined>>();
        // @ts-expect-error: it asked for none
        secrets.APNS;
      },
    }),
  ];
  expect(handlers.every(isHandler)).toBe(true);
});

test('a run has the whole context, and can be written apart', () => {
  const run = ({ input, send, user }: Context<{ to: string }>): void =>
    send(input.to, 'x', { from: user.id });
  expect(isHandler(defineHandler({ topic: 'a', input: v.object({ to: v.string() }), run }))).toBe(
    true,
  );
  // @ts-expect-error: its input is another
  defineHandler({ topic: 'a', input: v.object({ from: v.string() }), run });
  defineHandler({
    topic: 'a',
    async run({ store, send, publish, signal, log, invocation, client, payload }) {
      store.run`insert into t values (${null}, ${1n}, ${payload}, ${invocation.id}, ${client.id})`;
      store.transaction(() => store.all`select 1`).length.toFixed();
      store.keys.set('k', { a: 1 }, { ttlSeconds: 60 });
      store.keys.get<{ a: number }>('k')?.a.toFixed();
      await fetch('http://localhost', { signal });
      publish('a/b', new Uint8Array(1), { qos: 0, retain: true, userProperties: [['a', 'b']] });
      log.info('x', { a: 1 });
      // @ts-expect-error: there is no QoS 3
      send('u', 'x', undefined, { qos: 3 });
      // @ts-expect-error: a user is named by its id
      send(5, 'x');
      // @ts-expect-error: undefined is no value; null is
      store.run`insert into t values (${undefined})`;
    },
  });
});

test('what does not hold together is refused by types and at run time alike', () => {
  const run = () => {};
  // @ts-expect-error: no trigger
  expect(() => defineHandler({ run })).toThrow('one of');
  // @ts-expect-error: no run
  expect(() => defineHandler({ topic: 'a' })).toThrow('`run`');
  // @ts-expect-error: two triggers
  expect(() => defineHandler({ topic: 'a', topics: ['b'], run })).toThrow('one of');
  // @ts-expect-error: two triggers
  expect(() => defineHandler({ topic: 'a', schedule: '* * * * *', run })).toThrow('one of');
  // @ts-expect-error: two triggers
  expect(() => defineHandler({ on: 'connect', schedule: '* * * * *', run })).toThrow('one of');
  // @ts-expect-error: a schedule has its own input
  expect(() => defineHandler({ schedule: '* * * * *', input: v.string(), run })).toThrow('`input`');
  // @ts-expect-error: nobody asked
  expect(() => defineHandler({ on: 'connect', reply: 'x', run })).toThrow('`reply`');
  // @ts-expect-error: it stands alone
  expect(() => defineHandler({ on: ['connect', 'undelivered'], run })).toThrow('alone');
  // @ts-expect-error: there is no such hook
  expect(() => defineHandler({ on: 'subscribe', run })).toThrow('`on`');
  // @ts-expect-error: there is no such decoding
  expect(() => defineHandler({ topic: 'a', decode: 'xml', run })).toThrow('`decode`');
  // @ts-expect-error: no Standard Schema
  expect(() => defineHandler({ topic: 'a', input: { parse() {} }, run })).toThrow('Standard');
  // @ts-expect-error: only `user`
  expect(() => defineHandler({ topic: 'a', order: 'topic', run })).toThrow('`order`');
  // @ts-expect-error: a misspelt property
  expect(() => defineHandler({ topic: 'a', timeout: 5, run })).toThrow('no property `timeout`');
});
