// Matching, self-trade prevention, settlement, and stops. Rules, sections 4, 6 and 7.

import { fillable, firstMaker, isSelfTrade, leave, nextTriggered, rest } from './book.ts';
import type { Model } from './model.ts';
import { millionths, value } from './money.ts';
import { type Order, smaller } from './state.ts';
import { Cause, type Event, EventFlag, EventType, OrderType, SelfTrade, Side, TimeInForce } from './wire.ts';

// Matches the taker to its end. `opening` is its Accepted, Replaced or Triggered, which says whether the
// order rests at once; `minQuantity` counts at entry only.
export function match(model: Model, taker: Order, opening: Event, minQuantity: bigint): void {
  if (taker.timeInForce === TimeInForce.Fok && fillable(taker) < taker.open) {
    cancel(model, taker, Cause.FillOrKill);
    return;
  }
  if (minQuantity > 0n && minQuantity > fillable(taker)) {
    cancel(model, taker, Cause.MinQuantity);
    return;
  }
  if (taker.restsAfterMatching() && firstMaker(taker) === undefined) {
    show(taker);
    opening.flags |= EventFlag.Booked;
    opening.leaves2 = taker.visible;
    return;
  }
  while (taker.open > 0n) {
    const maker = firstMaker(taker);
    if (maker === undefined) break;
    if (isSelfTrade(taker, maker)) preventSelfTrade(model, taker, maker);
    else trade(model, taker, maker);
  }
  if (taker.open === 0n) return;
  if (!taker.restsAfterMatching()) {
    cancel(model, taker, Cause.Immediate);
    return;
  }
  show(taker);
  booked(model, taker, 0);
}

// Joins the tail of its level: an iceberg with its first clip, others wholly visible.
function show(order: Order): void {
  order.change({ visible: clip(order) });
  rest(order);
}

export function clip(order: Order): bigint {
  return order.display === 0n ? order.open : smaller(order.display, order.open);
}

function booked(model: Model, order: Order, flags: number): void {
  model.emitOrder(order, {
    type: EventType.Booked,
    flags,
    quantity: order.visible,
    leaves: order.open,
    leaves2: order.visible,
  });
}

// Takes the order out of everything; its hold goes with it.
function close(model: Model, order: Order): void {
  leave(order);
  const orders = order.account.orders;
  orders.splice(orders.indexOf(order), 1);
  model.ids.close(order.remembered);
}

export function cancel(model: Model, order: Order, cause: number): void {
  const quantity = order.open;
  close(model, order);
  order.change({ open: 0n });
  model.emitOrder(order, { type: EventType.Cancelled, code: cause, quantity });
}

// Takes `by` away, hidden quantity first; the place in the queue stays.
export function reduce(model: Model, order: Order, by: bigint, cause: number): void {
  const open = order.open - by;
  order.change({ open, visible: smaller(order.visible, open) });
  model.emitOrder(order, {
    type: EventType.Reduced,
    code: cause,
    quantity: by,
    leaves: order.open,
    leaves2: order.visible,
  });
}

function preventSelfTrade(model: Model, taker: Order, maker: Order): void {
  switch (taker.selfTrade) {
    case SelfTrade.CancelNewest:
      cancel(model, taker, Cause.SelfTrade);
      break;
    case SelfTrade.CancelOldest:
      cancel(model, maker, Cause.SelfTrade);
      break;
    case SelfTrade.CancelBoth:
      cancel(model, maker, Cause.SelfTrade);
      cancel(model, taker, Cause.SelfTrade);
      break;
    case SelfTrade.Decrement: {
      const by = smaller(taker.open, maker.open);
      for (const order of [maker, taker]) {
        if (order.open === by) cancel(model, order, Cause.SelfTrade);
        else reduce(model, order, by, Cause.SelfTrade);
      }
      break;
    }
    default:
      throw new Error(`self-trade mode ${taker.selfTrade}`);
  }
}

function trade(model: Model, taker: Order, maker: Order): void {
  const instrument = taker.instrument;
  const price = maker.price;
  const quantity = smaller(taker.open, maker.visible);
  instrument.lastPrice = price;
  instrument.trades++;
  taker.change({ open: taker.open - quantity });
  maker.change({ open: maker.open - quantity, visible: maker.visible - quantity });
  settle(model, taker, maker, price, quantity);
  model.emitOrder(taker, {
    type: EventType.Trade,
    price,
    quantity,
    leaves: taker.open,
    fee: taker.schedule.takerFee,
    account2: maker.account.id,
    orderId2: maker.orderId,
    id2: maker.id,
    leaves2: maker.open,
    fee2: maker.schedule.makerFee,
    tradeId: Number(BigInt.asUintN(32, instrument.trades)),
  });
  if (taker.open === 0n) close(model, taker);
  if (maker.open === 0n) {
    close(model, maker);
  } else if (maker.visible === 0n) {
    // The next clip, at the tail of the level.
    leave(maker);
    show(maker);
    booked(model, maker, EventFlag.Reload);
  }
}

function settle(model: Model, taker: Order, maker: Order, price: bigint, quantity: bigint): void {
  const instrument = taker.instrument;
  const v = value(price, quantity, instrument.lotQuote);
  const goods = value(quantity, instrument.lotBase, 1n);
  const takerFee = millionths(v, taker.schedule.takerFee);
  const makerFee = millionths(v, maker.schedule.makerFee);
  for (const { order, fee } of [
    { order: taker, fee: takerFee },
    { order: maker, fee: makerFee },
  ]) {
    const account = order.account;
    const bought = order.side === Side.Buy;
    account.credit(instrument.quote, bought ? v.plus(fee).negated() : v.minus(fee));
    account.credit(instrument.base, bought ? goods : goods.negated());
    account.positions.set(instrument.id, account.position(instrument) + (bought ? quantity : -quantity));
  }
  const quote = model.asset(instrument.quote)!;
  quote.fees = quote.fees.plus(takerFee).plus(makerFee);
}

// After an order was matched to its end: the stops that the last price has reached, one by one.
export function triggerStops(model: Model, order: Order): void {
  for (;;) {
    const stop = nextTriggered(order.instrument);
    if (stop === undefined) return;
    leave(stop);
    stop.waiting = false;
    const triggered = model.emitOrder(stop, {
      type: EventType.Triggered,
      quantity: stop.open,
      leaves: stop.open,
    });
    match(model, stop, triggered, 0n);
  }
}

// Whether the order waits for a price before it is matched.
export function isStop(orderType: number): boolean {
  return orderType === OrderType.Stop || orderType === OrderType.StopLimit;
}
