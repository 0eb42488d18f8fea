/** `bellhop dead` beside a broker that runs and without one, on files that are really there. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileBench } from '../store/bench.ts';
import { content, dead } from '../store/changes.ts';
import { connect } from './connect.ts';
import { Broker, Folder, run } from './executable.ts';

setDefaultTimeout(60_000);

/** A data folder with letters 2, 4, 6 and so on of `handlers`, before any broker ran. */
async function fill(folder: Folder, ...handlers: string[]): Promise<void> {
  const data = join(folder.path, 'data');
  mkdirSync(data, { mode: 0o700 });
  const bench = await FileBench.open({ folder: data, durability: 'os' });
  for (const [index, handler] of handlers.entries()) {
    const message = 2 * index + 1;
    const payload = Buffer.from(`{"to":${message}}`);
    bench.keep({ kind: 'message', message, content: { ...content, payload } });
    bench.keep(dead(message + 1, message, { handler }));
  }
  await bench.settle();
  await bench.dispose();
}

async function numbers(folder: Folder): Promise<number[]> {
  const { out } = await run(folder, ['dead', 'list', '--json']);
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).number as number);
}

test('without a broker, letters are listed, shown, dropped and made commands again', async () => {
  using folder = new Folder();
  await fill(folder, 'a', 'b', 'a');
  const list = await run(folder, ['dead', 'list', '--handler', 'a', '--limit', '1']);
  expect(list.code).toBe(0);
  expect(list.out).toMatch(
    /^NUMBER {2}DIED .*\n6 .* a +5 +68946 +a\/b +throw: no such contact: Łódź \(contacts\/accept.ts:7\)\nthe newest 1 of 2; --limit shows more\n$/,
  );
  const show = await run(folder, ['dead', 'show', '4']);
  expect([show.code, show.out]).toEqual([0, expect.stringContaining('"to": 3')]);
  const json = await run(folder, ['dead', 'show', '4', '--json']);
  expect(JSON.parse(json.out)).toMatchObject({ number: 4, handler: 'b', payload: '{"to":3}' });

  expect(await run(folder, ['dead', 'drop', '2', '4'])).toEqual({
    code: 0,
    out: 'dropped 2 dead letters\n',
    err: '',
  });
  expect(await run(folder, ['dead', 'replay', '--all'])).toEqual({
    code: 0,
    out: 'replayed 1 dead letter\n',
    err: '',
  });
  expect(await numbers(folder)).toEqual([]);
  expect((await run(folder, ['dead', 'list'])).out).toBe('there are no dead letters\n');
  const bench = await FileBench.open({ folder: join(folder.path, 'data'), durability: 'os' });
  expect(bench.found.commands.map(({ state }) => state.only)).toEqual(['a']);
  await bench.dispose();
});

test('what cannot be done ends with 1 and says why, and what is no sense with 2', async () => {
  using folder = new Folder();
  const nothing = await run(folder, ['dead', 'list']);
  expect([nothing.code, nothing.err]).toEqual([
    1,
    expect.stringContaining('broker.sqlite does not exist'),
  ]);
  expect((await run(folder, ['dead', 'drop', '--all'])).code).toBe(1);
  await fill(folder, 'a');
  for (const [written, code, why] of [
    [['show', '3'], 1, 'there is no dead letter 3'],
    [['drop', '2', '3', '99'], 1, 'there is no dead letter 3, 99'],
    [['replay', '--handler', 'b'], 1, 'there is no dead letter of "b"'],
    [[], 2, 'ACTION is missing'],
    [['bury'], 2, '"bury" is none of list, show, replay, drop'],
    [['show'], 2, 'NUMBER is missing'],
    [['show', '2', '4'], 2, 'dead show takes one NUMBER'],
    [['show', 'x'], 2, '"x" is no number of a dead letter'],
    [['drop'], 2, 'this wants one of NUMBER…, --handler and --all'],
    [['drop', '2', '--all'], 2, 'this wants one of NUMBER…, --handler and --all'],
    [['list', '2'], 2, 'dead list takes no "2"'],
    [['replay', '2', '--json'], 2, 'dead replay takes no --json'],
  ] as const) {
    const done = await run(folder, ['dead', ...written]);
    expect([written, done.code, done.err]).toEqual([written, code, expect.stringContaining(why)]);
  }
  expect(await numbers(folder)).toEqual([2]);
});

