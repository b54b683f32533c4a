// Streams that once showed a difference, or that a rule's corner deserves by name: never again.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Model } from '../oracle/model.ts';
import { Random } from '../oracle/random.ts';
import { caseFromJson, caseToJson, readCases } from './cases.ts';
import { compare, compareRuns } from './compare.ts';
import { loadCore, ModelCore } from './core.ts';
import { describeDifference } from './worker.ts';

const cases = readCases(join(import.meta.dirname, 'cases'));
const NativeCore = loadCore('release');

describe('cases', () => {
  test.each(cases)('$file: $found.about', ({ found }) => {
    const { input } = found;
    // Without the addon the model is compared with itself: the case is read and runs.
    const core =
      NativeCore === undefined ? new ModelCore(new Model(input.limits)) : new NativeCore(input.limits);
    const difference = compare(core, input);
    if (difference !== undefined) throw new Error(describeDifference(input, difference));
    if (NativeCore !== undefined) expect(compareRuns(NativeCore, input, new Random(1))).toBeUndefined();
  });

  test('are written as they are read', () => {
    for (const { found } of cases) {
      expect(caseFromJson(caseToJson(found)).input).toEqual(found.input);
    }
  });
});
