/** Which time tables can be read, and what is said of those that cannot. */
import { expect, test } from 'bun:test';
import type { ScheduleTrigger } from '../../core/plugins/definition.ts';
import { checkSchedule } from '../../core/plugins/schedule.ts';

const table = (cron: string, timeZone = 'UTC'): ScheduleTrigger => ({
  kind: 'schedule',
  cron,
  timeZone,
  missed: 'once',
});

test.each([
  ['0 3 * * *', 'Europe/Berlin'],
  ['*/15 8-18 * * MON-FRI', 'America/New_York'],
  ['30 0 3 * * *', 'UTC'],
  ['0 0 L * *', 'UTC'],
  ['@hourly', 'UTC'],
  ['0 0 29 2 *', 'UTC'],
])('%s in %s is a time table', (cron, timeZone) => {
  expect(checkSchedule(table(cron, timeZone))).toBeUndefined();
});

test.each([
  ['61 * * * *', 'UTC', 'the schedule "61 * * * *" cannot be read: Invalid value for minute: 61'],
  ['* * * *', 'UTC', /^the schedule "\* \* \* \*" cannot be read: .*five/],
  ['* * * * * * *', 'UTC', /^the schedule .* cannot be read: .*5 or 6/],
  ['', 'UTC', /^the schedule "" cannot be read/],
  ['every day', 'UTC', /^the schedule "every day" cannot be read/],
  ['*/0 * * * *', 'UTC', /^the schedule "\*\/0 \* \* \* \*" cannot be read/],
  ['0 0 31 2 *', 'UTC', 'the schedule "0 0 31 2 *" is never due'],
  ['2027-01-01T00:00:00', 'UTC', /is a date, not a cron expression$/],
  ['* * * * *', 'Mars/Olympus', 'the schedule "* * * * *" has no such time zone as "Mars/Olympus"'],
  ['* * * * *', '', 'the schedule "* * * * *" has no such time zone as ""'],
])('%p in %p is none, and the reason is told', (cron, timeZone, why) => {
  const told = checkSchedule(table(cron, timeZone)) ?? '';
  if (typeof why === 'string') expect(told).toBe(why);
  else expect(told).toMatch(why);
});
