// The demo market: assets, instruments, a tree of firms, and the endowment of everybody in it.
//
// Everything here may be done again at every start: what exists is left alone, and deposits carry fixed transaction ids.
import type { Exchange } from '../api/exchange.ts';
import type { AddInstrument, Request } from '../api/types.ts';

export type DemoExchange = Pick<
  Exchange,
  'submit' | 'accounts' | 'instruments' | 'assets' | 'offer' | 'onEvents' | 'stats'
>;

/** The account of whoever tries the demo by hand, and the token that stands for it on loopback. */
export const visitorAccount = 'visitor';
export const visitorToken = 'demo-visitor';

// Eight decimals make every tick × lot below exact in USD.
const assets: readonly (readonly [string, number])[] = [
  ['USD', 8],
  ['BTC', 8],
  ['ETH', 18],
  ['SOL', 9],
];

export interface DemoInstrument {
  readonly terms: AddInstrument;
  /** Where its price starts, and what it drifts back to. */
  readonly price: number;
  /** Lots of a usual order. */
  readonly usualLots: number;
}

const fees = { makerFee: -10, takerFee: 50 };

export const demoInstruments: readonly DemoInstrument[] = [
  {
    terms: {
      op: 'add-instrument',
      instrument: 'BTC-USD',
      base: 'BTC',
      quote: 'USD',
      tickSize: '0.1',
      lotSize: '0.0001',
      minPrice: '30000',
      maxPrice: '130000',
      minQuantity: '0.0001',
      maxQuantity: '1000',
      ...fees,
    },
    price: 65_000,
    usualLots: 1500,
  },
  {
    terms: {
      op: 'add-instrument',
      instrument: 'ETH-USD',
      base: 'ETH',
      quote: 'USD',
      tickSize: '0.01',
      lotSize: '0.001',
      minPrice: '1500',
      maxPrice: '7000',
      minQuantity: '0.001',
      maxQuantity: '10000',
      ...fees,
    },
    price: 3_400,
    usualLots: 2500,
  },
  {
    terms: {
      op: 'add-instrument',
      instrument: 'SOL-USD',
      base: 'SOL',
      quote: 'USD',
      tickSize: '0.01',
      lotSize: '0.01',
      minPrice: '50',
      maxPrice: '400',
      minQuantity: '0.01',
      maxQuantity: '100000',
      ...fees,
    },
    price: 155,
    usualLots: 4000,
  },
];

export type Role = 'maker' | 'taker';
export interface DemoAccount {
  readonly name: string;
  readonly parent?: string;
  /** Firms and desks do not trade themselves. */
  readonly role?: Role;
}

function numbered(count: number, make: (number: number) => DemoAccount): DemoAccount[] {
  return Array.from({ length: count }, (_, index) => make(index + 1));
}

/** The firms whose accounts the crowd trades. */
export const crowdFirms = ['ALDER', 'BIRCH', 'CEDAR'] as const;

/** Two market-making firms, one broker with desks of clients, and the visitor. Parents come first. */
export const demoAccounts: readonly DemoAccount[] = [
  ...crowdFirms.map((name) => ({ name })),
  { name: 'VISITORS' },
  ...numbered(4, (number) => ({ name: `ALDER-M${number}`, parent: 'ALDER', role: 'maker' })),
  ...numbered(4, (number) => ({ name: `BIRCH-M${number}`, parent: 'BIRCH', role: 'maker' })),
  ...['CEDAR-A', 'CEDAR-B', 'CEDAR-C', 'CEDAR-D'].flatMap((desk) => [
    { name: desk, parent: 'CEDAR' },
    ...numbered(8, (number) => ({ name: `${desk}${number}`, parent: desk, role: 'taker' })),
  ]),
  { name: visitorAccount, parent: 'VISITORS' },
];

const endowment: readonly (readonly [string, string])[] = [
  ['USD', '1000000000'],
  ['BTC', '20000'],
  ['ETH', '400000'],
  ['SOL', '8000000'],
];
const visitorEndowment: readonly (readonly [string, string])[] = [
  ['USD', '1000000'],
  ['BTC', '10'],
  ['ETH', '100'],
  ['SOL', '5000'],
];

/** Submits and insists: the demo's own set-up has no business being rejected. */
async function insist(exchange: DemoExchange, requests: readonly Request[]): Promise<void> {
  const answers = await Promise.all(requests.map((request) => exchange.submit(request)));
  answers.forEach(([first], index) => {
    if (first?.event === 'rejected')
      throw new Error(`the demo market cannot be set up: ${requests[index]?.op}: ${first.code}`);
  });
}

/** Adds what is missing, endows everybody. */
export async function prepareMarket(exchange: DemoExchange): Promise<void> {
  const knownAssets = new Set((await exchange.assets()).map(({ asset }) => asset));
  await insist(
    exchange,
    assets
      .filter(([asset]) => !knownAssets.has(asset))
      .map(([asset, decimals]) => ({ op: 'add-asset', asset, decimals })),
  );
  const knownInstruments = new Set((await exchange.instruments()).map(({ instrument }) => instrument));
  await insist(
    exchange,
    demoInstruments.map(({ terms }) => terms).filter(({ instrument }) => !knownInstruments.has(instrument)),
  );
  const knownAccounts = new Set((await exchange.accounts()).map(({ account }) => account));
  // A parent must have been answered before a child can name it.
  for (const account of demoAccounts) {
    if (knownAccounts.has(account.name)) continue;
    const parent = account.parent === undefined ? {} : { parent: account.parent };
    await insist(exchange, [{ op: 'add-account', account: account.name, ...parent }]);
  }
  const deposits = (account: string, amounts: typeof endowment): Request[] =>
    amounts.map(([asset, amount]) => ({ op: 'deposit', account, asset, id: `demo-${asset}`, amount }));
  const traders = demoAccounts.filter(({ role }) => role !== undefined);
  await insist(exchange, [
    ...traders.flatMap(({ name }) => deposits(name, endowment)),
    ...deposits(visitorAccount, visitorEndowment),
  ]);
}
