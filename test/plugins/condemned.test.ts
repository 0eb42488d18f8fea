/** Workers that are to be ended although what they committed was not heard yet. */
import { afterEach, expect, test } from 'bun:test';
import { setImmediate } from 'node:timers/promises';
import {
  type FromWorker,
  type Load,
  Phase,
  Progress,
  Settled,
  SlotState,
  type ToWorker,
} from '../../core/plugins/exchange.ts';
import { command, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';
import { plainRules } from './waiting.ts';

/** A thread that does nothing by itself but load. */
class Thread extends EventTarget {
  static readonly all: Thread[] = [];
  load: Load | undefined = undefined;
  ended = false;

  constructor() {
    super();
    Thread.all.push(this);
  }

  postMessage(note: ToWorker): void {
    if (note.kind === 'retire') this.say({ kind: 'retired' });
    if (note.kind !== 'load') return;
    this.load = note;
    const handlers = note.files.map((file) => {
      const trigger = { kind: 'command', topics: ['a'] } as never;
      return { name: 'a', file, position: 0, rules: { ...plainRules, trigger }, secrets: [] };
    });
    this.say({ kind: 'loaded', handlers, faults: [] });
  }

  say(note: FromWorker): void {
    queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data: note })));
  }

  terminate(): void {
    this.ended = true;
  }
}

const opened = benches();

const real = globalThis.Worker;
afterEach(() => {
  globalThis.Worker = real;
});

test('one that lost the right to commit is ended once what it committed was heard, though nothing keeps it by then', async () => {
  globalThis.Worker = Thread as never;
  const bench = await opened({ 'a.ts': plainHandlerFile('a', '') }, { timeoutMs: 10 });
  const [thread] = Thread.all as [Thread];
  const { progress } = thread.load as Load;
  bench.dispatch(command('a'), 1);
  await setImmediate();
  // The only run is over and committed, and its outcome has not come: the thread stands still.
  Atomics.store(progress, Progress.Slots, SlotState.Settled);
  while (Atomics.load(progress, Progress.Phase) !== Phase.Condemned) await setImmediate();
  expect([thread.ended, bench.handled]).toEqual([false, []]);
  const runs = new Float64Array(Settled.Count);
  const sent = { routes: new Uint8Array(), sends: undefined };
  thread.say({ kind: 'outcomes', runs, faults: [], ...sent, heapBytes: 0 });
  await bench.until(() => bench.ofKind('worker-replaced').length === 1);
  expect([thread.ended, bench.handled, bench.faults]).toEqual([true, [1], []]);
});
