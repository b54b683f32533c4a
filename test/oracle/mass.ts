// Commands that cancel many orders: MassCancel, KillSwitch, AdvanceTime, DayEnd. Rules, sections 3 and 9.

import { cancel } from './matching.ts';
import type { Model } from './model.ts';
import type { Account, Order } from './state.ts';
import { Cause, type Command, EventType, Reject, TimeInForce } from './wire.ts';

// Accounts by id, within an account by order id.
function ordersOfSubtree(model: Model, root: Account): Order[] {
  return model.subtree(root).flatMap((account) => [...account.orders]);
}

function cancelAll(model: Model, orders: readonly Order[], cause: number): bigint {
  for (const order of orders) cancel(model, order, cause);
  return BigInt(orders.length);
}

export function massCancel(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (c.instrument !== 0 && model.instrument(c.instrument) === undefined) return Reject.UNKNOWN_INSTRUMENT;
  if (c.side > 2) return Reject.INVALID_SIDE;

  const orders = ordersOfSubtree(model, account).filter(
    (order) =>
      (c.instrument === 0 || order.instrument.id === c.instrument) && (c.side === 0 || order.side === c.side),
  );
  const count = cancelAll(model, orders, Cause.MassCancel);
  model.emit({
    type: EventType.MassCancelled,
    account: account.id,
    instrument: c.instrument,
    side: c.side,
    quantity: count,
  });
  return Reject.NONE;
}

export function killSwitch(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (c.side !== 1 && c.side !== 2) return Reject.INVALID_SIDE;

  const on = c.side === 1;
  account.killed = on;
  account.text = undefined;
  const count = on ? cancelAll(model, ordersOfSubtree(model, account), Cause.KillSwitch) : 0n;
  model.emit({ type: EventType.KillSwitchSet, account: account.id, side: c.side, quantity: count });
  return Reject.NONE;
}

export function advanceTime(model: Model, c: Command): number {
  if (c.expiry < model.time) return Reject.TIME_NOT_MONOTONIC;

  model.time = c.expiry;
  const expired = model
    .openOrders()
    .filter((order) => order.timeInForce === TimeInForce.Gtd && order.expiry <= model.time)
    .sort((a, b) => compare(a.expiry, b.expiry) || compare(a.orderId, b.orderId));
  const count = cancelAll(model, expired, Cause.Expired);
  model.emit({ type: EventType.TimeAdvanced, orderId: model.time, quantity: count });
  return Reject.NONE;
}

export function dayEnd(model: Model): number {
  const orders = model.openOrders().filter((order) => order.timeInForce === TimeInForce.Day);
  const count = cancelAll(model, orders, Cause.DayEnd);
  model.ids.endDay();
  model.emit({ type: EventType.DayEnded, quantity: count });
  return Reject.NONE;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
