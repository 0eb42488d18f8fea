/** A worker as the pool sees it: what it holds, where it stands, and how it comes and goes. */
import { joined, pack, transferOf } from './batch.ts';
import {
  type Commands,
  type FromWorker,
  type Load,
  type Loaded,
  type LogLine,
  type Mark,
  type Outcomes,
  Phase,
  PROGRESS_LENGTH,
  Progress,
  type Retire,
  SLOTS,
  SlotState,
  type Stray,
  ToRun,
} from './exchange.ts';
import type { Fault } from './fault.ts';
import { FleetingName, type Origin } from './invocation.ts';
import type { Taker } from './lane.ts';
import type { PluginFile } from './loader.ts';
import type { Waiting } from './waiting.ts';
import { freeWriteLock } from './write-lock.ts';

/** How long a thread may not begin what it was given while it is in no run. */
const LEFT_BEHIND_MS = 2_000;

/** How a load came out; `file` is the one that was being imported. */
export type LoadOutcome =
  | Loaded
  | { readonly kind: 'lost'; readonly file: PluginFile | undefined; readonly detail: string };

export interface PoolWorkerListener {
  settled(worker: PoolWorker, outcomes: Outcomes): void;
  /** All that it was given has begun. */
  idle(worker: PoolWorker): void;
  /** The thread ended of itself, after it had loaded. */
  ended(worker: PoolWorker, detail: string): void;
  said(note: LogLine | Stray): void;
}

/** What a worker that is no more had been given. */
export interface Lost {
  /** The one that had the thread, where that is known. */
  readonly running: Waiting | undefined;
  /** Those that had begun, `running` included. */
  readonly begun: readonly Waiting[];
  /** Committed without our hearing of it; none, unless a thread breaks off in the midst of a message. */
  readonly unheard: readonly Waiting[];
  /** Those that had not begun. */
  readonly rest: readonly Waiting[];
}

export class PoolWorker implements Taker {
  heldBytes = 0;
  /** Work that is held and has not begun, by what its handlers usually take until they await something. */
  expectedMs = 0;
  /** Bytes on its heap when it last told, and how often in a row it told of more than it may have. */
  heapBytes = 0;
  overweight = 0;
  /** What the process had taken when this worker was last seen to do something else. */
  stoodAtBytes = Number.POSITIVE_INFINITY;
  /** The place of each handler in this worker, by name; those that did not load here are missing. */
  places: ReadonlyMap<string, number> = new Map();
  /** Why it is to be ended, once it has no right to commit any more; undefined while it has. */
  condemnedFor: Fault | undefined = undefined;
  /** Since when another version has taken its place; undefined while new commands are for it. */
  retiredAtMs: number | undefined = undefined;
  readonly #thread: Worker;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4 * PROGRESS_LENGTH));
  /** By slot. */
  readonly #held = new Array<Waiting | undefined>(SLOTS).fill(undefined);
  #heldCount = 0;
  readonly #freeSlots = Array.from({ length: SLOTS }, (_, index) => SLOTS - 1 - index);
  readonly #listener: PoolWorkerListener;
  readonly #files: readonly PluginFile[];
  readonly #timeoutMs: number;
  readonly #loaded = Promise.withResolvers<LoadOutcome>();
  readonly #closing = Promise.withResolvers<void>();
  #loading: PluginFile | undefined = undefined;
  #loadTimeoutMs = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  #tooLate = (): void => {};
  #ready = false;
  #retiring = false;
  #gone = false;
  #lastError = '';
  /** Where it stood when it was last looked at, and since when. */
  #stood = '';
  #stoodSinceMs = 0;

