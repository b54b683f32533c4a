// What every bench's answer is held to, whatever it measures.
import { expect } from 'vitest';
import { type BenchResult, csvOf } from '../../src/bench/result.ts';

export const silent = (): void => undefined;
/** The first that needs them compiles the engine's objects, and each its own program. */
export const buildMs: number = 10 * 60_000;

/** The percentiles rise, rates are above 0, and nothing is NaN. */
export function expectSound({ cases }: BenchResult): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const one of cases) {
    expect(String(one.name).length).toBeGreaterThan(0);
    for (const [field, value] of Object.entries(one)) {
      if (typeof value === 'number') expect(value, field).toBeGreaterThanOrEqual(0);
    }
    const order = ['p50Ns', 'p90Ns', 'p99Ns', 'p999Ns', 'p9999Ns', 'maxNs']
      .map((field) => one[field])
      .filter((value) => value !== undefined);
    expect(order).toEqual(order.toSorted((a, b) => Number(a) - Number(b)));
    if (one.opsPerSecond !== undefined) expect(one.opsPerSecond).toBeGreaterThan(0);
  }
  expect(csvOf(cases).split('\n')).toHaveLength(cases.length + 1);
}
