/**
 * How late the event loop is: once a second a timer is set, and what it is late by is counted.
 */
import { Histogram } from '../broker/histogram.ts';

const EVERY_MS = 1_000;

export class LoopLag {
  readonly seconds = new Histogram([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]);
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #dueAt = 0;

  start(): void {
    this.#dueAt = performance.now() + EVERY_MS;
    this.#timer = setTimeout(this.#passed, EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #passed = (): void => {
    this.seconds.observe(Math.max(0, performance.now() - this.#dueAt) / 1_000);
    this.start();
  };
}
