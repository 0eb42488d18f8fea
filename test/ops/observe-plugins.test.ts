/** The log lines of runs and the metrics of handlers, which dashboards and alerts hang on. */
import { describe, expect, test } from 'bun:test';
import { MetricsPage } from '../../core/http/prometheus.ts';
import { Logger, type LogRecord } from '../../core/ops/log.ts';
import {
  type HandlerFigures,
  observePlugins,
  writePluginMetrics,
} from '../../core/ops/observe-plugins.ts';
import {
  newHandlerCounters,
  newPluginCounters,
  type PluginEvent,
  type RunParty,
} from '../../core/plugins/events.ts';
import { fault } from '../../core/plugins/fault.ts';

const run: RunParty = {
  handler: 'contacts/accept',
  invocation: 'c7',
  attempt: 2,
  trace: '0af7651916cd43dd8448eb211c80319c',
  topic: 'accept_contact',
  user: 'ada',
  clientIdentifier: 'phone',
};
const who = {
  handler: 'contacts/accept',
  invocation: 'c7',
  attempt: 2,
  trace: '0af7651916cd43dd8448eb211c80319c',
  topic: 'accept_contact',
  user: 'ada',
  client: 'phone',
};

function linesOf(event: PluginEvent): LogRecord[] {
  const records: LogRecord[] = [];
  const sink = { write: (record: LogRecord) => void records.push(record), flush: async () => {} };
  observePlugins(new Logger({ level: 'debug', burst: 10, sinks: [sink] }))(event);
  return records;
}

/** The one line of an event; fields without a value are written nowhere. */
function lineOf(event: PluginEvent): Pick<LogRecord, 'level' | 'message' | 'fields'> {
  const [line, ...others] = linesOf(event);
  if (line === undefined || others.length > 0) throw new Error('not one line');
  const fields = Object.entries(line.fields).filter(([, value]) => value !== undefined);
  return { level: line.level, message: line.message, fields: Object.fromEntries(fields) };
}

describe('a run is one line', () => {
  test('that tells who, what, which attempt and how long, and nothing of payloads or secrets', () => {
    expect(lineOf({ kind: 'run-done', run, durationMs: 1.234_5 })).toEqual({
      level: 'info',
      message: 'handler ran',
      fields: { ...who, durationMs: 1.23, outcome: 'ok' },
    });
  });

  test('also where it failed: with the kind, the place, and when it is tried again', () => {
    const why = { ...fault('failed', 'too far', 'accept.ts:4'), stack: 'at accept.ts:4' };
    const event = { kind: 'run-failed', run, fault: why, durationMs: 5 } as const;
    const fields = {
      ...who,
      durationMs: 5,
      reason: 'failed',
      detail: 'too far',
      at: 'accept.ts:4',
      stack: 'at accept.ts:4',
    };
    expect(lineOf({ ...event, retryInMs: 1_000.4, buried: false })).toEqual({
      level: 'error',
      message: 'handler failed',
      fields: { ...fields, retryInMs: 1_000 },
    });
    expect(lineOf({ ...event, retryInMs: undefined, buried: true })).toEqual({
      level: 'error',
      message: 'handler failed',
      fields: { ...fields, buried: true },
    });
  });

  test('and what it says itself has the same invocation and trace', () => {
    const { invocation, trace } = run;
    const said = { level: 'warn', message: 'careful', fields: { answer: 42 } } as const;
    const event = {
      kind: 'handler-log',
      ...said,
      handler: 'contacts/accept',
      invocation,
      trace,
    } as const;
    expect(lineOf(event)).toEqual({
      level: 'warn',
      message: 'careful',
      fields: { answer: 42, handler: 'contacts/accept', invocation, trace },
    });
  });
});

test('a field of a handler does not pass for what the broker says of the run', () => {
  const fields = { handler: 'another', invocation: 'x', trace: 'y' };
  const said = {
    level: 'info',
    message: 'm',
    handler: 'mine',
    invocation: 'c7',
    trace: 't',
  } as const;
  expect(lineOf({ kind: 'handler-log', ...said, fields }).fields).toEqual({
    handler: 'mine',
    invocation: 'c7',
    trace: 't',
  });
});

test('of a swap the first changed files are named, and the rest counted', () => {
  const changed = Array.from({ length: 12 }, (_, index) => `${index}.ts`);
  expect(lineOf({ kind: 'plugins-swapped', version: 3, changed }).fields).toEqual({
    version: 3,
    changed: '0.ts 1.ts 2.ts 3.ts 4.ts 5.ts 6.ts 7.ts 8.ts 9.ts and 2 more',
  });
});

