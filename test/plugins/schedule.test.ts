/** Schedules over a clock that the test moves; what is kept is kept in memory, over restarts as well. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Millis } from '../../core/broker/outbox.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { ScheduleTrigger } from '../../core/plugins/definition.ts';
import {
  type HandlerSchedule,
  MOST_MISSED,
  type ScheduleClock,
  type ScheduleHost,
  Schedules,
} from '../../core/plugins/schedule.ts';
import { runs, seed } from '../seed.ts';

const START = Date.parse('2026-11-24T10:00:30Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Its wall clock may be set; timers go by what passes. */
class FakeClock implements ScheduleClock {
  #wall = START;
  #passed = 0;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  now(): Millis {
    return this.#wall;
  }

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.#passed + milliseconds, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  pass(milliseconds: number): void {
    const until = this.#passed + milliseconds;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#wall += next.at - this.#passed;
      this.#passed = next.at;
      next.call();
    }
    this.#wall += until - this.#passed;
    this.#passed = until;
  }

  /** The wall clock is set by so much. */
  set(milliseconds: number): void {
    this.#wall += milliseconds;
  }
}

class Desk implements ScheduleHost {
  readonly kept = new Map<string, { table: string; throughMs: Millis }>();
  readonly commands: Message[] = [];
  readonly ticks: string[] = [];
  busyWith: string | undefined = undefined;

  known(handler: string) {
    return this.kept.get(handler);
  }

  begin(handler: string, table: string, throughMs: Millis): void {
    this.kept.set(handler, { table, throughMs });
  }

  end(handler: string): void {
    this.kept.delete(handler);
  }

  busy(handler: string): boolean {
    return this.busyWith === handler;
  }

  tick(handler: string, table: string, dueMs: Millis, command: Message): void {
    this.kept.set(handler, { table, throughMs: dueMs });
    this.commands.push(command);
    const { due, missed } = JSON.parse(new TextDecoder().decode(command.payload));
    expect(due).toBe(dueMs);
    this.ticks.push(`${handler} ${new Date(due).toISOString().slice(5, 19)} ${missed}`);
  }

  take(): string[] {
    return this.ticks.splice(0);
  }
}

function schedule(
  cron: string,
  more: Partial<ScheduleTrigger> = {},
  handler = 'a',
): HandlerSchedule {
  const trigger = { kind: 'schedule', cron, timeZone: 'UTC', missed: 'once', ...more } as const;
  return { handler, plugin: 'reports', trigger };
}

function started(...schedules: HandlerSchedule[]) {
  const clock = new FakeClock();
  const desk = new Desk();
  const running = new Schedules(desk, clock);
  running.replace(schedules);
  return { clock, desk, running };
}

test('a due time is a command for its handler alone, from nobody', () => {
  const { clock, desk } = started(schedule('*/5 * * * *'));
  clock.pass(4 * MINUTE);
  expect(desk.take()).toEqual([]);
  clock.pass(6 * MINUTE);
  expect(desk.take()).toEqual(['a 11-24T10:05:00 0', 'a 11-24T10:10:00 0']);
  expect(desk.commands[0]).toMatchObject({
    topic: '$hook/schedule/a',
    qos: 1,
    retain: false,
    reach: 0,
    publisher: { user: '', clientIdentifier: 'reports', device: false },
  });
});

test('six fields begin with seconds', () => {
  const { clock, desk } = started(schedule('*/20 * * * * *'));
  clock.pass(40_000);
  expect(desk.take()).toEqual(['a 11-24T10:00:40 0', 'a 11-24T10:01:00 0']);
});

test('several schedules keep to their own times, and one timer does for all', () => {
  const { clock, desk, running } = started(schedule('* * * * *'), schedule('1 10 * * *', {}, 'b'));
  expect(clock.timers).toBe(1);
  clock.pass(2 * MINUTE);
  expect(desk.take()).toEqual(['a 11-24T10:01:00 0', 'b 11-24T10:01:00 0', 'a 11-24T10:02:00 0']);
  running.stop();
  expect(clock.timers).toBe(0);
});

test('a plugin without a schedule needs no timer', () => {
  expect(started().clock.timers).toBe(0);
});

test('a handler that is busy is not run again, and what it missed is told to the next run', () => {
  const { clock, desk } = started(schedule('* * * * *'));
  desk.busyWith = 'a';
  clock.pass(3 * MINUTE);
  expect(desk.take()).toEqual([]);
  desk.busyWith = undefined;
  clock.pass(30_000 - 1); // not before it is due again
  expect(desk.take()).toEqual([]);
  clock.pass(MINUTE);
  expect(desk.take()).toEqual(['a 11-24T10:04:00 3']);
});

function restarted(desk: Desk, clock: FakeClock, ...schedules: HandlerSchedule[]): Schedules {
  const running = new Schedules(desk, clock);
  running.replace(schedules);
  return running;
}

