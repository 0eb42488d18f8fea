/**
 * Which numbers of many series have come. Each series counts from 1 and mostly comes in order: then it is
 * a single number. What has been passed over is kept as ranges until it comes, so that memory follows
 * what is missing and not what has come.
 */
export type Standing =
  /** Higher than all before. */
  | 'new'
  /** For the first time, though a higher one has come. */
  | 'late'
  | 'again';

export class Sequences {
  readonly #highest: Uint32Array;
  /** By series, ascending: first and last number of each range that is missing below the highest. */
  readonly #missing = new Map<number, number[]>();

  constructor(series: number) {
    this.#highest = new Uint32Array(series);
  }

  /** `sequence` is 1 or more. */
  note(series: number, sequence: number): Standing {
    const highest = this.#highest[series] as number;
    if (sequence <= highest) return this.#fill(series, sequence) ? 'late' : 'again';
    if (sequence > highest + 1) this.#pass(series, highest + 1, sequence - 1);
    this.#highest[series] = sequence;
    return 'new';
  }

  #pass(series: number, first: number, last: number): void {
    const ranges = this.#missing.get(series);
    if (ranges === undefined) this.#missing.set(series, [first, last]);
    else ranges.push(first, last);
  }

  /** Whether `sequence` was missing, which it is no longer. */
  #fill(series: number, sequence: number): boolean {
    const ranges = this.#missing.get(series);
    if (ranges === undefined) return false;
    let low = 0;
    let high = ranges.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[2 * middle + 1] as number) < sequence) low = middle + 1;
      else high = middle;
    }
    const at = 2 * low;
    if (at === ranges.length) return false;
    const [first, last] = [ranges[at] as number, ranges[at + 1] as number];
    if (sequence < first) return false;
    if (first === last) ranges.splice(at, 2);
    else if (sequence === first) ranges[at] = first + 1;
    else if (sequence === last) ranges[at + 1] = last - 1;
    else ranges.splice(at + 1, 0, sequence - 1, sequence + 1);
    return true;
  }
}
