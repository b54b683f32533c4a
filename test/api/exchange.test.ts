// The public API over the native engine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { firstTrade } from '../../examples/first-trade.ts';
import { Exchange } from '../../src/api/exchange.ts';
import type { Event, ExchangeOptions } from '../../src/api/types.ts';
import { addMarket, order } from './market.ts';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'verbex-api-'));
  folders.push(path);
  return path;
}
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});

const small: ExchangeOptions = {
  clock: 'manual',
  maxOrders: 10_000,
  maxAccounts: 100,
  maxInstruments: 16,
  maxClientIds: 100_000,
  segmentBytes: 1 << 20,
};

async function market(options: ExchangeOptions = {}): Promise<Exchange> {
  const exchange = await Exchange.open({ ...small, ...options });
  await addMarket(exchange);
  await exchange.execute({ op: 'deposit', account: 'alice', asset: 'USD', id: 'd1', amount: '1000000' });
  await exchange.execute({ op: 'deposit', account: 'bob', asset: 'BTC', id: 'd1', amount: '1000' });
  return exchange;
}
const sell = { account: 'bob', side: 'sell' } as const;

test('the first example runs', async () => {
  const lines: string[] = [];
  expect(await firstTrade((line) => lines.push(line))).toMatchObject({
    event: 'trade',
    maker: 'sell-1',
    taker: 'buy-1',
  });
  expect(lines).toEqual([
    '0.5 BTC at 64000.25 USD, the taker pays 16.000062 USD',
    'bob has 0.5 BTC',
    'bob has 17983.874938 USD',
  ]);
});

