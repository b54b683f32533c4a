// Rights, values, limits and funds: the checks that look at more than the order. Rules, sections 5 and 8.

import type { Model } from './model.ts';
import { AMOUNT_MAX, type Decimal, decimal, value, ZERO } from './money.ts';
import { type Account, holdAsset, type Instrument, type Order, worstCase } from './state.ts';
import { LimitKind, Reject, RIGHT_ICEBERG, Side } from './wire.ts';

const EXPOSURE_MAX = 1n << 62n;

export function rightsRefused(
  account: Account,
  instrument: Instrument,
  orderType: number,
  display: bigint,
): number {
  const needed = (1 << orderType) | (display > 0n ? RIGHT_ICEBERG : 0);
  const chain = account.chain();
  if (chain.some((level) => (level.orderTypes & needed) !== needed)) return Reject.ORDER_TYPE_NOT_ALLOWED;
  if (chain.some((level) => !level.mayUse(instrument))) return Reject.INSTRUMENT_NOT_ALLOWED;
  return Reject.NONE;
}

// What the order is to be; `replaced` is the order that it is now, if there is one.
export interface Wanted {
  account: Account;
  instrument: Instrument;
  side: number;
  price: bigint; // worst price
  quantity: bigint;
  replaced: Order | undefined;
}

export function limitsRefused(model: Model, wanted: Wanted): number {
  const worth = value(wanted.price, wanted.quantity, wanted.instrument.lotQuote);
  if (worth.times(2).greaterThan(AMOUNT_MAX)) return Reject.VALUE_OVERFLOW;
  for (const level of wanted.account.chain()) {
    const refused = limitsOfLevelRefused(model, level, wanted);
    if (refused !== Reject.NONE) return refused;
  }
  return Reject.NONE;
}

function limitsOfLevelRefused(model: Model, level: Account, wanted: Wanted): number {
  if (level.limits.length === 0) return Reject.NONE;
  const { instrument, side, quantity, replaced } = wanted;
  const openValue = value(wanted.price, quantity, instrument.lotQuote);
  const replacedValue = replaced?.openValue() ?? ZERO;
  const replacedOpen = replaced?.open ?? 0n;
  const subtree = model.subtree(level);

  const size = level.limit(LimitKind.OrderSize, instrument.id);
  if (size !== undefined && quantity > size.amount) return Reject.ORDER_SIZE_LIMIT;

  const orderValue = level.limit(LimitKind.OrderValue, instrument.quote);
  if (orderValue !== undefined && openValue.greaterThan(decimal(orderValue.amount))) {
    return Reject.ORDER_VALUE_LIMIT;
  }

  const openOrders = level.limit(LimitKind.OpenOrders, 0);
  if (openOrders !== undefined && replaced === undefined) {
    const count = subtree.reduce((sum, account) => sum + account.orders.length, 0);
    if (BigInt(count + 1) > openOrders.amount) return Reject.OPEN_ORDERS_LIMIT;
  }

  const gross = level.limit(LimitKind.OpenValue, instrument.quote);
  if (gross !== undefined && openValue.greaterThan(replacedValue)) {
    const sum = subtree.reduce((s: Decimal, account) => s.plus(account.openValue(instrument.quote)), ZERO);
    if (sum.minus(replacedValue).plus(openValue).greaterThan(decimal(gross.amount))) {
      return Reject.OPEN_VALUE_LIMIT;
    }
  }

  const position = level.limit(LimitKind.Position, instrument.id);
  if (position !== undefined && quantity > replacedOpen) {
    let reach = quantity - replacedOpen;
    for (const account of subtree) {
      reach += account.openQuantity(instrument, side);
      reach += side === Side.Buy ? account.position(instrument) : -account.position(instrument);
    }
    if (reach > position.amount) return Reject.POSITION_LIMIT;
  }
  return Reject.NONE;
}

export function fundsRefused(wanted: Wanted): number {
  const { account, instrument, side, price, quantity, replaced } = wanted;
  const schedule = replaced?.schedule ?? instrument.schedule;
  const needed = worstCase(instrument, schedule, side, price, quantity).minus(replaced?.hold() ?? ZERO);
  const available = account.available(holdAsset(instrument, side));
  if (available.lessThan(needed)) return Reject.INSUFFICIENT_FUNDS;

  const more = quantity - (replaced?.open ?? 0n);
  if (more > 0n) {
    const position = account.position(instrument);
    const size = position < 0n ? -position : position;
    if (size + account.openQuantity(instrument, side) + more > EXPOSURE_MAX) return Reject.VALUE_OVERFLOW;
  }
  return Reject.NONE;
}
