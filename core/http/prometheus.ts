/**
 * The text format of Prometheus, version 0.0.4.
 */

/** Served with this media type. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

/** What a histogram page needs of a histogram: counts by bucket, one more than bounds, not cumulated. */
export interface HistogramLike {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

export type HistogramSample = readonly [labels: Labels, histogram: HistogramLike];

/** A page of metrics, written top to bottom. Names and help texts are ours; label values may be anything. */
export class MetricsPage {
  #text = '';

  get text(): string {
    return this.#text;
  }

  gauge(name: string, help: string, value: number | readonly Sample[]): this {
    return this.#family(name, help, 'gauge', value);
  }

  /** `name` ends in `_total`. */
  counter(name: string, help: string, value: number | readonly Sample[]): this {
    return this.#family(name, help, 'counter', value);
  }

  /** Counts by reason, or whatever `label` says that the keys are. */
  countersBy(
    name: string,
    help: string,
    label: string,
    counts: Readonly<Record<string, number>>,
  ): this {
    const samples = Object.entries(counts).map(([key, value]): Sample => [{ [label]: key }, value]);
    return this.counter(name, help, samples);
  }

  histogram(name: string, help: string, histogram: HistogramLike): this {
    return this.histograms(name, help, [[{}, histogram]]);
  }

  /** One for each set of labels. */
  histograms(name: string, help: string, histograms: readonly HistogramSample[]): this {
    this.#head(name, help, 'histogram');
    for (const [labels, { bounds, counts, sum }] of histograms) {
      let count = 0;
      for (const [index, inBucket] of counts.entries()) {
        count += inBucket;
        const le = String(bounds[index] ?? '+Inf');
        this.#sample(`${name}_bucket`, { ...labels, le }, count);
      }
      this.#sample(`${name}_sum`, labels, sum);
      this.#sample(`${name}_count`, labels, count);
    }
    return this;
  }

  #family(name: string, help: string, type: string, value: number | readonly Sample[]): this {
    this.#head(name, help, type);
    if (typeof value === 'number') this.#sample(name, {}, value);
    else for (const [labels, one] of value) this.#sample(name, labels, one);
    return this;
  }

  #head(name: string, help: string, type: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    this.#text += `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
