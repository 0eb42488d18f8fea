/** Turns what plugins report into log lines, and their counters into metrics. */
import type { MetricsPage } from '../http/prometheus.ts';
import type { PluginCounters, PluginEvent, RunParty } from '../plugins/events.ts';
import type { Fault } from '../plugins/fault.ts';
import type { Fields, Log } from './log.ts';

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
      case 'run-failed':
        return log.error('handler failed', {
          ...fieldsOfRun(event.run),
          ...fieldsOfFault(event.fault),
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
        const { level, message, fields, plugin, invocation } = event;
        return log[level](message, { ...fields, plugin, invocation });
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

function fieldsOfRun({ plugin, invocation, topic, user, clientIdentifier }: RunParty): Fields {
  return { plugin, invocation, topic, user, client: clientIdentifier };
}

function fieldsOfFault({ kind, detail, at, stack }: Fault): Fields {
  return { reason: kind, detail, at, stack };
}

export function writePluginMetrics(page: MetricsPage, counters: PluginCounters): void {
  page
    .counter('bellhop_handler_runs_total', 'Runs of handlers, failed ones included.', counters.runs)
    .counter('bellhop_handler_seconds_total', 'Time that runs took.', counters.runSeconds)
    .countersBy('bellhop_handler_faults_total', 'What went wrong.', 'reason', counters.failed)
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
    .gauge('bellhop_queued_commands', 'Commands not done with.', counters.queuedCommands)
    .gauge('bellhop_queued_commands_bytes', 'Bytes of them.', counters.queuedBytes)
    .counter(
      'bellhop_handler_workers_replaced_total',
      'Workers that ended or were ended.',
      counters.workersReplaced,
    );
}
