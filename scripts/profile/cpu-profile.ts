/** What a V8 CPU profile, as `bun --cpu-prof` writes it, says of the second half of its time. */

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  /** The node of each sample, and the microseconds up to it. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Of the time that the thread was not idle, 0 to 1. */
  readonly share: number;
}

/** How much of the time counts: before, code was still being compiled. */
const SETTLED = 0.5;
/** What stands for waiting, or for the profiler itself. */
const idle = new Set(['(idle)', '(program)', '(root)', '']);

/** Functions by the time spent in them and not in what they call, the longest first. */
export function ownTimes({ nodes, samples, timeDeltas }: CpuProfile): Share[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const whole = timeDeltas.reduce((sum, delta) => sum + delta, 0);
  const times = new Map<string, number>();
  let passed = 0;
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    passed += delta;
    const name = names.get(id) ?? '';
    if (passed < whole * (1 - SETTLED) || idle.has(name)) continue;
    times.set(name, (times.get(name) ?? 0) + delta);
    busy += delta;
  }
  return [...times]
    .map(([name, time]) => ({ name, share: time / busy }))
    .sort((a, b) => b.share - a.share);
}

/** Those of the runtime have no file, and are told by their name alone. */
function nameOf({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  const file = url.split('/').slice(-2).join('/');
  return file === '' ? functionName : `${functionName || 'anonymous'} (${file})`;
}
