/** How costs grow, as docs/performance.md shows it: charts, what is worse than linear, and what is done about it. */
import { lineChart, type Series } from './chart.ts';
import { count } from './format.ts';
import { isWorseThanLinear, steepest } from './growth.ts';
import { fromText } from './page-sources.ts';
import { brokersOf, medianOf, type Results } from './results.ts';
import type { Curve, CurveChart } from './scenarios.ts';

const OURS = 'Bellhop';

/**
 * Reads docs/performance/notes.md, which is written by hand: prose by the `id` of a curve, each below a
 * heading `## id`. Throws where there is no such curve.
 */
export function readNotes(text: string, curves: readonly Curve[]): Map<string, string> {
  const notes = new Map<string, string>();
  for (const section of text.split(/^## /m).slice(1)) {
    const [id = '', ...lines] = section.split('\n');
    if (!curves.some((curve) => curve.id === id.trim())) {
      throw new Error(`notes.md: there is no curve ${JSON.stringify(id.trim())}`);
    }
    notes.set(id.trim(), lines.join('\n').trim());
  }
  return notes;
}

/** Adds its charts to `charts`; '' where nothing was measured. */
export function curveSection(
  results: Results,
  curve: Curve,
  charts: Map<string, string>,
  note: string | undefined,
): string {
  let isSteep = false;
  const sections = curve.charts.map((chart) => {
    const series = seriesOf(results, curve, chart);
    if (series.length === 0) return '';
    const title = `${curve.title}: ${chart.title.toLowerCase()}`;
    const { unit } = chart;
    charts.set(chart.file, lineChart({ title, xLabel: curve.axis, yLabel: unit, series }));
    const growth = growthText(series, chart);
    if (growth !== '') isSteep = true;
    return shown(chart.file, title, charts) + growth;
  });
  const found = sections.filter((section) => section !== '');
  if (found.length === 0) return '';
  const from = fromText(
    results,
    curve.scenarios.map(({ id }) => id),
  );
  if (from !== '') found.push(`From ${from}.\n`);
  if (note !== undefined) found.push(`${note}\n`);
  else if (isSteep)
    found.push('What is done about it is not written yet (performance/notes.md).\n');
  return `### ${curve.title}\n\n${found.join('\n')}`;
}

export function shown(file: string, title: string, charts: ReadonlyMap<string, string>): string {
  return charts.has(file) ? `![${title}](performance/${file}.svg)\n` : '';
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

function growthText(series: readonly Series[], { linear }: CurveChart): string {
  const found = steepest(series.find(({ name }) => name === OURS)?.points ?? []);
  if (linear === undefined || found === undefined) return '';
  if (!isWorseThanLinear(found.slope, linear)) return '';
  const { from, to, slope } = found;
  const power = (slope + 1 - linear).toFixed(2);
  return `\n**Worse than linear:** ${OURS}'s grows with the power ${power} from ${count(from)} to ${count(to)}.\n`;
}
