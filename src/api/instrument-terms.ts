// The terms of instruments: from decimal text to ticks, lots and units, with defaults where they are left out.
import { powerOfTen, Scale } from '../decimal/scale.ts';
import { DecimalError, InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import type { Cells } from '../wire/cells.ts';
import { commandOffsets as at, commandFlags } from '../wire/layout.ts';
import type { Asset, Instrument, Registry, Terms } from './registry.ts';
import type { AddInstrument, InstrumentTerms } from './types.ts';

/** The core's bound on values and amounts (rules.md, section 3). */
const amountMax = 1n << 120n;
const boundMax = 1n << 53n;
/** Defaults where nothing tighter applies: a price up to 10^9 ticks, a quantity up to 2^50 lots. */
const defaultPriceMax = 1_000_000_000n;
const defaultQuantityMax = 1n << 50n;
const defaultCollar = 50_000;

/** Writes an AddInstrument command but for its name and state. */
export function encodeAddInstrument(
  request: AddInstrument,
  registry: Registry,
  cells: Cells,
  byte: number,
): void {
  const base = registry.asset(request.base, 'base');
  const quote = registry.asset(request.quote, 'quote');
  const { price, quantity, lotBase, lotQuote } = tickAndLot(request, base, quote);
  const terms = defaultedTerms(request, price, quantity, lotBase, lotQuote);
  cells.writeInt64(byte + at.price, lotBase, 'lotSize');
  cells.writeInt64(byte + at.quantity, lotQuote, 'tickSize');
  cells.u32[(byte + at.base) >>> 2] = base.id;
  cells.u32[(byte + at.quote) >>> 2] = quote.id;
  writeTerms(terms, cells, byte);
}

/** What a change leaves out stays as it is. Throws CHANGE_IN_FLIGHT where that is not known. */
export function mergeTerms(request: InstrumentTerms, instrument: Instrument, changing: boolean): Terms {
  const { minPrice, maxPrice, minQuantity, maxQuantity, makerFee, takerFee, collar } = request;
  const all = [minPrice, maxPrice, minQuantity, maxQuantity, makerFee, takerFee, collar];
  if (changing && all.includes(undefined)) {
    throw new InvalidRequestError(
      'CHANGE_IN_FLIGHT',
      `${instrument.name}: an earlier change is not answered yet; wait for it, or give every field`,
    );
  }
  const { price, quantity, terms } = instrument;
  return {
    priceMin: bound(price, minPrice, 'minPrice') ?? terms.priceMin,
    priceMax: bound(price, maxPrice, 'maxPrice') ?? terms.priceMax,
    quantityMin: bound(quantity, minQuantity, 'minQuantity') ?? terms.quantityMin,
    quantityMax: bound(quantity, maxQuantity, 'maxQuantity') ?? terms.quantityMax,
    makerFee: millionths(makerFee, 'makerFee') ?? terms.makerFee,
    takerFee: millionths(takerFee, 'takerFee') ?? terms.takerFee,
    collar: millionths(collar, 'collar') ?? terms.collar,
  };
}

/** The second line of AddInstrument and ChangeInstrument. */
export function writeTerms(terms: Terms, cells: Cells, byte: number): void {
  cells.u16[(byte + at.flags) >>> 1] = commandFlags.extended;
  cells.writeInt64(byte + at.priceMin, terms.priceMin, 'minPrice');
  cells.writeInt64(byte + at.priceMax, terms.priceMax, 'maxPrice');
  cells.writeInt64(byte + at.quantityMin, terms.quantityMin, 'minQuantity');
  cells.writeInt64(byte + at.quantityMax, terms.quantityMax, 'maxQuantity');
  cells.i32[(byte + at.makerFee) >>> 2] = terms.makerFee;
  cells.i32[(byte + at.takerFee) >>> 2] = terms.takerFee;
  cells.i32[(byte + at.collar) >>> 2] = terms.collar;
}

/** The terms in a command cell: what an instrument has once the command is accepted. */
export function readTerms(cells: Cells, byte: number): Terms {
  const bigAt = (offset: number): bigint => cells.i64[(byte + offset) >>> 3]!;
  const int32At = (offset: number): number => cells.i32[(byte + offset) >>> 2]!;
  return {
    priceMin: bigAt(at.priceMin),
    priceMax: bigAt(at.priceMax),
    quantityMin: bigAt(at.quantityMin),
    quantityMax: bigAt(at.quantityMax),
    makerFee: int32At(at.makerFee),
    takerFee: int32At(at.takerFee),
    collar: int32At(at.collar),
  };
}

function tickAndLot(
  request: AddInstrument,
  base: Asset,
  quote: Asset,
): { price: Scale; quantity: Scale; lotBase: bigint; lotQuote: bigint } {
  const price = sizeOf(request.tickSize, 'tickSize');
  const quantity = sizeOf(request.lotSize, 'lotSize');
  if (quantity.decimals > base.decimals) {
    throw new InvalidRequestError(
      'INVALID_TICK_OR_LOT',
      `lotSize: ${request.lotSize} is finer than ${base.name}, which has ${base.decimals} decimals`,
      { field: 'lotSize' },
    );
  }
  const lotBase = quantity.step * powerOfTen(base.decimals - quantity.decimals);
  // What one lot costs at one tick, as coefficient / 10^decimals of the quote asset, in lowest terms.
  let coefficient = price.step * quantity.step;
  let decimals = price.decimals + quantity.decimals;
  for (; decimals > 0 && coefficient % 10n === 0n; decimals--) coefficient /= 10n;
  if (decimals > quote.decimals) {
    throw new InvalidRequestError(
      'INVALID_TICK_OR_LOT',
      `tickSize × lotSize needs ${decimals} decimals in ${quote.name}, which has ${quote.decimals}: ` +
        `make the tick or the lot larger, or give ${quote.name} ${decimals <= 18 ? `${decimals} decimals` : 'as many as it can have (18)'}`,
      { field: 'tickSize', details: { decimalsNeeded: decimals, decimals: quote.decimals } },
    );
  }
  return { price, quantity, lotBase, lotQuote: coefficient * powerOfTen(quote.decimals - decimals) };
}

function sizeOf(size: string, field: string): Scale {
  try {
    return Scale.ofText(size, field);
  } catch (error) {
    if (!(error instanceof DecimalError) || error.code !== 'INVALID_DECIMAL') throw error;
    throw new InvalidRequestError('INVALID_TICK_OR_LOT', `${field}: expected a positive decimal string`, {
      cause: error,
      field,
    });
  }
}

/** Defaults: one tick and one lot at least; at most what is generous and keeps every value inside the core's range. */
function defaultedTerms(
  request: AddInstrument,
  price: Scale,
  quantity: Scale,
  lotBase: bigint,
  lotQuote: bigint,
): Terms {
  const priceMin = bound(price, request.minPrice, 'minPrice') ?? 1n;
  const quantityMin = bound(quantity, request.minQuantity, 'minQuantity') ?? 1n;
  const givenPrice = bound(price, request.maxPrice, 'maxPrice');
  const givenQuantity = bound(quantity, request.maxQuantity, 'maxQuantity');
  // 2 × price × quantity × lotQuote ≤ 2^120 and quantity × lotBase ≤ 2^120.
  const value = amountMax / (2n * lotQuote);
  const quantityRoom = amountMax / lotBase;
  const priceWish = smallest(givenPrice ?? largest(defaultPriceMax, priceMin), boundMax);
  const quantityMax =
    givenQuantity ??
    largest(smallest(defaultQuantityMax, quantityRoom, value / largest(priceWish, 1n)), quantityMin);
  const priceMax = givenPrice ?? largest(smallest(priceWish, value / largest(quantityMax, 1n)), priceMin);
  return {
    priceMin,
    priceMax,
    quantityMin,
    quantityMax,
    makerFee: millionths(request.makerFee, 'makerFee') ?? 0,
    takerFee: millionths(request.takerFee, 'takerFee') ?? 0,
    collar: millionths(request.collar, 'collar') ?? defaultCollar,
  };
}

function bound(scale: Scale, value: string | bigint | undefined, field: string): bigint | undefined {
  return value === undefined ? undefined : BigInt(scale.toUnits(value, field));
}

/** Fees and collars are the only ratios: plain integers of millionths, for which numbers are exact. */
function millionths(value: number | undefined, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || Math.abs(value) > 2_000_000_000) {
    throw new InvalidRequestError(
      'INVALID_REQUEST',
      `${field}: expected an integer of millionths, got ${shown(value)}`,
      { field },
    );
  }
  return value;
}

function smallest(...values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a < b ? a : b));
}

function largest(...values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a > b ? a : b));
}
