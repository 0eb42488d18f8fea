/** The pages of `bun run bench`, rendered from figures that are made up here and measured nowhere. */
import { expect, test } from 'bun:test';
import {
  type Costs,
  capacityPage,
  connectionsOf,
  costsOf,
  rateOf,
} from '../../scripts/bench/capacity.ts';
import { barChart, lineChart, short } from '../../scripts/bench/chart.ts';
import { isWorseThanLinear, steepest } from '../../scripts/bench/growth.ts';
import { performancePage } from '../../scripts/bench/page.ts';
import { type Figures, medianOf, type Results, type Run } from '../../scripts/bench/results.ts';
import { curvesOf, quickSizes, singlesOf, tableOf } from '../../scripts/bench/scenarios.ts';

const figures: Figures = {
  ...{ perSecond: 1_000, p50: 150, p99: 2_500, lost: 0, brokerCpuPercent: 100, brokerCpuEach: 4 },
  ...{ residentEnd: 90 * 2 ** 20, residentPerConnection: 8_192, generatorCpuPercent: 40 },
  bottleneck: 'broker',
};

function resultsOf(runs: readonly Run[]): Results {
  return {
    ...{ date: '2026-01-02', commandLine: 'bun run bench', generator: '`bellhop bench`' },
    ...{ isQuick: true, rounds: 3, runs, skipped: ['something, NATS: not there'] },
    machine: {
      ...{ processor: 'Abacus', cores: 2, memoryBytes: 2 ** 33, system: 'Linux 1' },
      ...{ syncsPerSecond: 500, isPinned: true },
    },
    versions: { Bellhop: '1.2.3', Mosquitto: '2.0' },
  };
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
      {
        scenario: id,
        broker: 'Bellhop',
        round,
        figures: { ...figures, perSecond: 8_000 + 1_000 * round, ...of(id, round) },
      },
      { scenario: id, broker: 'Mosquitto', round, figures: { ...figures, perSecond: 2_000 } },
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
  const run = (perSecond: number): Run => ({
    ...{ scenario: 's', broker: 'b', round: 1, figures: { ...figures, perSecond } },
  });
  const of = (...values: number[]) => medianOf(resultsOf(values.map(run)), 's', 'b', 'perSecond');
  expect([of(9, 1, 5), of(4, 1, 9, 2), of(7), of()]).toEqual([5, 3, 7, undefined]);
});

test('the page has every row with its ratio, and says where and with what it was measured', () => {
  const { text, charts } = performancePage(everything());
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
    everything((id, round) => (id === 'fan-in' && round === 2 ? { lost: 12 } : {})),
  );
  expect(lossy.text).toContain('| broker; 12 lost |');
  const { text, charts } = performancePage(resultsOf([]));
  expect(text).not.toContain('1 to 100');
  expect(text).not.toContain('undefined');
  expect(charts.has('levels-cpu')).toBe(false);
});

test('a cost that grows faster than its amount is named', () => {
  const quadratic = everything((id) => {
    const levels = /^grow-levels-(\d+)$/.exec(id)?.[1];
    return levels === undefined ? {} : { brokerCpuEach: Number(levels) ** 2 };
  });
  const { text } = performancePage(quadratic);
  expect(text).toContain("**Worse than linear:** Bellhop's grows with the power 2.00 from 1 to 8.");
  expect(text.match(/Worse than linear/g)).toHaveLength(1);
  expect(
    steepest([
      [1, 1],
      [10, 10],
      [100, 150],
    ])?.slope,
  ).toBeCloseTo(1.176, 2);
  expect([isWorseThanLinear(1.1), isWorseThanLinear(1.2)]).toEqual([false, true]);
  expect(steepest([[1, 5]])).toBeUndefined();
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
