/** The commands that a feed of one instrument needs before its first line: assets, instrument, one endowed account. */
import type { Request } from '../api/types.ts';

export const replayFirm = 'replay-firm';
/** Whoever a line without `account` means: no self-trade prevention, endowed. */
export const replayAccount = 'replay-main';
/** Of each asset, in its smallest unit: more than a file can spend, less than 2^100. */
export const endowment: bigint = 10n ** 30n;

export interface FeedInstrument {
  readonly instrument: string;
  readonly base: string;
  readonly quote: string;
  readonly tickSize: string;
  readonly lotSize: string;
}

/** Digits after the point of a decimal text. */
export function decimalsOf(text: string): number {
  const point = text.indexOf('.');
  return point < 0 ? 0 : text.length - point - 1;
}

export function setupOf(terms: FeedInstrument): Request[] {
  const { instrument, base, quote, tickSize, lotSize } = terms;
  return [
    { op: 'add-asset', asset: base, decimals: decimalsOf(lotSize) },
    { op: 'add-asset', asset: quote, decimals: decimalsOf(tickSize) + decimalsOf(lotSize) },
    { op: 'add-instrument', instrument, base, quote, tickSize, lotSize },
    { op: 'add-account', account: replayFirm },
    { op: 'add-account', account: replayAccount, parent: replayFirm },
    { op: 'deposit', account: replayAccount, asset: base, id: 'endow-1', amount: endowment },
    { op: 'deposit', account: replayAccount, asset: quote, id: 'endow-2', amount: endowment },
  ];
}
