// NewOrder, CancelOrder, ReduceOrder, ReplaceOrder. Rules, sections 2, 5 and 8.

import { best, leave, reaches, wait } from './book.ts';
import { fundsRefused, limitsRefused, rightsRefused, type Wanted } from './checks.ts';
import { type OrderId, orderFields } from './ids.ts';
import { cancel, isStop, match, reduce, triggerStops } from './matching.ts';
import type { Model } from './model.ts';
import { type Instrument, Order, opposite, PostOnly, smaller } from './state.ts';
import {
  Cause,
  type Command,
  CommandFlag,
  CommandType,
  EventFlag,
  EventType,
  OrderType,
  Reject,
  Side,
  TimeInForce,
  TradingState,
} from './wire.ts';

const FLAGS_MAX = 15;
const DISPLAY_SHARE = 10_000n;

export function newOrder(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (account.id === 0) return Reject.ACCOUNT_CANNOT_TRADE;
  if (c.id === '') return Reject.INVALID_CLIENT_ORDER_ID;
  const instrument = model.instrument(c.instrument);
  if (instrument === undefined) return Reject.UNKNOWN_INSTRUMENT;
  const known = model.ids.order(account.id, c.id);
  if (known !== undefined) return repeatedNewOrder(model, c, known);
  if (model.ids.count >= model.limits.maxClientIds) return Reject.CAPACITY_CLIENT_IDS;

  const reject = newOrderRefused(model, c, instrument);
  if (reject !== Reject.NONE) {
    model.ids.rememberReject(account.id, c, model.position, reject);
    return reject;
  }
  acceptNewOrder(model, c, instrument);
  return Reject.NONE;
}

function repeatedNewOrder(model: Model, c: Command, known: OrderId): number {
  if (known.usedBy !== CommandType.NewOrder || known.sameAs !== orderFields(c)) {
    return Reject.DUPLICATE_CLIENT_ORDER_ID;
  }
  if (known.reject !== Reject.NONE) {
    model.rejected(c, known.reject, { flags: EventFlag.Duplicate, orderId: known.position });
  } else {
    model.emit({
      type: EventType.Accepted,
      flags: EventFlag.Duplicate,
      side: c.side,
      kind: c.orderType,
      account: c.account,
      instrument: c.instrument,
      id: c.id,
      orderId: known.position,
    });
  }
  return Reject.NONE;
}

// Checks 5 to 20.
function newOrderRefused(model: Model, c: Command, instrument: Instrument): number {
  const account = model.account(c.account)!;
  if (account.chain().some((level) => level.killed)) return Reject.KILLED;
  if (instrument.state !== TradingState.Open) return Reject.INSTRUMENT_NOT_OPEN;
  const malformed = fieldsRefused(model, c, instrument);
  if (malformed !== Reject.NONE) return malformed;
  const noRight = rightsRefused(account, instrument, c.orderType, c.displayQuantity);
  if (noRight !== Reject.NONE) return noRight;
  const bestOpposite = best(instrument, opposite(c.side));
  if (c.orderType === OrderType.Market && bestOpposite === undefined) return Reject.NO_LIQUIDITY;
  const wanted: Wanted = {
    account,
    instrument,
    side: c.side,
    price: worstPrice(instrument, c),
    quantity: c.quantity,
    replaced: undefined,
  };
  const overLimit = limitsRefused(model, wanted);
  if (overLimit !== Reject.NONE) return overLimit;
  const uncovered = fundsRefused(wanted);
  if (uncovered !== Reject.NONE) return uncovered;
  if (model.openOrders().length >= model.limits.maxOrders) return Reject.CAPACITY_ORDERS;
  return postOnlyPrice(instrument, c.side, postOnlyOf(c.flags), c.price) === undefined
    ? Reject.POST_ONLY_WOULD_CROSS
    : Reject.NONE;
}

