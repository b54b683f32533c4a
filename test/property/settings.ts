// Seeds and sizes of the property tests: VERBEX_SEED=S reruns what failed, VERBEX_RUNS=F runs F times as much.

import fc from 'fast-check';

const given = process.env.VERBEX_SEED;
const factor = Number(process.env.VERBEX_RUNS ?? '1');

// fast-check prints it, with the path to the example, when a property fails.
export const seed: number = given === undefined ? Date.now() & 0x7fffffff : Number(given);

export function settings(runs: number): fc.Parameters<unknown> {
  // Smaller seeds are no smaller examples: the tests shrink the streams themselves.
  return { seed, numRuns: Math.max(1, Math.round(runs * factor)), endOnFailure: true };
}

export interface StreamSeed {
  seed: number;
  length: number;
}

export function streamSeeds(lengthMax: number): fc.Arbitrary<StreamSeed> {
  return fc.record({
    seed: fc.nat({ max: 0x7fffffff }),
    length: fc.integer({ min: 60, max: lengthMax }),
  });
}
