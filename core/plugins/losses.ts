/** What becomes of the runs that a worker held when it ended. */
import type { CommandQueue } from './command-queue.ts';
import type { Conclusions } from './conclusion.ts';
import { type Fault, fault } from './fault.ts';
import { findMark } from './marks.ts';
import type { Lost, PoolWorker } from './pool-worker.ts';
import type { Waiting } from './waiting.ts';

export class Losses {
  readonly #storePath: string;
  readonly #queue: CommandQueue;
  readonly #conclusions: Conclusions;

  constructor(storePath: string, queue: CommandQueue, conclusions: Conclusions) {
    this.#storePath = storePath;
    this.#queue = queue;
    this.#conclusions = conclusions;
  }

  /** What the worker had begun failed with it. Of all else that it held, nothing has happened: others take it. */
  take(worker: PoolWorker, { running, begun, unheard, rest }: Lost, why: Fault): void {
    this.#queue.giveBack(worker, rest);
    for (const entry of unheard) this.#recover(entry);
    const culprit = running ?? (begun.length === 1 ? begun[0] : undefined);
    for (const entry of begun) {
      const blamed = culprit === undefined || entry === culprit;
      const detail = `another run ended its worker: ${why.detail}`;
      this.end(entry, blamed ? why : fault('worker-lost', detail));
    }
  }

  /** A run, or one that was never begun, comes to no better end. */
  end(entry: Waiting, why: Fault): void {
    const durationMs = undefined;
    this.#conclusions.take({ entry, fault: why, durationMs, wrote: false, sends: [] });
  }

  /** A run was committed, but its outcome was lost with its worker: what it sent is in its mark, if it left one. */
  #recover(entry: Waiting): void {
    const { receipt, handler } = entry;
    const { number } = receipt;
    const sends = number === 0 ? undefined : findMark(this.#storePath, number, handler.name);
    if (sends === undefined) {
      this.end(entry, fault('worker-lost', 'it was done, but what it sent is lost'));
    } else {
      const durationMs = undefined;
      this.#conclusions.take({ entry, fault: undefined, durationMs, wrote: true, sends });
    }
  }
}
