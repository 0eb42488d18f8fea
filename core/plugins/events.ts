/** What the plugins report, and what is counted of them. */
import { Histogram } from '../broker/histogram.ts';
import type { Millis } from '../broker/outbox.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import { type Fault, type FaultKind, faultKinds } from './fault.ts';

/** The run that an event is about. */
export interface RunParty {
  readonly handler: string;
  readonly invocation: string;
  readonly attempt: number;
  readonly trace: string;
  readonly topic: string;
  /** Whose command it was. */
  readonly user: string;
  readonly clientIdentifier: string;
}

export type PluginEvent =
  | {
      readonly kind: 'plugin-loaded';
      readonly plugin: string;
      readonly topics: readonly TopicFilter[];
    }
  | {
      readonly kind: 'plugin-refused'; // one of its files
      readonly plugin: string | undefined;
      readonly fault: Fault;
      /** Whether the plugin runs on as it was before; if not, what loads of it serves. */
      readonly kept: boolean;
    }
  | { readonly kind: 'plugin-removed'; readonly plugin: string }
  | {
      readonly kind: 'plugins-swapped'; // a new version of the folder serves
      readonly version: number;
      /** The files that differ, from the plugins folder on; `node_modules` for all packages. */
      readonly changed: readonly string[];
    }
  | { readonly kind: 'plugins-kept'; readonly fault: Fault } // the folder cannot be taken as it is now
  | { readonly kind: 'migrated'; readonly migration: string }
  | {
      readonly kind: 'run-done';
      readonly run: RunParty;
      /** Undefined where that is not known. */
      readonly durationMs: number | undefined;
    }
  | {
      readonly kind: 'run-failed';
      readonly run: RunParty;
      readonly fault: Fault;
      readonly durationMs: number | undefined;
      /** When it will be tried again; undefined where it is given up. */
      readonly retryInMs: number | undefined;
      /** Whether it is a dead letter now. */
      readonly buried: boolean;
    }
  | {
      readonly kind: 'send-refused';
      readonly run: RunParty;
      readonly topic: string;
      readonly detail: string;
    }
  | {
      readonly kind: 'command-dropped';
      readonly reason: CommandDropReason;
      readonly topic: string;
      readonly user: string;
      readonly clientIdentifier: string;
    }
  | {
      readonly kind: 'handler-log'; // what a handler has to say
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: { readonly [name: string]: string | number | boolean };
      /** Its name; the plugin's while it loads. */
      readonly handler: string;
      readonly invocation: string;
      readonly trace: string;
    }
  | { readonly kind: 'stray'; readonly fault: Fault }
  | { readonly kind: 'worker-replaced'; readonly detail: string; readonly afterMs: Millis };

/** Why a command never came to a handler. */
export const commandDropReasons = [
  'queue-full',
  'queue-bytes',
  'expired',
  'no-handler', // its plugin is gone
  'stopped',
] as const;
export type CommandDropReason = (typeof commandDropReasons)[number];

export interface PluginCounters {
  sends: number;
  /** What handlers sent and the broker did not take. */
  sendsRefused: number;
  workersReplaced: number;
  /** Now: commands that are not done, in memory, and their bytes. */
  queuedCommands: number;
  queuedBytes: number;
  readonly dropped: Record<CommandDropReason, number>;
}

/** What is counted of one handler. */
export interface HandlerCounters {
  /** Runs that came to an end, well or not. */
  runs: number;
  retries: number;
  deadLetters: number;
  readonly failed: Record<FaultKind, number>;
  readonly durationSeconds: Histogram;
  /** From when a command, or another attempt at it, was due until a worker had it. */
  readonly waitSeconds: Histogram;
}

/** All at zero. */
export function newPluginCounters(): PluginCounters {
  return {
    sends: 0,
    sendsRefused: 0,
    workersReplaced: 0,
    queuedCommands: 0,
    queuedBytes: 0,
    dropped: zeroes(commandDropReasons),
  };
}

/** From a tenth of a millisecond, which a plain handler takes, to half a minute. */
const BOUNDS = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

export function newHandlerCounters(): HandlerCounters {
  return {
    runs: 0,
    retries: 0,
    deadLetters: 0,
    failed: zeroes(faultKinds),
    durationSeconds: new Histogram(BOUNDS),
    waitSeconds: new Histogram(BOUNDS),
  };
}

function zeroes<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}
