/**
 * The clock of a load test, in ticks of 100 ns. It does not jump, and processes of one machine that
 * begin at about the same time read it alike, so that one may stamp a message and another tell its age.
 */
const TICKS_PER_MS = 10_000;
const origin = performance.timeOrigin * TICKS_PER_MS;

export type Ticks = number;

export function ticksNow(): Ticks {
  return performance.now() * TICKS_PER_MS + origin;
}

export function ticksOfSeconds(seconds: number): Ticks {
  return seconds * 1_000 * TICKS_PER_MS;
}

export function secondsOf(ticks: Ticks): number {
  return ticks / TICKS_PER_MS / 1_000;
}

export function microsecondsOf(ticks: Ticks): number {
  return ticks / 10;
}

/**
 * What passed between a stamp, the low 32 bits of a time, and `now`. Right for up to 214 s; what would
 * lie further back is taken for a stamp of the near future, which is a difference of clocks, and is 0.
 */
export function ageOf(stamp: number, now: Ticks): Ticks {
  const age = (now - stamp) >>> 0;
  return age < 0x8000_0000 ? age : 0;
}
