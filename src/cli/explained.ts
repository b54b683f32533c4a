/** The state as `explain` prints it (docs/rules.md, section 11), typed, with its numbers made readable. */
import { type ExactInteger, parseExact } from '../api/exact-json.ts';
import { powerOfTen, Scale } from '../decimal/scale.ts';

export interface ExplainedAsset {
  readonly id: number;
  readonly name: string;
  readonly decimals: number;
  readonly issued: string;
  readonly fees: string;
}
/** [order id, account, open, visible]. */
export type ExplainedResting = readonly [ExactInteger, number, ExactInteger, ExactInteger];
export type ExplainedLevel = readonly [ExactInteger, readonly ExplainedResting[]];
export interface ExplainedInstrument {
  readonly id: number;
  readonly name: string;
  readonly base: number;
  readonly quote: number;
  readonly lotBase: ExactInteger;
  readonly lotQuote: ExactInteger;
  readonly state: number;
  readonly lastPrice: ExactInteger;
  readonly trades: number;
  readonly makerFee: number;
  readonly takerFee: number;
  readonly bids: readonly ExplainedLevel[];
  readonly asks: readonly ExplainedLevel[];
  readonly buyStops: readonly ExplainedLevel[];
  readonly sellStops: readonly ExplainedLevel[];
}
/** [order id, id, side, order type, time in force, price, stop price, open, display, expiry]. */
export type ExplainedOrder = readonly [
  ExactInteger,
  string,
  number,
  number,
  number,
  ExactInteger,
  ExactInteger,
  ExactInteger,
  ExactInteger,
  ExactInteger,
];
export interface ExplainedAccount {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly killed: number;
  readonly limits: readonly (readonly [number, number, string])[];
  readonly balances: readonly (readonly [number, string, string])[];
  readonly exposures: readonly (readonly [number, ExactInteger, ExactInteger, ExactInteger])[];
  readonly orders: readonly ExplainedOrder[];
}
export interface Explained {
  readonly position: ExactInteger;
  readonly time: ExactInteger;
  readonly assets: readonly ExplainedAsset[];
  readonly instruments: readonly ExplainedInstrument[];
  readonly accounts: readonly ExplainedAccount[];
}

export function readExplained(text: string): Explained {
  return parseExact<Explained>(text);
}

/** Counts of ticks, lots and units as decimal text. */
export class Units {
  readonly #assets: ReadonlyMap<number, ExplainedAsset>;
  readonly #instruments: ReadonlyMap<number, ExplainedInstrument>;

  constructor(state: Explained) {
    this.#assets = new Map(state.assets.map((asset) => [asset.id, asset]));
    this.#instruments = new Map(state.instruments.map((instrument) => [instrument.id, instrument]));
  }

  asset(id: number): string {
    return this.#assets.get(id)?.name ?? `#${id}`;
  }

  instrument(id: number): string {
    return this.#instruments.get(id)?.name ?? `#${id}`;
  }

  amount(asset: number, units: string): string {
    return Scale.ofDecimals(this.#assets.get(asset)?.decimals ?? 0).toText(BigInt(units));
  }

  quantity(instrument: number, lots: ExactInteger): string {
    const terms = this.#instruments.get(instrument);
    if (terms === undefined) return String(lots);
    return this.#text(BigInt(terms.lotBase), powerOfTen(this.#assets.get(terms.base)?.decimals ?? 0), lots);
  }

  /** A tick is lotQuote units of the quote asset for lotBase units of the base asset. */
  price(instrument: number, ticks: ExactInteger): string {
    const terms = this.#instruments.get(instrument);
    if (terms === undefined) return String(ticks);
    const base = powerOfTen(this.#assets.get(terms.base)?.decimals ?? 0);
    const quote = powerOfTen(this.#assets.get(terms.quote)?.decimals ?? 0);
    return this.#text(BigInt(terms.lotQuote) * base, BigInt(terms.lotBase) * quote, ticks);
  }

  #text(numerator: bigint, denominator: bigint, count: ExactInteger): string {
    const scale = Scale.ofRatio(numerator, denominator);
    return scale === undefined ? `${count} × ${numerator}/${denominator}` : scale.toText(BigInt(count));
  }
}
