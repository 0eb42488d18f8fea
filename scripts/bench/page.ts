/** docs/performance.md and its charts, from what a bench has found. */
import { barChart } from './chart.ts';
import { count, mebibytes, milliseconds, times } from './format.ts';
import { goalsOf } from './goals.ts';
import { curveSection, shown } from './page-curves.ts';
import { fromText, idleText, introduction } from './page-sources.ts';
import {
  bottleneckOf,
  brokersOf,
  lossOf,
  type Measure,
  medianOf,
  type Results,
} from './results.ts';
import { curvesOf, singlesOf, sizesOf, tableOf } from './scenarios.ts';

const OURS = 'Bellhop';
const REFERENCE = 'Mosquitto';

export interface Page {
  readonly text: string;
  /** By their names in docs/performance/. */
  readonly charts: ReadonlyMap<string, string>;
}

/** `notes` has prose by the `id` of a curve. */
export function performancePage(results: Results, notes: ReadonlyMap<string, string>): Page {
  const charts = new Map<string, string>();
  const text = `# Performance

${introduction(results)}
## Throughput on one core

Messages that arrive in a second, and in brackets how many times ${REFERENCE}'s that is. For commands, replies.

${throughputTable(results, charts)}
${shown('table-throughput', 'Throughput as a ratio to Mosquitto', charts)}
## At a fixed rate, connecting and idling

${singlesTable(results)}
*Bare TLS* is no broker: it accepts with the same certificate and settings, and answers whatever comes with a
fixed CONNACK. A handshake costs its client about as much as its server: where the generator is at its limit,
connects a second say little, and the processor time of a connection is what counts. Idle connections
have a session and one subscription each. ${idleText(results)}What the
process takes then (resident), less what it took before the first of them, is divided by their number.

What else is asked of ${OURS}:

${goalsTable(results)}
For the goals that are not reached, [profiles](performance/profiles.md) show where the time goes. What becomes
of the memory while clients come and go for half an hour is [a measurement of its own](performance/churn.md).

## How the cost grows

Each chart has its amount on a logarithmic axis. Where a cost of Bellhop grows faster than the amount, it
says so below the chart.

${curvesOf(sizesOf(results))
  .map((curve) => curveSection(results, curve, charts, notes.get(curve.id)))
  .filter((section) => section !== '')
  .join('\n')}
## How this is measured

\`bun run bench\` makes this page: it starts \`dist/bellhop\` and each peer that is installed, a fresh process
for every run, and alternates between them. The load is MQTT 3.1.1. Bellhop checks a token for each connection
and rights for each message; the others let everybody in. Stored messages are on disk before Bellhop
acknowledges them; ${REFERENCE} has persistence at its defaults, which syncs nothing. Without a rate the publishers
keep a fixed number of messages under way (closed loop), and the latency says little; at a rate, latency
counts from the time at which a message was due. *broker* or *generator* in the last columns tells who had no
more time to give: where it is the generator, the broker may do more.
${skippedText(results)}`;
  return { text, charts };
}

function throughputTable(results: Results, charts: Map<string, string>): string {
  const rows = tableOf(sizesOf(results));
  const ids = new Set(rows.map(({ id }) => id));
  const peers = brokersOf(results).filter(
    (name) =>
      name !== OURS && results.runs.some((run) => run.broker === name && ids.has(run.scenario)),
  );
  const lines = [
    `| | ${[OURS, 'ratio', 'goal', ...peers].join(' | ')} | |`,
    `| --- | --: | --: | --: |${' --: |'.repeat(peers.length)} --- |`,
  ];
  const bars: { name: string; value: number; isOurs: boolean }[] = [];
  for (const row of rows) {
    const ours = medianOf(results, row.id, OURS, 'perSecond');
    if (ours === undefined) continue;
    const reference = medianOf(results, row.against ?? row.id, REFERENCE, 'perSecond');
    const ratio = reference === undefined ? undefined : ours / reference;
    if (ratio !== undefined) bars.push({ name: row.id, value: ratio, isOurs: true });
    const theirs = peers.map((peer) => {
      const found = medianOf(results, row.id, peer, 'perSecond');
      if (found === undefined) return '';
      return reference === undefined
        ? count(found)
        : `${count(found)} (${times(found / reference)})`;
    });
    const cells = [count(ours), ratio === undefined ? '' : times(ratio), `${row.target}×`];
    const from = fromText(results, [row.id, ...(row.against === undefined ? [] : [row.against])]);
    const who = joined(bottleneckOf(results, row.id, OURS), lossText(results, row.id, OURS), from);
    lines.push(`| ${[row.title, ...cells, ...theirs, who].join(' | ')} |`);
  }
  const title = `Throughput of ${OURS} as a multiple of ${REFERENCE}'s`;
  charts.set('table-throughput', barChart({ title, xLabel: 'times as much', bars }));
  return `${lines.join('\n')}\n`;
}

function lossText(results: Results, scenario: string, broker: string): string {
  const { lost, duplicates } = lossOf(results, scenario, broker);
  return joined(
    lost === 0 ? '' : `${count(lost)} lost`,
    duplicates === 0 ? '' : `${count(duplicates)} twice`,
  );
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ');
}

function singlesTable(results: Results): string {
  const lines = [
    '| | broker | a second | p50 | p99 | processor time each | memory | a connection | |',
    '| --- | --- | --: | --: | --: | --: | --: | --: | --- |',
  ];
  for (const { id, title, kind } of singlesOf(sizesOf(results))) {
    for (const broker of brokersOf(results)) {
      const of = (measure: Measure): number | undefined => medianOf(results, id, broker, measure);
      const resident = of('residentEnd');
      if (resident === undefined) continue;
      const isIdle = kind === 'idle';
      const cells = [
        isIdle ? '' : count(of('perSecond') ?? 0),
        latencyText(of('p50')),
        latencyText(of('p99')),
        isIdle ? '' : `${(of('brokerCpuEach') ?? 0).toFixed(1)} µs`,
        mebibytes(resident),
        isIdle ? `${count(of('residentPerConnection') ?? 0)} B` : '',
      ];
      const who = isIdle ? '' : bottleneckOf(results, id, broker);
      const rest = joined(who, lossText(results, id, broker), fromText(results, [id]));
      lines.push(`| ${[title, broker, ...cells, rest].join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** '' where nothing arrived that could be late. */
function latencyText(value: number | undefined): string {
  return value === undefined || value === 0 ? '' : milliseconds(value);
}

function goalsTable(results: Results): string {
  const found = goalsOf(results);
  if (found.length === 0) return '';
  const rows = found.map(
    ({ goal, found, isReached, scenario }) =>
      `| ${goal} | ${found} | ${joined(verdict(isReached), fromText(results, [scenario]))} |`,
  );
  return `| goal | found | |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function verdict(isReached: boolean | undefined): string {
  if (isReached === undefined) return '';
  return isReached ? 'reached' : '**not reached**';
}

function skippedText({ skipped }: Results): string {
  if (skipped.length === 0) return '';
  return `\nLeft out:\n\n${skipped.map(({ detail }) => `- ${detail}`).join('\n')}\n`;
}
