/** Dead letters replayed and dropped: by a broker that runs, on a turn and a file of its own, and without one. */
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createBroker } from '../../core/broker/broker.ts';
import type { Change, CommandState, MessageNumber } from '../../core/broker/changes.ts';
import { defaultLimits } from '../../core/broker/limits.ts';
import type { LetterDesk } from '../../core/http/control.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import { Turn } from '../../core/net/turn.ts';
import { type BrokerStorage, openBrokerStorage } from '../../core/ops/broker-storage.ts';
import { defaultConfig } from '../../core/ops/configuration.ts';
import { actOnFile, brokerDesk, memoryDesk } from '../../core/ops/letter-desk.ts';
import { Lifecycle } from '../../core/ops/lifecycle.ts';
import { Logger } from '../../core/ops/log.ts';
import { lockFolder } from '../../core/store/data-folder.ts';
import { DeadLetters } from '../../core/store/dead-letters.ts';
import { StorageRefused } from '../../core/store/problem.ts';
import { FileBench } from '../store/bench.ts';
import { content, dead } from '../store/changes.ts';

let folder = '';
let lifecycle = new Lifecycle(() => {});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-desk-'));
  lifecycle = new Lifecycle((part, error) => {
    throw new Error(`${part} could not be closed`, { cause: error });
  });
});
afterEach(async () => {
  await lifecycle.close();
  rmSync(folder, { recursive: true });
});

/** Letters of `handlers`, numbered 2, 4, 6 and so on, whose messages expired long ago. */
async function fill(...handlers: string[]): Promise<void> {
  const bench = await FileBench.open({ folder, durability: 'os' });
  for (const [index, handler] of handlers.entries()) {
    const number = 2 * index + 1;
    const payload = new Uint8Array([number]);
    const kept = { ...content, payload, expiresAtMs: 1 };
    bench.keep({ kind: 'message', message: number, content: kept } satisfies Change);
    bench.keep(dead(number + 1, number, { handler }));
  }
  await bench.settle();
  await bench.dispose();
}

const numbers = () => DeadLetters.read(folder, (letters) => letters.numbers(undefined));

/** The commands that the next start finds. */
async function commands() {
  const bench = await FileBench.open({ folder, durability: 'os' });
  const found = bench.found.commands.map(({ content: kept, state }) => [
    ...kept.payload,
    state.only,
    kept.expiresAtMs,
  ]);
  await bench.dispose();
  return found;
}

interface Running {
  readonly desk: LetterDesk;
  readonly turn: Turn;
  readonly stored: BrokerStorage;
  /** What the plugins were handed. */
  readonly handed: [Message, MessageNumber, CommandState | undefined][];
}

/** A broker on `folder`, with handlers `a` and `b`. */
async function run(): Promise<Running> {
  const log = new Logger({ level: 'error', burst: 10, sinks: [] });
  const config = { ...defaultConfig, dataDir: folder };
  const stored = await openBrokerStorage(config, 'os', log, lifecycle);
  const handed: Running['handed'] = [];
  const turn = new Turn({
    storage: stored.storage,
    broker: (outbox) =>
      createBroker({
        outbox,
        policy: { commands: [], roles: {}, separator: '_' },
        version: '0',
        limits: { ...defaultLimits, sysIntervalSeconds: 0 },
        assignClientIdentifier: () => 'x',
        startedAt: 0,
        durable: true,
      }),
    verify: () => Promise.reject(new Error('no verifier in this test')),
    handle: (...command) => void handed.push(command),
    forward() {},
    report() {},
  });
  await lifecycle.open(
    'turn',
    () => turn,
    () => turn.stop(),
  );
  stored.attach(turn);
  const desk = brokerDesk(folder, turn, stored, (name) => ['a', 'b'].includes(name));
  return { desk, turn, stored, handed };
}

/** Resolves once so many commands were handed over: the turn in which they are on disk has to settle. */
async function handedOver(handed: Running['handed'], count: number): Promise<void> {
  while (handed.length < count) await setImmediate();
}

test('a running broker is handed what is replayed, for its handler alone and whatever its age; the letter goes', async () => {
  await fill('a', 'b', 'a');
  const { desk, handed } = await run();
  const answer = await desk.act('replay', { kind: 'numbers', numbers: [4, 2, 4] });
  expect(answer).toEqual({ kind: 'done', count: 2 });
  expect(numbers()).toEqual([6]);
  await handedOver(handed, 2);
  const seen = handed.map(([message, number, state]) => [[...message.payload], number, state]);
  expect(seen).toEqual([
    [[3], 7, { only: 'b', parts: [] }],
    [[1], 8, { only: 'a', parts: [] }],
  ]);
  await lifecycle.close();
  expect(await commands()).toEqual([
    [3, 'b', Number.POSITIVE_INFINITY],
    [1, 'a', Number.POSITIVE_INFINITY],
  ]);
});

test('what is dropped is gone once it is answered, and nothing is handed to anybody', async () => {
  await fill('a', 'b', 'a', 'gone');
  const { desk, handed } = await run();
  expect(await desk.act('drop', { kind: 'handler', handler: 'a' })).toEqual({
    kind: 'done',
    count: 2,
  });
  expect(numbers()).toEqual([4, 8]);
  expect(await desk.act('drop', { kind: 'all' })).toEqual({ kind: 'done', count: 2 });
  expect(numbers()).toEqual([]);
  expect(handed).toEqual([]);
  await lifecycle.close();
  expect(await commands()).toEqual([]);
});

