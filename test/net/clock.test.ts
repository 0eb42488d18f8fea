import { describe, expect, test } from 'bun:test';
import { SteadyClock } from '../../core/net/clock.ts';

/** Both clocks of a machine, in the hands of a test. */
class Machine {
  monotonic = 5_000;
  wall = 1_800_000_000_000;
  readonly clock = new SteadyClock(
    () => this.monotonic,
    () => this.wall,
  );

  /** Time goes by, and the clock is read every `stepMs`; returns what it said. */
  pass(ms: number, stepMs = 100): number[] {
    const readings: number[] = [];
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.monotonic += stepMs;
      this.wall += stepMs;
      readings.push(this.clock.now());
    }
    return readings;
  }
}

describe('SteadyClock', () => {
  test('it tells the time of the wall clock', () => {
    const machine = new Machine();
    expect(machine.clock.now()).toBe(1_800_000_000_000);
    machine.pass(60_000);
    expect(machine.clock.now()).toBe(1_800_000_060_000);
  });

  test('[MQTT-3.1.2-22] a wall clock set forward by an hour expires no Keep Alive', () => {
    const machine = new Machine();
    machine.pass(2_000);
    const before = machine.clock.now();
    machine.wall += 3_600_000;
    machine.pass(60_000);
    // A client with Keep Alive 60 has 90 seconds on this clock.
    expect(machine.clock.now() - before).toBeLessThan(67_000);
  });

  test('a wall clock set back by an hour neither stops it nor turns it back', () => {
    const machine = new Machine();
    machine.pass(2_000);
    const before = machine.clock.now();
    machine.wall -= 3_600_000;
    const readings = machine.pass(60_000);
    for (const [index, reading] of readings.entries())
      expect(reading).toBeGreaterThan(readings[index - 1] ?? before);
    expect(machine.clock.now() - before).toBeGreaterThan(53_000);
  });

  test('it catches up with the wall clock in ten times the difference, and no further', () => {
    const machine = new Machine();
    machine.pass(2_000);
    machine.wall += 5_000;
    machine.pass(60_000);
    expect(machine.clock.now()).toBe(machine.wall);
    machine.pass(60_000);
    expect(machine.clock.now()).toBe(machine.wall);
  });

  test('it does not overshoot where nobody asked it for an hour', () => {
    const machine = new Machine();
    machine.pass(2_000);
    machine.wall += 500;
    machine.pass(2_000);
    machine.pass(3_600_000, 3_600_000);
    expect(machine.clock.now()).toBe(machine.wall);
  });

  test('a time from the wall clock is as far from now as it is there', () => {
    const machine = new Machine();
    expect(machine.clock.fromWall(machine.wall + 60_000)).toBe(machine.wall + 60_000);
    machine.wall += 3_600_000;
    const inAMinute = machine.clock.fromWall(machine.wall + 60_000);
    expect(inAMinute - machine.clock.now()).toBe(60_000);
    expect(machine.clock.fromWall(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});
