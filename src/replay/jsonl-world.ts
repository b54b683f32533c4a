/**
 * What the neutral format leaves unsaid: assets, instruments and accounts that lines name without defining them. Defined on
 * first use, in the order of first use, accounts under one firm and endowed with every asset.
 */
import type { InstrumentTerms, Request, TradingState } from '../api/types.ts';
import { decimalsOf, endowment, replayAccount, replayFirm } from './account-setup.ts';
import { ReplayError } from './replay-error.ts';
import type { DefinedInstrument } from './step.ts';

const decimalsMax = 18;
/** At most so many ticks and lots, and twice the largest value at most 2^120. */
const countMax = 1n << 53n;
const valueMax = 1n << 119n;
export const defaultTick = '0.01';
export const defaultLot = '0.00000001';

export interface InstrumentDefinition {
  readonly instrument: string;
  readonly base: string;
  readonly quote: string;
  readonly tickSize: string;
  readonly lotSize: string;
  readonly baseDecimals?: number | undefined;
  readonly quoteDecimals?: number | undefined;
  /** Everything else of the API's request, as it is. */
  readonly rest: InstrumentTerms & { state?: TradingState };
}

/** "BTC-USD" (also with a slash or an underscore) is BTC against USD; any other name is its own base against USD. */
export function pairOf(instrument: string): [base: string, quote: string] {
  const parts = /^([^-/_]+)[-/_]([^-/_]+)$/.exec(instrument);
  return parts === null ? [instrument === 'USD' ? 'USD-BASE' : instrument, 'USD'] : [parts[1]!, parts[2]!];
}

/** The widest limits that the core takes (docs/rules.md, section 3): a file's orders are not to fail on a band that nobody chose. */
function widest(
  tickSize: string,
  lotSize: string,
  quoteDecimals: number,
): { maxPrice: bigint; maxQuantity: bigint } {
  const digits = BigInt(tickSize.replace('.', '')) * BigInt(lotSize.replace('.', ''));
  const spare = quoteDecimals - decimalsOf(tickSize) - decimalsOf(lotSize);
  const lotQuote = spare < 0 ? digits : digits * 10n ** BigInt(spare);
  let maxPrice = countMax;
  while (maxPrice > 1n && maxPrice * maxPrice * lotQuote > valueMax) maxPrice /= 2n;
  const rest = valueMax / (maxPrice * (lotQuote > 0n ? lotQuote : 1n));
  return { maxPrice, maxQuantity: rest < countMax ? rest : countMax };
}

export class JsonlWorld {
  readonly #assets = new Map<string, number>();
  readonly #instruments = new Map<string, DefinedInstrument>();
  readonly #accounts = new Set<string>();
  /** Accounts that get every asset, also those defined later. */
  readonly #endowed: string[] = [];

  hasInstrument(name: string): boolean {
    return this.#instruments.has(name);
  }

  firstInstrument(): string | undefined {
    return this.#instruments.keys().next().value;
  }

  /** An `asset` line, or the API's own request. */
  asset(name: string, decimals: number): Request[] {
    this.#assets.set(name, decimals);
    return [
      { op: 'add-asset', asset: name, decimals },
      ...this.#endowed.map((account) => this.#deposit(account, name)),
    ];
  }

  /** Definitions that stand together at the beginning are given together: an asset has the decimals that all of them need. */
  instruments(definitions: readonly InstrumentDefinition[]): Request[] {
    const requests: Request[] = [];
    const need = (asset: string, decimals: number): void => {
      const known = wanted.get(asset) ?? 0;
      wanted.set(asset, Math.max(known, decimals));
    };
    const wanted = new Map<string, number>();
    for (const { base, quote, tickSize, lotSize, baseDecimals, quoteDecimals } of definitions) {
      need(base, baseDecimals ?? decimalsOf(lotSize));
      need(quote, quoteDecimals ?? decimalsOf(tickSize) + decimalsOf(lotSize));
    }
    for (const [asset, decimals] of wanted) {
      const known = this.#assets.get(asset);
      if (known === undefined) {
        if (decimals > decimalsMax) {
          throw new ReplayError(
            'REPLAY_BAD_LINE',
            `${asset} would need ${decimals} decimals; at most ${decimalsMax} are possible`,
          );
        }
        requests.push(...this.asset(asset, decimals));
      } else if (known < decimals) {
        throw new ReplayError(
          'REPLAY_BAD_LINE',
          `${asset} has ${known} decimals and this instrument needs ${decimals}: define all instruments at the beginning, or the asset before them`,
        );
      }
    }
    for (const { instrument, base, quote, tickSize, lotSize, rest } of definitions) {
      this.defined({ instrument, tickSize, lotSize });
      const limits = widest(tickSize, lotSize, this.#assets.get(quote) ?? 0);
      requests.push({ op: 'add-instrument', ...limits, ...rest, instrument, base, quote, tickSize, lotSize });
    }
    return requests;
  }

  /** The API's own add-instrument came by. */
  defined(instrument: DefinedInstrument): void {
    this.#instruments.set(instrument.instrument, instrument);
  }

  /** What has to be sent before a line may name this instrument. */
  useInstrument(name: string): Request[] {
    if (this.#instruments.has(name)) return [];
    const [base, quote] = pairOf(name);
    return this.instruments([
      { instrument: name, base, quote, tickSize: defaultTick, lotSize: defaultLot, rest: {} },
    ]);
  }

  /** What has to be sent before a line may name this account. */
  useAccount(
    name: string,
    options: { endow: boolean; parent?: string | undefined } = { endow: true },
  ): Request[] {
    if (this.#accounts.has(name)) return [];
    const requests: Request[] = [];
    if (options.parent !== undefined) requests.push(...this.useAccount(options.parent, { endow: false }));
    else if (name !== replayFirm) requests.push(...this.useAccount(replayFirm, { endow: false }));
    this.#accounts.add(name);
    const parent = options.parent ?? (name === replayFirm ? undefined : replayFirm);
    requests.push({ op: 'add-account', account: name, ...(parent === undefined ? {} : { parent }) });
    if (!options.endow) return requests;
    this.#endowed.push(name);
    for (const asset of this.#assets.keys()) requests.push(this.#deposit(name, asset));
    return requests;
  }

  /** The API's own add-account came by. */
  definedAccount(name: string): void {
    this.#accounts.add(name);
  }

  /** Whoever a line without `account` means. */
  useDefaultAccount(): Request[] {
    return this.useAccount(replayAccount);
  }

  #deposit(account: string, asset: string): Request {
    return {
      op: 'deposit',
      account,
      asset,
      id: `endow-${[...this.#assets.keys()].indexOf(asset) + 1}`,
      amount: endowment,
    };
  }
}
