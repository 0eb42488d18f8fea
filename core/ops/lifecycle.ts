/**
 * Start, drain and stop. Parts open one after the other, and what is open closes in reverse: when a
 * later part cannot open, nothing stays half-started.
 */

/** Why something could not start: one line for the operator, with the thing and the remedy. */
export class StartError extends Error {}

interface Opened {
  readonly name: string;
  readonly close: () => void | Promise<void>;
}

export class Lifecycle {
  readonly #opened: Opened[] = [];
  readonly #failed: (part: string, error: unknown) => void;

  /** `failed` hears of parts that could not be closed; the others are closed all the same. */
  constructor(failed: (part: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Opens a part, to be closed by `close` when the whole stops. */
  async open<T>(
    name: string,
    open: () => T | Promise<T>,
    close: (part: T) => void | Promise<void>,
  ): Promise<T> {
    const part = await open();
    this.#opened.push({ name, close: () => close(part) });
    return part;
  }

  /** Closes all that is open, the last first. Never rejects. */
  async close(): Promise<void> {
    for (let opened = this.#opened.pop(); opened !== undefined; opened = this.#opened.pop()) {
      try {
        await opened.close();
      } catch (error) {
        this.#failed(opened.name, error);
      }
    }
  }
}

/** Resolves when `work` does, or after `timeoutMs`; tells whether it was in time. Rejects as `work` does. */
export async function within(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, timeoutMs, false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the signals of the process ask for. */
export interface SignalHandlers {
  /** SIGTERM or SIGINT, once. */
  stop(signal: string): void;
  /** A second one: whoever sends it does not want to wait. */
  stopNow(signal: string): void;
  /** SIGHUP. */
  reload(): void;
}

/**
 * Listens for signals from now on, until the process is gone: one that comes while the last part
 * closes must not turn a good end into a bad one.
 */
export function listenForSignals(handlers: SignalHandlers): void {
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) handlers.stopNow(signal);
    else {
      stopping = true;
      handlers.stop(signal);
    }
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => handlers.reload());
}
