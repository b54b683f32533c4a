import { describe, expect, test } from 'vitest';
import { Random } from '../../src/demo/random.ts';

describe('random numbers', () => {
  test('the same seed gives the same ones, another seed others', () => {
    const take = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 100 }, () => random.bits());
    };
    expect(take(1)).toEqual(take(1));
    expect(take(1)).not.toEqual(take(2));
    expect(take(2 ** 40)).not.toEqual(take(0));
    expect(take(1).every((bits) => Number.isInteger(bits) && bits >= 0 && bits < 2 ** 32)).toBe(true);
  });

  test('are spread evenly', () => {
    const random = new Random(3);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let count = 0; count < 100_000; count++) counts[random.below(10)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    let [sum, squares] = [0, 0];
    for (let count = 0; count < 100_000; count++) {
      const value = random.normal();
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / 100_000)).toBeLessThan(0.02);
    expect(Math.abs(squares / 100_000 - 1)).toBeLessThan(0.03);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});