test('a broker that runs is asked through its socket, also after one that was killed', async () => {
  using folder = new Folder();
  await fill(folder, 'gone', 'b', 'gone');
  const killed = await Broker.start(folder);
  killed.signal('SIGKILL');
  await killed.ended();
  await using broker = await Broker.start(folder);
  const socket = join(folder.path, 'data', 'control.sock');
  expect(lstatSync(socket).mode & 0o777).toBe(0o600);
  const replay = await run(folder, ['dead', 'replay', '2']);
  expect([replay.code, replay.err]).toEqual([
    1,
    'bellhop: no plugin has the handler gone now: put it back first, or drop what is left of it\n',
  ]);
  expect(await numbers(folder)).toEqual([6, 4, 2]);
  expect((await run(folder, ['dead', 'drop', '2', '6'])).out).toBe('dropped 2 dead letters\n');
  expect(await numbers(folder)).toEqual([4]);
  broker.signal('SIGTERM');
  expect(await broker.ended()).toBe(0);
  expect(lstatSync(socket, { throwIfNoEntry: false })).toBeUndefined();
  expect((await run(folder, ['dead', 'drop', '--all'])).out).toBe('dropped 1 dead letter\n');
});

test('a broker that keeps nothing has no letters to deal with, and says so', async () => {
  using folder = new Folder();
  await fill(folder, 'a');
  await using broker = await Broker.start(folder, ['--durability', 'memory']);
  const { code, err } = await run(folder, ['dead', 'drop', '--all']);
  expect([code, err]).toEqual([1, expect.stringContaining('DURABILITY=memory')]);
  expect(await numbers(folder)).toEqual([2]);
  expect(broker.pid).toBeGreaterThan(0);
});

const failing = `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'greet', decode: 'text', retry: { attempts: 2, firstDelayMs: 1 },
  run({ input }) {
    throw new Error('cannot greet ' + input);
  },
});`;
const mended = `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'greet', decode: 'text',
  run({ user, send, input }) { send(user.id, 'greeting', 'hello ' + input); },
});`;
const beside = `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'greet/#', decode: 'text',
  run({ user, send, input }) { send(user.id, 'note', input); },
});`;

test('a failing handler leaves a letter, and once it is mended a replay is carried out by it alone', async () => {
  using folder = new Folder();
  const plugins = join(folder.path, 'plugins');
  mkdirSync(plugins);
  writeFileSync(join(plugins, 'greet.ts'), failing);
  writeFileSync(join(plugins, 'beside.ts'), beside);
  await using broker = await Broker.start(folder);
  const phone = await connect(broker, 'ann');
  const got: string[] = [];
  let arrived = (): void => {};
  phone.on('message', (topic, payload) => {
    got.push(`${topic} ${payload}`);
    arrived();
  });
  const until = async (...wanted: string[]): Promise<void> => {
    while (!wanted.every((line) => got.includes(line))) {
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };
  const buried = (name: string, after = 0) =>
    broker.line(
      (line) => line.includes('"buried":true') && line.includes(`cannot greet ${name}`),
      after,
    );
  const letters = async () =>
    (await run(folder, ['dead', 'list', '--json'])).out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  await phone.subscribeAsync(['ann_greeting', 'ann_note'], { qos: 1 });
  await phone.publishAsync('greet', 'one', { qos: 1 });
  await buried('one');
  await phone.publishAsync('greet', 'two', { qos: 2 });
  await buried('two');
  await until('ann_note one', 'ann_note two');
  const [second, first] = await letters();
  expect(
    [first, second].map(({ handler, attempts, detail }) => [handler, attempts, detail]),
  ).toEqual([
    ['greet', 2, 'cannot greet one'],
    ['greet', 2, 'cannot greet two'],
  ]);
  const shown = (await run(folder, ['dead', 'show', String(first.number)])).out;
  expect(shown).toMatch(/^at +greet\.ts:5$/m);
  expect(shown).toMatch(/payload: 3 bytes of text\none\n/);

  // As it is, it fails again and leaves another letter.
  const before = broker.lines.length;
  const again = await run(folder, ['dead', 'replay', String(first.number)]);
  expect([again.err, again.out]).toEqual(['', 'replayed 1 dead letter\n']);
  await buried('one', before);
  const left = (await letters()).map(({ number }) => number);
  expect(left).toHaveLength(2);
  expect(left).not.toContain(first.number);

  writeFileSync(join(plugins, 'greet.ts'), mended);
  await broker.line((line) => line.includes('"plugins swapped"'), before);
  expect((await run(folder, ['dead', 'replay', '--handler', 'greet'])).out).toBe(
    'replayed 2 dead letters\n',
  );
  await until('ann_greeting hello one', 'ann_greeting hello two');
  await phone.publishAsync('greet', 'three', { qos: 1 });
  await until('ann_greeting hello three', 'ann_note three');
  const names = ['one', 'three', 'two'];
  expect(got.toSorted()).toEqual([
    ...names.map((name) => `ann_greeting hello ${name}`),
    ...names.map((name) => `ann_note ${name}`),
  ]);
  expect(await letters()).toEqual([]);
  await phone.endAsync();
});
