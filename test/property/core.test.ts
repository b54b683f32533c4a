// The core against the oracle: events byte for byte and the whole state after every command; batches,
// snapshots and the state hash.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compare, compareRuns, type Input } from '../fuzz/compare.ts';
import { loadCore, type NativeCoreClass } from '../fuzz/core.ts';
import { shrink } from '../fuzz/shrink.ts';
import { describeDifference } from '../fuzz/worker.ts';
import { Random } from '../oracle/random.ts';
import { Generator, generate, VAST_LENGTH_MIN } from '../oracle/streams.ts';
import { CELL, encodeCommands } from '../oracle/wire.ts';
import { settings, streamSeeds } from './settings.ts';

const built = loadCore('release');

function inputOf(seed: number, length: number): Input {
  const { limits, commands } = generate(seed, length);
  return { limits, cells: encodeCommands(commands) };
}

async function expectNoDifference(NativeCore: NativeCoreClass, input: Input): Promise<void> {
  if (compare(new NativeCore(input.limits), input) === undefined) return;
  const smallest = await shrink(
    input,
    (candidate) => {
      const difference = compare(new NativeCore(candidate.limits), candidate);
      return difference === undefined ? 0 : difference.at + 1;
    },
    2000,
  );
  const difference = compare(new NativeCore(smallest.limits), smallest)!;
  throw new Error(`the core differs from the rules:\n${describeDifference(smallest, difference)}`);
}

describe.skipIf(built === undefined)('the core', () => {
  const NativeCore = built!;

  test('equals the oracle after every command', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(streamSeeds(400), async ({ seed, length }) => {
        await expectNoDifference(NativeCore, inputOf(seed, length));
      }),
      settings(250),
    );
  });

  test('equals the oracle where exposures come to their limit', { timeout: 60_000 }, async () => {
    // The first seeds of which the world is the vast one.
    const vast: number[] = [];
    for (let seed = 1; vast.length < 2; seed++) {
      const { limits } = new Generator(new Random(seed), VAST_LENGTH_MIN);
      if (limits.maxOrders > 1000) vast.push(seed);
    }
    for (const seed of vast) await expectNoDifference(NativeCore, inputOf(seed, VAST_LENGTH_MIN));
  });

  test('gives the same in batches of any size, and through a snapshot at any place', () => {
    fc.assert(
      fc.property(streamSeeds(500), ({ seed, length }) => {
        const difference = compareRuns(NativeCore, inputOf(seed, length), new Random(seed));
        if (difference !== undefined) throw new Error(`${difference.what}: ${difference.text}`);
      }),
      settings(120),
    );
  });

  test('gives the same hash for the same stream, another for another state', () => {
    fc.assert(
      fc.property(streamSeeds(200), ({ seed, length }) => {
        const input = inputOf(seed, length);
        const seen = new Map<string, string>();
        for (const limits of [input.limits, input.limits]) {
          const core = new NativeCore(limits);
          for (let at = 0; at < input.cells.length; at += CELL) {
            core.apply(input.cells.subarray(at, at + CELL), 1);
            const hash = core.hash();
            expect(hash).toMatch(/^[0-9a-f]{32}$/);
            const state = core.explain();
            expect(seen.get(hash) ?? state).toBe(state);
            seen.set(hash, state);
          }
        }
        // A state has its position in it, so there are as many as commands.
        expect(seen.size).toBe(input.cells.length / CELL);
      }),
      settings(30),
    );
  });
});
