// How a harness in JavaScript measures: whole passes over the workload, each on a fresh engine whose prefill lies outside of the clock. Warm-up
// passes until --warmup seconds have gone by (the first one keeps the trades), then timed passes until --seconds have gone by: the median.
import { parseArgs } from 'node:util';
import { Trades } from './trades.mjs';

/** { file, seconds, warmup, trades } of FILE [--seconds S] [--warmup S] [--trades FILE] and what `more` names. */
export function harnessOptions(more = {}) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '1' },
      warmup: { type: 'string', default: '3' },
      trades: { type: 'string' },
      ...more,
    },
  });
  return {
    ...values,
    file: positionals[0],
    seconds: Number(values.seconds),
    warmup: Number(values.warmup),
  };
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * `pass(trades, keep)` resolves with the seconds that the steps took; it reports trades of the steps alone.
 * @returns what the harness answers, but for names
 */
export async function measurePasses({ flow, seconds, warmup, trades: path, pass }) {
  const expected = new Trades();
  const began = performance.now();
  await pass(expected, path !== undefined);
  if (path !== undefined) expected.write(path);
  let warmupPasses = 1;
  for (; performance.now() - began < warmup * 1000; warmupPasses++) await pass(new Trades(), false);
  const passes = [];
  for (let spent = 0; passes.length === 0 || spent < seconds; spent += passes.at(-1)) {
    const trades = new Trades();
    passes.push(await pass(trades, false));
    if (trades.count !== expected.count || trades.quantity !== expected.quantity) {
      throw new Error('two passes gave different trades');
    }
  }
  const took = median(passes);
  return {
    workload: flow.name,
    operations: flow.steps,
    passes: passes.length,
    warmupPasses,
    seconds: Number(took.toFixed(6)),
    opsPerSecond: Math.round(flow.steps / took),
    trades: expected.count,
    tradedQuantity: expected.quantity,
  };
}

/** { p50Ns, p99Ns, p999Ns } of a list of nanoseconds. */
export function percentiles(times) {
  times.sort();
  const at = (share) => Math.round(times[Math.floor(share * (times.length - 1))]);
  return { p50Ns: at(0.5), p99Ns: at(0.99), p999Ns: at(0.999) };
}
