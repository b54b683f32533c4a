import { expect, test } from 'vitest';
import { Latencies } from '../../src/bench/latencies.ts';

test('percentiles are within 1.6%, the largest is exact', () => {
  const latencies = new Latencies();
  for (let ns = 1; ns <= 100_000; ns++) latencies.add(ns);
  expect(latencies.total).toBe(100_000);
  const { p50Ns, p90Ns, p99Ns, p999Ns, p9999Ns, maxNs } = latencies.figures();
  for (const [found, wanted] of [
    [p50Ns, 50_000],
    [p90Ns, 90_000],
    [p99Ns, 99_000],
    [p999Ns, 99_900],
    [p9999Ns, 99_990],
  ] as const) {
    expect(Math.abs(found - wanted) / wanted).toBeLessThan(0.016);
  }
  expect(maxNs).toBe(100_000);
});

test('small ones are exact, and the steps meet where they double', () => {
  for (const ns of [0, 1, 63, 64, 65, 127, 128, 2 ** 31, 2 ** 40]) {
    const latencies = new Latencies();
    latencies.add(ns);
    latencies.add(ns * 4 + 1);
    const found = latencies.at(0.25);
    expect(found).toBeLessThanOrEqual(ns);
    expect(ns - found).toBeLessThanOrEqual(ns / 64);
  }
});

test('one addition may stand for many', () => {
  const latencies = new Latencies();
  latencies.add(10, 99);
  latencies.add(1000);
  expect(latencies.at(0.5)).toBe(10);
  expect(latencies.at(0.98)).toBe(10);
  expect(latencies.at(0.995)).toBe(1000);
});

test('nothing measured is 0, not NaN', () => {
  expect(Object.values(new Latencies().figures())).toEqual([0, 0, 0, 0, 0, 0]);
});
