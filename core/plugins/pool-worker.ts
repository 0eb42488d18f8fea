/** A worker as the pool sees it: what it holds, where it stands, and how it comes and goes. */
import { pack, transferOf } from './batch.ts';
import type { Waiting } from './command-queue.ts';
import {
  type FromWorker,
  type Load,
  type Loaded,
  type LogLine,
  type Outcomes,
  Phase,
  Progress,
  type Retire,
  type Stray,
} from './exchange.ts';
import type { PluginFile } from './loader.ts';

/** How a load came out; `file` is the one that was being imported. */
export type LoadOutcome =
  | Loaded
  | { readonly kind: 'lost'; readonly file: PluginFile | undefined; readonly detail: string };

export interface PoolWorkerListener {
  settled(worker: PoolWorker, outcomes: Outcomes): void;
  /** The thread ended of itself, after it had loaded. */
  ended(worker: PoolWorker, detail: string): void;
  said(note: LogLine | Stray): void;
}

export class PoolWorker {
  /** Oldest first; what is settled has left. */
  readonly held: Waiting[] = [];
  heldBytes = 0;
  /** Work that is held, by what its handlers usually take. */
  expectedMs = 0;
  /** The place of each handler in this worker, by name; those that did not load here are missing. */
  places: ReadonlyMap<string, number> = new Map();
  /** Since when another version has taken its place; undefined while new commands are for it. */
  retiredAtMs: number | undefined = undefined;
  readonly #thread: Worker;
  readonly #progress = new Int32Array(new SharedArrayBuffer(16));
  readonly #listener: PoolWorkerListener;
  readonly #files: readonly PluginFile[];
  readonly #loaded = Promise.withResolvers<LoadOutcome>();
  readonly #closing = Promise.withResolvers<void>();
  #loading: PluginFile | undefined = undefined;
  #loadTimeoutMs = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  #tooLate = (): void => {};
  #ready = false;
  #retiring = false;
  #gone = false;
  #settledCount = 0;
  #lastError = '';
  /** Where it stood when it was last looked at, and since when. */
  #stood = '';
  #stoodSinceMs = 0;

  constructor(load: Omit<Load, 'kind' | 'progress'>, listener: PoolWorkerListener) {
    this.#files = load.files;
    this.#listener = listener;
    const program = Bun.isStandaloneExecutable ? './core/plugins/worker.ts' : './worker.ts';
    this.#thread = new Worker(new URL(program, import.meta.url));
    this.#thread.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if (!this.#gone && typeof data === 'object' && data !== null) this.#hear(data);
    });
    this.#thread.addEventListener('error', (event) => {
      event.preventDefault();
      // It comes with the source around it.
      this.#lastError = /^error: (.*)$/m.exec(event.message)?.[1] ?? event.message;
    });
    this.#thread.addEventListener('close', (event) => this.#closed(event as CloseEvent));
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

  /** Hands over commands, all of them with a place in `handlers`. */
  post(entries: readonly Waiting[], nowMs: number): void {
    if (entries.length === 0) return;
    if (this.held.length === 0) this.#stoodSinceMs = nowMs;
    for (const entry of entries) this.held.push(entry);
    const messages = pack(entries.map((entry) => entry.message));
    const handlers = Uint32Array.from(entries, (entry) => this.handlers[entry.handler] as number);
    const invocations = entries.map((entry) => entry.invocation);
    const batch = { kind: 'commands', messages, handlers, invocations };
    this.#thread.postMessage(batch, transferOf(messages));
  }

  /** How long it has stood in one place by its own fault. To be asked again and again while it holds something. */
  stuckMs(nowMs: number): number {
    const waiting = this.#read(Progress.Waiting);
    const stood = `${this.#read(Progress.Running)} ${this.#read(Progress.Settled)} ${waiting}`;
    if (stood !== this.#stood || waiting === 1) {
      this.#stood = stood;
      this.#stoodSinceMs = nowMs;
    }
    return nowMs - this.#stoodSinceMs;
  }

  /** Takes the right to commit away; false where it is committing, or where what it committed is still on its way here. */
  condemn(): boolean {
    const phase = Atomics.compareExchange(
      this.#progress,
      Progress.Phase,
      Phase.Running,
      Phase.Condemned,
    );
    return phase !== Phase.Settling && this.#read(Progress.Settled) === this.#settledCount;
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
    this.#thread.terminate();
    this.#closing.resolve();
  }

  /** Takes out what it was running when it ended: undefined where it stood between two runs. */
  takeRunning(): Waiting | undefined {
    const running = this.#read(Progress.Running);
    return running === 0
      ? undefined
      : this.held.splice((running - 1 - this.#settledCount) | 0, 1)[0];
  }

  /** Takes out what it committed without our hearing of it; nothing, unless a thread breaks off in the midst of a message. */
  takeUnheard(): readonly Waiting[] {
    const unheard = (this.#read(Progress.Settled) - this.#settledCount) | 0;
    this.#settledCount += unheard;
    return this.held.splice(0, unheard);
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
        this.#settledCount = (this.#settledCount + note.durationsMs.length) | 0;
        return this.#listener.settled(this, note);
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