describe('trading', () => {
  test('a trade, its fees, and what everybody has after it', async () => {
    await using exchange = await market();
    await exchange.execute(order({ ...sell, id: 's1', price: '100.5', quantity: '2' }));
    const events = await exchange.execute(order({ id: 'b1', price: '101', quantity: '0.5' }));
    expect(events.map(({ event }) => event)).toEqual(['accepted', 'trade']);
    expect(events[1]).toMatchObject({
      price: '100.5',
      quantity: '0.5',
      maker: 's1',
      makerAccount: 'bob',
      makerLeft: '1.5',
      makerFee: '-0.005025',
      taker: 'b1',
      takerAccount: 'alice',
      takerLeft: '0',
      takerFee: '0.0125625',
      last: true,
    });
    const alice = await exchange.account('alice');
    expect(alice.balances).toEqual([
      { asset: 'BTC', total: '0.5', held: '0', available: '0.5' },
      { asset: 'USD', total: '999949.7374375', held: '0', available: '999949.7374375' },
    ]);
    const bob = await exchange.account('bob');
    expect(bob).toMatchObject({
      account: 'bob',
      parent: 'VENUE',
      killed: false,
      balances: [
        { asset: 'BTC', total: '999.5', held: '1.5', available: '998' },
        { asset: 'USD', total: '50.255025', held: '0', available: '50.255025' },
      ],
      exposures: [{ instrument: 'BTC-USD', position: '-0.5', openBuy: '0', openSell: '1.5' }],
      orders: [
        { id: 's1', side: 'sell', type: 'limit', tif: 'gtc', price: '100.5', open: '1.5', visible: '1.5' },
      ],
    });
    expect((await exchange.assets()).find(({ asset }) => asset === 'USD')).toEqual({
      asset: 'USD',
      decimals: 10,
      issued: '1000000',
      fees: '0.0075375',
    });
  });

  test('rejects are events of submit and errors of execute', async () => {
    await using exchange = await market();
    const tooLarge = order({ quantity: '1000000' });
    expect(await exchange.submit(tooLarge)).toMatchObject([
      { event: 'rejected', code: 'INSUFFICIENT_FUNDS', op: 'new' },
    ]);
    await expect(exchange.execute(order({ quantity: '1000000' }))).rejects.toMatchObject({
      name: 'RejectError',
      code: 'INSUFFICIENT_FUNDS',
      message: 'new: what is available does not cover the worst case, fees included',
    });
  });

  test('the same order again gives the first answer', async () => {
    await using exchange = await market();
    const same = order({ id: 'again' });
    await exchange.execute(same);
    expect(await exchange.submit(same)).toMatchObject([
      { event: 'accepted', id: 'again', duplicate: true, last: true },
    ]);
    expect((await exchange.account('alice')).orders).toHaveLength(1);
  });

  test('ids may be UUIDs', async () => {
    await using exchange = await market();
    const id = '0191C2A4-7B1E-7C3D-9A2B-0123456789AB';
    const [accepted] = await exchange.execute(order({ id }));
    expect(accepted).toMatchObject({ id: id.toLowerCase() });
    expect(await exchange.order('alice', id)).toMatchObject({ id: id.toLowerCase(), open: '1' });
    expect((await exchange.account('alice')).orders).toMatchObject([{ id: id.toLowerCase() }]);
    expect(await exchange.execute({ op: 'cancel', account: 'alice', id })).toMatchObject([
      { event: 'cancelled', cause: 'requested', quantity: '1' },
    ]);
    expect(await exchange.order('alice', id)).toBeNull();
  });

  test('icebergs, stops, replaces and mass cancels read back as they were meant', async () => {
    await using exchange = await market();
    await exchange.execute(
      order({ id: 'ice', price: '90', quantity: '10', displayQuantity: '2.5', tif: 'day' }),
    );
    expect(await exchange.order('alice', 'ice')).toMatchObject({
      open: '10',
      visible: '2.5',
      displayQuantity: '2.5',
      tif: 'day',
    });
    await exchange.execute(order({ id: 'stop', type: 'stop-limit', price: '120', stopPrice: '110' }));
    expect(await exchange.order('alice', 'stop')).toMatchObject({
      type: 'stop-limit',
      stopPrice: '110',
      price: '120',
      visible: '0',
    });
    const [replaced] = await exchange.execute({
      op: 'replace',
      account: 'alice',
      instrument: 'BTC-USD',
      id: 'ice',
      newId: 'ice2',
      price: '91',
      quantity: '9',
    });
    expect(replaced).toMatchObject({
      event: 'replaced',
      id: 'ice',
      newId: 'ice2',
      price: '91',
      open: '9',
      visible: '2.5',
      booked: true,
    });
    const [reduced] = await exchange.execute({
      op: 'reduce',
      account: 'alice',
      instrument: 'BTC-USD',
      id: 'ice2',
      by: '1',
    });
    expect(reduced).toMatchObject({ event: 'reduced', quantity: '1', open: '8' });
    const events = await exchange.execute({ op: 'mass-cancel', account: 'alice' });
    expect(events.map(({ event }) => event)).toEqual(['cancelled', 'cancelled', 'mass-cancelled']);
    expect(events[2]).toMatchObject({ count: 2, account: 'alice' });
  });

  test('books at level 2 and 3', async () => {
    await using exchange = await market();
    await exchange.execute(order({ id: 'b1', price: '99.5', quantity: '1' }));
    await exchange.execute(order({ id: 'b2', price: '99.5', quantity: '2' }));
    await exchange.execute(order({ id: 'b3', price: '99', quantity: '3' }));
    await exchange.execute(order({ ...sell, id: 's1', price: '101', quantity: '0.1' }));
    const book = await exchange.book('BTC-USD');
    expect(book).toMatchObject({
      instrument: 'BTC-USD',
      state: 'open',
      lastPrice: null,
      bids: [
        ['99.5', '3', 2],
        ['99', '3', 1],
      ],
      asks: [['101', '0.1', 1]],
    });
    expect((await exchange.book('BTC-USD', { levels: 1 })).bids).toHaveLength(1);
    const orders = await exchange.orders('BTC-USD');
    expect(orders.bids[0]).toMatchObject({
      price: '99.5',
      orders: [{ account: 'alice', visible: '1' }, { visible: '2' }],
    });
    await expect(exchange.book('BTC-USD', { levels: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(exchange.book('ETH-USD')).rejects.toMatchObject({ code: 'UNKNOWN_INSTRUMENT_NAME' });
  });

  test('operator requests and what they show', async () => {
    await using exchange = await market();
    await exchange.execute({ op: 'add-account', account: 'desk', parent: 'alice' });
    expect(await exchange.accounts()).toEqual([
      { account: 'VENUE', parent: 'VENUE' },
      { account: 'alice', parent: 'VENUE' },
      { account: 'bob', parent: 'VENUE' },
      { account: 'desk', parent: 'alice' },
    ]);
    await exchange.execute({
      op: 'transfer',
      account: 'alice',
      to: 'desk',
      asset: 'USD',
      id: 't1',
      amount: '10.25',
    });
    await exchange.execute({
      op: 'set-limit',
      account: 'alice',
      kind: 'order-size',
      instrument: 'BTC-USD',
      limit: '5',
    });
    await expect(exchange.execute(order({ quantity: '6' }))).rejects.toMatchObject({
      code: 'ORDER_SIZE_LIMIT',
    });
    await exchange.execute({
      op: 'set-limit',
      account: 'alice',
      kind: 'order-size',
      instrument: 'BTC-USD',
      limit: null,
    });
    await exchange.execute({
      op: 'set-rights',
      account: 'alice',
      orderTypes: ['limit'],
      instruments: 'allow',
    });
    await expect(exchange.execute(order({ type: 'stop', price: '0', stopPrice: '1' }))).rejects.toMatchObject(
      {
        code: 'ORDER_TYPE_NOT_ALLOWED',
      },
    );
    await exchange.execute({
      op: 'set-instrument-right',
      account: 'alice',
      instrument: 'BTC-USD',
      right: 'deny',
    });
    await expect(exchange.execute(order())).rejects.toMatchObject({ code: 'INSTRUMENT_NOT_ALLOWED' });
    await exchange.execute({ op: 'kill-switch', account: 'alice', on: true });
    await expect(exchange.execute(order({ account: 'desk' }))).rejects.toMatchObject({ code: 'KILLED' });
    await exchange.execute({
      op: 'change-instrument',
      instrument: 'BTC-USD',
      maxPrice: '5000',
      takerFee: 300,
    });
    await exchange.execute({ op: 'set-trading-state', instrument: 'BTC-USD', state: 'cancel-only' });
    expect(await exchange.instrument('BTC-USD')).toMatchObject({
      tickSize: '0.01',
      lotSize: '0.00000001',
      base: 'BTC',
      quote: 'USD',
      maxPrice: '5000',
      makerFee: -100,
      takerFee: 300,
      collar: 50_000,
      state: 'cancel-only',
      lastPrice: null,
      trades: 0,
    });
    expect(await exchange.instruments()).toHaveLength(1);
    const [time] = await exchange.execute({ op: 'advance-time', time: 1_700_000_000_000_000_123n });
    expect(time).toMatchObject({ event: 'time-advanced', time: 1_700_000_000_000_000_123n, expired: 0 });
    expect(JSON.parse(await exchange.explain())).toHaveProperty('accounts');
  });

  test('default terms are accepted for many ticks and lots', async () => {
    await using exchange = await market();
    await exchange.execute({ op: 'add-asset', asset: 'ETH', decimals: 18 });
    let number = 0;
    for (const [base, quote] of [
      ['BTC', 'USD'],
      ['ETH', 'USD'],
      ['BTC', 'ETH'],
    ] as const) {
      for (const tickSize of ['0.0001', '0.01', '0.25', '5']) {
        await exchange.execute({
          op: 'add-instrument',
          instrument: `i${++number}`,
          base,
          quote,
          tickSize,
          lotSize: '0.000001',
        });
      }
    }
  });
});

describe('events', () => {
  test('reach iterators and callbacks alike', async () => {
    await using exchange = await market();
    const stream = exchange.events();
    const called: Event[] = [];
    exchange.onEvents((events) => called.push(...events));
    const batch = Array.from({ length: 300 }, (_, index) => order({ id: `e${index}`, price: '1' }));
    expect(exchange.offer(batch)).toEqual({ accepted: 300 });
    const seen: Event[] = [];
    for await (const event of stream) {
      seen.push(event);
      if (seen.length === 300) break;
    }
    expect(seen.map((event) => ('id' in event ? event.id : ''))).toEqual(batch.map(({ id }) => id));
    await exchange.execute({ op: 'day-end' });
    expect(called.slice(0, 300)).toEqual(seen);
  });

  test('that left memory are derived from the journal again', async () => {
    await using exchange = await market({ data: folder(), eventHistory: 1_024 });
    const all: Event[] = [];
    exchange.onEvents((events) => all.push(...events));
    for (let round = 0; round < 4; round++) {
      for (
        let left = Array.from({ length: 1_000 }, () => order({ price: '1', quantity: '0.1' }));
        left.length > 0;
      ) {
        left = left.slice(exchange.offer(left).accepted);
        await exchange.room();
      }
      await exchange.submit({ op: 'day-end' });
    }
    const again: Event[] = [];
    for await (const event of exchange.events({ from: all[0]!.position })) {
      again.push(event);
      if (again.length === all.length) break;
    }
    expect(again).toEqual(all);
  });
});

describe('lifecycle', () => {
  test.each(['async', 'durable'] as const)('what was there is there again: %s', async (durability) => {
    const data = folder();
    const first = await market({ data, durability });
    await first.execute(order({ id: 'kept' }));
    const { position, stateHash } = await first.close();
    expect(position).toBe(8n);

    await using second = await Exchange.open({ ...small, data, durability });
    expect(await second.stateHash()).toEqual({ position, stateHash });
    expect(second.stats()).toMatchObject({ position, stateHash });
    // Names are known without a word of ours.
    expect(await second.order('alice', 'kept')).toMatchObject({ price: '100', open: '1' });
    expect(await second.execute(order({ ...sell, id: 'new' }))).toHaveLength(2);
  });

  test('a snapshot says where it stands', async () => {
    await using exchange = await market({ data: folder() });
    expect(await exchange.snapshot()).toBe(7n);
    expect(exchange.stats().snapshots).toBeGreaterThanOrEqual(1);
  });

  test('close answers what was submitted before, and again the same', async () => {
    const exchange = await market();
    const answers = Array.from({ length: 5_000 }, () =>
      exchange.submit(order({ price: '1', quantity: '0.001' })),
    );
    const closed = exchange.close();
    expect(await Promise.all(answers)).toHaveLength(5_000);
    expect((await closed).position).toBe(5_007n);
    expect(await exchange.close()).toBe(await closed);
    await expect(exchange.submit(order())).rejects.toMatchObject({ code: 'EXCHANGE_CLOSED' });
  });

  test.each<[ExchangeOptions, string]>([
    [{ eventHistory: 1_000 }, 'eventHistory'],
    [{ ringCells: 3 }, 'ringCells'],
    [{ maxOrders: -1 }, 'maxOrders'],
    [{ durability: 'eventual' as 'async' }, 'durability'],
    [{ clock: 'wall' as 'system' }, 'clock'],
    [{ data: 7 as unknown as string }, 'data'],
    [{ snapshotEvery: 0.5 }, 'snapshotEvery'],
  ])('%j is refused', async (options, field) => {
    await expect(Exchange.open({ ...small, ...options })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field,
    });
  });

  test('a folder has one owner', async () => {
    const data = folder();
    await using first = await market({ data });
    await expect(Exchange.open({ ...small, data })).rejects.toMatchObject({ name: 'NativeError' });
    expect((await first.stateHash()).position).toBe(7n);
  });
});

test('the fast lanes in and out agree with the objects', async () => {
  await using exchange = await market();
  const prices: (number | bigint)[] = [];
  exchange.onCells((cells, first, count) => {
    for (let cell = first; cell < first + count; cell++)
      if (cells.type(cell) === 1) prices.push(cells.price(cell));
  });
  const batch = exchange.batch(2_048);
  const alice = exchange.accountRef('alice');
  const btc = exchange.instrumentRef('BTC-USD');
  for (let index = 0; index < 2_000; index++) batch.limit(alice, btc, index, 'buy', 100 + index, 1_000);
  while (batch.size > 0) {
    exchange.offerBatch(batch);
    await exchange.room();
  }
  await exchange.execute({ op: 'cancel', account: 'alice', id: '1999' });
  expect(prices).toEqual(Array.from({ length: 2_000 }, (_, index) => 100 + index));
  expect((await exchange.book('BTC-USD', { levels: 1 })).bids).toEqual([['20.98', '0.00001', 1]]);
});
