// Ticks and lots, which is what the protocols carry, to exact decimals and back, where the caller says how large they are.
import { Scale } from '../decimal/scale.ts';
import { InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

/** By symbol, as in the messages: what a tick and a lot of it are. */
export type InstrumentTerms = Readonly<
  Record<string, { readonly tickSize: string; readonly lotSize: string }>
>;

export class InstrumentUnits {
  readonly #scales = new Map<string, { ticks: Scale; lots: Scale }>();

  constructor(terms: InstrumentTerms = {}) {
    for (const [symbol, { tickSize, lotSize }] of Object.entries(terms)) {
      const scales = { ticks: Scale.ofText(tickSize, 'tickSize'), lots: Scale.ofText(lotSize, 'lotSize') };
      this.#scales.set(symbol, scales);
    }
  }

  /** Undefined where the instrument's terms were not given. */
  priceText(symbol: string, ticks: number | bigint): string | undefined {
    return this.#scales.get(symbol)?.ticks.toText(ticks);
  }

  quantityText(symbol: string, lots: number | bigint): string | undefined {
    return this.#scales.get(symbol)?.lots.toText(lots);
  }

  /** A number or bigint is ticks already; text is a decimal of an instrument whose terms were given. */
  ticks(symbol: string | undefined, price: number | bigint | string): bigint {
    return this.#units('price', symbol, price, (scales) => scales.ticks);
  }

  lots(symbol: string | undefined, quantity: number | bigint | string): bigint {
    return this.#units('quantity', symbol, quantity, (scales) => scales.lots);
  }

  #units(
    field: string,
    symbol: string | undefined,
    value: number | bigint | string,
    which: (scales: { ticks: Scale; lots: Scale }) => Scale,
  ): bigint {
    if (typeof value === 'bigint') return value;
    if (typeof value === 'number') {
      if (Number.isSafeInteger(value)) return BigInt(value);
      throw new InvalidRequestError('INVALID_REQUEST', `${field}: expected whole units, got ${value}`, {
        field,
      });
    }
    const scales = symbol === undefined ? undefined : this.#scales.get(symbol);
    if (typeof value !== 'string' || scales === undefined) {
      const message =
        typeof value === 'string'
          ? `${field}: a decimal needs the terms of ${symbol ?? 'the instrument'} (option instruments)`
          : `${field}: expected units or a decimal, got ${shown(value)}`;
      throw new InvalidRequestError('INVALID_REQUEST', message, { field });
    }
    return BigInt(which(scales).toUnits(value, field));
  }
}
