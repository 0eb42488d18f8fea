/** docs/performance.md and its charts, from what a bench has found. */
import { barChart, lineChart, type Series } from './chart.ts';
import { isWorseThanLinear, steepest } from './growth.ts';
import { bottleneckOf, medianOf, type Results } from './results.ts';
import {
  type Curve,
  type CurveChart,
  curvesOf,
  fullSizes,
  quickSizes,
  singlesOf,
  tableOf,
} from './scenarios.ts';

const OURS = 'Bellhop';
const REFERENCE = 'Mosquitto';

export interface Page {
  readonly text: string;
  /** By their names in docs/performance/. */
  readonly charts: ReadonlyMap<string, string>;
}

export function performancePage(results: Results): Page {
  const charts = new Map<string, string>();
  const sizes = results.isQuick ? quickSizes : fullSizes;
  const text = `# Performance

${introduction(results)}
## Throughput on one core

Messages that arrive in a second, and in brackets how many times ${REFERENCE}'s that is. For commands, replies.

${throughputTable(results, charts)}
${shown('table-throughput', 'Throughput as a ratio to Mosquitto', charts)}
## At a fixed rate, connecting and idling

${singlesTable(results)}
## How the cost grows

Each chart has its amount on a logarithmic axis. Where a cost of Bellhop grows faster than the amount, it
says so below the chart.

${curvesOf(sizes)
  .map((curve) => curveSection(results, curve, charts))
  .filter((section) => section !== '')
  .join('\n')}
## How this is measured

\`bun run bench\` makes this page: it starts \`dist/bellhop\` and each peer that is installed, a fresh process
for every run, and alternates between them. The load comes from ${results.generator}, over MQTT 3.1.1. Bellhop
checks a token for each connection and rights for each message; the others let everybody in. Without a rate
the publishers keep a fixed number of messages under way (closed loop), and the latency says little; at a
rate, latency counts from the time at which a message was due. *broker* or *generator* in brackets tells who
had no more time to give: where it is the generator, the broker may do more.
${skippedText(results)}`;
  return { text, charts };
}

function introduction(results: Results): string {
  const { date, machine, versions, rounds, commandLine, isQuick } = results;
  const warning = isQuick
    ? '**A quick run, with small amounts: to see that it works, not to be quoted.**\n\n'
    : '';
  const gib = (machine.memoryBytes / 2 ** 30).toFixed(0);
  const pinned = machine.isPinned
    ? 'the broker is pinned to one core and the generator to another'
    : 'nobody is pinned to a core';
  return `${warning}Printed from [results.json](performance/results.json), which \`${commandLine}\` made on ${date}:
medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'} on ${machine.processor}, ${machine.cores} cores, ${gib} GiB, ${machine.system}; ${pinned}.
${Object.entries(versions)
  .map(([name, version]) => `${name} ${version}`)
  .join('; ')}.
`;
}

function brokersOf({ versions }: Results): string[] {
  return Object.keys(versions);
}

function throughputTable(results: Results, charts: Map<string, string>): string {
  const peers = brokersOf(results).filter((name) => name !== OURS);
  const lines = [
    `| | ${OURS} | ratio | goal | ${peers.join(' | ')} | |`,
    `| --- | --: | --: | --: |${' --: |'.repeat(peers.length)} --- |`,
  ];
  const bars: { name: string; value: number; isOurs: boolean }[] = [];
  for (const row of tableOf(results.isQuick ? quickSizes : fullSizes)) {
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
    const cells = [count(ours), ratio === undefined ? '' : times(ratio), times(row.target)];
    const who = `${bottleneckOf(results, row.id, OURS)}${lossOf(results, row.id)}`;
    lines.push(`| ${row.title} | ${cells.join(' | ')} | ${theirs.join(' | ')} | ${who} |`);
  }
  const title = `Throughput of ${OURS} as a multiple of ${REFERENCE}'s`;
  charts.set('table-throughput', barChart({ title, xLabel: 'times as much', bars }));
  return `${lines.join('\n')}\n`;
}

