/**
 * Schedules: time tables of handlers as cron expressions, and the clockwork that makes a command of
 * each due time. croner knows calendars and time zones; what was missed, what overlaps and clocks that
 * jump are settled here.
 *
 * - A due time is counted from the last one that had a run. What lies between the two was missed: the
 *   broker was down, the handler busy, or the clock was set forward.
 * - While a run waits or is under way, a due time is missed, and the next one that finds none tells how many were.
 * - `missed: 'once'` runs at the start of the broker if a due time has passed; `'skip'` waits for the next one.
 * - A clock that is set back up to `SET_BACK_MS` repeats nothing: due times come again once it is where it
 *   was. Set back further, it was wrong before, and the new time counts.
 *
 * With DURABILITY=memory nothing is known of the time before the start.
 */
import { Cron } from 'croner';
import { hookCommand, SCHEDULE_PREFIX } from '../broker/hooks.ts';
import type { Millis } from '../broker/outbox.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import type { Scheduled } from './context.ts';
import type { ScheduleTrigger } from './definition.ts';
import type { LoadedHandler } from './exchange.ts';

/** Timers keep to a clock that does not jump, so now and then it is looked at the other one. */
const LONGEST_SLEEP_MS = 30_000;
/** A due time that is noticed later than this was missed. */
const LATE_MS = 60_000;
const SET_BACK_MS = 3 * 3_600_000;
/** More than so many missed due times are not counted: each takes the loop a tenth of a millisecond. */
export const MOST_MISSED = 100;

/** A handler with a time table. */
export interface HandlerSchedule {
  /** Its name. */
  readonly handler: string;
  readonly plugin: string;
  readonly trigger: ScheduleTrigger;
}

/** The schedule of a handler, if it has one. */
export function scheduleOf({ name, file, rules }: LoadedHandler): HandlerSchedule[] {
  const { trigger } = rules;
  return trigger.kind === 'schedule' ? [{ handler: name, plugin: file.plugin, trigger }] : [];
}

/** What the clockwork needs of whoever runs it. */
export interface ScheduleHost {
  /** What was kept of a handler's time table; undefined where it is new. */
  known(handler: string): { readonly table: string; readonly throughMs: Millis } | undefined;
  /** Keeps that its time table is `table` and due times count from `throughMs`. */
  begin(handler: string, table: string, throughMs: Millis): void;
  /** It has none any more. */
  end(handler: string): void;
  /** Whether an earlier run of it waits, is under way, or is to be tried again. */
  busy(handler: string): boolean;
  /** Enqueues `command` for `handler` alone, and keeps with it that the due time had its run. */
  tick(handler: string, table: string, dueMs: Millis, command: Message): void;
}

export interface ScheduleClock {
  /** Of the wall: it may jump. */
  now(): Millis;
  /** Calls once `milliseconds` have passed; what it returns keeps it from that. */
  after(milliseconds: number, call: () => void): () => void;
}

const wallClock: ScheduleClock = {
  now: () => Date.now(),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Why `trigger` cannot be a time table, for whoever wrote it; undefined where it can. */
export function checkSchedule({ cron, timeZone }: ScheduleTrigger): string | undefined {
  const shown = JSON.stringify(cron);
  if (!isTimeZone(timeZone)) {
    return `the schedule ${shown} has no such time zone as ${JSON.stringify(timeZone)}`;
  }
  // croner takes a date as well, which would come due once.
  if (/^\s*\d+-\d+-\d+/.test(cron)) return `the schedule ${shown} is a date, not a cron expression`;
  try {
    return new TimeTable(cron, timeZone).next(Date.now()) === Number.POSITIVE_INFINITY
      ? `the schedule ${shown} is never due`
      : undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Cron\w*: /, '') : String(error);
    return `the schedule ${shown} cannot be read: ${why}`;
  }
}

function isTimeZone(timeZone: string): boolean {
  try {
    return timeZone !== '' && Boolean(new Intl.DateTimeFormat('en', { timeZone }));
  } catch {
    return false;
  }
}

/**
 * The due times of a cron expression in a time zone. A time of day that a change of the clocks leaves out
 * is due when the gap is over, and one that comes twice is due once; `*` and steps go by what has passed.
 */
class TimeTable {
  readonly #cron: Cron;

