/**
 * Keeps the workers up: loads the plugins into each, replaces one that ended by whatever means, and
 * ends one that is stuck. When the plugins folder has changed it raises new workers beside the old: new
 * commands go to the new ones, while the old finish what they have begun and end.
 */
import { hasDescriptorsForThread } from '../store/descriptors.ts';
import { Catalogue } from './catalogue.ts';
import { Copies } from './copies.ts';
import type { PluginEvent } from './events.ts';
import type { Load, LogLine, Outcomes, Stray } from './exchange.ts';
import { type Fault, fault } from './fault.ts';
import { describeSwap, Lineup } from './lineup.ts';
import { LiveFolder } from './live.ts';
import type { PluginFile } from './loader.ts';
import { faultsOf, type Mustered, muster, type Raised } from './muster.ts';
import { PoolWorker } from './pool-worker.ts';
import type { Version } from './version.ts';

/** What a run that has used up its time has for giving up by itself before its worker is ended. */
const GRACE_MS = 200;
/** Workers that end one after the other before they did anything are replaced ever more slowly. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** How long what plugins tear down may take. */
const TEARDOWN_MS = 5_000;
/** How long at least and at most old workers stay for commands whose handler was removed. */
const LINGER_MS = 1_000;
const LONGEST_LINGER_MS = 60_000;

export interface CrewOptions
  extends Omit<Load, 'kind' | 'progress' | 'source' | 'files' | 'worker'> {
  /** The plugins folder. One that is not there is an empty one. */
  readonly folder: string;
  /** Where copies of it are made; nobody else may use it. */
  readonly copies: string;
  /** Whether to follow its changes. */
  readonly watched: boolean;
  readonly workers: number;
  /** Bytes that a worker may hold before another takes its place. */
  readonly memoryBytes: number;
  /** How long one file may take to import. */
  readonly loadTimeoutMs: number;
}

export interface CrewListener {
  /**
   * New commands are for these handlers from now on. Before the first is ready, too. What has not
   * begun, goes to them by name; what has, is finished by those in `retired`.
   */
  swapped(catalogue: Catalogue): void;
  /** It has loaded, or has begun all that it was given: it can be given more. */
  ready(worker: PoolWorker): void;
  /** Whether a retired worker, which holds nothing, is still wanted: for a command whose handler is nowhere else. */
  wants(worker: PoolWorker): boolean;
  settled(worker: PoolWorker, outcomes: Outcomes): void;
  /** It is no more. `fault` is that of the run that it was in, if any. */
  lost(worker: PoolWorker, fault: Fault): void;
  said(note: LogLine | Stray): void;
  report(event: PluginEvent): void;
}