function lossOf({ runs }: Results, scenario: string): string {
  const lost = runs
    .filter((run) => run.scenario === scenario && run.broker === OURS)
    .reduce((before, { figures }) => before + figures.lost, 0);
  return lost === 0 ? '' : `; ${count(lost)} lost`;
}

function singlesTable(results: Results): string {
  const lines = [
    '| | broker | a second | p50 | p99 | processor time each | memory | a connection | |',
    '| --- | --- | --: | --: | --: | --: | --: | --: | --- |',
  ];
  for (const { id, title, kind } of singlesOf(results.isQuick ? quickSizes : fullSizes)) {
    for (const broker of brokersOf(results)) {
      const of = (measure: Parameters<typeof medianOf>[3]): number | undefined =>
        medianOf(results, id, broker, measure);
      const resident = of('residentEnd');
      if (resident === undefined) continue;
      const isIdle = kind === 'idle';
      const cells = [
        isIdle ? '' : count(of('perSecond') ?? 0),
        isIdle ? '' : milliseconds(of('p50') ?? 0),
        isIdle ? '' : milliseconds(of('p99') ?? 0),
        isIdle ? '' : `${(of('brokerCpuEach') ?? 0).toFixed(1)} µs`,
        `${(resident / 2 ** 20).toFixed(0)} MiB`,
        isIdle ? kibibytes(of('residentPerConnection') ?? 0) : '',
      ];
      const lost = broker === OURS ? lossOf(results, id) : '';
      const who = isIdle ? '' : `${bottleneckOf(results, id, broker)}${lost}`;
      lines.push(`| ${title} | ${broker} | ${cells.join(' | ')} | ${who} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function curveSection(results: Results, curve: Curve, charts: Map<string, string>): string {
  const sections = curve.charts.map((chart) => {
    const series = seriesOf(results, curve, chart);
    if (series.length === 0) return '';
    const title = `${curve.title}: ${chart.title.toLowerCase()}`;
    const { unit } = chart;
    charts.set(chart.file, lineChart({ title, xLabel: curve.axis, yLabel: unit, series }));
    return shown(chart.file, title, charts) + (chart.isCost ? growthNote(series) : '');
  });
  const found = sections.filter((section) => section !== '');
  return found.length === 0 ? '' : `### ${curve.title}\n\n${found.join('\n')}`;
}

function seriesOf(results: Results, curve: Curve, { measure, scale }: CurveChart): Series[] {
  return brokersOf(results).flatMap((name) => {
    const points = curve.scenarios.flatMap(({ id, x }) => {
      const found = medianOf(results, id, name, measure);
      return found === undefined ? [] : [[x, found / scale] as const];
    });
    return points.length < 2 ? [] : [{ name, points }];
  });
}

function growthNote(series: readonly Series[]): string {
  const found = steepest(series.find(({ name }) => name === OURS)?.points ?? []);
  if (found === undefined || !isWorseThanLinear(found.slope)) return '';
  const { from, to, slope } = found;
  return `\n**Worse than linear:** ${OURS}'s grows with the power ${slope.toFixed(2)} from ${count(from)} to ${count(to)}.\n`;
}

function shown(file: string, title: string, charts: ReadonlyMap<string, string>): string {
  return charts.has(file) ? `![${title}](performance/${file}.svg)\n` : '';
}

function skippedText({ skipped }: Results): string {
  if (skipped.length === 0) return '';
  return `\nLeft out in this run:\n\n${skipped.map((each) => `- ${each}`).join('\n')}\n`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function times(value: number): string {
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(1)}×`;
}

function milliseconds(microseconds: number): string {
  return `${Number((microseconds / 1_000).toPrecision(3))} ms`;
}

function kibibytes(value: number): string {
  return `${(value / 1_024).toFixed(1)} KiB`;
}