test('what was missed while the broker was down has one run at the start', () => {
  const { clock, desk, running } = started(schedule('0 * * * *'));
  running.stop();
  clock.pass(5 * HOUR);
  restarted(desk, clock, schedule('0 * * * *'));
  expect(desk.take()).toEqual(['a 11-24T15:00:00 4']);
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T16:00:00 0']);
});

test('a schedule that was never due counts from when it was first seen, over restarts', () => {
  const { clock, desk, running } = started(schedule('0 12 * * *'));
  clock.pass(HOUR);
  running.stop();
  clock.pass(2 * HOUR);
  restarted(desk, clock, schedule('0 12 * * *'));
  expect(desk.take()).toEqual(['a 11-24T12:00:00 0']);
});

test("with missed: 'skip' there is no run for the past, and the next one tells of it", () => {
  const hourly = schedule('0 * * * *', { missed: 'skip' });
  const { clock, desk, running } = started(hourly);
  running.stop();
  clock.pass(5 * HOUR);
  restarted(desk, clock, hourly);
  expect(desk.take()).toEqual([]);
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T16:00:00 5']);
});

test('a run that a crash left waiting is waited for at the start', () => {
  const { clock, desk, running } = started(schedule('0 * * * *'));
  running.stop();
  clock.pass(5 * HOUR);
  desk.busyWith = 'a';
  restarted(desk, clock, schedule('0 * * * *'));
  desk.busyWith = undefined;
  clock.pass(30 * MINUTE - 31_000);
  expect(desk.take()).toEqual([]);
  clock.pass(30 * MINUTE + 1_000);
  expect(desk.take()).toEqual(['a 11-24T16:00:00 5']);
});

test('nothing is known without what was kept: a start counts from itself', () => {
  const { clock, running } = started(schedule('0 * * * *'));
  running.stop();
  clock.pass(5 * HOUR);
  const desk = new Desk();
  restarted(desk, clock, schedule('0 * * * *'));
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T16:00:00 0']);
});

test('missed due times are counted up to a bound', () => {
  const { clock, desk, running } = started(schedule('* * * * * *'));
  running.stop();
  clock.pass(365 * 24 * HOUR);
  restarted(desk, clock, schedule('* * * * * *'));
  expect(desk.take()).toEqual([`a 11-24T10:00:30 ${MOST_MISSED}`]);
});

test('a swap leaves alone what goes on, begins what is new, and forgets what is gone', () => {
  const { clock, desk, running } = started(
    schedule('*/10 * * * *'),
    schedule('* * * * *', {}, 'b'),
  );
  clock.pass(5 * MINUTE);
  desk.take();
  running.replace([schedule('*/10 * * * *'), schedule('*/2 * * * *', {}, 'c')]);
  expect([...desk.kept.keys()]).toEqual(['a', 'c']);
  expect(desk.kept.get('a')?.throughMs).toBe(START);
  clock.pass(5 * MINUTE);
  expect(desk.take()).toEqual([
    'c 11-24T10:06:00 0',
    'c 11-24T10:08:00 0',
    'a 11-24T10:10:00 0',
    'c 11-24T10:10:00 0',
  ]);
});

test('another time table counts from the swap: nothing of it was missed', () => {
  const { clock, desk, running } = started(schedule('0 3 * * *'));
  clock.pass(HOUR);
  running.replace([schedule('*/30 * * * *')]);
  expect(desk.take()).toEqual([]);
  clock.pass(30 * MINUTE);
  expect(desk.take()).toEqual(['a 11-24T11:30:00 0']);
  running.replace([schedule('*/30 * * * *', { timeZone: 'Asia/Kolkata' })]);
  expect(desk.take()).toEqual([]);
});

test('a schedule that is missing at a start is not forgotten: its plugin may not load just now', () => {
  const { clock, desk, running } = started(schedule('0 * * * *'));
  running.stop();
  clock.pass(2 * HOUR);
  const again = restarted(desk, clock);
  expect([...desk.kept.keys()]).toEqual(['a']);
  again.replace([schedule('0 * * * *')]);
  expect(desk.take()).toEqual(['a 11-24T12:00:00 1']);
});

test('a clock that is set forward: one run for all that was jumped over, or none', () => {
  const skips = schedule('0 * * * *', { missed: 'skip' }, 'b');
  const { clock, desk } = started(schedule('0 * * * *'), skips);
  clock.set(5 * HOUR + MINUTE);
  clock.pass(30_000); // it is looked at as often as this
  expect(desk.take()).toEqual(['a 11-24T15:00:00 4']);
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T16:00:00 0', 'b 11-24T16:00:00 5']);
});

test('a clock that is set back repeats nothing', () => {
  const { clock, desk } = started(schedule('0 * * * *'));
  clock.pass(2 * HOUR);
  expect(desk.take()).toEqual(['a 11-24T11:00:00 0', 'a 11-24T12:00:00 0']);
  clock.set(-2 * HOUR);
  clock.pass(2 * HOUR);
  expect(desk.take()).toEqual([]);
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T13:00:00 0']);
});

