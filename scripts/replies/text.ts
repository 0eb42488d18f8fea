/** What `replies.ts` found, in words: tables of medians, and how many times the peer's a figure is. */
import type { Machine } from '../bench/results.ts';
import type { Figures } from './measure.ts';
import { type Case, PEER } from './setups.ts';

export interface Run {
  readonly setUp: string;
  readonly asked: Case;
  readonly round: number;
  readonly figures: Figures;
}

export interface Results {
  readonly date: string;
  readonly commandLine: string;
  readonly devices: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly machine: Machine;
  readonly versions: { readonly [broker: string]: string };
  readonly cases: readonly Case[];
  readonly setUps: readonly string[];
  readonly runs: readonly Run[];
  /** What was left out, and why. */
  readonly skipped: readonly string[];
}

export function titleOf({ qos, stores }: Case): string {
  return `QoS ${qos}, ${stores ? 'a row inserted before the reply' : 'a reply and nothing else'}`;
}

export function resultsText(results: Results): string {
  const { machine, versions, rounds, seconds, devices, skipped, date } = results;
  const cores = machine.isPinned
    ? 'Broker and handler share one core, the devices are on another.'
    : 'Nothing is pinned to a core: the devices compete with broker and handler.';
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${results.cases.map((asked) => caseText(results, asked)).join('\n')}
Medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s each, the set-ups taking turns, on ${date}: ${named.join(', ')}; ${machine.cores} cores
of ${machine.processor}, ${count(machine.syncsPerSecond)} small appends synced in a second. ${cores}
${devices} devices send a command each and the next when its reply has come. Bellhop checks a token of each, and at QoS 1
syncs commands to disk before it acknowledges them; Mosquitto lets everybody in and keeps nothing on disk. The MQTT.js client
inserts with \`bun:sqlite\`, WAL, \`synchronous = full\`, a transaction for each command. \`${results.commandLine}\`
${skipped.map((each) => `\nLeft out: ${each}.\n`).join('')}`;
}

function caseText(results: Results, asked: Case): string {
  const rows = results.setUps.map((setUp) => rowOf(results, asked, setUp));
  return `${titleOf(asked)}:

| | replies a second | p50 | p99 | processor time a reply: broker | handler |
| --- | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}
`;
}

function rowOf(results: Results, asked: Case, setUp: string): string {
  const runs = runsOf(results, asked, setUp);
  if (runs.length === 0) return `| ${setUp} | not measured | | | | |`;
  const of = (read: (figures: Figures) => number | undefined) => medianOf(runs.map(read));
  const perSecond = of((each) => each.perSecond) as number;
  const peer = medianOf(runsOf(results, asked, PEER).map((each) => each.perSecond));
  const times = peer === undefined || setUp === PEER ? '' : ` (${(perSecond / peer).toFixed(2)} ×)`;
  const lost = runs.reduce((sum, each) => sum + each.lost, 0);
  const missing = lost === 0 ? '' : `, ${count(lost)} lost`;
  const cells = [
    `${count(perSecond)}${times}${missing}`,
    milliseconds(of((each) => each.p50)),
    milliseconds(of((each) => each.p99)),
    microseconds(of((each) => each.brokerMicroseconds)),
    microseconds(of((each) => each.handlerMicroseconds)),
  ];
  return `| ${setUp} | ${cells.join(' | ')} |`;
}

function runsOf({ runs }: Results, asked: Case, setUp: string): Figures[] {
  return runs
    .filter((run) => run.setUp === setUp && titleOf(run.asked) === titleOf(asked))
    .map((run) => run.figures);
}

/** Undefined where one is missing, or there are none. */
function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (known.length === 0 || known.length < values.length) return undefined;
  const middle = (known.length - 1) / 2;
  return ((known[Math.floor(middle)] as number) + (known[Math.ceil(middle)] as number)) / 2;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : `${(value / 1_000).toFixed(1)} ms`;
}

function microseconds(value: number | undefined): string {
  return value === undefined ? '' : `${value.toFixed(1)} µs`;
}
