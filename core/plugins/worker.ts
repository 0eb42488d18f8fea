/**
 * Inside a worker: loads the plugins, then runs commands, one at a time and in order.
 *
 * Runs that follow each other form a group: their writes are committed at once, and what became of
 * them is posted in one batch, with what they sent. Until then nothing of them has happened, so that
 * a worker that ends in the midst of a group takes nothing with it that would be missed.
 */
import { DeclaredCommands } from '../auth/commands.ts';
import type { Message } from '../mqtt/packet.ts';
import { pack, transferOf, unpack } from './batch.ts';
import {
  type Commands,
  type FromWorker,
  type Load,
  Phase,
  Progress,
  type ToWorker,
} from './exchange.ts';
import { describeThrown, type Fault, fault, shownPath } from './fault.ts';
import type { PluginFile } from './loader.ts';
import { importHandlers, LoadProblem, provideSdk } from './module.ts';
import { type Command, Run, type Source, type Surroundings } from './run.ts';
import { HandlerStore, openDatabase } from './store.ts';

/** A group is settled when it is this old, or has sent this much, and more commands wait. */
const GROUP_MS = 5;
const GROUP_SENT_BYTES = 1024 * 1024;

// Taken before a plugin can lay hands on it.
const postMessage = globalThis.postMessage.bind(globalThis) as (
  message: FromWorker,
  transfer?: ArrayBuffer[],
) => void;

/** A run that is over and not yet settled. */
interface Done {
  readonly run: Run;
  fault: Fault | undefined;
  readonly durationMs: number;
  readonly usedStore: boolean;
}

class HandlerWorker {
  readonly #progress: Int32Array;
  readonly #store: HandlerStore;
  readonly #surroundings: Surroundings;
  /** The commands of the plugins here. */
  readonly #declared = new DeclaredCommands();
  readonly #sources: Source[] = [];
  readonly #waiting: Commands[] = [];
  #working = false;
  #group: Done[] = [];
  #groupSince = 0;
  #groupBytes = 0;

