import { beforeEach, expect, test } from 'vitest';
import type { Event, OrdersView } from '../../src/api/types.ts';
import type { ExchangePort } from '../../src/edges/exchange-port.ts';
import { type FeedFrame, MarketFeed } from '../../src/edges/market-feed.ts';

/** An exchange that says what the test tells it to. */
class Teller {
  emit: (batch: readonly Event[]) => void = () => undefined;
  view: OrdersView = { instrument: 'A-B', position: 10n, bids: [], asks: [] };
  whileAsked: () => void = () => undefined;

  readonly port = {
    onEvents: (callback: (batch: readonly Event[]) => void) => {
      this.emit = callback;
      return () => undefined;
    },
    instruments: async () => [{ instrument: 'A-B', tickSize: '0.5', lotSize: '1', lastPrice: '7' }],
    orders: async () => {
      this.whileAsked();
      return this.view;
    },
    price: () => '0.01',
    quantity: () => '0.1',
  } as unknown as ExchangePort;
}

function accepted(position: bigint, more: Partial<Extract<Event, { event: 'accepted' }>> = {}): Event {
  const order = {
    account: 'a',
    instrument: 'A-B',
    orderId: position,
    id: `o${position}`,
    side: 'buy',
    type: 'limit',
    price: '5',
  } as const;
  return {
    event: 'accepted',
    position,
    last: true,
    quantity: '3',
    visible: '3',
    booked: true,
    ...order,
    ...more,
  };
}

let teller: Teller;
let feed: MarketFeed;
let frames: FeedFrame[];
beforeEach(() => {
  teller = new Teller();
  feed = new MarketFeed(teller.port);
  frames = [];
  feed.onFrame((frame) => frames.push(frame));
});

test('events that come while the books are read count once', async () => {
  teller.view.bids = [{ price: '5', orders: [{ orderId: 9n, account: 'a', visible: '2' }] }];
  teller.whileAsked = () => teller.emit([accepted(9n), accepted(10n), accepted(11n)]);
  await feed.start();
  expect(feed.book('A-B')).toMatchObject({ position: 11n, bids: [['5', '5', 2]] });
  expect(feed.ticker('A-B')).toMatchObject({ bid: '5', ask: null, last: '7' });
});

test('a frame never ends in the middle of a command', async () => {
  await feed.start();
  teller.emit([accepted(11n), accepted(12n, { last: false })]);
  expect(frames).toEqual([]);
  expect(feed.position).toBe(10n);
  teller.emit([{ ...accepted(12n), event: 'cancelled', cause: 'requested', quantity: '3' } as Event]);
  expect(frames).toMatchObject([
    { position: 12n, books: [{ previous: 10n, position: 12n, bids: [['5', '3', 1]] }] },
  ]);
});

test('a new instrument is known from its first event on', async () => {
  await feed.start();
  teller.emit([
    { event: 'instrument-added', instrument: 'NEW', position: 11n, last: true },
    accepted(12n, { instrument: 'NEW', price: '0.03', visible: '0.2' }),
  ]);
  expect(feed.book('NEW')).toMatchObject({ bids: [['0.03', '0.2', 1]] });
});

test('events that contradict the books are noticed, and nobody is left waiting', async () => {
  await feed.start();
  const waiting = feed.reached(11n);
  const maker = { maker: 'm', makerAccount: 'a', makerOrderId: 999n, makerLeft: '0', makerFee: '0' };
  const taker = { taker: 't', takerAccount: 'b', takerOrderId: 11n, takerLeft: '0', takerFee: '0' };
  teller.emit([
    {
      event: 'trade',
      position: 11n,
      last: true,
      instrument: 'A-B',
      tradeId: 1,
      side: 'buy',
      price: '5',
      quantity: '1',
      ...maker,
      ...taker,
    },
  ]);
  await waiting;
  await feed.reached(1000n);
  expect(feed.fault).toBeInstanceOf(Error);
  teller.emit([accepted(12n)]);
  expect(frames).toEqual([]);
});

test('own events are collected for those who watch, and only as long', async () => {
  await feed.start();
  const [stop, stopToo] = [feed.watch('a'), feed.watch('a')];
  teller.emit([accepted(11n), accepted(12n, { account: 'b' })]);
  expect([...frames[0]!.own.keys()]).toEqual(['a']);
  stop();
  teller.emit([accepted(13n)]);
  expect(frames[1]!.own.get('a')).toMatchObject([{ event: 'accepted', position: 13n }]);
  stopToo();
  teller.emit([accepted(14n)]);
  expect(frames[2]!.own.size).toBe(0);
});
