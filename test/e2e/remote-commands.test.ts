/** Commands of handlers in processes of their own: shared by them, and carried out once, whatever is killed. */
import { Database } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { connect } from './connect.ts';
import { Broker, type Folder } from './executable.ts';
import { type Files, folderOf, Handlers, Received, remote } from './remote-process.ts';

setDefaultTimeout(60_000);

/** Writes what it was told into the store, and sends it on. */
const counting: Files = {
  'migrations/0001_taken.sql': 'create table taken (n integer not null, at text not null);\n',
  'count.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'count',
  run({ input, user, store, send }) {
    store.run\`insert into taken values (\${input as number}, datetime('now'))\`;
    send(user.id, 'counted', input);
  },
});
`,
};

function takenIn(folder: Folder, store: string): number[] {
  const database = new Database(join(folder.path, store, 'store.sqlite'), { readonly: true });
  try {
    const rows = database.query<{ n: number }, []>('select n from taken order by n').all();
    return rows.map(({ n }) => n);
  } finally {
    database.close();
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Publishes 0 to `count` as commands, each acknowledged before it resolves. */
async function publishCounts(client: MqttClient, count: number, from = 0): Promise<void> {
  const numbers = upTo(count).map((n) => String(from + n));
  await Promise.all(numbers.map((n) => client.publishAsync('count', n, { qos: 1 })));
}

test('two processes share the commands, and each is carried out by one of them', async () => {
  using folder = folderOf(counting);
  await using broker = await Broker.start(folder);
  await using _first = await Handlers.start(folder, broker, [...remote, '--store-dir', 'one']);
  await using _second = await Handlers.start(folder, broker, [...remote, '--store-dir', 'two']);
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_counted', { qos: 1 });
  await publishCounts(client, 100);
  await received.until(({ length }) => length >= 100);
  const [one, two] = [takenIn(folder, 'one'), takenIn(folder, 'two')];
  expect([...one, ...two].sort((a, b) => a - b)).toEqual(upTo(100));
  expect(one.length).toBeGreaterThan(0);
  expect(two.length).toBeGreaterThan(0);
  await client.endAsync();
});

test('killed at any moment, no command is lost, and what each did to the store was done once', async () => {
  using folder = folderOf(counting);
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_counted', { qos: 1 });
  const count = 40;
  const rounds = 5;
  let handlers = await Handlers.start(folder, broker, remote);
  for (let round = 0; round < rounds; round++) {
    const from = round * count;
    const published = publishCounts(client, count, from);
    // In the middle of it: some are done, some acknowledged, some not begun.
    await received.until((messages) => messages.some((each) => Number(each.split(' ')[1]) >= from));
    handlers.signal('SIGKILL');
    await handlers.ended();
    await published;
    handlers = await Handlers.start(folder, broker, remote);
  }
  await using _last = handlers;
  const all = upTo(rounds * count);
  await received.until(
    (messages) => new Set(messages.map((each) => each.split(' ')[1])).size === all.length,
  );
  expect(takenIn(folder, 'data-handlers')).toEqual(all);
  await client.endAsync();
});

test('one of two is killed: the other one carries out what it had, and every command is answered', async () => {
  using folder = folderOf(counting);
  await using broker = await Broker.start(folder);
  await using first = await Handlers.start(folder, broker, [...remote, '--store-dir', 'one']);
  await using _second = await Handlers.start(folder, broker, [...remote, '--store-dir', 'two']);
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_counted', { qos: 1 });
  const published = publishCounts(client, 200);
  await received.until(({ length }) => length > 0);
  first.signal('SIGKILL');
  await published;
  await received.until((messages) => new Set(messages).size === 200);
  const taken = new Set([...takenIn(folder, 'one'), ...takenIn(folder, 'two')]);
  expect([...taken].sort((a, b) => a - b)).toEqual(upTo(200));
  expect(new Set(takenIn(folder, 'one')).size).toBe(takenIn(folder, 'one').length);
  await client.endAsync();
});

test('a broker that is killed and comes back is found again, and what it had acknowledged is done once', async () => {
  using folder = folderOf(counting);
  await using broker = await Broker.start(folder);
  await using handlers = await Handlers.start(folder, broker, remote);
  const client = await connect(broker, 'u');
  const acknowledged = new Set<number>();
  const some = Promise.withResolvers<void>();
  for (const n of upTo(100)) {
    const taken = () => {
      if (acknowledged.add(n).size === 10) some.resolve();
    };
    client.publishAsync('count', String(n), { qos: 1 }).then(taken, () => {});
  }
  await some.promise;
  const from = handlers.lines.length;
  broker.signal('SIGKILL');
  await broker.ended();
  client.end(true);
  await handlers.line((line) => line.includes('not connected to the broker'), from);
  await using again = await Broker.start(folder, [], { MQTTS_PORT: String(broker.mqttsPort) });
  await handlers.line((line) => line.includes('"connected to the broker"'), from);
  const next = await connect(broker, 'u');
  const received = new Received(next);
  await next.subscribeAsync('u_counted', { qos: 1 });
  // By now all that was acknowledged is done, or is done before this: commands of a user are in order.
  await next.publishAsync('count', '1000', { qos: 1 });
  await received.has('u_counted 1000');
  const taken = takenIn(folder, 'data-handlers');
  expect(new Set(taken).size).toBe(taken.length);
  expect([...acknowledged].filter((n) => !taken.includes(n))).toEqual([]);
  await next.endAsync();
  again.signal('SIGTERM');
  expect(await again.ended()).toBe(0);
});