  constructor({ root, storePath, separator, timeoutMs, progress }: Load) {
    this.#progress = progress;
    this.#store = new HandlerStore(
      () => openDatabase(storePath, timeoutMs),
      (waiting) => Atomics.store(progress, Progress.Waiting, waiting ? 1 : 0),
    );
    this.#surroundings = {
      root,
      rules: { separator, declares: (topic) => this.#declared.declares(topic) },
      store: this.#store,
      timeoutMs,
      log: postMessage,
    };
  }

  async load(files: readonly PluginFile[]): Promise<void> {
    const { root } = this.#surroundings;
    const handlers = [];
    const faults: [PluginFile, Fault][] = [];
    /** Which file handles a topic already. */
    const handled = new Map<string, string>();
    for (const [index, file] of files.entries()) {
      postMessage({ kind: 'loading', index });
      const shown = shownPath(file.path, root);
      try {
        const found = await importHandlers(file, root);
        const topics = found.flatMap((handler) => handler.topics);
        const twice = topics.find(
          (topic, at) => handled.has(topic) || topics.indexOf(topic) !== at,
        );
        if (twice !== undefined) {
          const detail = `the topic ${twice} is handled by ${handled.get(twice) ?? shown} already`;
          faults.push([file, fault('load', detail, shown)]);
          continue;
        }
        for (const topic of topics) {
          handled.set(topic, shown);
          this.#declared.add(topic);
        }
        for (const [position, handler] of found.entries()) {
          this.#sources.push({ handler, plugin: file.plugin, shown });
          handlers.push({ file, position, topics: handler.topics });
        }
      } catch (error) {
        const described =
          error instanceof LoadProblem ? error.fault : describeThrown('load', error, root);
        faults.push([file, described]);
      }
    }
    postMessage({ kind: 'loaded', handlers, faults });
  }

  take(commands: Commands): void {
    this.#waiting.push(commands);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let batch = this.#waiting.shift(); batch; batch = this.#waiting.shift()) {
      for (const [index, message] of unpack(batch.messages).entries()) {
        const source = this.#sources[batch.handlers[index] as number] as Source;
        await this.#run({ source, message, invocation: batch.invocations[index] as string });
        if (
          performance.now() - this.#groupSince > GROUP_MS ||
          this.#groupBytes > GROUP_SENT_BYTES
        ) {
          await this.#settle();
        }
      }
      await this.#settle();
    }
    this.#working = false;
  }

  async #run(command: Command): Promise<void> {
    this.#tellRunning();
    const startedAt = performance.now();
    const run = new Run(command, this.#surroundings);
    const outcome = run.start();
    if (outcome instanceof Promise) {
      // Those before it need not wait for it, unless they share a transaction with it by now.
      if (!this.#store.usedBy(run)) {
        await this.#settle();
        this.#tellRunning();
      }
      this.#finish(run, await outcome, startedAt);
      // Settled at once: what it did elsewhere while it waited should not be done twice.
      return this.#settle();
    }
    this.#finish(run, outcome, startedAt);
  }

  /** Counted from the first on, so that it holds while those before it are settled. */
  #tellRunning(): void {
    const settled = Atomics.load(this.#progress, Progress.Settled);
    Atomics.store(this.#progress, Progress.Running, settled + this.#group.length + 1);
  }

  #finish(run: Run, fault: Fault | undefined, startedAt: number): void {
    const usedStore = this.#store.usedBy(run);
    if (fault === undefined) this.#store.keep(run);
    else this.#store.undo(run);
    Atomics.store(this.#progress, Progress.Running, 0);
    if (this.#group.length === 0) this.#groupSince = startedAt;
    for (const { payload } of run.sends) this.#groupBytes += payload.length;
    const durationMs = performance.now() - startedAt;
    this.#group.push({ run, fault, durationMs, usedStore });
  }

  /**
   * Commits the group and posts what became of it, before it returns: a run that waits beside it could
   * come to the store in between. Only where the commit fails there is more to do.
   */
  async #settle(): Promise<void> {
    const group = this.#group;
    if (group.length === 0) return;
    if (!this.#claim()) return new Promise(() => {});
    try {
      this.#store.commit();
    } catch (error) {
      if (group.length > 1) return this.#redo(group);
      const [done] = group as [Done];
      done.fault ??= describeThrown('store', error, this.#surroundings.root);
    }
    post(group);
    this.#group = [];
    this.#groupBytes = 0;
    Atomics.add(this.#progress, Progress.Settled, group.length);
    Atomics.store(this.#progress, Progress.Phase, Phase.Running);
  }

  /** The right to commit. Without it the pool has condemned this worker, which changes nothing any more. */
  #claim(): boolean {
    const { Running, Settling } = Phase;
    const before = Atomics.compareExchange(this.#progress, Progress.Phase, Running, Settling);
    return before === Running;
  }

  /**
   * The commit failed, and nothing is left of what the group wrote. By whose fault shows when each run
   * that wrote stands alone, so those are done once more.
   */
  async #redo(group: readonly Done[]): Promise<void> {
    this.#group = [];
    this.#groupBytes = 0;
    Atomics.store(this.#progress, Progress.Phase, Phase.Running);
    for (const done of group) {
      if (done.usedStore && done.fault === undefined) await this.#run(done.run.command);
      else this.#group.push(done);
      await this.#settle();
    }
  }
}

function post(group: readonly Done[]): void {
  const faults: [number, Fault][] = [];
  const sends: Message[] = [];
  const toUser: boolean[] = [];
  const durationsMs = new Float32Array(group.length);
  const sendCounts = new Uint32Array(group.length);
  for (const [index, { run, fault, durationMs }] of group.entries()) {
    durationsMs[index] = durationMs;
    if (fault !== undefined) {
      faults.push([index, fault]);
      continue;
    }
    sendCounts[index] = run.sends.length;
    for (const message of run.sends) sends.push(message);
    for (const flag of run.toUser) toUser.push(flag);
  }
  const packed = sends.length === 0 ? undefined : pack(sends);
  postMessage(
    {
      kind: 'outcomes',
      durationsMs,
      faults,
      sendCounts,
      toUser: Uint8Array.from(toUser, Number),
      sends: packed,
    },
    packed === undefined ? [] : transferOf(packed),
  );
}

let worker: HandlerWorker | undefined;

function stray(thrown: unknown): void {
  postMessage({ kind: 'stray', fault: describeThrown('stray', thrown, root) });
}
let root = '';

process.on('uncaughtException', stray);
process.on('unhandledRejection', stray);

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === 'commands') return worker?.take(data);
  root = data.root;
  provideSdk();
  worker = new HandlerWorker(data);
  void worker.load(data.files);
});
