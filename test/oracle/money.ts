// Money: exact integers in decimal.js. Rules, section 1: nothing is ever rounded but millionths(),
// which truncates toward zero.

import { Decimal as Base } from 'decimal.js';

// 80 digits: the largest product (2^53 ticks × 2^53 lots × 2^63 units) has 51.
const Exact = Base.clone({ precision: 80, rounding: Base.ROUND_DOWN, toExpPos: 200, defaults: true });

export type Decimal = Base;

const SMALL = 1n << 53n;

export function decimal(integer: bigint): Decimal {
  // A double holds such integers exactly, and is read faster than text.
  if (integer > -SMALL && integer < SMALL) return new Exact(Number(integer));
  return new Exact(integer.toString());
}

export const ZERO: Decimal = new Exact(0);
export const MILLION = 1_000_000;
export const AMOUNT_MAX: Decimal = decimal(1n << 120n);

export function integer(amount: Decimal): bigint {
  return BigInt(amount.toFixed(0));
}

export function value(price: bigint, quantity: bigint, lotQuote: bigint): Decimal {
  return decimal(price).times(decimal(quantity)).times(decimal(lotQuote));
}

export function millionths(v: Decimal, m: number): Decimal {
  if (m === 0) return ZERO;
  return v.times(m).divToInt(MILLION);
}

// The same for ticks: a collar.
export function millionthsOfTicks(ticks: bigint, m: number): bigint {
  return (ticks * BigInt(m)) / BigInt(MILLION);
}
