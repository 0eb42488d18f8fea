/**
 * The sink to stdout. A reader that stops reading our log must not stop the broker or let it grow:
 * beyond a bound, lines are dropped and counted, and the count is written once there is room.
 */
import type { Writable } from 'node:stream';
import type { LogRecord, Sink } from './log.ts';
import { formatJson, formatPretty } from './log-format.ts';

/** Bytes that may wait for the reader of the log. */
const MOST_WAITING = 4 * 1024 * 1024;

export class StreamSink implements Sink {
  readonly #stream: Writable;
  readonly #format: (record: LogRecord) => string;
  #waiting = 0;
  #dropped = 0;
  #broken = false;
  #whenWritten: (() => void)[] = [];

  constructor(stream: Writable, format: (record: LogRecord) => string) {
    this.#stream = stream;
    this.#format = format;
    // A reader that is gone, as in `bellhop | head`, is no reason to stop serving.
    stream.on('error', () => {
      this.#broken = true;
      this.#written();
    });
  }

  write(record: LogRecord): void {
    if (this.#broken) return;
    if (this.#waiting > MOST_WAITING) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const message = 'log lines dropped: the reader of the log was too slow';
      const lost = { ...record, level: 'warn' as const, message, fields: { lines: this.#dropped } };
      this.#dropped = 0;
      this.#put(this.#format(lost));
    }
    this.#put(this.#format(record));
  }

  flush(): Promise<void> {
    if (this.#waiting === 0 || this.#broken) return Promise.resolve();
    return new Promise((resolve) => this.#whenWritten.push(resolve));
  }

  #put(text: string): void {
    const size = text.length;
    this.#waiting += size;
    this.#stream.write(text, () => {
      this.#waiting -= size;
      if (this.#waiting === 0) this.#written();
    });
  }

  #written(): void {
    for (const resolve of this.#whenWritten.splice(0)) resolve();
  }
}

type Format = 'auto' | 'json' | 'pretty';

/** Whether the log is for people. */
export function isPretty(format: Format): boolean {
  return format === 'pretty' || (format === 'auto' && process.stdout.isTTY === true);
}

export function stdoutSink(format: Format): Sink {
  const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  return new StreamSink(
    process.stdout,
    isPretty(format) ? (record) => formatPretty(record, colour) : formatJson,
  );
}