export class Crew {
  /** Those that new commands are for. */
  readonly workers = new Set<PoolWorker>();
  /** Those of an earlier version that are not done yet. */
  readonly retired = new Set<PoolWorker>();
  readonly #options: CrewOptions;
  readonly #listener: CrewListener;
  readonly #live: LiveFolder;
  readonly #copies = new Copies<PoolWorker>();
  /** What serves: undefined until the first has loaded. */
  #serving: Version | undefined = undefined;
  /** What of it, and of those before it, is loaded into workers. */
  #files: readonly PluginFile[] = [];
  /** Counts swaps: what was raised for an earlier one is of no use. */
  #generation = 0;
  #catalogue = new Catalogue([]);
  /** Waits for its turn; a newer one takes its place. */
  #incoming: Version | undefined = undefined;
  #bringing: Version | undefined = undefined;
  readonly #loading = new Set<PoolWorker>();
  /** Workers so far. */
  #count = 0;
  #endedInVain = 0;
  #watch: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  /** Throws a `StoreProblem` where the folder cannot be used, or a migration fails. */
  constructor(options: CrewOptions, listener: CrewListener) {
    this.#options = options;
    this.#listener = listener;
    const { folder, copies, storePath: path, writeLock } = options;
    this.#live = new LiveFolder(
      { folder, copies, store: { path, writeLock } },
      {
        taken: (version) => this.#come(version),
        report: (event) => listener.report(event),
      },
    );
    this.#incoming = this.#live.first();
  }

  /** Loads the plugins; resolves when the first worker is up. Rejects where workers cannot be made at all. */
  async start(): Promise<void> {
    await this.#bringAll();
    if (this.#options.watched && !this.#stopped) this.#live.watch();
  }

  /** Lets another take the place of a worker that holds too much memory; what it was given is finished there. */
  renew(worker: PoolWorker): void {
    if (this.#stopped || !this.workers.delete(worker)) return;
    worker.retiredAtMs = performance.now();
    this.retired.add(worker);
    const held = Math.round(worker.heapBytes / 1024 / 1024);
    const detail = `it holds ${held} MiB, and handlers may hold ${this.#mostMegabytes}`;
    this.#listener.report({ kind: 'worker-replaced', detail, afterMs: 0 });
    void this.#add(this.#generation);
    this.watch();
  }

  get #mostMegabytes(): number {
    return Math.round(this.#options.memoryBytes / 1024 / 1024);
  }

  /** Takes the folder as it is now, if it has changed. */
  reload(): void {
    this.#live.reload();
  }

  /** To be called when commands were handed over: sees to it that none takes too long. */
  watch(): void {
    if (this.#watch !== undefined || this.#stopped) return;
    const everyMs = Math.min(100, Math.max(5, this.#options.timeoutMs / 10));
    this.#watch = setInterval(() => this.#look(), everyMs);
  }

  /** Ends all workers, in good order those that hold nothing. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#live.stop();
    clearInterval(this.#watch);
    for (const worker of this.#loading) worker.end();
    const all = [...this.workers, ...this.retired];
    this.workers.clear();
    this.retired.clear();
    const empty = all.filter((worker) => worker.heldCount === 0);
    for (const worker of all) if (worker.heldCount > 0) worker.end();
    await Promise.all(empty.map((worker) => worker.retire(TEARDOWN_MS)));
    await Promise.all(this.#copies.takeAll().map((version) => this.#live.release(version)));
  }

  #look(): void {
    const now = performance.now();
    const processBytes = process.memoryUsage.rss();
    let busy = false;
    for (const worker of [...this.workers, ...this.retired]) {
      if (worker.heldCount === 0 && worker.condemnedFor === undefined) continue;
      busy = true;
      const why = worker.condemnedFor ?? this.#whyEnd(worker, now, processBytes);
      if (why === undefined || !worker.condemn(why)) continue;
      worker.end();
      this.#lose(worker, why);
    }
    this.#letGo();
    if (busy || this.retired.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /**
   * Why a worker has to be ended; undefined where it does not. How much memory one has taken shows only
   * when it answers. For one that does not, what the process has taken meanwhile is put down to it.
   */
  #whyEnd(worker: PoolWorker, nowMs: number, processBytes: number): Fault | undefined {
    const exceededMs = worker.exceededMs(nowMs, processBytes, GRACE_MS);
    if (exceededMs !== undefined) {
      const detail = worker.hasBegun
        ? `took longer than ${exceededMs} ms, and its worker was ended`
        : `what a run left behind blocked it for ${exceededMs} ms`;
      return fault('timeout', detail);
    }
    if (processBytes - worker.stoodAtBytes <= this.#options.memoryBytes) return undefined;
    const detail = `took more than ${this.#mostMegabytes} MiB of memory, and its worker was ended`;
    return fault('worker-lost', detail);
  }

  #lose(worker: PoolWorker, why: Fault): void {
    const serves = this.workers.delete(worker);
    this.retired.delete(worker);
    this.#listener.lost(worker, why);
    if (serves) this.#replace(why.detail);
    this.#tidy(worker);
  }

  #replace(detail: string): void {
    if (this.#stopped) return;
    const step = this.#endedInVain++;
    const afterMs = step === 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** step);
    this.#listener.report({ kind: 'worker-replaced', detail, afterMs });
    const generation = this.#generation;
    setTimeout(() => void this.#add(generation), afterMs);
  }

  /** Another worker beside the first of its generation. Never rejects. */
  async #add(generation: number): Promise<void> {
    let files = this.#files;
    let missing: Fault | undefined;
    for (;;) {
      if (this.#stopped || generation !== this.#generation) return;
      if (!hasDescriptorsForThread()) return this.#replace('no file descriptors are left');
      const { worker, outcome } = await this.#raise(files, this.#serving?.source ?? '');
      if (this.#stopped || generation !== this.#generation) return this.#end(worker);
      // These did load before.
      for (const [file, why] of faultsOf(outcome)) {
        files = files.filter(({ path }) => path !== file.path);
        missing = why;
        this.#refuse(file, why, this.workers.size > 0);
      }
      if (outcome.kind === 'lost') {
        if (outcome.file === undefined) return this.#replace(outcome.detail);
      } else if (missing === undefined || this.workers.size === 0) {
        return this.#admit(worker);
      } else {
        // The others have it: better one worker less than one that fails what they can do.
        this.#end(worker);
        return this.#replace(missing.detail);
      }
    }
  }

  #admit(worker: PoolWorker): void {
    this.workers.add(worker);
    this.#listener.ready(worker);
  }

  /** There is a new version. */
  #come(version: Version): void {
    const passed = this.#incoming;
    this.#incoming = version;
    if (passed !== undefined) void this.#live.release(passed);
    if (this.#bringing !== undefined || this.#stopped) return;
    this.#bringAll().catch((error) => this.#keep(fault('load', (error as Error).message)));
  }

  /** One version after the other. */
  async #bringAll(): Promise<void> {
    for (;;) {
      const version = this.#incoming;
      if (version === undefined || this.#stopped) return;
      this.#incoming = undefined;
      this.#bringing = version;
      this.#copies.add(version);
      try {
        await this.#bring(version);
      } finally {
        this.#bringing = undefined;
        this.#tidy();
      }
    }
  }

  /** Swaps to what of a version loads. A newer one that waits is brought instead of a second try. */
  async #bring(version: Version): Promise<void> {
    const mustered = await muster({
      lineup: new Lineup(version, this.#files),
      handlers: [...this.#catalogue.handlers.values()],
      raise: (files) => this.#raise(files, version.source),
      end: (worker) => this.#end(worker),
      refuse: (file, why, kept) => this.#refuse(file, why, kept),
      giveUp: (why) => this.#keep(why),
      isPassed: () => this.#incoming !== undefined || this.#stopped,
    });
    if (mustered === undefined) return;
    if (this.#stopped) mustered.first?.worker.end();
    else this.#adopt(version, mustered);
  }

  /** From here on, this is what serves. */
  #adopt(version: Version, { files, first }: Mustered): void {
    const handlers = first?.loaded.handlers ?? [];
    const before = this.#serving;
    const events = describeSwap(
      before && { version: before, handlers: [...this.#catalogue.handlers.values()] },
      { version, handlers },
    );
    this.#serving = version;
    this.#files = files;
    this.#generation++;
    this.#endedInVain = 0;
    for (const worker of this.workers) {
      worker.retiredAtMs = performance.now();
      this.retired.add(worker);
    }
    this.workers.clear();
    this.#catalogue = new Catalogue(handlers, this.#catalogue.without(handlers));
    this.#listener.swapped(this.#catalogue);
    for (const event of events) this.#listener.report(event);
    if (first !== undefined && handlers.length === 0) this.#end(first.worker);
    else if (first !== undefined) {
      this.#admit(first.worker);
      for (let count = 1; count < this.#options.workers; count++) void this.#add(this.#generation);
    }
    this.#letGo();
    if (this.retired.size > 0) this.watch();
  }

  /** Lets retired workers end that are done. */
  #letGo(): void {
    const { leaving } = this.#catalogue;
    for (const worker of this.retired) {
      if (worker.heldCount > 0) continue;
      const age = performance.now() - (worker.retiredAtMs ?? 0);
      // A command may have been accepted and not be here yet.
      const lingers = age < LINGER_MS && leaving.some(({ name }) => worker.places.has(name));
      if (lingers || (age < LONGEST_LINGER_MS && this.#listener.wants(worker))) continue;
      this.retired.delete(worker);
      void worker.retire(TEARDOWN_MS).then(() => this.#tidy(worker));
    }
    if (leaving.length === 0 || this.retired.size > 0) return;
    this.#catalogue = new Catalogue([...this.#catalogue.handlers.values()]);
    this.#listener.swapped(this.#catalogue);
  }

  async #raise(files: readonly PluginFile[], source: string): Promise<Raised> {
    const { folder, copies, watched, workers, memoryBytes, loadTimeoutMs, ...load } = this.#options;
    const worker = new PoolWorker(
      { ...load, files, source, worker: ++this.#count },
      {
        settled: (settled, outcomes) => {
          this.#endedInVain = 0;
          this.#listener.settled(settled, outcomes);
          if (this.retired.size > 0) this.#letGo();
        },
        idle: (idle) => this.#listener.ready(idle),
        ended: (ended, detail) => this.#lose(ended, fault('worker-lost', detail)),
        said: (note) => this.#listener.said(note),
      },
    );
    this.#copies.use(worker, files);
    this.#loading.add(worker);
    const outcome = await worker.load(loadTimeoutMs);
    this.#loading.delete(worker);
    return { worker, outcome };
  }

  #end(worker: PoolWorker): void {
    worker.end();
    this.#tidy(worker);
  }

  /** Removes copies that nobody uses any more. */
  #tidy(gone?: PoolWorker): void {
    if (gone !== undefined) this.#copies.leave(gone);
    if (this.#stopped) return;
    for (const version of this.#copies.takeUnused(this.#files, [this.#serving, this.#bringing])) {
      void this.#live.release(version);
    }
  }

  #refuse({ plugin }: PluginFile, why: Fault, kept: boolean): void {
    this.#listener.report({ kind: 'plugin-refused', plugin, fault: why, kept });
  }

  #keep(why: Fault): void {
    this.#listener.report({ kind: 'plugins-kept', fault: why });
  }
}
