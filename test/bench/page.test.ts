/** The pages of `bun run bench`, rendered from figures that are made up here and measured nowhere. */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import {
  type Costs,
  capacityPage,
  connectionsOf,
  costsOf,
  rateOf,
} from '../../scripts/bench/capacity.ts';
import { barChart, lineChart, short } from '../../scripts/bench/chart.ts';
import { ownGenerator } from '../../scripts/bench/generator.ts';
import { goalsOf } from '../../scripts/bench/goals.ts';
import { isWorseThanLinear, steepest } from '../../scripts/bench/growth.ts';
import { nativeGenerator } from '../../scripts/bench/mqload.ts';
import { performancePage } from '../../scripts/bench/page.ts';
import { readNotes } from '../../scripts/bench/page-curves.ts';
import {
  type Figures,
  medianOf,
  merge,
  type Results,
  type Run,
  resultsText,
  type Source,
} from '../../scripts/bench/results.ts';
import {
  curvesOf,
  fullSizes,
  quickSizes,
  singlesOf,
  tableOf,
} from '../../scripts/bench/scenarios.ts';

const figures: Figures = {
  ...{ perSecond: 1_000, p50: 150, p99: 2_500, lost: 0, brokerCpuPercent: 100, brokerCpuEach: 4 },
  ...{ residentEnd: 90 * 2 ** 20, residentPerConnection: 8_192, generatorCpuPercent: 40 },
  bottleneck: 'broker',
};

const source: Source = {
  ...{ date: '2026-01-02', commandLine: 'bun run bench', generator: 'bellhop bench', rounds: 3 },
  idle: 'a message to each, then 10 s of silence',
  machine: {
    ...{ processor: 'Abacus', cores: 2, memoryBytes: 2 ** 33, system: 'Linux 1' },
    ...{ syncsPerSecond: 500, isPinned: true },
  },
  versions: { Bellhop: '1.2.3', Mosquitto: '2.0' },
};
const noNotes = new Map<string, string>();

function resultsOf(runs: readonly Run[], sources: readonly Source[] = [source]): Results {
  const skipped = [{ scenario: 'pairs-0', detail: 'something, NATS: not there' }];
  return { isQuick: true, sources, runs, skipped };
}

function runOf(scenario: string, broker: string, more: Partial<Figures>, at = 0): Run {
  return { scenario, broker, round: 1, source: at, figures: { ...figures, ...more } };
}

/** Three rounds of everything: Bellhop at 9,000 to 11,000 a second, Mosquitto at a fifth of that. */
function everything(
  of: (scenario: string, round: number) => Partial<Figures> = () => ({}),
): Results {
  const scenarios = [
    ...tableOf(quickSizes),
    ...singlesOf(quickSizes),
    ...curvesOf(quickSizes).flatMap((curve) => curve.scenarios),
  ];
  const runs = scenarios.flatMap(({ id }) =>
    [1, 2, 3].flatMap((round) => [
      runOf(id, 'Bellhop', { perSecond: 8_000 + 1_000 * round, ...of(id, round) }),
      runOf(id, 'Mosquitto', { perSecond: 2_000 }),
    ]),
  );
  return resultsOf(runs);
}

test('no scenario has the name of another', () => {
  const ids = [
    ...tableOf(quickSizes),
    ...singlesOf(quickSizes),
    ...curvesOf(quickSizes).flatMap((curve) => curve.scenarios),
  ].map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)]);
});

test('a median is the middle one, or between the two in the middle', () => {
  const run = (perSecond: number): Run => runOf('s', 'b', { perSecond });
  const of = (...values: number[]) => medianOf(resultsOf(values.map(run)), 's', 'b', 'perSecond');
  expect([of(9, 1, 5), of(4, 1, 9, 2), of(7), of()]).toEqual([5, 3, 7, undefined]);
});

test('the pages in the repository say what results.json does, and nobody has typed in a figure', () => {
  const read = (name: string): string =>
    readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
  const results = JSON.parse(read('performance/results.json')) as Results;
  const notes = readNotes(read('performance/notes.md'), curvesOf(fullSizes));
  const { text, charts } = performancePage(results, notes);
  expect(read('performance.md')).toBe(text);
  for (const [name, svg] of charts) expect(read(`performance/${name}.svg`)).toBe(svg);
  expect(read('capacity.md')).toBe(capacityPage(results));
});

