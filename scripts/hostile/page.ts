/** The table of what hostile plugins cost, for a terminal and for docs/handlers.md. */
import type { Histogram } from '../../core/bench/histogram.ts';
import type { HostileCase, LogLine } from './cases.ts';

/** Round trips, in milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly maximum: number;
}

export interface CaseResult extends Pick<HostileCase, 'name' | 'does' | 'fate'> {
  /** How often it was told to do its worst; 0 where it does not load. */
  readonly commands: number;
  readonly without: Percentiles;
  readonly beside: Percentiles;
  /** What the neighbour answered, and the longest that it took. */
  readonly answers: number;
  readonly slowestMs: { readonly without: number; readonly beside: number };
  /** What the log said of it first. */
  readonly line: LogLine | undefined;
  readonly problems: readonly string[];
}

export interface Conditions {
  /** With each plugin, and as many without it. */
  readonly seconds: number;
  /** Round trips a second. */
  readonly rate: number;
  readonly cores: number;
  readonly processor: string;
  /** Whether the executable ran, and not the sources. */
  readonly built: boolean;
}

/** Of microseconds. */
export function percentilesOf(histogram: Histogram): Percentiles {
  return {
    p50: histogram.percentile(0.5) / 1_000,
    p99: histogram.percentile(0.99) / 1_000,
    maximum: histogram.maximum / 1_000,
  };
}

export function tableOf(results: readonly CaseResult[], conditions: Conditions): string {
  const { seconds, rate, cores, processor, built } = conditions;
  const rows = results.map((result) => {
    const { name, does, without, beside, slowestMs } = result;
    const ratio = `${(beside.p99 / without.p99).toFixed(1)} ×`;
    const neighbour = `${Math.round(slowestMs.without)} / ${Math.round(slowestMs.beside)}`;
    const cells = [`\`${name}\` ${does}`, shown(without), shown(beside), ratio, neighbour];
    return `| ${[...cells, whatBecame(result), saidBy(result)].join(' | ')} |`;
  });
  return [
    `Round trips of QoS 0 in milliseconds, p50 / p99 / slowest, and the neighbour's slowest answer without / beside. ${rate} round trips a`,
    `second for ${seconds} s each way, the plugin struck once a second; ${cores} cores (${processor}), ${built ? 'the executable' : 'from source'}.`,
    '',
    '| plugin | without | beside | p99 | neighbour | its commands | the log |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function shown({ p50, p99, maximum }: Percentiles): string {
  return [p50, p99, maximum].map((each) => each.toFixed(each < 10 ? 2 : 0)).join(' / ');
}

function whatBecame({ fate, commands }: CaseResult): string {
  if (fate === 'none') return 'none: it does not load';
  return fate === 'dead' ? `${commands} dead letters` : `${commands} done`;
}

function saidBy({ line }: CaseResult): string {
  if (line === undefined) return 'nothing';
  const { message, at, reason, detail } = line;
  const fields = Object.entries({ reason, detail, at }).filter(([, value]) => value !== undefined);
  const text = [message, ...fields.map(([name, value]) => `${name}=${quoted(value)}`)].join(' ');
  return `\`${text.replaceAll('|', '\\|').replaceAll('`', "'")}\``;
}

function quoted(value: unknown): string {
  const text = String(value);
  return /[\s"]/.test(text) ? JSON.stringify(text) : text;
}

const BEGIN = '<!-- hostile plugins: written by scripts/hostile-plugins.ts -->';
const END = '<!-- end of hostile plugins -->';

/** Puts the table between its marks. Throws where they are missing. */
export async function writePage(path: string, table: string): Promise<void> {
  const text = await Bun.file(path).text();
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`${path} lacks ${BEGIN} or ${END}`);
  const head = text.slice(0, begin + BEGIN.length);
  await Bun.write(path, `${head}\n${table}\n${text.slice(end)}`);
}