// Checks 7 to 14: those that need the command and the instrument only.
function fieldsRefused(model: Model, c: Command, instrument: Instrument): number {
  const stop = isStop(c.orderType);
  const rests = c.timeInForce >= TimeInForce.Gtc && c.timeInForce <= TimeInForce.Gtd;
  const restingLimit = c.orderType === OrderType.Limit && rests;
  const postOnly = c.flags & (CommandFlag.PostOnlyReject | CommandFlag.PostOnlyReprice);

  if (c.side !== Side.Buy && c.side !== Side.Sell) return Reject.INVALID_SIDE;
  if (c.orderType < 1 || c.orderType > 4) return Reject.INVALID_ORDER_TYPE;
  if (c.selfTrade > 4) return Reject.INVALID_SELF_TRADE;
  if (c.flags > FLAGS_MAX) return Reject.INVALID_FLAGS;
  if (postOnly === (CommandFlag.PostOnlyReject | CommandFlag.PostOnlyReprice)) return Reject.INVALID_FLAGS;
  if (postOnly !== 0 && !restingLimit) return Reject.INVALID_FLAGS;

  const immediate = c.timeInForce === TimeInForce.Ioc || c.timeInForce === TimeInForce.Fok;
  if (c.orderType === OrderType.Limit && !rests && !immediate) return Reject.INVALID_TIME_IN_FORCE;
  if (c.orderType === OrderType.Market && !immediate) return Reject.INVALID_TIME_IN_FORCE;
  if (stop && !rests) return Reject.INVALID_TIME_IN_FORCE;

  const quantity = quantityRefused(c.quantity, instrument);
  if (quantity !== Reject.NONE) return quantity;

  const hasPrice = c.orderType === OrderType.Limit || c.orderType === OrderType.StopLimit;
  if (hasPrice ? c.price <= 0n : c.price !== 0n) return Reject.INVALID_PRICE;
  if (stop ? c.stopPrice <= 0n : c.stopPrice !== 0n) return Reject.INVALID_STOP_PRICE;

  if (c.displayQuantity !== 0n) {
    const valid =
      restingLimit &&
      instrument.quantityMin <= c.displayQuantity &&
      c.displayQuantity <= c.quantity &&
      c.displayQuantity * DISPLAY_SHARE >= c.quantity;
    if (!valid) return Reject.INVALID_DISPLAY_QUANTITY;
  }
  if (c.minQuantity !== 0n) {
    const valid =
      !stop &&
      postOnly === 0 &&
      c.timeInForce !== TimeInForce.Fok &&
      1n <= c.minQuantity &&
      c.minQuantity <= c.quantity;
    if (!valid) return Reject.INVALID_MIN_QUANTITY;
  }
  const gtd = c.timeInForce === TimeInForce.Gtd;
  if (gtd ? c.expiry <= model.time : c.expiry !== 0n) return Reject.INVALID_EXPIRY;
  return bandRefused(c, instrument);
}

function quantityRefused(quantity: bigint, instrument: Instrument): number {
  if (quantity <= 0n) return Reject.INVALID_QUANTITY;
  if (quantity < instrument.quantityMin) return Reject.QUANTITY_BELOW_MINIMUM;
  if (quantity > instrument.quantityMax) return Reject.QUANTITY_ABOVE_MAXIMUM;
  return Reject.NONE;
}

function bandRefused(c: Command, instrument: Instrument): number {
  if (c.price > 0n && !instrument.inBand(c.price)) return Reject.PRICE_OUT_OF_BAND;
  if (c.stopPrice > 0n && !instrument.inBand(c.stopPrice)) return Reject.PRICE_OUT_OF_BAND;
  return Reject.NONE;
}

function worstPrice(instrument: Instrument, c: Command): bigint {
  if (c.orderType === OrderType.Market) {
    return instrument.collarPrice(c.side, best(instrument, opposite(c.side))!.price);
  }
  if (c.orderType === OrderType.Stop) return instrument.collarPrice(c.side, c.stopPrice);
  return c.price;
}

function postOnlyOf(flags: number): number {
  if ((flags & CommandFlag.PostOnlyReject) !== 0) return PostOnly.Reject;
  return (flags & CommandFlag.PostOnlyReprice) !== 0 ? PostOnly.Reprice : PostOnly.No;
}

