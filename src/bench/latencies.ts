// Latencies: counts of durations, 64 steps to each doubling (within 1.6%); the largest is kept exactly. The same as Durations of bench/native.

const steps = 64;
const stepBits = 6;
const doublings = 54;

/** Figures of a case whose names are the same in every bench. */
export interface LatencyFigures {
  readonly p50Ns: number;
  readonly p90Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly p9999Ns: number;
  readonly maxNs: number;
}

/** Durations in whole nanoseconds. */
export class Latencies {
  readonly #counts = new Float64Array(doublings * steps);
  #total = 0;
  #max = 0;

  get total(): number {
    return this.#total;
  }

  /** `times` durations of `ns` each. */
  add(ns: number, times = 1): void {
    const whole = Math.max(0, Math.round(ns));
    this.#counts[bucketOf(whole)]! += times;
    this.#total += times;
    if (whole > this.#max) this.#max = whole;
  }

  /** The duration that `share` of all do not exceed. */
  at(share: number): number {
    const wanted = Math.floor(share * this.#total);
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen > wanted) return Math.min(lowestOf(bucket), this.#max);
    }
    return this.#max;
  }

  figures(): LatencyFigures {
    return {
      p50Ns: this.at(0.5),
      p90Ns: this.at(0.9),
      p99Ns: this.at(0.99),
      p999Ns: this.at(0.999),
      p9999Ns: this.at(0.9999),
      maxNs: this.#max,
    };
  }
}

function bucketOf(ns: number): number {
  if (ns < steps) return ns;
  const shift = Math.floor(Math.log2(ns)) - stepBits;
  return Math.min((shift + 1) * steps + (Math.floor(ns / 2 ** shift) % steps), doublings * steps - 1);
}

function lowestOf(bucket: number): number {
  if (bucket < steps) return bucket;
  return (steps + (bucket % steps)) * 2 ** (Math.floor(bucket / steps) - 1);
}