test('a goal is written as it was set', () => {
  const { text } = performancePage(everything(), noNotes);
  expect(text).toContain('| 13.5× |');
  expect(text).toContain('| 3× |');
});

test('the page has every row with its ratio, and says where and with what it was measured', () => {
  const { text, charts } = performancePage(everything(), noNotes);
  for (const { title } of tableOf(quickSizes)) {
    expect(text).toContain(`| ${title} | 10,000 | 5.0× |`);
  }
  for (const part of [
    'Abacus, 2 cores, 8 GiB',
    '2026-01-02',
    'Bellhop 1.2.3; Mosquitto 2.0',
    'medians of 3 rounds',
  ]) {
    expect(text).toContain(part);
  }
  expect(text).toContain('something, NATS: not there');
  expect(text).not.toContain('Worse than linear');
  const named = [...text.matchAll(/performance\/([\w-]+)\.svg/g)].map((match) => match[1] ?? '');
  expect(named.toSorted()).toEqual([...charts.keys()].toSorted());
  expect(named.length).toBeGreaterThanOrEqual(10);
});

test('what was lost is said, and what was not measured has no row', () => {
  const lossy = performancePage(
    everything((id, round) => (id === 'fan-in' && round === 2 ? { lost: 12, duplicates: 3 } : {})),
    noNotes,
  );
  expect(lossy.text).toContain('| broker; 12 lost; 3 twice |');
  const { text, charts } = performancePage(resultsOf([]), noNotes);
  expect(text).not.toContain('1 to 100');
  expect(text).not.toContain('undefined');
  expect(charts.has('levels-cpu')).toBe(false);
});

test('a cost that grows faster than its amount is named', () => {
  const quadratic = everything((id) => {
    const levels = /^grow-levels-(\d+)$/.exec(id)?.[1];
    return levels === undefined ? {} : { brokerCpuEach: Number(levels) ** 2 };
  });
  const { text } = performancePage(quadratic, noNotes);
  expect(text).toContain("**Worse than linear:** Bellhop's grows with the power 2.00 from 1 to 8.");
  expect(text.match(/Worse than linear/g)).toHaveLength(1);
  expect(
    steepest([
      [1, 1],
      [10, 10],
      [100, 150],
    ])?.slope,
  ).toBeCloseTo(1.176, 2);
  expect([isWorseThanLinear(1.1, 1), isWorseThanLinear(1.2, 1)]).toEqual([false, true]);
  expect([isWorseThanLinear(0.1, 0), isWorseThanLinear(0.2, 0)]).toEqual([false, true]);
  expect(steepest([[1, 5]])).toBeUndefined();
});

test('the cost of one of so many is to stay as it is', () => {
  const growing = everything((id) => {
    const subscribers = /^grow-fan-out-(\d+)$/.exec(id)?.[1];
    return subscribers === undefined ? {} : { brokerCpuEach: Math.sqrt(Number(subscribers)) };
  });
  expect(performancePage(growing, noNotes).text).toContain('grows with the power 1.50 from');
});