// The price that the order gets (another one if it is repriced), undefined if it would cross.
function postOnlyPrice(
  instrument: Instrument,
  side: number,
  postOnly: number,
  price: bigint,
): bigint | undefined {
  const bestOpposite = best(instrument, opposite(side));
  if (postOnly === PostOnly.No || bestOpposite === undefined) return price;
  if (!reaches(side, price, bestOpposite.price)) return price;
  if (postOnly === PostOnly.Reject) return undefined;
  const repriced = side === Side.Buy ? bestOpposite.price - 1n : bestOpposite.price + 1n;
  return instrument.inBand(repriced) ? repriced : undefined;
}

function acceptNewOrder(model: Model, c: Command, instrument: Instrument): void {
  const account = model.account(c.account)!;
  const postOnly = postOnlyOf(c.flags);
  const asked = worstPrice(instrument, c);
  const price = postOnlyPrice(instrument, c.side, postOnly, asked)!;
  const order = new Order(
    {
      orderId: model.position,
      account,
      instrument,
      side: c.side,
      orderType: c.orderType,
      timeInForce: c.timeInForce,
      selfTrade: c.selfTrade,
      firmWide: (c.flags & CommandFlag.SelfTradeFirm) !== 0,
      postOnly,
      display: c.displayQuantity,
      expiry: c.expiry,
      schedule: instrument.schedule,
      id: c.id,
    },
    price,
    c.stopPrice,
    c.quantity,
  );
  model.ids.rememberOrder(account.id, c, c.id, model.position, order);
  account.orders.push(order);
  account.positions.set(instrument.id, account.position(instrument));
  order.touch();

  const accepted = model.emitOrder(order, {
    type: EventType.Accepted,
    flags: price === asked ? 0 : EventFlag.Repriced,
    quantity: order.open,
    leaves: order.open,
  });
  if (order.waiting) {
    accepted.flags |= EventFlag.Stop;
    wait(order);
  } else {
    match(model, order, accepted, c.minQuantity);
  }
  triggerStops(model, order);
}

// The order that {account, id} names, or why there is none. `idUsed` is the rule for newId, which comes
// between the checks: it answers with what the command comes to, or undefined to go on.
function named(model: Model, c: Command, idUsed: () => number | undefined): Order | number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (c.id === '') return Reject.INVALID_CLIENT_ORDER_ID;
  const answer = idUsed();
  if (answer !== undefined) return answer;
  const known = model.ids.order(account.id, c.id);
  if (known === undefined || known.reject !== Reject.NONE) return Reject.UNKNOWN_ORDER;
  return known.order ?? Reject.ORDER_CLOSED;
}

function frozen(instrument: Instrument): boolean {
  return instrument.state === TradingState.Halted || instrument.state === TradingState.Closed;
}

export function cancelOrder(model: Model, c: Command): number {
  const order = named(model, c, () => undefined);
  if (typeof order === 'number') return order;
  if (frozen(order.instrument)) return Reject.INSTRUMENT_FROZEN;
  cancel(model, order, Cause.Requested);
  return Reject.NONE;
}

export function reduceOrder(model: Model, c: Command): number {
  const order = named(model, c, () => undefined);
  if (typeof order === 'number') return order;
  if (c.quantity <= 0n) return Reject.INVALID_QUANTITY;
  if (frozen(order.instrument)) return Reject.INSTRUMENT_FROZEN;
  if (c.quantity >= order.open) cancel(model, order, Cause.Requested);
  else reduce(model, order, c.quantity, Cause.Requested);
  return Reject.NONE;
}

