// The mirror against the engine's own book, after flow of every kind.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import type { Request } from '../../src/api/types.ts';
import { BookMirror } from '../../src/mirror/book-mirror.ts';

const accounts = ['a', 'b'] as const;
const setup: Request[] = [
  { op: 'add-asset', asset: 'X', decimals: 2 },
  { op: 'add-asset', asset: 'USD', decimals: 4 },
  { op: 'add-instrument', instrument: 'X-USD', base: 'X', quote: 'USD', tickSize: '0.05', lotSize: '0.01' },
  ...accounts.flatMap((account): Request[] => [
    { op: 'add-account', account },
    { op: 'deposit', account, asset: 'X', id: 'x', amount: 10n ** 24n },
    { op: 'deposit', account, asset: 'USD', id: 'usd', amount: 10n ** 24n },
  ]),
];

const price = fc.integer({ min: 1980, max: 2020 }).map(BigInt);
const lots = fc.integer({ min: 1, max: 500 }).map(BigInt);
const account = fc.constantFrom(...accounts);
const id = fc.integer({ min: 1, max: 40 }).map((number) => `o${number}`);
const common = {
  op: fc.constant('new' as const),
  account,
  instrument: fc.constant('X-USD'),
  side: fc.constantFrom('buy' as const, 'sell' as const),
  quantity: lots,
};
const flow: fc.Arbitrary<Request> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...common,
      id,
      price,
      selfTrade: fc.constantFrom(
        'none' as const,
        'cancel-newest' as const,
        'cancel-oldest' as const,
        'cancel-both' as const,
        'decrement' as const,
      ),
      tif: fc.constantFrom('gtc' as const, 'ioc' as const, 'fok' as const, 'day' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...common,
      id,
      price,
      displayQuantity: fc.integer({ min: 1, max: 50 }).map(BigInt),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...common, id, type: fc.constant('market' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...common,
      id,
      type: fc.constant('stop-limit' as const),
      price,
      stopPrice: price,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...common,
      id,
      price,
      postOnly: fc.constantFrom('reject' as const, 'reprice' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('cancel' as const), account, id }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('reduce' as const),
      account,
      id,
      instrument: fc.constant('X-USD'),
      by: lots,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('replace' as const),
      account,
      id,
      instrument: fc.constant('X-USD'),
      newId: id,
      price,
      quantity: lots,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Request>({ op: 'day-end' }, { op: 'mass-cancel', account: 'a', side: 'buy' }),
  },
);

describe('the mirror and the engine', () => {
  test('show the same book after any flow', { timeout: 60_000 }, async () => {
    let orders = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(flow, { minLength: 100, maxLength: 400 }), async (requests) => {
        await using exchange = await Exchange.open({
          clock: 'manual',
          maxOrders: 1000,
          maxClientIds: 10_000,
        });
        for (const request of setup) await exchange.execute(request);
        const mirror = new BookMirror();
        const book = mirror.define('X-USD', '0.05', '0.01');
        exchange.onEvents((events) => {
          for (const event of events) mirror.apply(event);
        });
        await Promise.all(requests.map((request) => exchange.submit(request)));
        const { bids, asks } = await exchange.book('X-USD', { levels: 1000 });
        await new Promise((resolve) => setImmediate(resolve));
        const shown = (side: 'buy' | 'sell'): [string, string, number][] =>
          book
            .levels(side)
            .map((level) => [book.ticks.toText(level.price), book.lots.toText(level.quantity), level.orders]);
        expect(shown('buy')).toEqual(bids);
        expect(shown('sell')).toEqual(asks);
        orders += book.orders;
      }),
      { numRuns: 40 },
    );
    expect(orders).toBeGreaterThan(100);
  });
});
