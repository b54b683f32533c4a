// The order book and the waiting stops of one instrument: sorted arrays, searched from the front.

import { type Instrument, type Order, opposite } from './state.ts';
import { SelfTrade, Side } from './wire.ts';

export function side(instrument: Instrument, which: number): Order[] {
  return which === Side.Buy ? instrument.bids : instrument.asks;
}

// Whether an order of side `which` limited to `price` trades at `level`.
export function reaches(which: number, price: bigint, level: bigint): boolean {
  return which === Side.Buy ? level <= price : level >= price;
}

export function best(instrument: Instrument, which: number): Order | undefined {
  return side(instrument, which)[0];
}

// The order at the head of the best opposite level, if the order's price reaches it.
export function firstMaker(order: Order): Order | undefined {
  const maker = best(order.instrument, opposite(order.side));
  return maker !== undefined && reaches(order.side, order.price, maker.price) ? maker : undefined;
}

// To the tail of its price level.
export function rest(order: Order): void {
  const orders = side(order.instrument, order.side);
  const worse = (other: Order): boolean =>
    order.side === Side.Buy ? other.price < order.price : other.price > order.price;
  insertBefore(orders, order, worse);
  order.touch();
}

// To the tail of its stop price: buy stops lowest first, sell stops highest first.
export function wait(order: Order): void {
  const stops = stopsOf(order);
  const later = (other: Order): boolean =>
    order.side === Side.Buy ? other.stopPrice > order.stopPrice : other.stopPrice < order.stopPrice;
  insertBefore(stops, order, later);
  order.touch();
}

function insertBefore(orders: Order[], order: Order, isBehind: (other: Order) => boolean): void {
  const at = orders.findIndex(isBehind);
  orders.splice(at === -1 ? orders.length : at, 0, order);
}

function stopsOf(order: Order): Order[] {
  return order.side === Side.Buy ? order.instrument.buyStops : order.instrument.sellStops;
}

// Out of the book, or out of the stops.
export function leave(order: Order): void {
  const orders = order.waiting ? stopsOf(order) : side(order.instrument, order.side);
  const at = orders.indexOf(order);
  if (at !== -1) orders.splice(at, 1);
  order.touch();
}

// The stop that the last price triggers next. Rules, section 7.
export function nextTriggered(instrument: Instrument): Order | undefined {
  if (!instrument.hasTraded()) return undefined;
  const buy = instrument.buyStops[0];
  if (buy !== undefined && buy.stopPrice <= instrument.lastPrice) return buy;
  const sell = instrument.sellStops[0];
  if (sell !== undefined && sell.stopPrice >= instrument.lastPrice) return sell;
  return undefined;
}

// Whether the taker's self-trade mode keeps it from trading with this maker.
export function isSelfTrade(taker: Order, maker: Order): boolean {
  if (taker.selfTrade === SelfTrade.None) return false;
  if (taker.firmWide) return taker.account.firm() === maker.account.firm();
  return taker.account === maker.account;
}

// What a fill-or-kill order or a minimum quantity can count on. Rules, section 6.
export function fillable(taker: Order): bigint {
  const makers = side(taker.instrument, opposite(taker.side)).filter((maker) =>
    reaches(taker.side, taker.price, maker.price),
  );
  let sum = 0n;
  let left = makers;
  while (left.length > 0) {
    const price = left[0]!.price;
    const level = left.filter((maker) => maker.price === price);
    left = left.filter((maker) => maker.price !== price);
    const firstOwn = level.findIndex((maker) => isSelfTrade(taker, maker));
    if (firstOwn === -1) {
      for (const maker of level) sum += maker.open;
    } else if (taker.selfTrade === SelfTrade.CancelOldest) {
      for (const maker of level) if (!isSelfTrade(taker, maker)) sum += maker.open;
    } else {
      for (const maker of level.slice(0, firstOwn)) sum += maker.visible;
      break;
    }
  }
  return sum;
}
