/**
 * Runs commands in a worker: begins them in order, one after the other, and while one awaits something
 * goes on with the next.
 *
 * Runs that follow each other form a group: their writes are committed at once, and what became of them is
 * posted in one batch, with what they sent. Until then nothing of them has happened, so that a worker
 * that ends in the midst of a group takes nothing with it that would be missed. A run that stands in
 * the store's transaction and awaits something holds up those of the group that stand in it as well,
 * with what their users asked for later, and the start of those that are known to write.
 */
import { parted, unpack } from './batch.ts';
import { type Commands, ToRun } from './exchange.ts';
import { describeThrown, type Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import { FleetingName, type Name } from './invocation.ts';
import { packSends } from './mark.ts';
import { type Done, postIdle, postOutcomes } from './outcomes.ts';
import { type Command, Run, type Source, type Surroundings } from './run.ts';
import type { Standing } from './standing.ts';
import { type NewMark, StoreUse } from './store.ts';

/** A group is settled when it is this old, or has sent this much, and more commands wait. */
const GROUP_MS = 5;
const GROUP_SENT_BYTES = 1024 * 1024;
/** A run that is over within so many turns of the microtask queue has awaited nothing that takes time. */
const SHORT_TURNS = 8;
/** From so many times on, a run that is begun anew has the right to write before it begins. */
const EAGER_AFTER = 2;
/** How long the worker has nothing to do before it tidies up. */
const IDLE_MS = 1_000;

/** A command with what is known of it here. */
export interface Job {
  readonly slot: number;
  /** An earlier one that must be over before it begins; undefined for none, and once this one is settled. */
  after: Job | undefined;
  /** Whether its run is over. */
  over: boolean;
  /** Whether it is over and part of what the transaction commits, or comes after one that is and is told of with it. */
  stands: boolean;
  readonly command: Command;
  /** How often it was begun anew because of the store. */
  redone: number;
  /** Whether it is to be committed by itself, since it was in a group whose commit failed. */
  alone: boolean;
}

/** A run that has begun. */
interface Active {
  readonly job: Job;
  readonly run: Run;
  readonly startedAt: number;
  startMs: number;
  over: boolean;
  /** Whether it was left to what it awaits. */
  left: boolean;
}

export class Runner {
  readonly #standing: Standing;
  readonly #surroundings: Surroundings;
  readonly #sources: readonly Source[];
  readonly #ready = new Fifo<Job>();
  /** Those that wait for the run that stands in the transaction. */
  readonly #writers: Job[] = [];
  /** Those that wait for the run in a slot. */
  readonly #behind = new Map<number, Job[]>();
  /** All that was taken and is not settled, by slot. */
  readonly #jobs = new Map<number, Job>();
  /** Runs that await something. */
  readonly #active = new Set<Active>();
  #working = false;
  #group: Done[] = [];
  #groupSince = 0;
  #groupBytes = 0;
  #begunSinceIdle = false;
  #idle: NodeJS.Timeout | undefined = undefined;
  #whenDone: (() => void) | undefined = undefined;

  constructor(sources: readonly Source[], standing: Standing, surroundings: Surroundings) {
    this.#sources = sources;
    this.#standing = standing;
    this.#surroundings = surroundings;
  }

  take(commands: Commands): void {
    const { runs } = commands;
    const names = namesOf(commands);
    this.#surroundings.store.forget(commands.forget);
    for (const [index, message] of unpack(commands.messages).entries()) {
      const row = ToRun.Count * index;
      const slot = runs[row + ToRun.Slot] as number;
      const command: Command = {
        source: this.#sources[runs[row + ToRun.Handler] as number] as Source,
        message,
        number: runs[row + ToRun.Number] as number,
        name: names[index] as Name,
        attempt: runs[row + ToRun.Attempt] as number,
      };
      const after = this.#jobs.get((runs[row + ToRun.After] as number) - 1);
      const job: Job = {
        slot,
        after,
        over: false,
        stands: false,
        command,
        redone: 0,
        alone: false,
      };
      this.#jobs.set(slot, job);
      this.#line(job);
    }
    clearTimeout(this.#idle);
    this.#wake();
  }

  /** It is begun in its turn, once the one that it comes after is over. */
  #line(job: Job): void {
    const { after } = job;
    if (after === undefined || after.over) this.#ready.push(job);
    else this.#behind.set(after.slot, [...(this.#behind.get(after.slot) ?? []), job]);
  }

  /** Resolves when all that was taken is settled. */
  async finish(): Promise<void> {
    if (this.#isDone) return;
    await new Promise<void>((resolve) => {
      this.#whenDone = resolve;
    });
  }

  get #isDone(): boolean {
    return this.#jobs.size === 0;
  }

  #wake(): void {
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    const { store } = this.#surroundings;
    do {
      while (!this.#standing.condemned) {
        if (store.user === undefined) this.#ready.unshift(this.#writers.splice(0));
        const job = this.#ready.peek();
        if (job === undefined) break;
        if (store.user !== undefined && (writes(job) || job.after?.stands)) {
          this.#ready.shift();
          this.#writers.push(job);
          continue;
        }
        // What may take a while, or may fail with all that shares its commit, does so without others.
        if (job.alone || job.command.source.habits.waits) this.#settle();
        if (this.#ready.peek() !== job) continue; // those whose commit failed come first
        this.#ready.shift();
        const active = this.#begin(job);
        if (active !== undefined) await this.#leave(active);
        const age = performance.now() - this.#groupSince;
        if (job.alone || age > GROUP_MS || this.#groupBytes > GROUP_SENT_BYTES) this.#settle();
      }
      this.#settle();
      // A commit that failed brings those back that it was for. Who is condemned begins none of them.
    } while (!this.#standing.condemned && this.#mayBegin);
    this.#working = false;
    this.#rest();
  }

  get #mayBegin(): boolean {
    const writersMay = this.#surroundings.store.user === undefined && this.#writers.length > 0;
    return writersMay || this.#ready.length > 0;
  }

  /** Begins a run; gives back one that awaits something. */
  #begin(job: Job): Active | undefined {
    const { habits } = job.command.source;
    const use = new StoreUse(writes(job));
    const run = new Run(job.command, use, this.#surroundings);
    const startedAt = performance.now();
    const active: Active = { job, run, startedAt, startMs: 0, over: false, left: false };
    this.#begunSinceIdle = true;
    this.#standing.begins(job.slot);
    const outcome = this.#start(active);
    active.startMs = performance.now() - startedAt;
    this.#standing.yields();
    this.#surroundings.store.rest();
    if (!(outcome instanceof Promise)) {
      habits.waits = false;
      this.#finish(active, outcome);
      return undefined;
    }
    this.#active.add(active);
    void outcome.then((why) => this.#finish(active, why));
    return active;
  }

  #start({ job, run }: Active): Promise<Fault | undefined> | Fault | undefined {
    if (job.redone >= EAGER_AFTER) {
      try {
        this.#surroundings.store.joinNow(run.use);
      } catch (error) {
        return this.#storeFault(error);
      }
    }
    return run.start();
  }

  /** Leaves a run to what it awaits, unless that is nothing. */
  async #leave(active: Active): Promise<void> {
    const { run, job } = active;
    for (let turn = 0; turn < SHORT_TURNS && !active.over; turn++) await undefined;
    job.command.source.habits.waits = !active.over;
    if (active.over) return;
    active.left = true;
    run.limitTime();
    this.#standing.beats(true);
    this.#settle();
  }

  /** The run is over. */
  #finish(active: Active, outcome: Fault | undefined): void {
    if (active.over || this.#standing.condemned) return;
    active.over = true;
    this.#active.delete(active);
    if (this.#active.size === 0) this.#standing.beats(false);
    const { job, run } = active;
    if (run.use.stale && !run.timedOut) this.#again(job, run.use);
    else if (job.after?.over === false) {
      // The commit of what it comes after failed while it awaited something.
      this.#surroundings.store.undo(run.use);
      this.#line(job);
    } else this.#keep(active, outcome);
    if (!this.#working) queueMicrotask(() => this.#wake());
  }

  /** Begins a run anew whose store has changed under it; that is no failed attempt. */
  #again(job: Job, use: StoreUse): void {
    this.#surroundings.store.undo(use);
    job.redone++;
    job.command.source.habits.locksFirst = true;
    this.#ready.unshift([job]);
    this.#settle();
  }

  #keep(active: Active, outcome: Fault | undefined): void {
    const { job, run, startedAt, startMs } = active;
    const { use } = run;
    const { store } = this.#surroundings;
    const { habits, name } = job.command.source;
    const marks = use.wrote && job.command.number !== 0;
    let why = outcome;
    try {
      if (why === undefined) store.keep(use, marks ? this.#markOf(run, name) : undefined);
    } catch (error) {
      why = this.#storeFault(error);
    }
    if (why !== undefined) store.undo(use);
    else if (use.locksFirst && use.joined && !use.wrote) habits.locksFirst = false;
    if (this.#group.length === 0) this.#groupSince = startedAt;
    for (const { message } of run.sends) this.#groupBytes += message.payload.length;
    const durationMs = performance.now() - startedAt;
    const wrote = marks && why === undefined;
    this.#group.push({ job, run, fault: why, durationMs, startMs, wrote });
    // Should another run end this worker before this one is committed, nothing of it has happened. Of
    // one that awaited something, nobody knows whether it was not its own doing.
    if (!active.left) this.#standing.unbegins(job.slot);
    job.over = true;
    job.stands = (use.joined && why === undefined) || job.after?.stands === true;
    for (const next of this.#behind.get(job.slot) ?? []) this.#ready.push(next);
    this.#behind.delete(job.slot);
  }

  #markOf({ command, sends }: Run, handler: string): NewMark {
    return { message: command.number, handler, sends: packSends(sends, Date.now()) };
  }

  /**
   * Commits the group and posts what became of it. While a run that stands in the transaction awaits
   * something, only what has no part in that and comes after nothing that has.
   */
  #settle(): void {
    const { store } = this.#surroundings;
    const held = store.user !== undefined;
    const group = held ? this.#group.filter(({ job }) => !job.stands) : this.#group;
    // Of runs that were undone a transaction may be left, which nobody wants.
    if (group.length === 0 && !held) store.abandon();
    if (group.length === 0 || !this.#standing.claims()) return;
    this.#group = held ? this.#group.filter(({ job }) => job.stands) : [];
    this.#groupBytes = 0;
    let redo: Done[] = [];
    try {
      if (!held) store.commit();
    } catch (error) {
      const standing = group.filter(({ job }) => job.stands);
      // By whose fault shows when each run that wrote stands alone, so those are done once more, and
      // behind them what their users asked for later.
      if (group.length > 1) redo = standing;
      else for (const done of standing) done.fault = this.#storeFault(error);
    }
    const settled = redo.length === 0 ? group : group.filter((done) => !redo.includes(done));
    for (const { job } of settled) {
      job.after = undefined;
      job.stands = false;
      this.#jobs.delete(job.slot);
      this.#standing.settles(job.slot);
    }
    postOutcomes(settled);
    this.#standing.goesOn();
    if (redo.length > 0) this.#redo(redo);
  }

  /** They are begun once more, before all that has not begun; what comes after one of them waits for it again. */
  #redo(group: readonly Done[]): void {
    const jobs = group.map(({ job }) => job);
    for (const job of jobs) {
      job.alone = true;
      job.over = false;
      job.stands = false;
    }
    const waiting = [...this.#writers.splice(0), ...this.#ready.all()];
    this.#ready.clear();
    for (const job of [...jobs, ...waiting]) this.#line(job);
  }

  #storeFault(error: unknown): Fault {
    const { roots, redactor } = this.#surroundings;
    return redactor.fault({ ...describeThrown('store', error, roots), retry: true });
  }

  /** There is nothing to begin. */
  #rest(): void {
    if (this.#isDone) {
      this.#whenDone?.();
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.#surroundings.store.forgetNow(), IDLE_MS);
    }
    const couldBeginMore = this.#ready.length === 0 && this.#active.size > 0;
    if (!couldBeginMore || !this.#begunSinceIdle) return;
    this.#begunSinceIdle = false;
    postIdle();
  }
}

function namesOf({ runs, invocations, traces, origin }: Commands): Name[] {
  const count = runs.length / ToRun.Count;
  const given = parted(invocations, count);
  const tracesGiven = parted(traces, count);
  return given.map((invocation, index) =>
    invocation === '' && origin !== undefined
      ? new FleetingName(origin, runs[ToRun.Count * index + ToRun.Sequence] as number)
      : { invocation, trace: tracesGiven[index] as string },
  );
}

/** Whether it is taken to write, and to have the right to with its first use of the store. */
function writes({ redone, alone, command }: Job): boolean {
  return redone > 0 || alone || command.source.habits.locksFirst;
}
