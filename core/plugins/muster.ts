/** Finds out what of a version loads, with one worker after the other until all that is left does. */
import type { Loaded, LoadedHandler } from './exchange.ts';
import { type Fault, fault, shownPath } from './fault.ts';
import type { Lineup } from './lineup.ts';
import type { PluginFile } from './loader.ts';
import type { LoadOutcome, PoolWorker } from './pool-worker.ts';

export interface Raised {
  readonly worker: PoolWorker;
  readonly outcome: LoadOutcome;
}

export interface Mustering {
  readonly lineup: Lineup;
  /** The handlers that serve until now. */
  readonly handlers: readonly LoadedHandler[];
  raise(files: readonly PluginFile[]): Promise<Raised>;
  end(worker: PoolWorker): void;
  /** `kept` tells whether its plugin runs on as it was. */
  refuse(file: PluginFile, why: Fault, kept: boolean): void;
  /** Not even what runs until now would load again: nothing is changed. */
  giveUp(why: Fault): void;
  /** Whether there is no use in another try. */
  isPassed(): boolean;
}

export interface Mustered {
  readonly files: readonly PluginFile[];
  /** Undefined where there are no files. */
  readonly first: { readonly worker: PoolWorker; readonly loaded: Loaded } | undefined;
}

/** Resolves to undefined where nothing is to be changed. Rejects where no worker can be started. */
export async function muster(mustering: Mustering): Promise<Mustered | undefined> {
  const { lineup, handlers } = mustering;
  for (const file of lineup.emptied(handlers)) {
    const detail = 'the file is empty; remove it to remove its handlers';
    mustering.refuse(file, fault('load', detail, shownPath(file.path, file.root)), true);
    lineup.refuse(file);
  }
  for (;;) {
    const { files } = lineup;
    if (files.length === 0) return { files, first: undefined };
    const { worker, outcome } = await mustering.raise(files);
    const verdicts = faultsOf(outcome).map(([file, why]) => {
      const verdict = lineup.refuse(file);
      if (verdict === 'hopeless') mustering.giveUp(why);
      else mustering.refuse(file, why, verdict === 'kept');
      return verdict;
    });
    if (outcome.kind === 'loaded' && verdicts.every((verdict) => verdict === 'dropped')) {
      return { files: lineup.files, first: { worker, loaded: outcome } };
    }
    mustering.end(worker);
    if (outcome.kind === 'lost' && outcome.file === undefined) {
      throw new Error(`a worker for handlers cannot be started: ${outcome.detail}`);
    }
    if (mustering.isPassed() || verdicts.includes('hopeless')) return undefined;
  }
}

/** The files that did not load. */
export function faultsOf(outcome: LoadOutcome): Loaded['faults'] {
  if (outcome.kind === 'loaded') return outcome.faults;
  const { file, detail } = outcome;
  return file === undefined ? [] : [[file, fault('load', detail, shownPath(file.path, file.root))]];
}