test('a note that was written by hand stands below its curve, and one to no curve is refused', () => {
  const quadratic = everything((id) => ({
    brokerCpuEach: Number(/^grow-levels-(\d+)$/.exec(id)?.[1] ?? 1) ** 2,
  }));
  const missing = 'What is done about it is not written yet';
  expect(performancePage(quadratic, noNotes).text).toContain(missing);
  const curves = curvesOf(fullSizes);
  const notes = readNotes(
    '# Notes\n\n## levels\n\nEach level is looked up.\n\n## payload\n\nCopied.\n',
    curves,
  );
  const { text } = performancePage(quadratic, notes);
  expect(text).not.toContain(missing);
  expect(text).toMatch(/### Topic levels[^#]*from 1 to 8\.\n\nEach level is looked up\.\n/);
  expect(() => readNotes('## depth\n\nDeep.\n', curves)).toThrow('there is no curve "depth"');
});

test('figures that are measured again take the place of the former ones, and the rest keep their source', () => {
  const former: Source = { ...source, date: '2025-12-24', commandLine: 'bun run bench -- --quick' };
  const kept = resultsOf([runOf('pairs-0', 'NATS', {}), runOf('fan-in', 'Bellhop', {})], [former]);
  const found = resultsOf([runOf('pairs-0', 'Bellhop', { perSecond: 7 })]);
  const both = merge(kept, { ...found, skipped: [] }, new Set(['pairs-0']));
  expect(both.sources).toEqual([former, source]);
  expect(both.runs).toEqual([
    runOf('fan-in', 'Bellhop', {}),
    runOf('pairs-0', 'Bellhop', { perSecond: 7 }, 1),
  ]);
  expect(both.skipped).toEqual([]);
  const all = merge(both, found, new Set(['pairs-0', 'fan-in']));
  expect([all.sources, all.runs]).toEqual([[source], found.runs]);
});

test('results are kept a run to a line, counts to the last digit', () => {
  const results = resultsOf([
    runOf('pairs-0', 'Bellhop', { perSecond: 1_234.56789, lost: 1_234_567 }),
  ]);
  const text = resultsText(results);
  expect(text).toContain('"perSecond":1234.6,');
  expect(text.split('\n').filter((line) => line.includes('"lost":1234567'))).toHaveLength(1);
  expect(JSON.parse(text)).toEqual({
    ...results,
    runs: [runOf('pairs-0', 'Bellhop', { perSecond: 1_234.6, lost: 1_234_567 })],
  });
});

test('where figures are from several calls, each says from which', () => {
  const later: Source = {
    ...{ ...source, date: '2026-03-04', commandLine: "bun run bench -- --only 'fan-in'" },
    ...{ generator: 'mqload', versions: { Bellhop: '1.2.4' } },
  };
  const runs = [
    ...['pairs-0', 'storm-tcp', 'grow-levels-1', 'grow-levels-8'].map((id) =>
      runOf(id, 'Bellhop', {}),
    ),
    ...['fan-in', 'grow-levels-64'].map((id) => runOf(id, 'Bellhop', {}, 1)),
  ];
  const { text } = performancePage(resultsOf(runs, [source, later]), noNotes);
  for (const part of [
    '- **a**: `bun run bench` made on 2026-01-02, medians of 3 rounds, load from `bellhop bench`; Bellhop 1.2.3; Mosquitto 2.0\n',
    "- **b**: `bun run bench -- --only 'fan-in'` made on 2026-03-04, medians of 3 rounds, load from `mqload`; Bellhop 1.2.4\n",
    'All on Abacus, 2 cores',
    '| broker; **a** |',
    '| broker; **b** |',
    '| **not reached**; **a** |',
    'From **a**, **b**.',
  ]) {
    expect(text).toContain(part);
  }
});

test('goals are held against what was measured, in the same run where they are relative', () => {
  const found = (runs: readonly Run[]) =>
    goalsOf(resultsOf(runs)).map(({ scenario, found, isReached }) => [scenario, found, isReached]);
  expect(found([])).toEqual([]);
  expect(
    found([
      ...[runOf('headline-rate', 'Bellhop', {}), runOf('headline-rate', 'Mosquitto', {})],
      ...[runOf('million', 'Bellhop', { perSecond: 99_990 })],
      ...[runOf('storm-tcp', 'Bellhop', { perSecond: 9_999 })],
      runOf('storm-tls', 'Bellhop', { perSecond: 950, brokerCpuEach: 400 }),
      runOf('storm-tls', 'bare TLS', { perSecond: 1_000, brokerCpuEach: 300, bottleneck: 'both' }),
      ...[runOf('idle-tcp', 'Bellhop', { residentPerConnection: 4_000 })],
      ...[runOf('idle-tls', 'Bellhop', { residentPerConnection: 12_001 })],
    ]),
  ).toEqual([
    ['headline-rate', '2.5 ms to 2.5 ms', true],
    ['headline-rate', '4.0 µs to 4.0 µs', false],
    ['million', '99,990/s, 0 lost', true],
    ['storm-tcp', '9,999/s', false],
    ['storm-tls', '95 %: 950 to 1,000/s (bare TLS: the generator was at its limit)', true],
    ['storm-tls', '75 %: 400.0 µs to 300.0 µs', false],
    ['idle-tcp', '4,000 B', true],
    ['idle-tls', '12,001 B', false],
  ]);
  expect(found([runOf('million', 'Bellhop', { perSecond: 100_000, lost: 1 })])).toEqual([
    ['million', '100,000/s, 1 lost', false],
  ]);
  expect(found([runOf('headline-rate', 'Bellhop', {}), runOf('storm-tls', 'Bellhop', {})])).toEqual(
    [
      ['headline-rate', 'measured without Mosquitto', undefined],
      ['headline-rate', 'measured without Mosquitto', undefined],
      ['storm-tls', 'measured without bare TLS', undefined],
      ['storm-tls', 'measured without bare TLS', undefined],
    ],
  );
});

test('a native generator leaves to ours what it has no words for', () => {
  const native = nativeGenerator('/somewhere/mqload');
  const all = [
    ...tableOf(fullSizes),
    ...singlesOf(fullSizes),
    ...curvesOf(fullSizes).flatMap((curve) => curve.scenarios),
  ];
  const left = all.filter((scenario) => !native.can(scenario)).map(({ id }) => id);
  expect(left.filter((id) => !id.startsWith('grow-levels'))).toEqual([
    ...['durable-1', 'million', 'durable-absent', 'idle-tcp', 'idle-tls'],
  ]);
  expect(all.every((scenario) => ownGenerator('bellhop').can(scenario))).toBe(true);
});

test('charts are XML without anything that a name could smuggle in', () => {
  const name = '<b>&"x"';
  const line = lineChart({
    ...{ title: name, xLabel: name, yLabel: name },
    series: [
      {
        name,
        points: [
          [1, 2],
          [1_000, 0],
        ],
      },
    ],
  });
  const bar = barChart({ title: name, xLabel: name, bars: [{ name, value: 3, isOurs: true }] });
  for (const svg of [line, bar, lineChart({ title: '', xLabel: '', yLabel: '', series: [] })]) {
    expect(svg).not.toContain('<b>');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    const opened = [...svg.matchAll(/<(\w+)[^>]*[^/]>/g)].length;
    expect(opened).toBe([...svg.matchAll(/<\/\w+>/g)].length);
    expect(svg).toContain('prefers-color-scheme:dark');
  }
  expect([0, 950, 1_234, 15_000, 2.5e6].map(short)).toEqual([
    '0',
    '950',
    '1.23 k',
    '15 k',
    '2.5 M',
  ]);
});

test('capacity names what is missing, and follows from the costs where nothing is', () => {
  expect(capacityPage(resultsOf([]))).toContain('idle-tls (residentPerConnection)');
  const results = everything((id) => ({
    brokerCpuEach:
      { 'pairs-0': 2, 'pairs-1': 5, 'durable-1': 12, 'command-plugin': 14, 'storm-tls': 350 }[id] ??
      1,
  }));
  const costs = costsOf(results) as Costs;
  expect(costs).toMatchObject({
    message: { loop: 2, others: 0 },
    durable: { loop: 5, others: 7, threads: 1 },
    command: { loop: 4, others: 10 },
  });
  expect(rateOf(costs.message, 8)).toEqual({
    perSecond: 350_000,
    by: 'the event loop, which is one core',
  });
  expect(rateOf(costs.durable, 2)).toMatchObject({ perSecond: 100_000, by: 'the storage thread' });
  const commands = [2, 4, 8].map((cores) => rateOf(costs.command, cores));
  expect(commands.map(({ perSecond }) => Math.round(perSecond))).toEqual([
    70_000, 175_000, 175_000,
  ]);
  expect(commands.map(({ by }) => by)).toEqual([
    'the cores for handlers',
    'the event loop, which is one core',
    'the event loop, which is one core',
  ]);
  expect(connectionsOf(costs, 2, 4 * 2 ** 30).by).toBe('memory');
  const page = capacityPage(results);
  expect(page).toContain('| messages one to one a second | 350,000: ');
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});
