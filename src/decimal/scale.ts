// Scale: exact decimal text to whole units and back.
//
// A unit is step / 10^decimals of something: a tick of 0.25 is { step 25, decimals 2 }, a satoshi { step 1, decimals 8 }.
// No float carries a value here: JavaScript numbers are used only for integers up to 2^53, where they are exact, because they are
// several times quicker than bigints; beyond, bigints take over.
//
// Text: digits, at most one point with digits on both sides, an optional minus sign in front. Trailing zeros are fine, excess precision is
// an error. The text that comes out is the shortest exact one: no trailing zeros, no exponent.
import { DecimalError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

/** A count of whole units: a number where it is a safe integer, otherwise a bigint. */
export type Units = number | bigint;

/** Longer texts are refused before anything is computed: 2^127 units with 18 decimals take 58 characters. */
const textLengthMax = 96;
const plainDecimal = /^-?\d+(?:\.\d+)?$/;

const numberPowersMax = 15;
const numberPowers: readonly number[] = Array.from({ length: numberPowersMax + 1 }, (_, exponent) =>
  Number(`1e${exponent}`),
);

/** 10^exponent, exact. */
export function powerOfTen(exponent: number): bigint {
  return 10n ** BigInt(exponent);
}

/** The number where it is exact, otherwise the bigint as it is. */
export function asUnits(value: bigint): Units {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** How a value is written, once it is known to be text. Throws INVALID_DECIMAL. */
function split(text: string, what: string): { coefficient: bigint; decimals: number } {
  if (text.length > textLengthMax || !plainDecimal.test(text)) throw invalid(text, what);
  const point = text.indexOf('.');
  if (point < 0) return { coefficient: BigInt(text), decimals: 0 };
  let end = text.length;
  while (text.charCodeAt(end - 1) === 0x30) end--;
  const decimals = end - point - 1;
  // BigInt('-0') is 0n, and a coefficient such as '-0' + '5' keeps its sign.
  return { coefficient: BigInt(text.slice(0, point) + text.slice(point + 1, end)), decimals };
}

function invalid(text: string, what: string): DecimalError {
  return new DecimalError(
    'INVALID_DECIMAL',
    `${what}: ${shown(text)} is not a decimal number like "236.47"`,
    {
      field: what,
    },
  );
}

/** Refuses numbers and whatever else is neither text nor bigint. */
export function refuseNotDecimal(value: unknown, what: string): never {
  if (typeof value === 'number') {
    throw new DecimalError(
      'NUMBER_NOT_ALLOWED',
      `${what}: ${value} is a number, which cannot hold every decimal exactly; pass a string ("${value}") or a bigint of units`,
      { field: what },
    );
  }
  const kind = value === null ? 'null' : typeof value;
  throw new DecimalError(
    'INVALID_DECIMAL',
    `${what}: expected a decimal string or a bigint of units, got ${kind}`,
    { field: what },
  );
}

/** Converts between decimal text and whole units of one step. Immutable. */
export class Scale {
  readonly step: bigint;
  readonly decimals: number;
  readonly #step: number; // 0: too large for the quick way
  readonly #power: number; // 0: likewise

  private constructor(step: bigint, decimals: number) {
    this.step = step;
    this.decimals = decimals;
    this.#step = step <= 9007199254740991n ? Number(step) : 0;
    this.#power = decimals <= numberPowersMax ? numberPowers[decimals]! : 0;
  }

  /** Units of 10^-decimals. */
  static ofDecimals(decimals: number): Scale {
    return new Scale(1n, decimals);
  }

  /** Units of the given size, such as "0.01" or "25". Throws INVALID_DECIMAL for garbage and for what is not positive. */
  static ofText(size: string, what = 'size'): Scale {
    if (typeof size !== 'string') refuseNotDecimal(size, what);
    const { coefficient, decimals } = split(size, what);
    if (coefficient <= 0n)
      throw new DecimalError('INVALID_DECIMAL', `${what}: ${size} is not positive`, { field: what });
    return new Scale(coefficient, decimals);
  }

  /** Units of numerator / denominator, or undefined where that is no finite decimal. */
  static ofRatio(numerator: bigint, denominator: bigint): Scale | undefined {
    let rest = denominator / greatestDivisor(numerator, denominator);
    let twos = 0;
    let fives = 0;
    for (; rest % 2n === 0n; rest /= 2n) twos++;
    for (; rest % 5n === 0n; rest /= 5n) fives++;
    if (rest !== 1n) return undefined;
    const decimals = Math.max(twos, fives);
    return new Scale((numerator * powerOfTen(decimals)) / denominator, decimals);
  }

  /** The size of a unit, as text. */
  get size(): string {
    return this.toText(1);
  }

  /**
   * How many units the value is; a bigint is taken as a count of units already.
   * Throws DecimalError: NUMBER_NOT_ALLOWED, INVALID_DECIMAL, EXCESS_PRECISION.
   */
  toUnits(value: string | bigint, what: string): Units {
    if (typeof value === 'string') {
      const quick = this.#quick(value);
      return Number.isNaN(quick) ? this.#slow(value, what) : quick;
    }
    if (typeof value === 'bigint') return asUnits(value);
    return refuseNotDecimal(value, what);
  }

  /** The exact text of a count of units. */
  toText(units: Units): string {
    if (typeof units === 'number' && this.#step !== 0 && this.#power !== 0) {
      const scaled = units * this.#step;
      if (Number.isSafeInteger(scaled)) return this.#numberText(scaled);
    }
    return this.#bigText(BigInt(units) * this.step);
  }

  /** NaN where the quick way does not apply: long or odd texts, large values, and every error. */
  #quick(text: string): number {
    const length = text.length;
    if (length > 16 || length === 0 || this.#power === 0 || this.#step === 0) return Number.NaN;
    let mantissa = 0;
    let point = -1;
    for (let i = 0; i < length; i++) {
      const digit = text.charCodeAt(i) - 0x30;
      if (digit >= 0 && digit <= 9) mantissa = mantissa * 10 + digit;
      else if (digit === -2 && point < 0 && i > 0) point = i;
      else return Number.NaN;
    }
    // At most 15 digits with a point and 16 without: the latter may pass 2^53, which the check below sees.
    const fraction = point < 0 ? 0 : length - point - 1;
    if (point >= 0 && fraction === 0) return Number.NaN;
    if (fraction > this.decimals) return Number.NaN;
    const scaled = mantissa * numberPowers[this.decimals - fraction]!;
    if (scaled > Number.MAX_SAFE_INTEGER) return Number.NaN;
    if (this.#step === 1) return scaled;
    return scaled % this.#step === 0 ? scaled / this.#step : Number.NaN;
  }

  #slow(text: string, what: string): Units {
    const { coefficient, decimals } = split(text, what);
    const short = this.decimals - decimals;
    if (short >= 0) {
      const scaled = coefficient * powerOfTen(short);
      if (scaled % this.step === 0n) return asUnits(scaled / this.step);
    }
    throw new DecimalError('EXCESS_PRECISION', `${what}: ${text} is not a multiple of ${this.size}`, {
      field: what,
      details: { step: this.size },
    });
  }

  #numberText(scaled: number): string {
    if (this.decimals === 0) return String(scaled);
    const magnitude = Math.abs(scaled);
    let fraction = magnitude % this.#power;
    const whole = (magnitude - fraction) / this.#power;
    const sign = scaled < 0 ? '-' : '';
    if (fraction === 0) return sign + whole;
    let places = this.decimals;
    for (; fraction % 10 === 0; places--) fraction /= 10;
    return `${sign}${whole}.${String(fraction).padStart(places, '0')}`;
  }

  #bigText(scaled: bigint): string {
    const magnitude = scaled < 0n ? -scaled : scaled;
    const digits = magnitude.toString().padStart(this.decimals + 1, '0');
    const point = digits.length - this.decimals;
    let end = digits.length;
    while (end > point && digits.charCodeAt(end - 1) === 0x30) end--;
    const text =
      end > point ? `${digits.slice(0, point)}.${digits.slice(point, end)}` : digits.slice(0, point);
    return scaled < 0n ? `-${text}` : text;
  }
}

function greatestDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
