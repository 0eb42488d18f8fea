/**
 * The workers that run handlers: start, dispatch, time limits and replacement. The loop hands commands
 * in and gets messages out; whatever a handler does, it waits for nothing.
 *
 * A worker holds about as much work as it does in `TARGET_MS`, judged by what its handlers took so
 * far: enough to make batches, little enough not to keep a command from another worker that is free.
 */
import { randomBytes } from 'node:crypto';
import type { Separator } from '../auth/user-topic.ts';
import type { MessageNumber } from '../broker/changes.ts';
import type { Millis } from '../broker/outbox.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import { unpack } from './batch.ts';
import type { Catalogue } from './catalogue.ts';
import { CommandQueue, type Receipt, type Waiting, waitingBytes } from './command-queue.ts';
import { Crew } from './crew.ts';
import {
  type CommandDropReason,
  newPluginCounters,
  type PluginCounters,
  type PluginEvent,
  type RunParty,
} from './events.ts';
import type { Outcomes } from './exchange.ts';
import { type Fault, fault } from './fault.ts';
import { scanPlugins } from './loader.ts';
import { migrate } from './migrations.ts';
import type { PoolWorker } from './pool-worker.ts';
import { openDatabase } from './store.ts';

export interface PoolOptions {
  /** The plugins folder. One that is not there is an empty one. */
  readonly folder: string;
  /** The handlers' database; made when something is first stored. */
  readonly storePath: string;
  readonly separator: Separator;
  readonly workers: number;
  /** How long a run may take. */
  readonly timeoutMs: number;
  /** How long one file may take to import. */
  readonly loadTimeoutMs: number;
  /** Most commands that wait, and most bytes of them. */
  readonly queuedCommands: number;
  readonly queuedBytes: number;
}

/** What the pool needs of whoever brings the commands: the broker of this process, or a connection to one. */
export interface PoolHost {
  now(): Millis;
  /** Takes a message of a plugin; tells why where it does not. */
  sent(message: Message): string | undefined;
  declares(topic: TopicName): boolean;
  /** Whether whoever published a command may have a response on the topic that it named. */
  mayReply(publisher: Publisher, topic: TopicName): boolean;
  /** Whether nothing can be stored now: what runs of stored commands sent waits until then. */
  storageFails(): boolean;
  /**
   * `handler`, or with undefined each of them, is done with a stored command. `Pool.stored` tells when
   * that lasts: as soon as it was given the position that this returns; 0 where nothing is kept.
   */
  handled(number: MessageNumber, handler: string | undefined): Position;
  /** It failed so many times, and will be tried again. */
  tried(number: MessageNumber, handler: string, attempts: number): void;
  /** It is given up. `handled` is told in the same turn. */
  buried(letter: DeadLetter): void;
  /** A command from within. */
  enqueue(command: Message, only: string | undefined): void;
  /**
   * Reads stored commands behind `after` from disk, in order: at most `limit` of them and about so many
   * bytes, one whatever its size. `Pool.fetched` brings them. Undefined where there is no disk: then
   * the host itself bounds what it dispatches.
   */
  readonly fetch: ((after: MessageNumber, limit: number, bytes: number) => void) | undefined;
  report(event: PluginEvent): void;
}

/** A worker is given commands until it holds this much work, or this many, or this many bytes. */
const TARGET_MS = 10;
const MOST_HELD = 256;
const MOST_HELD_BYTES = 4 * 1024 * 1024;

/** What a run of one handler usually takes. */
interface Pace {
  expectedMs: number;
}

/** A handler that is not known yet is given alone. */
const UNKNOWN_PACE_MS = TARGET_MS;
const LEAST_PACE_MS = 0.02;

export class Pool {
  readonly counters: PluginCounters = newPluginCounters();
  readonly #host: PoolHost;
  readonly #queue: CommandQueue<PoolWorker>;
  readonly #crew: Crew;
  #catalogue: Catalogue | undefined = undefined;
  #paces: readonly Pace[] = [];
  /** What came before the handlers were known. */
  #early: { readonly message: Message; readonly number: MessageNumber }[] = [];
  #sequence = 0;
  readonly #prefix = randomBytes(4).toString('hex');
  #flushing = false;
  #stopping = false;
  #whenIdle: (() => void) | undefined = undefined;

