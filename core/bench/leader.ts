/** Leads the members of a load test through it, all at the same step, and adds up what they found. */
import type { Counts, Member } from './member.ts';
import type { BenchOptions } from './options.ts';
import { type ProcessSample, sampleProcesses } from './proc.ts';
import { type BenchReport, makeReport } from './report.ts';

/** Messages under way are given up after so long without one. */
const DRAIN_QUIET_MS = 2_000;
const DRAIN_POLL_MS = 20;
/** Longest wait for the answers to a ping on every connection. */
const ANSWER_MS = 10_000;
export const NOTHING_MEASURED = 'stopped before anything was measured';

export interface Watch {
  /** Processes of the broker, where they run on this machine. */
  readonly brokerPids: readonly number[];
  /** Time for the broker to come to rest after connections were made. */
  readonly settleSeconds: number;
  /** Ends the run early: what was measured until then is told, and an error says where nothing was. */
  readonly stopped: AbortSignal;
  /** Hears of the phase once a second at least. */
  progress(phase: string, counts: Counts): void;
}

export interface BrokerSamples {
  readonly start: ProcessSample;
  readonly connected: ProcessSample;
  readonly from: ProcessSample;
  readonly to: ProcessSample;
  readonly end: ProcessSample;
}

/** Rejects where connections cannot be had, and where it is stopped before anything is measured. */
export async function lead(
  members: readonly Member[],
  options: BenchOptions,
  watch: Watch,
): Promise<BenchReport> {
  const all = <T>(step: (member: Member) => Promise<T>): Promise<T[]> =>
    Promise.all(members.map(step));
  const counts = async (): Promise<Counts> => sum(await all((member) => member.counts()));
  const sample = (): ProcessSample | undefined =>
    watch.brokerPids.length === 0 ? undefined : sampleProcesses(watch.brokerPids);
  const ask = async (): Promise<void> => {
    await all((member) => member.ping());
    await answers(counts);
  };
  const { stopped } = watch;
  const aborted = new Promise<void>((resolve) => {
    if (stopped.aborted) resolve();
    stopped.addEventListener('abort', () => resolve(), { once: true });
  });
  /** A step before anything is measured. */
  const soon = async (step: Promise<unknown>): Promise<void> => {
    await Promise.race([step, aborted]);
    if (stopped.aborted) throw new Error(NOTHING_MEASURED);
  };
  let phase = 'connecting';
  const timer = setInterval(() => {
    counts().then(
      (found) => watch.progress(phase, found),
      () => {}, // what is wrong with a member shows where the next step fails
    );
  }, 1_000);
  try {
    const isStorm = options.scenario === 'storm';
    const start = sample();
    if (isStorm) await all((member) => member.measure());
    const begunAt = performance.now();
    await soon(all((member) => member.connect('receivers')));
    await soon(all((member) => member.connect('publishers')));
    const connectSeconds = (performance.now() - begunAt) / 1_000;
    const connected = sample();
    if (isStorm) await all((member) => member.stop());
    await soon(pause(watch.settleSeconds, stopped));
    let from = start;
    let to = connected;
    if (!isStorm) {
      const isIdle = options.scenario === 'idle';
      phase = isIdle ? 'a message to each' : 'warming up';
      await all((member) => member.begin());
      if (isIdle) {
        await soon(drain(counts, options.drainSeconds));
        await soon(ask());
      } else await soon(pause(options.warmUpSeconds, stopped));
      phase = isIdle ? 'idle' : 'measuring';
      await all((member) => member.measure());
      from = sample();
      await pause(options.durationSeconds, stopped);
      await all((member) => member.stop());
      to = sample();
      phase = 'waiting for the rest';
      await drain(counts, options.drainSeconds);
    }
    const end = sample();
    // What comes twice may come behind the last that was missing. The first answers say that the broker
    // has read all that was published, the second that what it sent for that is here.
    if (!isStorm) for (let round = 1; round <= 2; round++) await ask();
    const results = await all((member) => member.finish());
    const broker =
      start && connected && from && to && end ? { start, connected, from, to, end } : undefined;
    return makeReport(options, results, connectSeconds, broker);
  } finally {
    clearInterval(timer);
    for (const member of members) member.end();
  }
}

function sum(found: readonly Counts[]): Counts {
  const total = (key: keyof Counts): number =>
    found.reduce((before, each) => before + each[key], 0);
  return {
    connected: total('connected'),
    sent: total('sent'),
    expected: total('expected'),
    received: total('received'),
    pingsAwaited: total('pingsAwaited'),
  };
}

/** Until all has arrived, or nothing more comes. */
async function drain(counts: () => Promise<Counts>, longestSeconds: number): Promise<void> {
  const begunAt = performance.now();
  let received = -1;
  let movedAt = begunAt;
  for (;;) {
    const found = await counts();
    const now = performance.now();
    if (found.received >= found.expected && found.sent > 0) return;
    if (found.received !== received) {
      received = found.received;
      movedAt = now;
    }
    if (now - movedAt > DRAIN_QUIET_MS || now - begunAt > longestSeconds * 1_000) return;
    await Bun.sleep(DRAIN_POLL_MS);
  }
}

/** Until every ping has its answer, or there has been time enough. */
async function answers(counts: () => Promise<Counts>): Promise<void> {
  const deadline = performance.now() + ANSWER_MS;
  while ((await counts()).pingsAwaited > 0 && performance.now() < deadline) {
    await Bun.sleep(DRAIN_POLL_MS);
  }
}

/** Resolves after so long, or when `stopped` says so; then no timer is left, which would keep the process. */
async function pause(seconds: number, stopped: AbortSignal): Promise<void> {
  if (seconds <= 0 || stopped.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, seconds * 1_000);
  const wake = (): void => {
    clearTimeout(timer);
    resolve();
  };
  stopped.addEventListener('abort', wake, { once: true });
  await promise;
  stopped.removeEventListener('abort', wake);
}
