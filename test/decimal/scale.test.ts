import { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asUnits, Scale } from '../../src/decimal/scale.ts';
import { DecimalError } from '../../src/errors/errors.ts';

const Exact = Decimal.clone({ precision: 400, toExpNeg: -400, toExpPos: 400 });

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(DecimalError);
    return (error as DecimalError).code;
  }
  return 'none';
}

/** Coefficient and decimals of anything that a person may write. */
const texts = fc
  .record({
    negative: fc.boolean(),
    whole: fc.oneof(fc.bigInt(0n, 99_999n), fc.bigInt(0n, 10n ** 38n)),
    fraction: fc.oneof(fc.constant(''), fc.stringMatching(/^\d{1,4}$/), fc.stringMatching(/^\d{1,22}$/)),
    zeros: fc.nat(3),
  })
  .map(({ negative, whole, fraction, zeros }) => {
    const point = fraction === '' && zeros === 0 ? '' : '.';
    return `${negative ? '-' : ''}${whole}${point}${fraction}${'0'.repeat(zeros)}`;
  });
const steps = fc.oneof(
  fc.nat(18).map((decimals) => Scale.ofDecimals(decimals)),
  fc
    .tuple(fc.bigInt(1n, 10n ** 6n), fc.nat(18))
    .map(([coefficient, decimals]) =>
      Scale.ofText(new Exact(coefficient.toString()).div(new Exact(10).pow(decimals)).toFixed()),
    ),
);

describe('text to units', () => {
  test.each([
    ['0.01', '236.47', 23647],
    ['0.01', '236.4', 23640],
    ['0.01', '236.470000', 23647],
    ['0.01', '0', 0],
    ['0.01', '-0.00', 0],
    ['0.01', '-1.5', -150],
    ['0.25', '10.75', 43],
    ['25', '100', 4],
    ['0.00000001', '21000000', 2_100_000_000_000_000],
    ['1', '007', 7],
  ])('step %s: %s is %d units', (step, text, units) => {
    expect(Scale.ofText(step).toUnits(text, 'price')).toBe(units);
  });

  test('what a number cannot hold is a bigint', () => {
    expect(Scale.ofDecimals(18).toUnits('123456789.123456789123456789', 'amount')).toBe(
      123456789123456789123456789n,
    );
    expect(Scale.ofDecimals(0).toUnits('9007199254740991', 'amount')).toBe(9007199254740991);
    expect(Scale.ofDecimals(0).toUnits('9007199254740993', 'amount')).toBe(9007199254740993n);
  });

  test('a bigint is units already', () => {
    expect(Scale.ofText('0.25').toUnits(43n, 'price')).toBe(43);
    expect(Scale.ofText('0.25').toUnits(1n << 60n, 'price')).toBe(1n << 60n);
  });

  test.each([
    '',
    '.',
    '1.',
    '.5',
    '+1',
    '1e5',
    '1,5',
    ' 1',
    '1 ',
    '0x10',
    '--1',
    '1.2.3',
    'NaN',
    'Infinity',
    '１',
    '1_000',
  ])('%j is no decimal', (text) => {
    expect(codeOf(() => Scale.ofText('0.01').toUnits(text, 'price'))).toBe('INVALID_DECIMAL');
  });

  test('a text of any length is refused before it is computed', () => {
    expect(codeOf(() => Scale.ofDecimals(8).toUnits('1'.repeat(1_000_000), 'amount'))).toBe(
      'INVALID_DECIMAL',
    );
  });

  test('excess precision is an error, never rounded', () => {
    expect(codeOf(() => Scale.ofText('0.01').toUnits('0.001', 'price'))).toBe('EXCESS_PRECISION');
    expect(codeOf(() => Scale.ofText('0.25').toUnits('0.3', 'price'))).toBe('EXCESS_PRECISION');
    expect(codeOf(() => Scale.ofText('0.25').toUnits('12345678901234567890.3', 'price'))).toBe(
      'EXCESS_PRECISION',
    );
    expect(() => Scale.ofText('0.25').toUnits('0.3', 'price')).toThrow(
      'price: 0.3 is not a multiple of 0.25',
    );
  });

  test('a number is refused with advice', () => {
    const price = 236.47 as unknown as string;
    expect(codeOf(() => Scale.ofText('0.01').toUnits(price, 'price'))).toBe('NUMBER_NOT_ALLOWED');
    expect(() => Scale.ofText('0.01').toUnits(price, 'price')).toThrow(
      'pass a string ("236.47") or a bigint of units',
    );
  });

  test.each([null, undefined, {}, true])('%s is refused', (value) => {
    expect(codeOf(() => Scale.ofText('0.01').toUnits(value as unknown as string, 'price'))).toBe(
      'INVALID_DECIMAL',
    );
  });

  test('agrees with decimal.js on every text and step', () => {
    fc.assert(
      fc.property(texts, steps, (text, scale) => {
        const quotient = new Exact(text).div(new Exact(scale.size));
        const expected = quotient.isInteger() ? asUnits(BigInt(quotient.toFixed(0))) : 'EXCESS_PRECISION';
        // Division of decimal.js is exact here only where the quotient is an integer; otherwise only that matters.
        let actual: unknown;
        const code = codeOf(() => {
          actual = scale.toUnits(text, 'value');
        });
        expect(code === 'none' ? actual : code).toEqual(expected === 0 ? 0 : expected);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('units to text', () => {
  test.each([
    ['0.01', 23647, '236.47'],
    ['0.01', 23640, '236.4'],
    ['0.01', 23600, '236'],
    ['0.01', 7, '0.07'],
    ['0.01', -7, '-0.07'],
    ['0.01', 0, '0'],
    ['0.25', 43, '10.75'],
    ['25', 4, '100'],
    ['0.00000001', 2_100_000_000_000_000, '21000000'],
    ['0.000000000000000001', 1, '0.000000000000000001'],
  ])('step %s: %d units are %s', (step, units, text) => {
    expect(Scale.ofText(step).toText(units)).toBe(text);
    expect(Scale.ofText(step).toText(BigInt(units))).toBe(text);
  });

  test('agrees with decimal.js, and comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(1n << 120n), 1n << 120n),
        fc.bigInt(1n, 100n),
        steps,
        (large, divisor, scale) => {
          for (const units of [
            asUnits(large),
            asUnits(large / (1n << 70n) / divisor),
            asUnits(large % 100_000n),
          ]) {
            const text = scale.toText(units);
            expect(text).toBe(new Exact(units.toString()).mul(new Exact(scale.size)).toFixed());
            expect(scale.toUnits(text, 'value')).toBe(Object.is(units, -0) ? 0 : units);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('scales', () => {
  test('of a ratio: the decimal it is, or none', () => {
    expect(Scale.ofRatio(1n, 100n)?.size).toBe('0.01');
    expect(Scale.ofRatio(25n, 100n)?.size).toBe('0.25');
    expect(Scale.ofRatio(5000n, 2n)?.size).toBe('2500');
    expect(Scale.ofRatio(1n, 8n)?.size).toBe('0.125');
    expect(Scale.ofRatio(1n, 3n)).toBeUndefined();
    expect(Scale.ofRatio(3n, 3n)?.size).toBe('1');
  });

  test.each(['0', '-1', '0.00', 'x', ''])('%j is no size', (size) => {
    expect(codeOf(() => Scale.ofText(size))).toBe('INVALID_DECIMAL');
  });
});
