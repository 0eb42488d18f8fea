/**
 * What the pool and its workers say to each other: batches, and numbers in shared memory that tell
 * where a worker stands even while it answers nothing.
 */
import type { Separator } from '../auth/user-topic.ts';
import type { MessageNumber } from '../broker/changes.ts';
import type { Packed, Texts } from './batch.ts';
import type { HandlerRules } from './definition.ts';
import type { Fault } from './fault.ts';
import type { Origin } from './invocation.ts';
import type { PluginFile } from './loader.ts';

export type ToWorker = Load | Commands | Retire;

/** The first message. Secrets are read from the environment of the process. */
export interface Load {
  readonly kind: 'load';
  /** Each with the folder that it lies in. */
  readonly files: readonly PluginFile[];
  /** The plugins folder that those are copies of, in which packages lie; empty where there is none. Its paths are shown as theirs are. */
  readonly source: string;
  readonly storePath: string;
  readonly separator: Separator;
  /** For handlers that say nothing else. */
  readonly timeoutMs: number;
  /** Where the worker stands: see `Progress`. */
  readonly progress: Int32Array<SharedArrayBuffer>;
  /** Who may write to the store, one in the whole process: see `write-lock.ts`. */
  readonly writeLock: Int32Array<SharedArrayBuffer>;
  /** The worker's number, from 1 on; never used twice. */
  readonly worker: number;
}

/** Runs to be begun in this order. */
export interface Commands {
  readonly kind: 'commands';
  readonly messages: Packed;
  /** `ToRun.Count` numbers for each run: in one array, for what each array costs on its way. */
  readonly runs: Float64Array<ArrayBuffer>;
  /** Each empty where the command has a `FleetingName`, which follows from `origin` and its sequence. */
  readonly invocations: Texts;
  /** Trace ids, 32 hexadecimal digits. */
  readonly traces: Texts;
  readonly origin: Origin | undefined;
  /** Marks that are of no use any more: to be deleted with whatever is written next. */
  readonly forget: readonly Mark[];
}

/** What a run is to be begun with. */
export const ToRun = {
  /** What it is called until its outcome: below `SLOTS`, and free again once that is posted. */
  Slot: 0,
  /** The slot, plus 1, of an earlier run that must be over before it begins; 0 for none. */
  After: 1,
  /** Which handler it is of, by its place among those that the worker loaded. */
  Handler: 2,
  /** Counted from 1. */
  Attempt: 3,
  /** The stored command that it is of; 0 for none, so that no mark is made. */
  Number: 4,
  /** Of its `FleetingName`. */
  Sequence: 5,
  Count: 6,
} as const;

/** What tells that a run has been committed: see `mark.ts`. */
export interface Mark {
  readonly message: MessageNumber;
  readonly handler: string;
}

/** No more commands come. What the worker holds is to be finished, then torn down. */
export interface Retire {
  readonly kind: 'retire';
}

export type FromWorker = Loading | Loaded | Outcomes | Idle | Retired | LogLine | Stray;

/** The file at `index` is about to be imported. */
export interface Loading {
  readonly kind: 'loading';
  readonly index: number;
}

export interface Loaded {
  readonly kind: 'loaded';
  readonly handlers: readonly LoadedHandler[];
  readonly faults: readonly (readonly [file: PluginFile, fault: Fault])[];
}

export interface LoadedHandler {
  /** Its file from the plugins folder on, without extension and `/index`; `#2` and so on for further ones of a file. */
  readonly name: string;
  readonly file: PluginFile;
  /** Its place in the file's default export. */
  readonly position: number;
  readonly rules: HandlerRules;
  /** Names of its secrets. */
  readonly secrets: readonly string[];
}

/** What became of runs, in the order in which they settled: committed, or failed and undone. */
export interface Outcomes {
  readonly kind: 'outcomes';
  /** `Settled.Count` numbers for each run. */
  readonly runs: Float64Array<ArrayBuffer>;
  /** By the place of the run among these. */
  readonly faults: readonly (readonly [index: number, fault: Fault])[];
  /** One of `Route` for each of `sends`. */
  readonly routes: Uint8Array<ArrayBuffer>;
  /** Undefined where nothing was sent. `expiresAtMs` counts from now. */
  readonly sends: Packed | undefined;
  /** Bytes on the heap of this worker when it last looked; 0 where it has not. */
  readonly heapBytes: number;
}

/** How a run ended. */
export const Settled = {
  Slot: 0,
  /** From its beginning to its end, what it awaited included. */
  DurationMs: 1,
  /** How long it kept the thread before it first awaited something. */
  StartMs: 2,
  /** 1 where it wrote to the store, so that there is a mark to forget. */
  Wrote: 3,
  /** How many of `sends` it has. */
  Sends: 4,
  Count: 5,
} as const;

/** How a message was sent: `publish`, `send`, or as the reply to a Response Topic. */
export const Route = { Publish: 0, Send: 1, Reply: 2 } as const;
export type Route = (typeof Route)[keyof typeof Route];

/** All that it was given has begun, and some of it awaits something: it could begin more. */
export interface Idle {
  readonly kind: 'idle';
}

/** Everything is torn down; the thread may end. */
export interface Retired {
  readonly kind: 'retired';
}

export interface LogLine {
  readonly kind: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: { readonly [name: string]: string | number | boolean };
  /** The handler's name; the plugin's while it loads. */
  readonly handler: string;
  /** Empty in `setup` and `teardown`. */
  readonly invocation: string;
  readonly trace: string;
}

/** Something threw outside of a run: a timer or a promise that was left behind. */
export interface Stray {
  readonly kind: 'stray';
  readonly fault: Fault;
}

/** Runs that a worker holds at most. */
export const SLOTS = 256;

/** The places in `progress`. Only the worker writes, but for `Phase` and slots whose outcome was heard. */
export const Progress = {
  /** One of `Phase`. */
  Phase: 0,
  /** The slot, plus 1, of the run that has the thread in its synchronous beginning; 0 for none that is known. */
  Running: 1,
  /** Grows whenever the worker gets to do something of its own: it yields. At least ten times a second while it holds runs. */
  Beat: 2,
  /** 1 while a run keeps the thread waiting for others to be done with the store: that time is not its own. */
  Waiting: 3,
  /** From here on one place for each slot, one of `SlotState`. */
  Slots: 8,
} as const;
export const PROGRESS_LENGTH = Progress.Slots + SLOTS;

/**
 * Where a run stands. The worker sets Begun before it calls the handler, and Settled for all runs of a
 * group once they are committed and before it posts them; the pool sets Free when it has heard. One
 * that is over without having awaited anything is Free again until its group is committed: whatever
 * ends the worker in between, it was not that run, and nothing of it has happened.
 */
export const SlotState = { Free: 0, Begun: 1, Settled: 2 } as const;

/**
 * Who may decide over what the worker holds. The worker goes from Running to Settling before it
 * commits, the pool from Running to Condemned before it ends the worker: so nothing is committed and
 * then counted as lost, or the other way round.
 */
export const Phase = { Running: 0, Settling: 1, Condemned: 2 } as const;
