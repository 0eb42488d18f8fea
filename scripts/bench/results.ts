/** What a bench run found, as it is kept in docs/performance/results.json, and how it is summed up. */

/** Of one run of one scenario against one broker. Times in microseconds, memory in bytes. */
export interface Figures {
  /** Messages that arrived in a second; connections made in a second where there are no messages. */
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  readonly brokerCpuPercent: number;
  /** Per message that arrived, or per connection. */
  readonly brokerCpuEach: number;
  readonly residentEnd: number;
  readonly residentPerConnection: number;
  readonly generatorCpuPercent: number;
  readonly bottleneck: string;
}

export interface Run {
  /** The `id` of a `Scenario`. */
  readonly scenario: string;
  readonly broker: string;
  readonly round: number;
  readonly figures: Figures;
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** Small appends that were synced to disk, one after the other, in a second. */
  readonly syncsPerSecond: number;
  readonly isPinned: boolean;
}

export interface Results {
  readonly date: string;
  readonly commandLine: string;
  readonly generator: string;
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  /** What each broker says it is. */
  readonly versions: { readonly [broker: string]: string };
  readonly runs: readonly Run[];
  /** What was left out, and why. */
  readonly skipped: readonly string[];
}

export type Measure = {
  [K in keyof Figures]: Figures[K] extends number ? K : never;
}[keyof Figures];

/** The median over all rounds; undefined where there was no such run. */
export function medianOf(
  { runs }: Results,
  scenario: string,
  broker: string,
  measure: Measure,
): number | undefined {
  const values = runs
    .filter((run) => run.scenario === scenario && run.broker === broker)
    .map(({ figures }) => figures[measure])
    .toSorted((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length / 2;
  return ((values[Math.floor(middle)] ?? 0) + (values[Math.ceil(middle) - 1] ?? 0)) / 2;
}

export function bottleneckOf({ runs }: Results, scenario: string, broker: string): string {
  const found = runs.filter((run) => run.scenario === scenario && run.broker === broker);
  return [...new Set(found.map(({ figures }) => figures.bottleneck))].join(', ');
}
