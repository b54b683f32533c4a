// A small market on any exchange: what most tests begin with.
import type { Exchange } from '../../src/api/exchange.ts';
import type { NewOrder, Request } from '../../src/api/types.ts';

export const marketRequests: readonly Request[] = [
  { op: 'add-asset', asset: 'BTC', decimals: 8 },
  { op: 'add-asset', asset: 'USD', decimals: 10 },
  { op: 'add-account', account: 'alice' },
  { op: 'add-account', account: 'bob' },
];

export async function addMarket(exchange: Exchange): Promise<void> {
  for (const request of marketRequests) await exchange.execute(request);
  await exchange.execute({
    op: 'add-instrument',
    instrument: 'BTC-USD',
    base: 'BTC',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.00000001',
    makerFee: -100,
    takerFee: 250,
  });
}

let orders = 0;
/** A buy by alice, unless said otherwise, with an id of its own. */
export function order(fields: Partial<NewOrder> = {}): NewOrder {
  return {
    op: 'new',
    account: 'alice',
    instrument: 'BTC-USD',
    id: `o${++orders}`,
    side: 'buy',
    price: '100',
    quantity: '1',
    ...fields,
  };
}
