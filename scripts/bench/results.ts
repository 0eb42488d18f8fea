/** What a bench run found, as it is kept in docs/performance/results.json, and how it is summed up. */

/** Of one run of one scenario against one broker. Times in microseconds, memory in bytes. */
export interface Figures {
  /** Messages that arrived in a second; connections made in a second where there are no messages. */
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  /** Absent where the generator does not tell them from others; then they may hide losses. */
  readonly duplicates?: number;
  readonly brokerCpuPercent: number;
  /** Per message that arrived, or per connection. */
  readonly brokerCpuEach: number;
  readonly residentEnd: number;
  readonly residentPerConnection: number;
  readonly generatorCpuPercent: number;
  readonly bottleneck: string;
}

export interface Run {
  /** The `id` of a `Scenario`. All runs of one are from the same call of the bench. */
  readonly scenario: string;
  readonly broker: string;
  readonly round: number;
  /** Index of the `Source`. */
  readonly source: number;
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

/** One call of the bench, and one generator: where figures come from. */
export interface Source {
  readonly date: string;
  readonly commandLine: string;
  readonly generator: string;
  readonly rounds: number;
  /** What idle connections have done before their memory is read. */
  readonly idle: string;
  readonly machine: Machine;
  /** What each broker that took part says it is: Bellhop with its commit. */
  readonly versions: { readonly [broker: string]: string };
}

/** What was left out, and why. */
export interface Skip {
  readonly scenario: string;
  readonly detail: string;
}

export interface Results {
  readonly isQuick: boolean;
  readonly sources: readonly Source[];
  readonly runs: readonly Run[];
  readonly skipped: readonly Skip[];
}

export type Measure = {
  [K in keyof Figures]-?: Figures[K] extends number ? K : never;
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

/** In all rounds together. */
export function lossOf(
  { runs }: Results,
  scenario: string,
  broker: string,
): { readonly lost: number; readonly duplicates: number } {
  const found = runs.filter((run) => run.scenario === scenario && run.broker === broker);
  const sum = (of: (figures: Figures) => number): number =>
    found.reduce((before, { figures }) => before + of(figures), 0);
  return { lost: sum(({ lost }) => lost), duplicates: sum(({ duplicates = 0 }) => duplicates) };
}

/** Where the figures of these scenarios come from. */
export function sourcesOf({ sources, runs }: Results, scenarios: readonly string[]): Source[] {
  const wanted = new Set(scenarios);
  const used = new Set(runs.flatMap((run) => (wanted.has(run.scenario) ? [run.source] : [])));
  return sources.filter((_, at) => used.has(at));
}

/** The brokers of all sources, in the order of their names in the first one that has them. */
export function brokersOf({ sources }: Results): string[] {
  return [...new Set(sources.flatMap(({ versions }) => Object.keys(versions)))];
}

/** `found`, and of `kept` what it has not measured again. Sources without a run are left behind. */
export function merge(kept: Results | undefined, found: Results, again: Set<string>): Results {
  const sources = [...(kept?.sources ?? []), ...found.sources];
  const shift = kept?.sources.length ?? 0;
  const isKept = ({ scenario }: { readonly scenario: string }): boolean => !again.has(scenario);
  const runs = [
    ...(kept?.runs ?? []).filter(isKept),
    ...found.runs.map((run) => ({ ...run, source: run.source + shift })),
  ];
  const used = sources.map((_, at) => at).filter((at) => runs.some(({ source }) => source === at));
  return {
    isQuick: found.isQuick,
    sources: used.map((at) => sources[at] as Source),
    runs: runs.map((run) => ({ ...run, source: used.indexOf(run.source) })),
    skipped: [...(kept?.skipped ?? []).filter(isKept), ...found.skipped],
  };
}

/** As it is kept: a run to a line, with the digits that mean something. */
export function resultsText({ isQuick, sources, runs, skipped }: Results): string {
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
  const lines = (of: readonly object[]): string =>
    of.length === 0 ? '[]' : `[\n${of.map((each) => JSON.stringify(each, rounded)).join(',\n')}\n]`;
  return `{
"isQuick": ${isQuick},
"sources": ${lines(sources)},
"runs": ${lines(runs)},
"skipped": ${lines(skipped)}
}
`;
}
