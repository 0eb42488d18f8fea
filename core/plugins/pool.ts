/**
 * The workers that run handlers: start, dispatch, time limits and replacement. The loop hands commands
 * in and gets messages out; whatever a handler does, it waits for nothing.
 *
 * A worker holds about as much work as it does in `TARGET_MS`, judged by what its handlers took so
 * far: enough to make batches, little enough not to keep a command from another worker that is free.
 * What a run awaits is no work: so many may wait at a time in a worker as it has slots.
 */
import type { Separator } from '../auth/user-topic.ts';
import type { CommandState, MessageNumber, StoredCommand } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import { Admission } from './admission.ts';
import { Backlog } from './backlog.ts';
import { unpack } from './batch.ts';
import type { Catalogue } from './catalogue.ts';
import { CommandQueue } from './command-queue.ts';
import { Conclusions, received } from './conclusion.ts';
import { Crew, type CrewOptions } from './crew.ts';
import {
  type CommandDropReason,
  newPluginCounters,
  type PluginCounters,
  type PluginEvent,
} from './events.ts';
import { type Outcomes, type Route, Settled } from './exchange.ts';
import { type Fault, fault } from './fault.ts';
import { HandlerStates } from './handler-states.ts';
import { Losses } from './losses.ts';
import type { Sent } from './mark.ts';
import { Marks } from './marks.ts';
import type { PoolHost } from './pool-host.ts';
import type { PoolWorker } from './pool-worker.ts';
import { Retries, type RetryClock, realClock } from './retries.ts';
import { type HandlerSchedule, scheduleOf } from './schedule.ts';
import { Redactor, readSecrets } from './secrets.ts';
import type { Waiting } from './waiting.ts';
import { newWriteLock } from './write-lock.ts';

export interface PoolOptions {
  /** The plugins folder. One that is not there is an empty one. */
  readonly folder: string;
  /** Where copies of it are made; nobody else may use it. */
  readonly copies: string;
  /** Whether to follow its changes. */
  readonly watched: boolean;
  /** The handlers' database; made when something is first stored. */
  readonly storePath: string;
  readonly separator: Separator;
  readonly workers: number;
  /** How long a run may take, where its handler says nothing else. */
  readonly timeoutMs: number;
  /** Bytes that a worker may hold before another takes its place. */
  readonly memoryBytes: number;
  /** How long one file may take to import. */
  readonly loadTimeoutMs: number;
  /** Most commands that wait in memory, and most bytes of them. */
  readonly queuedCommands: number;
  readonly queuedBytes: number;
  /** Time and chance of retries, where they are not the real ones. */
  readonly clock?: RetryClock;
}

/** A worker is given commands until it holds this much work, or so many bytes. */
const TARGET_MS = 10;
const MOST_HELD_BYTES = 4 * 1024 * 1024;
/** So often in a row a worker, which looks once a second, tells of too large a heap before it is replaced. */
const OVERWEIGHT_LOOKS = 3;

export class Pool {
  readonly counters: PluginCounters = newPluginCounters();
  readonly handlers: HandlerStates;
  /** Knows the secrets of all handlers that there were. */
  readonly redactor = new Redactor();
  readonly #host: PoolHost;
  readonly #storePath: string;
  readonly #memoryBytes: number;
  readonly #queue: CommandQueue;
  readonly #crew: Crew;
  readonly #retries: Retries<Waiting>;
  readonly #marks = new Marks();
  readonly #conclusions: Conclusions;
  readonly #admission: Admission;
  readonly #losses: Losses;
  readonly #backlog: Backlog | undefined;
  #catalogue: Catalogue | undefined = undefined;
  /** What came before the handlers were known. */
  #early: Parameters<Pool['dispatch']>[] = [];
  #started = false;
  /** Whether it is known what was stored before this start. */
  #restored = false;
  #flushing = false;
  #stopping = false;
  #whenIdle: (() => void) | undefined = undefined;

