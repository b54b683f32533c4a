// The oracle on examples worked out by hand from docs/rules.md: what the property tests can't say, since
// they know no right answers.

import { beforeEach, describe, expect, test } from 'vitest';
import { describeEvent } from '../fuzz/describe.ts';
import { Model } from './model.ts';
import { type Command, CommandFlag, CommandType, command } from './wire.ts';

const limits = { maxOrders: 20, maxAccounts: 10, maxInstruments: 4, maxClientIds: 100 };
let model: Model;

function send(fields: Partial<Command>): string[] {
  // Position and token are the same in all events of a command.
  return model.apply(command(fields)).map((e) => describeEvent({ ...e, position: 0n }).trimEnd());
}

function order(account: number, id: string, side: 'buy' | 'sell', more: Partial<Command>): string[] {
  return send({
    type: CommandType.NewOrder,
    account,
    instrument: 1,
    id,
    side: side === 'buy' ? 1 : 2,
    orderType: 1,
    timeInForce: 1,
    ...more,
  });
}

// BTC-USD, 100 BTC units a lot, 10 USD units a lot and tick; maker pays 0.1 %, taker 0.2 %.
beforeEach(() => {
  model = new Model(limits);
  send({ type: CommandType.AddAsset, id: 'BTC', orderType: 8 });
  send({ type: CommandType.AddAsset, id: 'USD', orderType: 2 });
  send({
    type: CommandType.AddInstrument,
    id: 'BTC-USD',
    base: 1,
    quote: 2,
    price: 100n,
    quantity: 10n,
    priceMin: 50n,
    priceMax: 150n,
    quantityMin: 1n,
    quantityMax: 1000n,
    makerFee: 1000,
    takerFee: 2000,
    collar: 50_000,
  });
  send({ type: CommandType.AddAccount, account: 0, id: 'FIRM' });
  send({ type: CommandType.AddAccount, account: 1, id: 'ANN' });
  send({ type: CommandType.AddAccount, account: 1, id: 'BOB' });
  for (const account of [2, 3]) {
    send({ type: CommandType.Deposit, account, instrument: 1, id: 'b', amount: 100_000n });
    send({ type: CommandType.Deposit, account, instrument: 2, id: 'u', amount: 1_000_000n });
  }
});

describe('a trade', () => {
  test('moves money, takes both fees, and leaves the state that explain() prints', () => {
    expect(order(2, 'a1', 'sell', { price: 100n, quantity: 5n })).toEqual([
      'Accepted [Last,Booked] side=2 kind=1 account=2 instrument=1 orderId=11 price=100 quantity=5 leaves=5 id=a1 leaves2=5',
    ]);
    expect(order(3, 'b1', 'buy', { price: 101n, quantity: 7n })).toEqual([
      'Accepted side=1 kind=1 account=3 instrument=1 orderId=12 price=101 quantity=7 leaves=7 id=b1',
      'Trade side=1 kind=1 account=3 instrument=1 orderId=12 price=100 quantity=5 leaves=2 id=b1 id2=a1 orderId2=11 account2=2 fee=2000 fee2=1000 tradeId=1',
      'Booked [Last] side=1 kind=1 account=3 instrument=1 orderId=12 price=101 quantity=2 leaves=2 id=b1 leaves2=2',
    ]);
    // 5 lots at 100: 5000, the taker's fee 10, the maker's 5. What rests holds 2020 and 0.2 % of it: 4.
    expect(model.explain()).toBe(
      '{"position":12,"time":0,' +
        '"assets":[{"id":1,"name":"BTC","decimals":8,"issued":"200000","fees":"0"},' +
        '{"id":2,"name":"USD","decimals":2,"issued":"2000000","fees":"15"}],' +
        '"instruments":[{"id":1,"name":"BTC-USD","base":1,"quote":2,"lotBase":100,"lotQuote":10,' +
        '"priceMin":50,"priceMax":150,"quantityMin":1,"quantityMax":1000,' +
        '"makerFee":1000,"takerFee":2000,"collar":50000,"state":1,"lastPrice":100,"trades":1,' +
        '"bids":[[101,[[12,3,2,2]]]],"asks":[],"buyStops":[],"sellStops":[]}],' +
        '"accounts":[{"id":0,"parent":0,"name":"VENUE","killed":0,"orderTypes":62,"instrumentDefault":1,' +
        '"instrumentRights":[],"limits":[],"balances":[],"exposures":[],"orders":[]},' +
        '{"id":1,"parent":0,"name":"FIRM","killed":0,"orderTypes":62,"instrumentDefault":1,' +
        '"instrumentRights":[],"limits":[],"balances":[],"exposures":[],"orders":[]},' +
        '{"id":2,"parent":1,"name":"ANN","killed":0,"orderTypes":62,"instrumentDefault":1,' +
        '"instrumentRights":[],"limits":[],"balances":[[1,"99500","0"],[2,"1004995","0"]],' +
        '"exposures":[[1,-5,0,0]],"orders":[]},' +
        '{"id":3,"parent":1,"name":"BOB","killed":0,"orderTypes":62,"instrumentDefault":1,' +
        '"instrumentRights":[],"limits":[],"balances":[[1,"100500","0"],[2,"994990","2024"]],' +
        '"exposures":[[1,5,2,0]],"orders":[[12,"b1",1,1,1,101,0,2,0,0]]}]}',
    );
  });
});

