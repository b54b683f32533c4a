// Registry: names to ids and back, and what an id means: decimals of assets, tick and lot of instruments.
//
// Filled at open from the core's own listing and kept up by events. Ids, decimals, ticks and lots never change once given; fees, bands and states do.
import { powerOfTen, Scale } from '../decimal/scale.ts';
import { UnknownNameError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

export const venueName = 'VENUE';

export interface Asset {
  readonly id: number;
  readonly name: string;
  readonly decimals: number;
  readonly scale: Scale;
}

/** What change-instrument may change. Bounds in ticks and lots, fees and collar in millionths. */
export interface Terms {
  readonly priceMin: bigint;
  readonly priceMax: bigint;
  readonly quantityMin: bigint;
  readonly quantityMax: bigint;
  readonly makerFee: number;
  readonly takerFee: number;
  readonly collar: number;
}

export interface Instrument {
  readonly id: number;
  readonly name: string;
  readonly base: Asset;
  readonly quote: Asset;
  readonly lotBase: bigint;
  readonly lotQuote: bigint;
  /** Prices, in ticks. */
  readonly price: Scale;
  /** Quantities, in lots. */
  readonly quantity: Scale;
  terms: Terms;
}

export interface InstrumentFields {
  readonly id: number;
  readonly name: string;
  readonly base: number;
  readonly quote: number;
  readonly lotBase: bigint;
  readonly lotQuote: bigint;
  readonly terms: Terms;
}

/** A table of named things with dense ids. */
class Table<Thing extends { readonly id: number; readonly name: string }> {
  readonly byId: (Thing | undefined)[] = [];
  readonly byName = new Map<string, Thing>();

  add(thing: Thing): void {
    this.byId[thing.id] = thing;
    this.byName.set(thing.name, thing);
  }
}

/** The names of one exchange. */
export class Registry {
  readonly #assets = new Table<Asset>();
  readonly #instruments = new Table<Instrument>();
  readonly #accounts: string[] = [venueName];
  readonly #accountIds = new Map<string, number>([[venueName, 0]]);

  addAsset(id: number, name: string, decimals: number): void {
    this.#assets.add({ id, name, decimals, scale: Scale.ofDecimals(decimals) });
  }

  addInstrument(fields: InstrumentFields): void {
    const { id, name, lotBase, lotQuote, terms } = fields;
    const base = this.assetById(fields.base);
    const quote = this.assetById(fields.quote);
    // One tick on one base unit costs lotQuote / lotBase quote units. A tick that is no finite decimal can only come from a core that was fed raw
    // commands; its prices are then shown and taken in whole ticks.
    const price =
      Scale.ofRatio(lotQuote * powerOfTen(base.decimals), lotBase * powerOfTen(quote.decimals)) ??
      Scale.ofDecimals(0);
    const quantity = Scale.ofRatio(lotBase, powerOfTen(base.decimals))!;
    this.#instruments.add({ id, name, base, quote, lotBase, lotQuote, price, quantity, terms });
  }

  addAccount(id: number, name: string): void {
    this.#accounts[id] = name;
    this.#accountIds.set(name, id);
  }

  /** Throws UNKNOWN_ASSET_NAME. */
  asset(name: string, field = 'asset'): Asset {
    return this.#assets.byName.get(name) ?? unknown('UNKNOWN_ASSET_NAME', 'asset', name, field);
  }

  /** Throws UNKNOWN_INSTRUMENT_NAME. */
  instrument(name: string, field = 'instrument'): Instrument {
    return (
      this.#instruments.byName.get(name) ?? unknown('UNKNOWN_INSTRUMENT_NAME', 'instrument', name, field)
    );
  }

  /** Throws UNKNOWN_ACCOUNT_NAME. */
  account(name: string, field = 'account'): number {
    return this.#accountIds.get(name) ?? unknown('UNKNOWN_ACCOUNT_NAME', 'account', name, field);
  }

  assetById(id: number): Asset {
    const asset = this.#assets.byId[id];
    if (asset === undefined) throw new Error(`asset ${id} is not registered`);
    return asset;
  }

  instrumentById(id: number): Instrument | undefined {
    return this.#instruments.byId[id];
  }

  assetName(id: number): string {
    return this.#assets.byId[id]?.name ?? `#${id}`;
  }

  instrumentName(id: number): string {
    return this.#instruments.byId[id]?.name ?? `#${id}`;
  }

  accountName(id: number): string {
    return this.#accounts[id] ?? `#${id}`;
  }

  get accountCount(): number {
    return this.#accounts.length;
  }

  instruments(): Instrument[] {
    return [...this.#instruments.byName.values()];
  }
}

function unknown(code: string, kind: string, name: string, field: string): never {
  throw new UnknownNameError(
    code,
    `${field}: there is no ${kind} ${shown(name)}; a new one can be named once its add-${kind} has been answered`,
    { field },
  );
}