  /** Throws a `StoreProblem` where a migration fails, and where the folder cannot be read. */
  constructor(options: PoolOptions, host: PoolHost) {
    this.#host = host;
    const { queuedCommands, queuedBytes, clock = realClock, ...rest } = options;
    this.#storePath = options.storePath;
    this.#memoryBytes = options.memoryBytes;
    this.handlers = new HandlerStates(options.workers);
    this.#queue = new CommandQueue(queuedCommands, queuedBytes);
    this.#retries = new Retries(clock, (entry) => this.#due(entry));
    const parts = [this.#queue, this.#retries, this.#marks, this.counters, this.redactor] as const;
    this.#conclusions = new Conclusions(host, ...parts);
    this.#losses = new Losses(options.storePath, this.#queue, this.#conclusions);
    this.#admission = new Admission({
      host,
      handlers: this.handlers,
      queue: this.#queue,
      marks: this.#marks,
      conclusions: this.#conclusions,
      drop: (reason, message) => this.#drop(reason, message),
    });
    this.#backlog = host.fetch && new Backlog(host.fetch);
    const crewOptions: CrewOptions = { ...rest, writeLock: newWriteLock() };
    this.#crew = new Crew(crewOptions, {
      swapped: (catalogue) => this.#swapped(catalogue),
      ready: (worker) => this.#fill(worker),
      wants: (worker) => this.handlers.wants(worker, this.#backlog?.waits === true),
      settled: (worker, outcomes) => this.#settled(worker, outcomes),
      lost: (worker, why) => this.#lost(worker, why),
      said: (note) => host.report(note.kind === 'log' ? { ...note, kind: 'handler-log' } : note),
      report: (event) => this.#report(event),
    });
  }

  /** Loads the plugins. Throws a `StoreProblem` where the handlers' database cannot be read. */
  async start(): Promise<void> {
    this.#marks.read(this.#storePath);
    await this.#crew.start();
    this.#started = true;
    for (const command of this.#early.splice(0)) this.dispatch(...command);
    this.#forgetFound();
  }

  /** What the plugins handle. */
  get topics(): readonly TopicFilter[] {
    return this.#catalogue?.topics ?? [];
  }

  /** The handlers that have a time table: for `Schedules.replace`. */
  get schedules(): readonly HandlerSchedule[] {
    return [...(this.#catalogue?.handlers.values() ?? [])].flatMap(scheduleOf);
  }

  /** Whether a command waits for the handler, is under way, or is to be tried again. */
  isBusy(handler: string): boolean {
    return this.handlers.isBusy(handler);
  }

  /** Whether there is a handler of that name. The empty name stands for whoever handles a command's topic. */
  hasHandler(name: string): boolean {
    return name === '' || this.#catalogue?.named(name) !== undefined;
  }

  /**
   * A command for whoever handles its topic; its payload must be good beyond the turn. `number` is 0 where
   * it is not stored: then it is dropped, and counted, where there is no room for it. What is stored is
   * left on disk and read again when there is room.
   */
  dispatch(message: Message, number: MessageNumber, state: CommandState | undefined): void {
    if (this.#stopping) return this.#drop('stopped', message);
    if (!this.#started) {
      this.#early.push([message, number, state]);
      return;
    }
    if (number !== 0 && this.#backlog !== undefined) {
      if (this.#backlog.brought(number)) return;
      if (this.#isFull(message) && this.#backlog.leave(number)) return this.#readOn();
    }
    this.#admission.take(message, number, state);
    this.#count();
    if (this.#flushing) return;
    this.#flushing = true;
    // When the turn has handed over all its commands: they make one batch for each worker.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Commands that `PoolHost.fetch` asked for, with more behind them or not. */
  fetched(commands: readonly StoredCommand[], more: boolean): void {
    if (this.#stopping) return;
    for (const each of commands) this.#admission.take(each.content, each.message, each.state);
    this.#count();
    this.#backlog?.came(commands.at(-1)?.message, more);
    this.#forgetFound();
    this.#flush();
    this.#readOn();
  }

  /** To be called once: all that was stored before this start is on disk, with numbers up to `last`; 0 where nothing is. */
  restore(last: MessageNumber): void {
    this.#restored = true;
    // An older copy of the broker's file gives out numbers anew that have marks.
    this.#marks.forgetFound(last);
    this.#backlog?.found(last);
    this.#forgetFound();
    this.#readOn();
  }

  /** All up to `count` is on disk. */
  stored(count: Position): void {
    this.#marks.stored(count);
  }

  /** Storing goes on again. */
  storageBack(): void {
    this.#conclusions.storageBack();
    this.#queue.holdStored(this.#host.storageFails());
    this.#afterwards();
    this.#flush();
  }

  /** Takes the plugins folder as it is now, if it has changed. */
  reload(): void {
    this.#crew.reload();
  }

  /** Takes no more, gives what waits until `timeoutMs` to be done, and ends the workers. What is not done then is dropped; what is stored waits for the next start. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    this.#shelve();
    if (this.#queue.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
    }
    const workers = [...this.#crew.workers, ...this.#crew.retired];
    const held = workers.flatMap((worker) => worker.held);
    for (const { message } of [...held, ...this.#queue.remove(() => true)]) {
      this.#drop('stopped', message);
    }
    await this.#crew.stop();
  }

  /** What is to be tried again waits for the next start, and so does what is kept behind it. */
  #shelve(): void {
    const kept = this.#queue.remove((entry) => this.#queue.isKeptBack(entry));
    for (const entry of this.#retries.takeAll()) {
      this.#queue.finished(entry);
      kept.push(entry);
    }
    for (const { message } of kept) this.#drop('stopped', message);
  }

  #isFull({ topic, payload }: Message): boolean {
    const bytes = topic.length + payload.length;
    return this.#backlog?.waits === true || this.#queue.refusal(bytes) !== undefined;
  }

  /** Other handlers serve from now on. What waits for one that is gone altogether is given up. */
  #swapped(catalogue: Catalogue): void {
    this.#catalogue = catalogue;
    this.redactor.add(readSecrets(catalogue.secrets, process.env).values);
    this.handlers.become(catalogue);
    this.#admission.become(catalogue);
    this.#queue.relist();
    for (const entry of this.#queue.remove(({ handler }) => handler.gone)) this.#giveUp(entry);
    this.#host.serves(catalogue.topics, catalogue.hooks);
    this.#afterwards();
    this.#flush();
  }

  #giveUp(entry: Waiting): void {
    this.#losses.end(entry, fault('no-handler', 'its handler was removed'));
  }

  #flush(): void {
    for (const worker of this.#crew.workers) this.#fill(worker);
    for (const worker of this.#crew.retired) this.#fill(worker);
  }

  /** Gives a worker what it has room for. */
  #fill(worker: PoolWorker): void {
    this.#queue.holdStored(this.#host.storageFails());
    const entries: Waiting[] = [];
    let { expectedMs, heldBytes, room } = worker;
    let over = 0;
    while (room > 0 && expectedMs < TARGET_MS && heldBytes < MOST_HELD_BYTES) {
      const entry = this.#queue.take(worker);
      if (entry === undefined) break;
      if (entry.message.expiresAtMs <= this.#host.now()) {
        this.#drop('expired', entry.message); // [MQTT-3.3.2-5]
        this.#conclusions.drop(entry);
        over++;
      } else if (!worker.has(entry.handler.name)) {
        const detail = 'the file of its handler does not load any more';
        this.#losses.end(entry, fault('load', detail));
        over++;
      } else {
        entries.push(entry);
        room--;
        expectedMs += entry.handler.pace.startMs;
        heldBytes += entry.bytes;
      }
    }
    if (over > 0) this.#afterwards();
    if (entries.length === 0) return;
    const nowMs = performance.now();
    for (const { handler, sinceMs } of entries) {
      handler.counters.waitSeconds.observe((nowMs - sinceMs) / 1_000);
    }
    worker.post(entries, this.#marks.takeUseless(), nowMs);
    this.#crew.watch();
  }

  #due(entry: Waiting): void {
    entry.sinceMs = performance.now();
    if (entry.handler.gone) {
      this.#giveUp(entry);
      this.#afterwards();
    } else {
      this.#queue.due(entry);
    }
    this.#flush();
  }

  #settled(worker: PoolWorker, outcomes: Outcomes): void {
    const { runs, faults, routes } = outcomes;
    const messages = outcomes.sends === undefined ? [] : unpack(outcomes.sends);
    const nowMs = this.#host.now();
    const faultsByIndex = new Map(faults);
    let sent = 0;
    for (let index = 0, row = 0; row < runs.length; index++, row += Settled.Count) {
      const sends: Sent[] = [];
      for (let left = runs[row + Settled.Sends] as number; left > 0; left--, sent++) {
        const message = received(messages[sent] as Message, nowMs);
        sends.push({ route: routes[sent] as Route, message });
      }
      const entry = worker.takeSettled(runs[row + Settled.Slot] as number);
      if (entry === undefined) continue;
      const durationMs = runs[row + Settled.DurationMs] as number;
      entry.handler.learn(durationMs, runs[row + Settled.StartMs] as number);
      const why = faultsByIndex.get(index);
      const wrote = runs[row + Settled.Wrote] === 1;
      this.#conclusions.take({ entry, fault: why, durationMs, wrote, sends });
    }
    worker.reckon();
    this.#weigh(worker, outcomes.heapBytes);
    this.#afterwards();
    this.#fill(worker);
  }

  /** Replaces a worker whose heap stays too large: garbage would have gone meanwhile. */
  #weigh(worker: PoolWorker, heapBytes: number): void {
    if (heapBytes === 0) return;
    worker.overweight = heapBytes > this.#memoryBytes ? worker.overweight + 1 : 0;
    if (worker.overweight < OVERWEIGHT_LOOKS || worker.retired) return;
    this.#crew.renew(worker);
    this.#queue.relist();
    this.#flush();
  }

  #lost(worker: PoolWorker, why: Fault): void {
    this.#losses.take(worker, worker.takeLost(), why);
    this.#afterwards();
    this.#flush();
  }

  /** Runs are over: there may be room. */
  #afterwards(): void {
    if (this.#stopping) this.#shelve();
    this.#count();
    this.#readOn();
    if (this.#queue.size === 0) this.#whenIdle?.();
  }

  #readOn(): void {
    if (this.#queue.roomy && !this.#stopping) this.#backlog?.read();
  }

  /** Once all that was stored before was seen, the marks that are left are of no use. */
  #forgetFound(): void {
    if (this.#started && this.#restored && this.#backlog?.waits !== true) this.#marks.forgetFound();
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
}