describe('an iceberg', () => {
  test('shows one clip at a time and joins the tail with each', () => {
    order(2, 'ice', 'sell', { price: 100n, quantity: 7n, displayQuantity: 3n });
    order(2, 'plain', 'sell', { price: 100n, quantity: 2n });
    expect(
      order(3, 'b', 'buy', { price: 100n, quantity: 6n }).map((line) => line.split(' account')[0]),
    ).toEqual([
      'Accepted side=1 kind=1',
      'Trade side=1 kind=1',
      'Booked [Reload] side=2 kind=1',
      'Trade side=1 kind=1',
      'Trade [Last] side=1 kind=1',
    ]);
    expect(model.instruments[0]!.asks.map(({ id, open, visible }) => [id, open, visible])).toEqual([
      ['ice', 3n, 2n],
    ]);
  });
});

describe('fill or kill', () => {
  const fok = (account: number, quantity: bigint, selfTrade: number): string =>
    order(account, `f${quantity}${selfTrade}`, 'buy', {
      price: 100n,
      quantity,
      timeInForce: 5,
      selfTrade,
    })[1]!;

  test('counts hidden quantity, but behind an own order nothing', () => {
    order(2, 'ice', 'sell', { price: 99n, quantity: 6n, displayQuantity: 2n });
    order(3, 'own', 'sell', { price: 99n, quantity: 3n });
    order(2, 'far', 'sell', { price: 100n, quantity: 9n });
    expect(fok(3, 3n, 1)).toMatch(/^Cancelled FillOrKill/); // only the visible 2 come before the own order
    expect(fok(3, 16n, 2)).toMatch(/^Cancelled FillOrKill/); // own orders count nothing
    expect(fok(3, 15n, 2)).toMatch(/^Trade/);
  });
});

describe('self-trade prevention', () => {
  test('decrement takes the smaller open quantity from both, the maker first', () => {
    order(2, 'maker', 'sell', { price: 100n, quantity: 5n });
    const events = order(2, 'taker', 'buy', { price: 100n, quantity: 8n, selfTrade: 4 });
    expect(events.slice(1)).toEqual([
      'Cancelled SelfTrade side=2 kind=1 account=2 instrument=1 orderId=11 price=100 quantity=5 id=maker',
      'Reduced SelfTrade side=1 kind=1 account=2 instrument=1 orderId=12 price=100 quantity=5 leaves=3 id=taker',
      'Booked [Last] side=1 kind=1 account=2 instrument=1 orderId=12 price=100 quantity=3 leaves=3 id=taker leaves2=3',
    ]);
  });

  test('goes by the firm where the order says so', () => {
    order(2, 'maker', 'sell', { price: 100n, quantity: 5n });
    const byFirm = { price: 100n, quantity: 5n, selfTrade: 1, flags: CommandFlag.SelfTradeFirm };
    expect(order(3, 'taker', 'buy', byFirm)[1]).toMatch(/^Cancelled SelfTrade \[Last\] side=1/);
    expect(order(3, 'alone', 'buy', { ...byFirm, flags: 0 })[1]).toMatch(/^Trade \[Last\]/);
  });
});