  constructor(load: Omit<Load, 'kind' | 'progress'>, listener: PoolWorkerListener) {
    this.#files = load.files;
    this.#timeoutMs = load.timeoutMs;
    this.#listener = listener;
    const program = Bun.isStandaloneExecutable ? './core/plugins/worker.ts' : './worker.ts';
    // As it is now: what a worker has by default may be older.
    const env = process.env as { [name: string]: string };
    this.#thread = new Worker(new URL(program, import.meta.url), { env });
    this.#thread.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if (!this.#gone && typeof data === 'object' && data !== null) this.#hear(data);
    });
    this.#thread.addEventListener('error', (event) => {
      event.preventDefault();
      // It comes with the source around it.
      this.#lastError = /^error: (.*)$/m.exec(event.message)?.[1] ?? event.message;
    });
    this.#thread.addEventListener('close', (event) => {
      freeWriteLock(load.writeLock, load.worker);
      this.#closed(event as CloseEvent);
    });
    this.#thread.postMessage({ ...load, kind: 'load', progress: this.#progress } satisfies Load);
  }

  /**
   * Resolves when its plugins are loaded, or when one ended it or took longer than `timeoutMs` to
   * import; then the thread is no more.
   */
  async load(timeoutMs: number): Promise<LoadOutcome> {
    this.#tooLate = () => {
      const detail = `does not load within ${timeoutMs} ms`;
      this.#loaded.resolve({ kind: 'lost', file: this.#loading, detail });
      this.end();
    };
    this.#loadTimeoutMs = timeoutMs;
    this.#timer = setTimeout(this.#tooLate, timeoutMs);
    const outcome = await this.#loaded.promise;
    clearTimeout(this.#timer);
    return outcome;
  }

  get retired(): boolean {
    return this.retiredAtMs !== undefined;
  }
  get lost(): boolean {
    return this.#gone;
  }
  has(handler: string): boolean {
    return this.places.has(handler);
  }

  /** Runs that it was given and that are not settled. */
  get heldCount(): number {
    return this.#heldCount;
  }
  /** How many more it can be given. */
  get room(): number {
    return this.#freeSlots.length;
  }
  get held(): Waiting[] {
    return this.#held.filter((entry) => entry !== undefined);
  }

  /** Hands over commands, all of them with a place here, and no more than there is room for. */
  post(entries: readonly Waiting[], forget: readonly Mark[], nowMs: number): void {
    if (this.#heldCount === 0) this.#stoodSinceMs = nowMs;
    const count = entries.length;
    const runs = new Float64Array(ToRun.Count * count);
    const invocations: string[] = [];
    const traces: string[] = [];
    let origin: Origin | undefined;
    for (let index = 0; index < count; index++) {
      const entry = entries[index] as Waiting;
      const slot = this.#freeSlots.pop() as number;
      entry.slot = slot;
      this.#held[slot] = entry;
      const row = ToRun.Count * index;
      runs[row + ToRun.Slot] = slot;
      runs[row + ToRun.After] = (entry.after?.slot ?? -1) + 1;
      runs[row + ToRun.Handler] = this.places.get(entry.handler.name) as number;
      runs[row + ToRun.Attempt] = entry.attempts + 1;
      runs[row + ToRun.Number] = entry.receipt.number;
      const { name } = entry;
      const isFleeting = name instanceof FleetingName;
      invocations.push(isFleeting ? '' : name.invocation);
      traces.push(isFleeting ? '' : name.trace);
      if (isFleeting) {
        runs[row + ToRun.Sequence] = name.sequence;
        origin = name.origin;
      }
      this.heldBytes += entry.bytes;
      this.expectedMs += entry.handler.pace.startMs;
    }
    this.#heldCount += count;
    const messages = pack(entries.map((entry) => entry.message));
    const names = { invocations: joined(invocations), traces: joined(traces), origin };
    const batch: Commands = { kind: 'commands', messages, runs, ...names, forget };
    this.#thread.postMessage(batch, transferOf(messages));
  }

  /** Takes out the one whose run has settled; undefined where nobody was given that slot. */
  takeSettled(slot: number): Waiting | undefined {
    const entry = this.#held[slot];
    if (entry === undefined) return undefined;
    this.#held[slot] = undefined;
    this.#heldCount--;
    this.heldBytes -= entry.bytes;
    Atomics.store(this.#progress, Progress.Slots + slot, SlotState.Free);
    this.#freeSlots.push(slot);
    return entry;
  }

  /** Reckons anew what waits in it. */
  reckon(): void {
    this.expectedMs = 0;
    if (this.#heldCount === 0) return;
    for (let slot = 0; slot < SLOTS; slot++) {
      const entry = this.#held[slot];
      if (entry === undefined || this.#stateOf(slot) !== SlotState.Free) continue;
      this.expectedMs += entry.handler.pace.startMs;
    }
  }

  /**
   * The time limit that it has exceeded, by more than `graceMs`, without doing anything but one run;
   * undefined while it has not. To be asked again and again while it holds something.
   */
  exceededMs(nowMs: number, processBytes: number, graceMs: number): number | undefined {
    const waiting = this.#read(Progress.Waiting);
    const running = this.#read(Progress.Running);
    const stood = `${running} ${this.#read(Progress.Beat)} ${waiting}`;
    if (stood !== this.#stood || waiting === 1) {
      this.#stood = stood;
      this.#stoodSinceMs = nowMs;
      this.stoodAtBytes = processBytes;
    }
    const entry = running === 0 ? undefined : this.#held[running - 1];
    const limitMs = entry === undefined ? this.#longestMs() : this.#limitOf(entry);
    return nowMs - this.#stoodSinceMs > limitMs + graceMs ? limitMs : undefined;
  }

  /** Whether it is in a run, or in several. */
  get hasBegun(): boolean {
    return this.#begun.length > 0;
  }

  get #begun(): Waiting[] {
    return this.held.filter(({ slot }) => this.#stateOf(slot) === SlotState.Begun);
  }

  /**
   * Of those that have begun, the longest time that one may take. Where none has, what keeps the thread
   * was left behind by a run that is over, and has no claim to the time of one.
   */
  #longestMs(): number {
    if (!this.hasBegun) return Math.min(LEFT_BEHIND_MS, this.#timeoutMs);
    return Math.max(...this.#begun.map((entry) => this.#limitOf(entry)));
  }

  #limitOf({ handler: { rules } }: Waiting): number {
    return rules.timeoutMs ?? this.#timeoutMs;
  }

  /**
   * Takes the right to commit away, because of `why`; false where it is committing. Also false where what it
   * committed is still on its way here: it is condemned then, and to be asked again once that was heard.
   */
  condemn(why: Fault): boolean {
    const { Running, Settling, Condemned } = Phase;
    const place = Progress.Phase;
    const phase = Atomics.compareExchange(this.#progress, place, Running, Condemned);
    if (phase === Settling) return false;
    this.condemnedFor ??= why;
    return !this.held.some(({ slot }) => this.#stateOf(slot) === SlotState.Settled);
  }

  /** Has it tear down and end by itself, at the latest after `timeoutMs`; resolves when it is gone. It must hold nothing. */
  async retire(timeoutMs: number): Promise<void> {
    if (this.#gone) return;
    this.#retiring = true;
    this.#thread.postMessage({ kind: 'retire' } satisfies Retire);
    const timer = setTimeout(() => this.end(), timeoutMs);
    await this.#closing.promise;
    clearTimeout(timer);
  }

  /** Ends the thread. Nothing is heard from it any more. */
  end(): void {
    this.#gone = true;
    clearTimeout(this.#timer);
    this.#thread.terminate();
    this.#closing.resolve();
  }

  /** Takes out all that it held, once it is no more. */
  takeLost(): Lost {
    const { held } = this;
    const ofState = (state: number) => held.filter(({ slot }) => this.#stateOf(slot) === state);
    const running = this.#read(Progress.Running);
    const begun = ofState(SlotState.Begun);
    const lost: Lost = {
      running: begun.find(({ slot }) => slot === running - 1),
      begun,
      unheard: ofState(SlotState.Settled),
      rest: ofState(SlotState.Free),
    };
    for (const { slot } of held) this.takeSettled(slot);
    return lost;
  }

  #stateOf(slot: number): number {
    return this.#read(Progress.Slots + slot);
  }

  #read(place: number): number {
    return Atomics.load(this.#progress, place);
  }

  #hear(note: FromWorker): void {
    switch (note.kind) {
      case 'loading':
        this.#loading = this.#files[note.index];
        clearTimeout(this.#timer);
        this.#timer = setTimeout(this.#tooLate, this.#loadTimeoutMs);
        return;
      case 'loaded':
        this.#ready = true;
        this.places = new Map(note.handlers.map(({ name }, place) => [name, place]));
        return this.#loaded.resolve(note);
      case 'outcomes':
        if (note.heapBytes > 0) this.heapBytes = note.heapBytes;
        return this.#listener.settled(this, note);
      case 'idle':
        this.expectedMs = 0;
        return this.#listener.idle(this);
      case 'retired':
        return this.end();
      case 'log':
      case 'stray':
        return this.#listener.said(note);
      default:
        note satisfies never; // a plugin posted something of its own
    }
  }

  #closed({ code }: CloseEvent): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#closing.resolve();
    if (this.#retiring) return;
    const detail = this.#lastError === '' ? `it ended with exit code ${code}` : this.#lastError;
    if (this.#ready) this.#listener.ended(this, detail);
    else this.#loaded.resolve({ kind: 'lost', file: this.#loading, detail });
  }
}