  /** Throws a `StoreProblem` where a migration fails, and where the folder cannot be read. */
  constructor(options: PoolOptions, host: PoolHost) {
    this.#host = host;
    this.#queue = new CommandQueue(options.queuedCommands, options.queuedBytes);
    const { root = '', files, refused } = scanPlugins(options.folder);
    for (const why of refused) {
      host.report({ kind: 'plugin-refused', plugin: undefined, fault: why });
    }
    const { storePath, timeoutMs } = options;
    this.#crew = new Crew(
      { ...options, root, files },
      {
        ready: (worker) => this.#fill(worker),
        settled: (worker, outcomes) => this.#settled(worker, outcomes),
        lost: (worker, why) => this.#lost(worker, why),
        said: (note) =>
          this.#host.report(note.kind === 'log' ? { ...note, kind: 'handler-log' } : note),
        report: (event) => this.#report(event),
      },
    );
    if (root !== '') {
      for (const migration of migrate(() => openDatabase(storePath, timeoutMs), root)) {
        host.report({ kind: 'migrated', migration });
      }
    }
  }

  /** Loads the plugins; `topics` is known from then on. */
  async start(): Promise<void> {
    const catalogue = await this.#crew.start();
    this.#catalogue = catalogue;
    this.#paces = catalogue.handlers.map(() => ({ expectedMs: UNKNOWN_PACE_MS }));
    for (const { message, number } of this.#early.splice(0)) this.dispatch(message, number);
  }

  /** What the plugins handle: for `Broker.handles`. */
  get topics(): readonly TopicFilter[] {
    return this.#catalogue?.topics ?? [];
  }

  /**
   * A command for whoever handles its topic; its payload must be good beyond the turn. What finds no
   * room is dropped, and counted. `number` is for `PoolHost.handled`, 0 where nobody asks.
   */
  dispatch(message: Message, number: MessageNumber): void {
    if (this.#stopping) return this.#drop('stopped', message);
    if (this.#catalogue === undefined) {
      this.#early.push({ message, number });
      return;
    }
    const handlers = this.#catalogue.matching(message.topic);
    if (handlers.length === 0) return this.#drop('no-handler', message);
    const receipt: Receipt = { number, outstanding: handlers.length, dropped: false };
    for (const handler of handlers) {
      const sequence = ++this.#sequence;
      const invocation = `${this.#prefix}-${sequence.toString(36)}`;
      const entry: Waiting = { message, receipt, handler, invocation, sequence };
      const reason = this.#queue.offer(entry);
      if (reason === undefined) continue;
      this.#drop(reason, message);
      // A stored command stays on disk, and comes back with the next start.
      receipt.dropped = true;
      this.#release(receipt);
    }
    this.#count();
    if (this.#flushing) return;
    this.#flushing = true;
    // When the turn has handed over all its commands: they make one batch for each worker.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Takes no more, gives what waits until `timeoutMs` to be done, and ends the workers. What is not done then is dropped; what is stored waits for the next start. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#queue.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
    }
    const held = [...this.#crew.workers].flatMap((worker) => worker.held);
    this.#crew.stop();
    for (const { message } of [...held, ...this.#queue.clear()]) this.#drop('stopped', message);
  }

  #flush(): void {
    for (const worker of this.#crew.workers) this.#fill(worker);
  }

  /** Gives a worker what it has room for. */
  #fill(worker: PoolWorker): void {
    const entries: Waiting[] = [];
    while (
      worker.expectedMs < TARGET_MS &&
      worker.held.length + entries.length < MOST_HELD &&
      worker.heldBytes < MOST_HELD_BYTES
    ) {
      const entry = this.#queue.take(worker);
      if (entry === undefined) break;
      if (entry.message.expiresAtMs <= this.#host.now()) {
        this.#drop('expired', entry.message); // [MQTT-3.3.2-5]
        this.#finish(entry);
      } else if ((worker.handlers[entry.handler] ?? -1) === -1) {
        this.#failed(entry, fault('load', 'the file of its handler does not load any more'));
        this.#finish(entry);
      } else {
        entries.push(entry);
        worker.expectedMs += this.#paceOf(entry).expectedMs;
        worker.heldBytes += waitingBytes(entry);
      }
    }
    if (entries.length === 0) return;
    worker.post(entries, performance.now());
    this.#crew.watch();
  }

  #settled(worker: PoolWorker, outcomes: Outcomes): void {
    const { durationsMs, faults, sendCounts, toUser, sends } = outcomes;
    const entries = worker.held.splice(0, durationsMs.length);
    const messages = sends === undefined ? [] : unpack(sends);
    let sent = 0;
    for (const [index, entry] of entries.entries()) {
      const durationMs = durationsMs[index] as number;
      this.counters.runs++;
      this.counters.runSeconds += durationMs / 1_000;
      const pace = this.#paceOf(entry);
      pace.expectedMs = Math.max(LEAST_PACE_MS, pace.expectedMs * 0.8 + durationMs * 0.2);
      for (let left = sendCounts[index] as number; left > 0; left--, sent++) {
        this.#send(entry, messages[sent] as Message, toUser[sent] === 1);
      }
    }
    for (const [index, why] of faults) this.#failed(entries[index] as Waiting, why);
    for (const entry of entries) this.#finish(entry);
    worker.heldBytes = 0;
    worker.expectedMs = 0;
    for (const entry of worker.held) {
      worker.heldBytes += waitingBytes(entry);
      worker.expectedMs += this.#paceOf(entry).expectedMs;
    }
    this.#fill(worker);
  }

  /** Commits are over: nothing of this can be taken back, only refused. */
  #send(entry: Waiting, message: Message, toUser: boolean): void {
    const refusal =
      toUser && this.#host.declares(message.topic)
        ? 'the topic is a declared command, and never a user topic'
        : this.#host.sent({
            ...message,
            // Kept for long, it must not hold on to the whole batch.
            payload: message.payload.slice(),
            expiresAtMs: this.#host.now() + message.expiresAtMs,
          });
    if (refusal === undefined) {
      this.counters.sends++;
      return;
    }
    this.counters.sendsRefused++;
    const { topic } = message;
    this.#host.report({ kind: 'send-refused', run: this.#partyOf(entry), topic, detail: refusal });
  }

  /** What the worker was running failed with it. Of all else that it held, nothing has happened: others take it. */
  #lost(worker: PoolWorker, why: Fault): void {
    for (const entry of worker.takeUnheard()) {
      this.#failed(entry, fault('worker-lost', 'it was done, but what it sent is lost'));
      this.#finish(entry);
    }
    const running = worker.takeRunning();
    if (running !== undefined) {
      this.#failed(running, why);
      this.#finish(running);
    }
    this.#queue.giveBack(worker, worker.held.splice(0));
    this.#flush();
  }

  #failed(entry: Waiting, why: Fault): void {
    this.counters.failed[why.kind]++;
    this.#host.report({ kind: 'run-failed', run: this.#partyOf(entry), fault: why });
  }

  #finish(entry: Waiting): void {
    this.#queue.finished(entry);
    this.#release(entry.receipt);
    this.#count();
    if (this.#queue.size === 0) this.#whenIdle?.();
  }

  #release(receipt: Receipt): void {
    const { number, dropped } = receipt;
    if (--receipt.outstanding === 0 && number !== 0 && !dropped) this.#host.handled(number);
  }

  #drop(reason: CommandDropReason, { topic, publisher }: Message): void {
    const { user, clientIdentifier } = publisher;
    this.counters.dropped[reason]++;
    this.#host.report({ kind: 'command-dropped', reason, topic, user, clientIdentifier });
  }

  #report(event: PluginEvent): void {
    if (event.kind === 'worker-replaced') this.counters.workersReplaced++;
    this.#host.report(event);
  }

  #count(): void {
    this.counters.queuedCommands = this.#queue.size;
    this.counters.queuedBytes = this.#queue.bytes;
  }

  #paceOf(entry: Waiting): Pace {
    return this.#paces[entry.handler] as Pace;
  }

  #partyOf({ message, handler, invocation }: Waiting): RunParty {
    const { topic, publisher } = message;
    const { user, clientIdentifier } = publisher;
    const plugin = this.#catalogue?.handlers[handler]?.file.plugin ?? '';
    return { plugin, invocation, topic, user, clientIdentifier };
  }
}
