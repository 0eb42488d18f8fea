/**
 * Latencies by their size: a log-linear histogram. It takes a value in constant time and room, and any
 * percentile read from it is within 1 % of the exact one, however long the tail.
 *
 * Values are whole numbers of some unit, below 2^32. Up to 127 each has a bucket of its own; above, each
 * power of two has 128 buckets of one width.
 */
const SUB_BITS = 7;
const SUB_BUCKETS = 1 << SUB_BITS;
const BUCKETS = (32 - SUB_BITS + 1) * SUB_BUCKETS;

/** A histogram as it goes from one process to another: only buckets that hold something. */
export interface PackedHistogram {
  readonly buckets: readonly (readonly [index: number, count: number])[];
  readonly minimum: number;
  readonly maximum: number;
  readonly sum: number;
}

export class Histogram {
  count = 0;
  /** 0 while nothing was recorded. */
  maximum = 0;
  #minimum = Number.POSITIVE_INFINITY;
  #sum = 0;
  /** Doubles: a day at millions a second goes beyond 32 bits. */
  readonly #counts = new Float64Array(BUCKETS);

  get minimum(): number {
    return this.count === 0 ? 0 : this.#minimum;
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.#sum / this.count;
  }

  /** `value` is a whole number from 0 to 2^32 - 1. */
  record(value: number): void {
    const index = indexOf(value);
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.count++;
    this.#sum += value;
    if (value > this.maximum) this.maximum = value;
    if (value < this.#minimum) this.#minimum = value;
  }

  /** The value that a `share` of 0 to 1 of all values do not exceed; 0 where there are none. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index] as number;
      if (seen >= wanted) return Math.min(Math.max(middleOf(index), this.minimum), this.maximum);
    }
    return this.maximum;
  }

  reset(): void {
    this.#counts.fill(0);
    this.count = 0;
    this.maximum = 0;
    this.#minimum = Number.POSITIVE_INFINITY;
    this.#sum = 0;
  }

  pack(): PackedHistogram {
    const buckets: [number, number][] = [];
    for (const [index, count] of this.#counts.entries())
      if (count > 0) buckets.push([index, count]);
    return { buckets, minimum: this.minimum, maximum: this.maximum, sum: this.#sum };
  }

  /** Adds what another histogram holds. */
  add({ buckets, minimum, maximum, sum }: PackedHistogram): void {
    if (buckets.length === 0) return;
    for (const [index, count] of buckets) {
      this.#counts[index] = (this.#counts[index] as number) + count;
      this.count += count;
    }
    this.#sum += sum;
    this.maximum = Math.max(this.maximum, maximum);
    this.#minimum = Math.min(this.#minimum, minimum);
  }
}

function indexOf(value: number): number {
  if (value < SUB_BUCKETS) return value;
  const exponent = 31 - Math.clz32(value);
  const within = (value >>> (exponent - SUB_BITS)) - SUB_BUCKETS;
  return (exponent - SUB_BITS + 1) * SUB_BUCKETS + within;
}

/** The middle of a bucket. */
function middleOf(index: number): number {
  if (index < SUB_BUCKETS) return index;
  const width = 2 ** (Math.floor(index / SUB_BUCKETS) - 1);
  const lowest = (SUB_BUCKETS + (index % SUB_BUCKETS)) * width;
  return lowest + (width - 1) / 2;
}
