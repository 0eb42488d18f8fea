/** Turns what plugins report into log lines, and their counters into metrics. */
import type { HistogramLike, HistogramSample, MetricsPage, Sample } from '../http/prometheus.ts';
import {
  type HandlerCounters,
  newHandlerCounters,
  type PluginCounters,
  type PluginEvent,
  type RunParty,
} from '../plugins/events.ts';
import { type Fault, faultKinds } from '../plugins/fault.ts';
import type { Fields, Log } from './log.ts';

/** Of these lines, so many are written in ten seconds; the rest are counted. */
export const RUN_LINE = 'handler ran';
export const RUN_LINES = 1_000;

/** The taker of events that writes each to `log`. */
export function observePlugins(log: Log): (event: PluginEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'plugin-loaded':
        return log.info('plugin loaded', { plugin: event.plugin, topics: event.topics.join(' ') });
      case 'plugin-refused':
        return log.error(
          event.kept ? 'plugin does not load, its last version serves on' : 'plugin does not load',
          { plugin: event.plugin, ...fieldsOfFault(event.fault) },
        );
      case 'plugin-removed':
        return log.info('plugin removed', { plugin: event.plugin });
      case 'plugins-swapped':
        return log.info('plugins swapped', {
          version: event.version,
          changed: listOf(event.changed),
        });
      case 'plugins-kept':
        return log.error('plugins folder cannot be used, the last version serves on', {
          ...fieldsOfFault(event.fault),
        });
      case 'migrated':
        return log.info('migration applied', { migration: event.migration });
      case 'run-done':
        // One for each run, and few of them are written.
        return log.info(RUN_LINE, () => ({
          ...fieldsOfRun(event.run),
          ...tookOf(event),
          outcome: 'ok',
        }));
      case 'run-failed':
        return log.error('handler failed', {
          ...fieldsOfRun(event.run),
          ...tookOf(event),
          ...fieldsOfFault(event.fault),
          retryInMs: event.retryInMs && Math.round(event.retryInMs),
          buried: event.buried || undefined,
        });
      case 'send-refused':
        return log.error('message of a handler refused', {
          ...fieldsOfRun(event.run),
          to: event.topic,
          detail: event.detail,
        });
      case 'command-dropped':
        return log.warn('command dropped', {
          user: event.user,
          client: event.clientIdentifier,
          reason: event.reason,
          topic: event.topic,
        });
      case 'handler-log': {
        const { level, message, fields, handler, invocation, trace } = event;
        return log[level](message, { ...fields, handler, invocation, trace });
      }
      case 'stray':
        return log.error('left behind by a handler', fieldsOfFault(event.fault));
      case 'worker-replaced':
        return log.warn('worker replaced', { detail: event.detail, afterMs: event.afterMs });
      default:
        return event satisfies never;
    }
  };
}

/** The first few, and how many more there are. */
function listOf(paths: readonly string[]): string {
  const shown = paths.slice(0, MOST_PATHS).join(' ');
  return paths.length > MOST_PATHS ? `${shown} and ${paths.length - MOST_PATHS} more` : shown;
}
const MOST_PATHS = 10;

function fieldsOfRun({ clientIdentifier, ...run }: RunParty): Fields {
  return { ...run, client: clientIdentifier };
}

function tookOf({ durationMs }: { readonly durationMs: number | undefined }): Fields {
  return { durationMs: durationMs && Math.round(durationMs * 100) / 100 };
}

function fieldsOfFault({ kind, detail, at, stack }: Fault): Fields {
  return { reason: kind, detail, at, stack };
}

/** Handlers with metrics of their own; what is counted of others is under the name `other`. */
const MOST_HANDLERS = 200;

/** What a page of metrics is written from. */
export interface PluginFigures {
  readonly counters: PluginCounters;
  readonly handlers: Iterable<HandlerFigures>;
}

/** What is known of one handler. */
export interface HandlerFigures {
  readonly name: string;
  readonly waiting: number;
  readonly running: number;
  readonly counters: HandlerCounters;
}

export function writePluginMetrics(
  page: MetricsPage,
  { counters, handlers: all }: PluginFigures,
): void {
  const handlers = bounded([...all]);
  const each = (read: (handler: HandlerFigures) => number): Sample[] =>
    handlers.map((handler) => [{ handler: handler.name }, read(handler)]);
  const faults = handlers.flatMap(({ name, counters: { failed } }) =>
    Object.entries(failed).map(([reason, count]): Sample => [{ handler: name, reason }, count]),
  );
  const series = (read: (handler: HandlerFigures) => HistogramLike): HistogramSample[] =>
    handlers.map((handler) => [{ handler: handler.name }, read(handler)]);
  page
    .counter(
      'bellhop_handler_runs_total',
      'Runs of handlers, failed ones included.',
      each((handler) => handler.counters.runs),
    )
    .counter('bellhop_handler_faults_total', 'What went wrong.', faults)
    .counter(
      'bellhop_handler_retries_total',
      'Runs that failed and are done again.',
      each((handler) => handler.counters.retries),
    )
    .counter(
      'bellhop_handler_dead_letters_total',
      'Commands that were given up.',
      each((handler) => handler.counters.deadLetters),
    )
    .gauge(
      'bellhop_handler_waiting',
      'Commands in memory that wait for their run, or their next one.',
      each((handler) => handler.waiting),
    )
    .gauge(
      'bellhop_handler_running',
      'Runs that workers have.',
      each((handler) => handler.running),
    )
    .histograms(
      'bellhop_handler_seconds',
      'Time that runs took.',
      series((handler) => handler.counters.durationSeconds),
    )
    .histograms(
      'bellhop_handler_wait_seconds',
      'Time from when a command was due until a worker had it.',
      series((handler) => handler.counters.waitSeconds),
    )
    .counter('bellhop_handler_sends_total', 'Messages of handlers.', counters.sends)
    .counter(
      'bellhop_handler_sends_refused_total',
      'Messages of handlers that the broker did not take.',
      counters.sendsRefused,
    )
    .countersBy(
      'bellhop_commands_dropped_total',
      'Commands that came to no handler.',
      'reason',
      counters.dropped,
    )
    .gauge('bellhop_queued_commands', 'Commands in memory, not done with.', counters.queuedCommands)
    .gauge('bellhop_queued_commands_bytes', 'Bytes of them.', counters.queuedBytes)
    .counter(
      'bellhop_handler_workers_replaced_total',
      'Workers that ended or were ended.',
      counters.workersReplaced,
    );
}

function bounded(handlers: readonly HandlerFigures[]): readonly HandlerFigures[] {
  if (handlers.length <= MOST_HANDLERS) return handlers;
  const others = handlers.slice(MOST_HANDLERS);
  const sum = (read: (handler: HandlerFigures) => number) =>
    others.reduce((total, handler) => total + read(handler), 0);
  const counters = newHandlerCounters();
  counters.runs = sum((handler) => handler.counters.runs);
  counters.retries = sum((handler) => handler.counters.retries);
  counters.deadLetters = sum((handler) => handler.counters.deadLetters);
  for (const { counters: other } of others) {
    for (const kind of faultKinds) counters.failed[kind] += other.failed[kind];
    counters.durationSeconds.add(other.durationSeconds);
    counters.waitSeconds.add(other.waitSeconds);
  }
  const rest: HandlerFigures = {
    name: 'other',
    waiting: sum((handler) => handler.waiting),
    running: sum((handler) => handler.running),
    counters,
  };
  return [...handlers.slice(0, MOST_HANDLERS), rest];
}
