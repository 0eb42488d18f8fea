/**
 * The time tables of handlers as far as they must last: up to when each is seen to, and whether its last
 * run waits. What a time table says is read in `plugins/schedule.ts`.
 */
import type { Message } from '../mqtt/packet.ts';
import type { MessageNumber, Snapshot, StoredSchedule } from './changes.ts';
import { enqueue } from './commands.ts';
import type { Millis } from './outbox.ts';
import type { State } from './state.ts';

/** A time table is new or another one: due times count from `throughMs` on. */
export function beginSchedule(
  state: State,
  handler: string,
  table: string,
  throughMs: Millis,
): void {
  // A run by the earlier one may still wait, and is waited for.
  const message = state.schedules.get(handler)?.message ?? 0;
  note(state, { handler, table, throughMs, message });
}

export function endSchedule(state: State, handler: string): void {
  if (state.schedules.delete(handler)) state.ledger.keep({ kind: 'unscheduled', handler });
}

/** It is due: `command` is for `handler` alone, and one change with the due time. */
export function tick(
  state: State,
  handler: string,
  table: string,
  dueMs: Millis,
  command: Message,
): void {
  const message = enqueue(state, command, handler);
  if (message !== 0) state.ticks.set(message, handler);
  note(state, { handler, table, throughMs: dueMs, message });
}

/** A command is done with: it may be somebody's last run. */
export function endTick(state: State, message: MessageNumber): void {
  const handler = state.ticks.get(message);
  if (handler === undefined) return;
  state.ticks.delete(message);
  const schedule = state.schedules.get(handler);
  if (schedule?.message === message) state.schedules.set(handler, { ...schedule, message: 0 });
}

export function restoreSchedules(state: State, { schedules }: Snapshot): void {
  for (const schedule of schedules) {
    state.schedules.set(schedule.handler, schedule);
    if (schedule.message !== 0) state.ticks.set(schedule.message, schedule.handler);
  }
}

function note(state: State, schedule: StoredSchedule): void {
  state.schedules.set(schedule.handler, schedule);
  state.ledger.keep({ kind: 'scheduled', ...schedule });
}