export function replaceOrder(model: Model, given: Command): number {
  const takesNewId = given.newId !== '' && given.newId !== given.id;
  const order = named(model, given, () => (takesNewId ? repeatedReplace(model, given) : undefined));
  if (typeof order === 'number') return order;
  if (takesNewId && model.ids.count >= model.limits.maxClientIds) return Reject.CAPACITY_CLIENT_IDS;
  const since = given.minQuantity - order.open;
  const late = takesNewId && given.quantity > 0n && since > 0n;
  const c = late ? { ...given, quantity: given.quantity - since } : given;

  const { instrument, side } = order;
  const stopPrice = c.stopPrice === 0n ? order.stopPrice : c.stopPrice;
  const isStopOrder = order.waiting && order.orderType === OrderType.Stop;
  const sameStop = stopPrice === order.stopPrice;
  const ofStop = sameStop ? order.price : instrument.collarPrice(side, stopPrice);
  const asked = isStopOrder ? ofStop : c.price;
  const samePlace = asked === order.price && sameStop && c.quantity <= order.open;
  const reject = replaceRefused(model, c, order, asked);
  if (reject !== Reject.NONE) return reject;
  const price = samePlace ? asked : postOnlyPrice(instrument, side, order.postOnly, asked);
  if (price === undefined) return Reject.POST_ONLY_WOULD_CROSS;

  const oldId = order.id;
  if (takesNewId) {
    model.ids.close(order.remembered);
    model.ids.rememberOrder(order.account.id, given, c.newId, model.position, order);
  }
  if (!samePlace) leave(order);
  order.change({
    price,
    stopPrice,
    open: c.quantity,
    id: takesNewId ? c.newId : oldId,
    visible: samePlace ? smaller(order.visible, c.quantity) : 0n,
  });
  const replaced = model.emitOrder(order, {
    type: EventType.Replaced,
    flags: price === asked ? 0 : EventFlag.Repriced,
    id: oldId,
    id2: order.id,
    quantity: order.open,
    leaves: order.open,
  });
  if (order.waiting) replaced.flags |= EventFlag.Stop;
  if (samePlace) {
    replaced.flags |= EventFlag.KeptPriority;
    if (!order.waiting) {
      replaced.flags |= EventFlag.Booked;
      replaced.leaves2 = order.visible;
    }
    return Reject.NONE;
  }
  if (order.waiting) wait(order);
  else match(model, order, replaced, 0n);
  triggerStops(model, order);
  return Reject.NONE;
}

// newId is remembered: undefined if it is not.
function repeatedReplace(model: Model, c: Command): number | undefined {
  const known = model.ids.order(c.account, c.newId);
  if (known === undefined) return undefined;
  if (known.usedBy !== CommandType.ReplaceOrder || known.sameAs !== orderFields(c)) {
    return Reject.DUPLICATE_CLIENT_ORDER_ID;
  }
  model.emit({
    type: EventType.Replaced,
    flags: EventFlag.Duplicate,
    account: c.account,
    id: c.id,
    id2: c.newId,
    orderId: known.orderId,
  });
  return Reject.NONE;
}

// Checks 2 to 9.
function replaceRefused(model: Model, c: Command, order: Order, price: bigint): number {
  const { account, instrument, side } = order;
  if (account.chain().some((level) => level.killed)) return Reject.KILLED;
  if (instrument.state !== TradingState.Open) return Reject.INSTRUMENT_NOT_OPEN;
  const quantity = quantityRefused(c.quantity, instrument);
  if (quantity !== Reject.NONE) return quantity;
  const hasPrice = order.orderType !== OrderType.Stop;
  if (hasPrice ? c.price <= 0n : c.price !== 0n) return Reject.INVALID_PRICE;
  if (order.waiting ? c.stopPrice < 0n : c.stopPrice !== 0n) return Reject.INVALID_STOP_PRICE;
  if (order.display > 0n && order.display * DISPLAY_SHARE < c.quantity) {
    return Reject.INVALID_DISPLAY_QUANTITY;
  }
  const outside = bandRefused(c, instrument);
  if (outside !== Reject.NONE) return outside;
  const matchedAs = order.waiting ? order.orderType : OrderType.Limit;
  const noRight = rightsRefused(account, instrument, matchedAs, order.display);
  if (noRight !== Reject.NONE) return noRight;
  const wanted: Wanted = { account, instrument, side, price, quantity: c.quantity, replaced: order };
  const overLimit = limitsRefused(model, wanted);
  return overLimit !== Reject.NONE ? overLimit : fundsRefused(wanted);
}