describe('stops', () => {
  test('trigger one another, lowest buy stop first, and protect at their collar', () => {
    order(2, 'a', 'sell', { price: 100n, quantity: 1n });
    order(2, 'b', 'sell', { price: 103n, quantity: 1n });
    order(2, 'c', 'sell', { price: 110n, quantity: 1n });
    expect(order(3, 's2', 'buy', { orderType: 3, stopPrice: 103n, quantity: 1n })).toEqual([
      'Accepted [Last,Stop] side=1 kind=3 account=3 instrument=1 orderId=14 price=108 quantity=1 leaves=1 id=s2',
    ]);
    order(3, 's1', 'buy', { orderType: 4, price: 104n, stopPrice: 100n, quantity: 1n });
    const events = order(3, 'go', 'buy', { price: 100n, quantity: 1n });
    expect(events.map((line) => line.replace(/ (side|account).* id=(\w+).*/, ' $2'))).toEqual([
      'Accepted go',
      'Trade go',
      'Triggered s1',
      'Trade s1',
      'Triggered s2',
      'Cancelled Immediate [Last] s2',
    ]);
  });
});

describe('ids', () => {
  test('are known through the day after they were closed', () => {
    const again = { price: 90n, quantity: 1n };
    const day = (): string[] => send({ type: CommandType.DayEnd });
    order(2, 'x', 'buy', again);
    send({ type: CommandType.CancelOrder, account: 2, id: 'x' });
    day();
    expect(order(2, 'x', 'buy', again)).toEqual([
      'Accepted [Last,Duplicate] side=1 kind=1 account=2 instrument=1 orderId=11 id=x',
    ]);
    expect(order(2, 'x', 'sell', again)[0]).toMatch(/^Rejected DUPLICATE_CLIENT_ORDER_ID/);
    day();
    expect(order(2, 'x', 'buy', again)[0]).toMatch(/^Accepted \[Last,Booked\]/);
  });

  test('of a replace repeat its answer, and the old one is closed', () => {
    order(2, 'x', 'buy', { price: 90n, quantity: 2n });
    const replace = {
      type: CommandType.ReplaceOrder,
      account: 2,
      id: 'x',
      newId: 'y',
      price: 90n,
      quantity: 1n,
    };
    expect(send(replace)).toEqual([
      'Replaced [Last,Booked,KeptPriority] side=1 kind=1 account=2 instrument=1 orderId=11 price=90 quantity=1 leaves=1 id=x id2=y leaves2=1',
    ]);
    expect(send(replace)).toEqual(['Replaced [Last,Duplicate] account=2 orderId=11 id=x id2=y']);
    expect(send({ type: CommandType.CancelOrder, account: 2, id: 'x' })[0]).toMatch(/ORDER_CLOSED/);
    expect(send({ type: CommandType.CancelOrder, account: 2, id: 'y' })[0]).toMatch(/^Cancelled Requested/);
  });
});

describe('money', () => {
  test('a transfer is two changes, and its repetition one empty event', () => {
    const transfer = {
      type: CommandType.Transfer,
      account: 2,
      instrument: 2,
      id: 't',
      amount: 7n,
      toAccount: 3n,
    };
    expect(send(transfer)).toEqual([
      'BalanceChanged kind=9 account=2 instrument=2 change=-7 id=t amount=999993 account2=3',
      'BalanceChanged [Last] kind=9 account=3 instrument=2 change=7 id=t amount=1000007 account2=2',
    ]);
    expect(send(transfer)).toEqual([
      'BalanceChanged [Last,Duplicate] kind=9 account=2 instrument=2 orderId=11 id=t account2=3',
    ]);
  });
});
