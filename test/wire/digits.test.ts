import { expect, test } from 'vitest';
import { writeDigits } from '../../src/wire/digits.ts';
import { readId } from '../../src/wire/ids.ts';

function written(value: number): string {
  // What lay there before must be gone.
  const words = new Uint32Array(6).fill(0xffffffff);
  writeDigits(words, 1, value);
  expect([words[0], words[5]]).toEqual([0xffffffff, 0xffffffff]);
  return readId(new Uint8Array(words.buffer), 4);
}

test('every length of a number is its decimal digits', () => {
  let value = 0;
  for (let length = 1; length <= 16; length++) {
    for (const near of [10 ** (length - 1), 10 ** length - 1, 10 ** (length - 1) + 1, value]) {
      if (Number.isSafeInteger(near)) expect(written(near)).toBe(String(near));
    }
    value = value * 10 + (length % 10);
  }
  expect(written(Number.MAX_SAFE_INTEGER)).toBe('9007199254740991');
});

test('zeros inside and at the end are kept', () => {
  for (const value of [0, 10_000, 100_000, 1_000_001, 20_030_004, 10_000_000_000, 5_000_600_070_008]) {
    expect(written(value)).toBe(String(value));
  }
});
