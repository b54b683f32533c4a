// Two accounts and one trade, in memory. Run by the tests; in your own project import from 'verbex'.
import { type Event, Exchange } from '../src/index.ts';

/** Sells half a coin and buys it back; answers the trade. */
export async function firstTrade(print: (line: string) => void): Promise<Event | undefined> {
  await using exchange = await Exchange.open();

  await exchange.execute({ op: 'add-asset', asset: 'BTC', decimals: 8 });
  await exchange.execute({ op: 'add-asset', asset: 'USD', decimals: 6 });
  await exchange.execute({ op: 'add-account', account: 'alice' });
  await exchange.execute({ op: 'add-account', account: 'bob' });
  await exchange.execute({
    op: 'add-instrument',
    instrument: 'BTC-USD',
    base: 'BTC',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.0001',
    takerFee: 500,
  });
  await exchange.execute({ op: 'deposit', account: 'alice', asset: 'BTC', id: 'd1', amount: '2' });
  await exchange.execute({ op: 'deposit', account: 'bob', asset: 'USD', id: 'd2', amount: '50000' });

  const order = { op: 'new', instrument: 'BTC-USD', price: '64000.25', quantity: '0.5' } as const;
  await exchange.execute({ ...order, account: 'alice', id: 'sell-1', side: 'sell' });
  const events = await exchange.execute({ ...order, account: 'bob', id: 'buy-1', side: 'buy' });

  const trade = events.find((event) => event.event === 'trade');
  if (trade?.event === 'trade') {
    print(`${trade.quantity} BTC at ${trade.price} USD, the taker pays ${trade.takerFee} USD`);
  }
  for (const { asset, available } of (await exchange.account('bob')).balances) {
    print(`bob has ${available} ${asset}`);
  }
  return trade;
}
