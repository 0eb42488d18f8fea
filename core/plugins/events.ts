/** What the plugins report, and what is counted of them. Nothing that happens per command in good order is reported. */
import type { Millis } from '../broker/outbox.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import { type Fault, type FaultKind, faultKinds } from './fault.ts';

/** The run that an event is about. */
export interface RunParty {
  readonly plugin: string;
  readonly invocation: string;
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
  | { readonly kind: 'run-failed'; readonly run: RunParty; readonly fault: Fault }
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
      readonly plugin: string;
      readonly invocation: string;
    }
  | { readonly kind: 'stray'; readonly fault: Fault }
  | { readonly kind: 'worker-replaced'; readonly detail: string; readonly afterMs: Millis };

/** Why a command never came to a handler. */
export const commandDropReasons = [
  'queue-full',
  'queue-bytes',
  'expired',
  'no-handler', // kept from an earlier start, and now its plugin is gone
  'stopped',
] as const;
export type CommandDropReason = (typeof commandDropReasons)[number];

export interface PluginCounters {
  /** Runs that came to an end, well or not. */
  runs: number;
  runSeconds: number;
  sends: number;
  /** What handlers sent and the broker did not take. */
  sendsRefused: number;
  workersReplaced: number;
  /** Now: commands that wait, those that a worker holds included, and their bytes. */
  queuedCommands: number;
  queuedBytes: number;
  readonly failed: Record<FaultKind, number>;
  readonly dropped: Record<CommandDropReason, number>;
}

/** All at zero. */
export function newPluginCounters(): PluginCounters {
  return {
    runs: 0,
    runSeconds: 0,
    sends: 0,
    sendsRefused: 0,
    workersReplaced: 0,
    queuedCommands: 0,
    queuedBytes: 0,
    failed: zeroes(faultKinds),
    dropped: zeroes(commandDropReasons),
  };
}

function zeroes<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}
