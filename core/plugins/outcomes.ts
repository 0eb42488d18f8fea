/** What a worker posts. */
import type { Message } from '../mqtt/packet.ts';
import { pack, transferOf } from './batch.ts';
import { type FromWorker, type Outcomes, Settled } from './exchange.ts';
import type { Fault } from './fault.ts';
import type { Run } from './run.ts';
import type { Job } from './runner.ts';

/** How often the worker looks at its heap. */
const HEAP_EVERY_MS = 1_000;

/** Taken before a plugin can lay hands on it. */
export const post = globalThis.postMessage.bind(globalThis) as (
  message: FromWorker,
  transfer?: ArrayBuffer[],
) => void;

/** A run that is over and not yet settled. */
export interface Done {
  readonly job: Job;
  readonly run: Run;
  fault: Fault | undefined;
  readonly durationMs: number;
  readonly startMs: number;
  /** Whether it left a mark. */
  readonly wrote: boolean;
}

let heapLookedAtMs = Number.NEGATIVE_INFINITY;

export function postOutcomes(group: readonly Done[]): void {
  if (group.length === 0) return;
  const runs = new Float64Array(Settled.Count * group.length);
  const faults: [number, Fault][] = [];
  const sends: Message[] = [];
  const routes: number[] = [];
  for (const [index, done] of group.entries()) {
    const row = Settled.Count * index;
    runs[row + Settled.Slot] = done.job.slot;
    runs[row + Settled.DurationMs] = done.durationMs;
    runs[row + Settled.StartMs] = done.startMs;
    if (done.fault !== undefined) {
      faults.push([index, done.fault]);
      continue;
    }
    runs[row + Settled.Wrote] = done.wrote ? 1 : 0;
    runs[row + Settled.Sends] = done.run.sends.length;
    for (const { route, message } of done.run.sends) {
      sends.push(message);
      routes.push(route);
    }
  }
  const packed = sends.length === 0 ? undefined : pack(sends);
  const outcomes: Outcomes = {
    kind: 'outcomes',
    runs,
    faults,
    routes: Uint8Array.from(routes),
    sends: packed,
    heapBytes: lookAtHeap(),
  };
  post(outcomes, packed === undefined ? [] : transferOf(packed));
}

export function postIdle(): void {
  post({ kind: 'idle' });
}

/** 0 where it was looked at just now. */
function lookAtHeap(): number {
  const now = performance.now();
  if (now - heapLookedAtMs < HEAP_EVERY_MS) return 0;
  heapLookedAtMs = now;
  return process.memoryUsage().heapUsed;
}