  /** Throws where it is none. */
  constructor(cron: string, timeZone: string) {
    this.#cron = new Cron(cron, {
      timezone: timeZone,
      mode: '5-or-6-parts',
      fixedTimeRule: 'no-wildcard',
    });
  }

  /** The first one after `afterMs`; Infinity where there is none. */
  next(afterMs: Millis): Millis {
    return this.#cron.nextRun(new Date(afterMs))?.getTime() ?? Number.POSITIVE_INFINITY;
  }

  /** The last one up to `untilMs`, which is behind some. */
  last(untilMs: Millis): Millis {
    const [last] = this.#cron.previousRuns(1, new Date(untilMs + 1));
    return last?.getTime() ?? Number.NEGATIVE_INFINITY;
  }

  /** How many there are after `afterMs` and before `beforeMs`, counted up to `MOST_MISSED`. */
  count(afterMs: Millis, beforeMs: Millis): number {
    let count = 0;
    for (let at = this.next(afterMs); at < beforeMs && count < MOST_MISSED; at = this.next(at)) {
      count++;
    }
    return count;
  }
}

interface Entry {
  readonly schedule: HandlerSchedule;
  readonly table: string;
  readonly times: TimeTable;
  /** The last due time that had a run, or where they are counted from. */
  throughMs: Millis;
  /** When to see to it next. */
  nextMs: Millis;
}

/** Runs the schedules of all handlers. To be given them once what was stored is back. */
export class Schedules {
  readonly #host: ScheduleHost;
  readonly #clock: ScheduleClock;
  #entries = new Map<string, Entry>();
  #cancel: (() => void) | undefined = undefined;

  constructor(host: ScheduleHost, clock = wallClock) {
    this.#host = host;
    this.#clock = clock;
  }

  /**
   * These are the schedules from now on. A handler that keeps its time table goes on in it; one that gets
   * another, or is new, counts from now, unless a start knows it from before. One that is missing from what
   * ran is forgotten; at a start it is not, for its plugin may just not load.
   */
  replace(schedules: readonly HandlerSchedule[]): void {
    const before = this.#entries;
    const nowMs = this.#clock.now();
    this.#entries = new Map();
    for (const schedule of schedules) {
      const { handler } = schedule;
      this.#entries.set(handler, this.#enter(schedule, before.get(handler), nowMs));
    }
    for (const handler of before.keys()) {
      if (!this.#entries.has(handler)) this.#host.end(handler);
    }
    this.#look();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#entries.clear();
  }

  #enter(schedule: HandlerSchedule, running: Entry | undefined, nowMs: Millis): Entry {
    const { handler, trigger } = schedule;
    const table = `${trigger.cron} ${trigger.timeZone}`;
    if (running?.table === table) return { ...running, schedule };
    const times = new TimeTable(trigger.cron, trigger.timeZone);
    const known = this.#host.known(handler);
    const goesOn = known?.table === table && nowMs >= known.throughMs - SET_BACK_MS;
    if (!goesOn) this.#host.begin(handler, table, nowMs);
    const throughMs = goesOn ? known.throughMs : nowMs;
    const fromMs = trigger.missed === 'once' ? throughMs : Math.max(throughMs, nowMs);
    return { schedule, table, times, throughMs, nextMs: times.next(fromMs) };
  }

  /** Sees to what is due, and waits for what comes next. */
  #look(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const nowMs = this.#clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      this.#seeTo(entry, nowMs);
      nextMs = Math.min(nextMs, entry.nextMs);
    }
    if (this.#entries.size === 0) return;
    const sleepMs = Math.min(Math.max(0, nextMs - nowMs), LONGEST_SLEEP_MS);
    this.#cancel = this.#clock.after(sleepMs, () => this.#look());
  }

  #seeTo(entry: Entry, nowMs: Millis): void {
    const { schedule, table, times, throughMs } = entry;
    const { handler, trigger } = schedule;
    if (nowMs < throughMs - SET_BACK_MS) {
      this.#host.begin(handler, table, nowMs);
      entry.throughMs = nowMs;
      entry.nextMs = times.next(nowMs);
      return;
    }
    if (nowMs < entry.nextMs) return;
    entry.nextMs = times.next(nowMs);
    const dueMs = times.last(nowMs);
    if (trigger.missed === 'skip' && nowMs - dueMs > LATE_MS) return;
    if (this.#host.busy(handler)) return;
    const missed = times.count(throughMs, dueMs);
    entry.throughMs = dueMs;
    this.#host.tick(handler, table, dueMs, commandOf(schedule, { due: dueMs, missed }));
  }
}

function commandOf({ handler, plugin }: HandlerSchedule, scheduled: Scheduled): Message {
  const payload = new TextEncoder().encode(JSON.stringify(scheduled));
  const publisher = { user: '', clientIdentifier: plugin, device: false };
  return hookCommand(`${SCHEDULE_PREFIX}${handler}` as TopicName, payload, publisher);
}
