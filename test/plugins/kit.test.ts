/** `bellhop/test`: what a test of a handler is told, and that it is what the broker would do. */
import { afterAll, describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { defineHandler, NonRetryableError } from '../../core/plugins/handler.ts';
import { testHandler, testStore } from '../../core/plugins/kit.ts';
import { folderOf, removeFolders } from './folder.ts';

afterAll(removeFolders);

const plugins = folderOf({
  'migrations/0001_orders.sql': 'create table placed (user text, item text) strict;',
});
const shop = () => testStore({ folder: plugins });
const empty = () => testStore({ folder: folderOf({}) });

const order = defineHandler({
  topic: 'place_order',
  input: v.object({ item: v.string() }),
  reply: 'order_placed',
  run({ input, user, store, send, publish, log }) {
    store.run`insert into placed values (${user.id}, ${input.item})`;
    send('shop', 'order', { from: user.id, item: input.item }, { qos: 2 });
    publish('audit/orders', new Uint8Array([0xff, 0]), { messageExpiryInterval: 60 });
    log.info('placed', { item: input.item });
    if (input.item === 'coffee') throw new Error('we have none');
    return { ok: true };
  },
});

describe('commands', () => {
  test('all that a run did is told', async () => {
    const store = shop();
    const told = await testHandler(order, { user: '1', input: { item: 'tea' }, store });
    expect(told).toEqual({
      sent: [
        {
          user: 'shop',
          name: 'order',
          topic: 'shop_order',
          payload: { from: '1', item: 'tea' },
          options: { qos: 2, retain: false },
        },
      ],
      published: [
        {
          topic: 'audit/orders',
          payload: new Uint8Array([0xff, 0]),
          options: { qos: 1, retain: false, messageExpiryInterval: 60 },
        },
      ],
      reply: { ok: true },
      result: { ok: true },
      logs: [{ level: 'info', message: 'placed', fields: { item: 'tea' } }],
      error: undefined,
      store,
    });
    expect(store.all`select * from placed`).toEqual([{ user: '1', item: 'tea' }]);
  });

  test('what has a `then` is awaited, promise or not', async () => {
    const method = 'then';
    const query = { [method]: (done: (rows: number) => void) => done(2) };
    const handler = defineHandler({ topic: 'count', reply: 'counted', run: () => query });
    const { result, reply } = await testHandler(handler, { store: empty() });
    expect({ result, reply }).toEqual({ result: 2, reply: 2 });
  });

  test('a run that fails leaves nothing behind but its log', async () => {
    const store = shop();
    const told = await testHandler(order, { input: { item: 'coffee' }, store });
    expect(told.error).toEqual({
      kind: 'failed',
      message: 'we have none',
      retry: true,
      thrown: new Error('we have none'),
    });
    expect([told.sent, told.published, told.reply]).toEqual([[], [], undefined]);
    expect(told.logs).toHaveLength(1);
    expect(store.get`select count(*) as n from placed`).toEqual({ n: 0 });
    // The store serves on.
    await testHandler(order, { input: { item: 'tea' }, store });
    expect(store.get`select count(*) as n from placed`).toEqual({ n: 1 });
  });

  test('what does not fit is refused as the broker refuses it', async () => {
    const store = shop();
    const misfit = await testHandler(order, { input: { item: 5 }, store });
    expect(misfit.error).toMatchObject({ kind: 'input', retry: false, thrown: undefined });
    const garbled = await testHandler(order, { payload: '{', store });
    expect(garbled.error?.message).toContain('not JSON');
    const hopeless = defineHandler({
      topic: 'a',
      run: () => Promise.reject(new NonRetryableError('never')),
    });
    const { error } = await testHandler(hopeless, { store });
    expect(error).toMatchObject({ kind: 'failed', message: 'never', retry: false });
  });

  test.each([
    { name: 'a text in JSON', decode: 'json', input: 'a' },
    { name: 'JSON', decode: 'json', input: { a: [1, null] } },
    { name: 'CBOR', decode: 'cbor', input: { a: new Uint8Array([1]) } },
    { name: 'text', decode: 'text', input: 'ä' },
    { name: 'bytes', decode: 'bytes', input: new Uint8Array([0xff]) },
    { name: 'no decoding', decode: undefined, input: { a: 1 } },
    {
      name: 'CBOR by its type',
      decode: undefined,
      input: { a: 1 },
      contentType: 'application/cbor',
    },
    { name: 'text by its type', decode: undefined, input: 'a', contentType: 'text/plain' },
    { name: 'nothing', decode: 'json', input: undefined },
  ] as const)('input comes as it was given: $name', async ({ name: _, decode, ...given }) => {
    const handler = defineHandler({ topic: 'a', decode, run: ({ input }) => ({ input }) });
    const { result } = await testHandler(handler, { ...given, store: empty() });
    expect(result).toEqual({ input: given.input });
  });

  test('who asked, what and when is up to the test', async () => {
    const handler = defineHandler({
      topics: ['orders/+/cancel', 'x'],
      run: ({ user, client, topic, invocation }) => [user, client, topic, invocation.attempt],
    });
    const given = { user: 'u', client: 'c', topic: 'orders/5/cancel', attempt: 3, store: empty() };
    const { result, reply } = await testHandler(handler, given);
    expect(result).toEqual([{ id: 'u' }, { id: 'c' }, 'orders/5/cancel', 3]);
    // Without `reply` it goes to the Response Topic of an MQTT 5 client.
    expect(reply).toEqual(result);
    await expect(testHandler(handler)).rejects.toThrow('give `topic`');
    await expect(testHandler(handler, { topic: 'y' })).rejects.toThrow('not for y');
    await expect(testHandler(handler, { topic: 'x', input: 1, payload: '1' })).rejects.toThrow(
      'both',
    );
  });

  test('send is refused where the broker refuses it', async () => {
    const handler = defineHandler({
      topic: 'a',
      run: ({ send }) => send('request', 'contact', 1),
    });
    expect((await testHandler(handler, { store: empty() })).sent).toHaveLength(1);
    const { error } = await testHandler(handler, { commands: ['request_contact'], store: empty() });
    expect(error?.message).toContain('declared command');
  });

  test('a run that takes too long is ended', async () => {
    const handler = defineHandler({
      topic: 'a',
      timeoutMs: 10,
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });
    const { error } = await testHandler(handler, { store: empty() });
    expect(error).toMatchObject({ kind: 'timeout', retry: true });
  });
});

describe('schedules and hooks', () => {
  test('get what the broker would tell, and what the test says', async () => {
    const store = empty();
    const nightly = defineHandler({ schedule: '0 3 * * *', run: ({ input }) => input });
    expect((await testHandler(nightly, { now: 5, input: { missed: 2 }, store })).result).toEqual({
      due: 5,
      missed: 2,
    });
    const seen = defineHandler({
      on: ['connect', 'disconnect'],
      run: ({ input, user }) => ({ ...input, user: user.id }),
    });
    const left = { user: 'u', now: 5, input: { event: 'disconnect', takeover: true }, store };
    expect((await testHandler(seen, left)).result).toEqual({
      event: 'disconnect',
      number: 1,
      takeover: true,
      at: 5,
      user: 'u',
    });
    const push = defineHandler({ on: 'undelivered', run: ({ input }) => input });
    const missed = { input: { to: 'a/b', name: 'n', payload: { x: 1 } }, store };
    const { result, reply } = await testHandler(push, missed);
    expect(result).toEqual({ to: 'a/b', name: 'n', topic: 'a%2Fb_n', payload: { x: 1 } });
    expect(reply).toBeUndefined();
    await expect(testHandler(push, { input: 5 })).rejects.toThrow('is an object');
  });
});

describe('secrets and setup', () => {
  const ended: unknown[] = [];
  const handler = defineHandler({
    topic: 'a',
    secrets: ['KEY'],
    setup: async ({ secrets }) => ({ key: secrets.KEY }),
    teardown: (resources) => ended.push(resources),
    run({ resources, secrets, log }) {
      log.info(`${secrets.KEY}`);
      return resources.key;
    },
  });

  test('setup runs with the secrets that are given, and teardown after it', async () => {
    const told = await testHandler(handler, { secrets: { KEY: 'a-long-secret' }, store: empty() });
    expect(told.result).toBe('a-long-secret');
    expect(told.logs.map(({ message }) => message)).toEqual(['[KEY]']);
    expect(ended).toEqual([{ key: 'a-long-secret' }]);
    await expect(testHandler(handler)).rejects.toThrow('needs `secrets`: KEY');
  });

  test('resources that are given take the place of setup', async () => {
    const given = { secrets: { KEY: 'x' }, resources: { key: 'fake' }, store: empty() };
    expect((await testHandler(handler, given)).result).toBe('fake');
    expect(ended).toHaveLength(1);
  });
});

describe('the store of a test', () => {
  test('is written and read outside of runs as well', () => {
    const store = shop();
    expect(store.run`insert into placed values ('1', 'tea'), ('2', 'tea')`.changes).toBe(2);
    expect(store.get`select item from placed where user = ${'1'}`).toEqual({ item: 'tea' });
    const attempt = () =>
      store.transaction(() => {
        store.run`delete from placed`;
        throw new Error('no');
      });
    expect(attempt).toThrow('no');
    expect(store.get`select count(*) as n from placed`).toEqual({ n: 2 });
    expect(() => store.run`delete from elsewhere`).toThrow('no such table');
    expect(store.transaction(() => store.run`delete from placed`.changes)).toBe(2);
    store.close();
  });

  test('has the clock of the test for keys', async () => {
    const remember = defineHandler({
      topic: 'a',
      run: ({ store }) => {
        const known = store.keys.get('k');
        store.keys.set('k', 'v', { ttlSeconds: 60 });
        return { known };
      },
    });
    const store = empty();
    const at = async (now: number) => (await testHandler(remember, { now, store })).result;
    expect(await at(1_000_000)).toEqual({ known: undefined });
    expect(await at(1_059_999)).toEqual({ known: 'v' });
    expect(await at(1_119_999)).toEqual({ known: undefined });
  });

  test('takes runs that are begun together one after the other', async () => {
    const count = defineHandler({
      topic: 'a',
      async run({ store }) {
        const n = store.keys.get<number>('n') ?? 0;
        await Promise.resolve();
        store.keys.set('n', n + 1);
      },
    });
    const store = empty();
    const runs = Array.from({ length: 10 }, () => testHandler(count, { store }));
    expect((await Promise.all(runs)).map(({ error }) => error)).toEqual(Array(10).fill(undefined));
    expect(store.keys.get<number>('n')).toBe(10);
  });

  test('tells of a migration that fails', () => {
    const folder = folderOf({ 'migrations/0001_wrong.sql': 'create tabel x;' });
    expect(() => testStore({ folder })).toThrow('migrations/0001_wrong.sql:1');
  });
});