test('a clock that was far ahead and is put right counts from there', () => {
  const { clock, desk, running } = started(schedule('0 * * * *'));
  clock.set(365 * 24 * HOUR);
  clock.pass(HOUR);
  expect(desk.take().length).toBeGreaterThan(0);
  clock.set(-365 * 24 * HOUR);
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-24T12:00:00 0']);
  // The same where it is put right while the broker is down.
  running.stop();
  clock.set(-24 * HOUR);
  restarted(desk, clock, schedule('0 * * * *'));
  clock.pass(HOUR);
  expect(desk.take()).toEqual(['a 11-23T13:00:00 0']);
});

function dues(cron: string, from: string, hours: number): string[] {
  const clock = new FakeClock();
  clock.set(Date.parse(from) - START);
  const desk = new Desk();
  new Schedules(desk, clock).replace([schedule(cron, { timeZone: 'Europe/Berlin' })]);
  clock.pass(hours * HOUR);
  return desk.take();
}

test('a time of day that the clocks leave out comes when the gap is over', () => {
  // 2026-03-29: 02:00 to 03:00 is left out, at 01:00 UTC.
  expect(dues('30 2 * * *', '2026-03-28T12:00:00Z', 36)).toEqual(['a 03-29T01:00:00 0']);
  expect(dues('30 2,14 * * *', '2026-03-28T20:00:00Z', 12)).toEqual(['a 03-29T01:00:00 0']);
  expect(dues('0 * * * *', '2026-03-28T23:30:00Z', 3)).toEqual([
    'a 03-29T00:00:00 0',
    'a 03-29T01:00:00 0',
    'a 03-29T02:00:00 0',
  ]);
});

test('a time of day that comes twice has one run, and hours that pass have theirs', () => {
  // 2026-10-25: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC.
  expect(dues('30 2 * * *', '2026-10-24T12:00:00Z', 36)).toEqual(['a 10-25T00:30:00 0']);
  expect(dues('30 * * * *', '2026-10-24T23:00:00Z', 3)).toEqual([
    'a 10-24T23:30:00 0',
    'a 10-25T00:30:00 0',
    'a 10-25T01:30:00 0',
  ]);
});

test('whatever happens, due times have one run each at most, in order, and none is lost from the count', () => {
  const steps = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), by: fc.integer({ min: 0, max: 4 * HOUR }) }),
    fc.record({ kind: fc.constant('forward' as const), by: fc.integer({ min: 0, max: 4 * HOUR }) }),
    fc.record({ kind: fc.constant('back' as const), by: fc.integer({ min: 0, max: HOUR }) }),
    fc.record({ kind: fc.constant('busy' as const), by: fc.constant(0) }),
    fc.record({ kind: fc.constant('restart' as const), by: fc.integer({ min: 0, max: 9 * HOUR }) }),
  );
  const crons = ['*/10 * * * *', '0 * * * *', '7 1-5 * * *'];
  fc.assert(
    fc.property(fc.constantFrom(...crons), fc.array(steps, { maxLength: 20 }), (cron, list) => {
      const clock = new FakeClock();
      const desk = new Desk();
      const own = schedule(cron);
      let running = restarted(desk, clock, own);
      for (const { kind, by } of list) {
        if (kind === 'pass') clock.pass(by);
        else if (kind === 'forward') clock.set(by);
        else if (kind === 'back') clock.set(-by);
        else if (kind === 'busy') desk.busyWith = desk.busyWith === undefined ? 'a' : undefined;
        else {
          running.stop();
          clock.pass(by);
          running = restarted(desk, clock, own);
        }
      }
      desk.busyWith = undefined;
      clock.pass(25 * HOUR);
      const seen = desk.commands.map(({ payload }) =>
        JSON.parse(new TextDecoder().decode(payload)),
      );
      let throughMs = START;
      for (const { due, missed } of seen) {
        expect(due).toBeGreaterThan(throughMs);
        expect(missed).toBe(expected(cron, throughMs, due));
        throughMs = due;
      }
      expect(throughMs).toBeGreaterThan(clock.now() - 25 * HOUR);
    }),
    { seed, numRuns: runs(20) },
  );
}, 60_000);

/** The plain reading of the three expressions above: every minute is looked at. */
function expected(cron: string, afterMs: Millis, beforeMs: Millis): number {
  let count = 0;
  for (let at = Math.floor(afterMs / MINUTE + 1) * MINUTE; at < beforeMs; at += MINUTE) {
    const date = new Date(at);
    const minute = date.getUTCMinutes();
    const hour = date.getUTCHours();
    if (cron.startsWith('*/10') && minute % 10 === 0) count++;
    if (cron.startsWith('0') && minute === 0) count++;
    if (cron.startsWith('7') && minute === 7 && hour >= 1 && hour <= 5) count++;
  }
  return Math.min(count, MOST_MISSED);
}
