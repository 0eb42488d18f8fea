/**
 * Keeps the workers up: loads the plugins into each, leaves out files that will not load, ends a
 * worker that is stuck in a run for too long, and replaces one that ended by whatever means.
 */
import { Catalogue, handlerKey } from './catalogue.ts';
import type { PluginEvent } from './events.ts';
import type { Load, Loaded, LogLine, Outcomes, Stray } from './exchange.ts';
import { type Fault, fault, shownPath } from './fault.ts';
import type { PluginFile } from './loader.ts';
import { PoolWorker } from './pool-worker.ts';

/** What a run that has used up its time has for giving up by itself before its worker is ended. */
const GRACE_MS = 200;
/** Workers that end one after the other before they did anything are replaced ever more slowly. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;

export interface CrewOptions extends Omit<Load, 'kind' | 'progress'> {
  readonly workers: number;
  /** How long one file may take to import. */
  readonly loadTimeoutMs: number;
}

export interface CrewListener {
  /** It has loaded, and can be given commands. */
  ready(worker: PoolWorker): void;
  settled(worker: PoolWorker, outcomes: Outcomes): void;
  /** It is no more. `fault` is that of the run that it was in, if any. */
  lost(worker: PoolWorker, fault: Fault): void;
  said(note: LogLine | Stray): void;
  report(event: PluginEvent): void;
}

export class Crew {
  /** Those that have loaded. */
  readonly workers = new Set<PoolWorker>();
  readonly #options: CrewOptions;
  readonly #listener: CrewListener;
  /** Those that are worth importing. */
  #files: readonly PluginFile[];
  #catalogue = new Catalogue([]);
  readonly #loading = new Set<PoolWorker>();
  #endedInVain = 0;
  #watch: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  constructor(options: CrewOptions, listener: CrewListener) {
    this.#options = options;
    this.#listener = listener;
    this.#files = options.files;
  }

  /** Loads the plugins; resolves to what they are when the first worker is up. Rejects where workers cannot be made at all. */
  async start(): Promise<Catalogue> {
    if (this.#files.length === 0) return this.#catalogue;
    const first = await this.#raise();
    if (first === undefined) return this.#catalogue;
    this.#catalogue = new Catalogue(first.loaded.handlers);
    this.#report(first.loaded);
    if (first.loaded.handlers.length === 0 || this.#stopped) {
      first.worker.end();
      return this.#catalogue;
    }
    this.#admit(first.worker, first.loaded);
    for (let count = 1; count < this.#options.workers; count++) void this.#add();
    return this.#catalogue;
  }

  /** To be called when commands were handed over: sees to it that none takes too long. */
  watch(): void {
    if (this.#watch !== undefined || this.#stopped) return;
    const everyMs = Math.min(100, Math.max(5, this.#options.timeoutMs / 10));
    this.#watch = setInterval(() => this.#look(), everyMs);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#watch);
    for (const worker of [...this.workers, ...this.#loading]) worker.end();
    this.workers.clear();
  }

  #look(): void {
    const now = performance.now();
    let busy = false;
    for (const worker of this.workers) {
      if (worker.held.length === 0) continue;
      busy = true;
      const stuckMs = worker.stuckMs(now);
      if (stuckMs < this.#options.timeoutMs + GRACE_MS || !worker.condemn()) continue;
      worker.end();
      const detail = `took longer than ${this.#options.timeoutMs} ms, and its worker was ended`;
      this.#lose(worker, fault('timeout', detail));
    }
    if (busy) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #lose(worker: PoolWorker, why: Fault): void {
    this.workers.delete(worker);
    this.#listener.lost(worker, why);
    this.#replace(why.detail);
  }

  #replace(detail: string): void {
    if (this.#stopped) return;
    const step = this.#endedInVain++;
    const afterMs = step === 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** step);
    this.#listener.report({ kind: 'worker-replaced', detail, afterMs });
    setTimeout(() => void this.#add(), afterMs);
  }

  /** Another worker. Never rejects. */
  async #add(): Promise<void> {
    if (this.#stopped) return;
    try {
      const raised = await this.#raise();
      if (raised === undefined) return;
      this.#report(raised.loaded, false);
      this.#admit(raised.worker, raised.loaded);
    } catch (error) {
      this.#replace((error as Error).message);
    }
  }

  #admit(worker: PoolWorker, { handlers }: Loaded): void {
    const places = new Map(handlers.map((handler, place) => [handlerKey(handler), place]));
    worker.handlers = this.#catalogue.handlers.map((each) => places.get(handlerKey(each)) ?? -1);
    this.workers.add(worker);
    this.#listener.ready(worker);
  }

  /** A worker that has loaded all files that load; undefined where the crew was stopped meanwhile. */
  async #raise(): Promise<{ worker: PoolWorker; loaded: Loaded } | undefined> {
    for (;;) {
      const worker = this.#make();
      this.#loading.add(worker);
      const outcome = await worker.load(this.#options.loadTimeoutMs);
      this.#loading.delete(worker);
      if (this.#stopped) {
        worker.end();
        return undefined;
      }
      if (outcome.kind === 'loaded') return { worker, loaded: outcome };
      const { file, detail } = outcome;
      if (file === undefined) throw new Error(`a worker for handlers cannot be started: ${detail}`);
      this.#refuse(file, fault('load', detail, shownPath(file.path, this.#options.root)));
    }
  }

  #make(): PoolWorker {
    const { root, storePath, separator, timeoutMs } = this.#options;
    return new PoolWorker(
      { root, storePath, separator, timeoutMs, files: this.#files },
      {
        settled: (worker, outcomes) => {
          this.#endedInVain = 0;
          this.#listener.settled(worker, outcomes);
        },
        ended: (worker, detail) => this.#lose(worker, fault('worker-lost', detail)),
        said: (note) => this.#listener.said(note),
      },
    );
  }

  #report({ handlers, faults }: Loaded, first = true): void {
    for (const [file, why] of faults) this.#refuse(file, why);
    if (!first) return;
    for (const plugin of new Set(handlers.map((handler) => handler.file.plugin))) {
      const its = handlers.filter((handler) => handler.file.plugin === plugin);
      const topics = its.flatMap((handler) => handler.topics);
      this.#listener.report({ kind: 'plugin-loaded', plugin, topics });
    }
  }

  /** The file is not imported again. */
  #refuse(file: PluginFile, why: Fault): void {
    this.#files = this.#files.filter((each) => each.path !== file.path);
    this.#listener.report({ kind: 'plugin-refused', plugin: file.plugin, fault: why });
  }
}