test('every other event has one line', () => {
  const why = fault('load', 'a mistake', 'a.ts:1');
  const party = { topic: 't', user: 'ada', clientIdentifier: 'phone' };
  const events: PluginEvent[] = [
    { kind: 'plugin-loaded', plugin: 'a', topics: [] },
    { kind: 'plugin-refused', plugin: 'a', fault: why, kept: true },
    { kind: 'plugin-refused', plugin: undefined, fault: why, kept: false },
    { kind: 'plugin-removed', plugin: 'a' },
    { kind: 'plugins-kept', fault: why },
    { kind: 'migrated', migration: 'migrations/0001_a.sql' },
    { kind: 'send-refused', run, topic: 'x', detail: 'why' },
    { kind: 'command-dropped', reason: 'expired', ...party },
    { kind: 'stray', fault: why },
    { kind: 'worker-replaced', detail: 'exit code 1', afterMs: 0 },
  ];
  for (const event of events) expect([event.kind, linesOf(event).length]).toEqual([event.kind, 1]);
});

describe('the metrics', () => {
  function figuresOf(name: string): HandlerFigures {
    return { name, waiting: 0, running: 0, counters: newHandlerCounters() };
  }
  function linesWith(handlers: readonly HandlerFigures[], text: string): string[] {
    const page = new MetricsPage();
    writePluginMetrics(page, { counters: newPluginCounters(), handlers });
    return page.text.split('\n').filter((line) => line.includes(text) && !line.startsWith('#'));
  }

  test('of each handler count its runs, faults by kind, retries, dead letters and queue', () => {
    const handler = { ...figuresOf('contacts/accept'), waiting: 3, running: 2 };
    Object.assign(handler.counters, { runs: 11, retries: 4, deadLetters: 1 });
    handler.counters.failed.timeout = 5;
    const label = '{handler="contacts/accept"}';
    expect(linesWith([handler, figuresOf('other/one')], label)).toEqual([
      `bellhop_handler_runs_total${label} 11`,
      `bellhop_handler_retries_total${label} 4`,
      `bellhop_handler_dead_letters_total${label} 1`,
      `bellhop_handler_waiting${label} 3`,
      `bellhop_handler_running${label} 2`,
      `bellhop_handler_seconds_sum${label} 0`,
      `bellhop_handler_seconds_count${label} 0`,
      `bellhop_handler_wait_seconds_sum${label} 0`,
      `bellhop_handler_wait_seconds_count${label} 0`,
    ]);
    expect(linesWith([handler], 'reason="timeout"')).toEqual([
      'bellhop_handler_faults_total{handler="contacts/accept",reason="timeout"} 5',
    ]);
  });

  test('of each handler have a histogram of how long it ran and how long commands waited', () => {
    const handler = figuresOf('a');
    for (const seconds of [0.000_05, 0.02, 60]) handler.counters.durationSeconds.observe(seconds);
    handler.counters.waitSeconds.observe(0.3);
    expect(linesWith([handler], 'bellhop_handler_seconds_')).toContain(
      'bellhop_handler_seconds_bucket{handler="a",le="0.05"} 2',
    );
    expect(linesWith([handler], 'bellhop_handler_seconds_count')).toEqual([
      'bellhop_handler_seconds_count{handler="a"} 3',
    ]);
    const waits = linesWith([handler], 'bellhop_handler_wait_seconds_bucket');
    expect(waits.at(-1)).toBe('bellhop_handler_wait_seconds_bucket{handler="a",le="+Inf"} 1');
    expect(waits.find((line) => line.endsWith(' 1'))).toContain('le="0.5"');
  });

  test('of more handlers than there are series for, the rest is one, and nothing is left out', () => {
    const handlers = Array.from({ length: 203 }, (_, index) => figuresOf(`h${index}`));
    for (const { counters } of handlers) {
      counters.runs = 2;
      counters.failed.input = 1;
      counters.durationSeconds.observe(0.5);
    }
    const runs = linesWith(handlers, 'bellhop_handler_runs_total');
    expect(runs.length).toBe(201);
    expect(runs.at(-1)).toBe('bellhop_handler_runs_total{handler="other"} 6');
    expect(linesWith(handlers, '{handler="other",reason="input"}')).toEqual([
      'bellhop_handler_faults_total{handler="other",reason="input"} 3',
    ]);
    expect(linesWith(handlers, 'bellhop_handler_seconds_count{handler="other"}')).toEqual([
      'bellhop_handler_seconds_count{handler="other"} 3',
    ]);
  });
});