test('a letter that is not there, or whose handler is gone, refuses the whole request', async () => {
  await fill('a', 'gone', 'b');
  const { desk, handed } = await run();
  expect(await desk.act('replay', { kind: 'numbers', numbers: [2, 3, 99] })).toEqual({
    kind: 'refused',
    detail: 'there is no dead letter 3, 99',
  });
  const gone = {
    kind: 'refused',
    detail: 'no plugin has the handler gone now: put it back first, or drop what is left of it',
  } as const;
  expect(await desk.act('replay', { kind: 'numbers', numbers: [2, 4] })).toEqual(gone);
  expect(await desk.act('replay', { kind: 'all' })).toEqual(gone);
  expect(await desk.act('replay', { kind: 'handler', handler: 'c' })).toEqual({
    kind: 'refused',
    detail: 'there is no dead letter of "c"',
  });
  expect([numbers(), handed]).toEqual([[2, 4, 6], []]);
});

test('of two requests for the same letter at once, one gets it', async () => {
  await fill('a');
  const { desk, handed } = await run();
  const both = await Promise.all([
    desk.act('replay', { kind: 'numbers', numbers: [2] }),
    desk.act('replay', { kind: 'numbers', numbers: [2] }),
  ]);
  expect(both.map(({ kind }) => kind)).toEqual(['done', 'refused']);
  await handedOver(handed, 1);
  expect(handed).toHaveLength(1);
});

test('more letters than are dealt with at once are all dealt with', async () => {
  await fill(...Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? 'a' : 'b')));
  const { desk, handed } = await run();
  expect(await desk.act('replay', { kind: 'all' })).toEqual({ kind: 'done', count: 200 });
  await handedOver(handed, 200);
  expect([numbers(), handed.length]).toEqual([[], 200]);
});

test('while the disk fails nothing is done, and what it failed under is done once it works again', async () => {
  await fill('a', 'a');
  const { desk } = await run();
  const holder = new Database(join(folder, 'broker.sqlite'));
  holder.run('begin immediate');
  const answer = await desk.act('replay', { kind: 'numbers', numbers: [2] });
  expect(answer).toEqual({
    kind: 'failing',
    detail:
      'the file is locked by another process; what was asked for is carried out once it can be stored',
  });
  expect((await desk.act('drop', { kind: 'all' })).kind).toBe('failing');
  holder.run('rollback');
  holder.close(true);
  await lifecycle.close();
  expect(numbers()).toEqual([4]);
  expect(await commands()).toEqual([[1, 'a', Number.POSITIVE_INFINITY]]);
});

test('what is asked for again as soon as the disk is back is carried out once', async () => {
  await fill('a', 'a');
  const { desk, turn, stored, handed } = await run();
  const holder = new Database(join(folder, 'broker.sqlite'));
  holder.run('begin immediate');
  // The batch that fails is another one: what is asked for waits behind it.
  turn.inside.enqueue({ ...content, expiresAtMs: Number.POSITIVE_INFINITY }, undefined);
  const ask = () => desk.act('replay', { kind: 'numbers', numbers: [2] });
  await setImmediate();
  expect((await ask()).kind).toBe('failing');
  const { promise, resolve } = Promise.withResolvers<void>();
  stored.listen({ stored() {}, storageBack: resolve });
  holder.run('rollback');
  holder.close(true);
  await promise;
  expect(await ask()).toEqual({ kind: 'refused', detail: 'there is no dead letter 2' });
  await handedOver(handed, 2);
  expect(handed.map(([, , state]) => state?.only)).toEqual([undefined, 'a']);
  await lifecycle.close();
  expect([numbers(), (await commands()).length]).toEqual([[4], 2]);
});

test('without a broker the file itself is changed, and the next start finds the commands', async () => {
  await fill('a', 'gone', 'b');
  expect(await actOnFile(folder, 'replay', { kind: 'numbers', numbers: [4, 6] })).toEqual({
    kind: 'done',
    count: 2,
  });
  expect(await actOnFile(folder, 'replay', { kind: 'numbers', numbers: [4] })).toEqual({
    kind: 'refused',
    detail: 'there is no dead letter 4',
  });
  expect(numbers()).toEqual([2]);
  expect(await commands()).toEqual([
    [3, 'gone', Number.POSITIVE_INFINITY],
    [5, 'b', Number.POSITIVE_INFINITY],
  ]);
  expect(await actOnFile(folder, 'drop', { kind: 'all' })).toEqual({ kind: 'done', count: 1 });
  expect(numbers()).toEqual([]);
});

test('a folder that another process has, or without a file, is left as it is', async () => {
  const act = () => actOnFile(folder, 'drop', { kind: 'all' });
  await expect(act()).rejects.toThrow(StorageRefused);
  expect(readdirSync(folder)).toEqual([]);
  await fill('a');
  const lock = lockFolder(folder);
  await expect(act()).rejects.toThrow(/is in use by another Bellhop/);
  lock.close(true);
  expect(numbers()).toEqual([2]);
});

test('a broker that keeps nothing says so', async () => {
  expect(await memoryDesk.act('drop', { kind: 'all' })).toMatchObject({
    kind: 'refused',
    detail: expect.stringContaining('DURABILITY=memory'),
  });
});

test('a letter that found no handler is for all that match its topic, whoever is there now', async () => {
  await fill('', '');
  const { desk, handed } = await run();
  expect(await desk.act('replay', { kind: 'numbers', numbers: [2] })).toMatchObject({ count: 1 });
  await handedOver(handed, 1);
  expect(handed.map(([, , state]) => state)).toEqual([undefined]);
  await lifecycle.close();
  expect(await actOnFile(folder, 'replay', { kind: 'all' })).toMatchObject({ count: 1 });
  expect((await commands()).map(([, only]) => only)).toEqual([undefined, undefined]);
});
