/**
 * What the pool and its workers say to each other: batches, and four numbers in shared memory that
 * tell where a worker stands even while it answers nothing.
 */
import type { Separator } from '../auth/user-topic.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import type { Packed } from './batch.ts';
import type { Fault } from './fault.ts';
import type { PluginFile } from './loader.ts';

export type ToWorker = Load | Commands;

/** The first message. */
export interface Load {
  readonly kind: 'load';
  /** The plugins folder, as a real path. */
  readonly root: string;
  readonly files: readonly PluginFile[];
  readonly storePath: string;
  readonly separator: Separator;
  readonly timeoutMs: number;
  readonly progress: Int32Array<SharedArrayBuffer>;
}

export interface Commands {
  readonly kind: 'commands';
  readonly messages: Packed;
  /** Which handler each is for, by its place among those that the worker loaded. */
  readonly handlers: Uint32Array<ArrayBuffer>;
  readonly invocations: readonly string[];
}

export type FromWorker = Loading | Loaded | Outcomes | LogLine | Stray;

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
  readonly file: PluginFile;
  /** Its place in the file's default export. */
  readonly position: number;
  readonly topics: readonly TopicFilter[];
}

/** What became of the oldest commands that the worker held: committed, or failed and undone. */
export interface Outcomes {
  readonly kind: 'outcomes';
  readonly durationsMs: Float32Array<ArrayBuffer>;
  readonly faults: readonly (readonly [index: number, fault: Fault])[];
  /** How many of `sends` each has. */
  readonly sendCounts: Uint32Array<ArrayBuffer>;
  /** 1 for what went through `send`, 0 for `publish`. */
  readonly toUser: Uint8Array<ArrayBuffer>;
  /** Undefined where nothing was sent. `expiresAtMs` counts from now. */
  readonly sends: Packed | undefined;
}

export interface LogLine {
  readonly kind: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: { readonly [name: string]: string | number | boolean };
  readonly plugin: string;
  readonly invocation: string;
}

/** Something threw outside of a run: a timer or a promise that was left behind. */
export interface Stray {
  readonly kind: 'stray';
  readonly fault: Fault;
}

/** The places in `progress`. */
export const Progress = {
  /** One of `Phase`. */
  Phase: 0,
  /** Which command is running, counted from 1 since the worker began, modulo 2³²; 0 between runs. */
  Running: 1,
  /** How many commands have had their outcomes posted, modulo 2³². */
  Settled: 2,
  /** 1 while a run waits for others to be done with the store: that time is not its own. */
  Waiting: 3,
} as const;

/**
 * Who may decide over what the worker holds. The worker goes from Running to Settling before it
 * commits, the pool from Running to Condemned before it ends the worker: so nothing is committed and
 * then counted as lost, or the other way round.
 */
export const Phase = { Running: 0, Settling: 1, Condemned: 2 } as const;
