// Which order ids and transaction ids are remembered, and with what answer. Rules, section 2.

import type { Order } from './state.ts';
import { type Command, CommandType, type Id } from './wire.ts';

export interface OrderId {
  usedBy: number; // CommandType: NewOrder, or ReplaceOrder as newId
  sameAs: string; // the fields that an equal command has
  reject: number; // the first answer: a reject code, or 0
  position: bigint; // of the first answer
  orderId: bigint; // of the order, where there is one
  order: Order | undefined; // while it is live
  closedOnDay: number; // −1 while it is live
}

export interface Transaction {
  sameAs: string;
  position: bigint;
}

// The fields that decide whether two commands with one id are equal.
export function orderFields(c: Command): string {
  if (c.type === CommandType.ReplaceOrder) return [c.id, c.price, c.quantity, c.stopPrice].join(' ');
  return [
    c.side,
    c.orderType,
    c.timeInForce,
    c.selfTrade,
    c.flags,
    c.instrument,
    c.price,
    c.quantity,
    c.expiry,
    c.stopPrice,
    c.displayQuantity,
    c.minQuantity,
  ].join(' ');
}

export function transactionFields(c: Command): string {
  return [c.type, c.instrument, c.amount, c.toAccount].join(' ');
}

export class Ids {
  #orders: Map<number, Map<Id, OrderId>> = new Map();
  #transactions: Map<number, Map<Id, Transaction>> = new Map();
  #day = 0;
  count = 0; // order ids that are remembered

  order(account: number, id: Id): OrderId | undefined {
    return this.#orders.get(account)?.get(id);
  }

  rememberOrder(account: number, c: Command, id: Id, position: bigint, order: Order): void {
    const entry = this.#newEntry(account, c, id, position);
    entry.orderId = order.orderId;
    entry.order = order;
    entry.closedOnDay = -1;
    order.remembered = entry;
  }

  rememberReject(account: number, c: Command, position: bigint, reject: number): void {
    const entry = this.#newEntry(account, c, c.id, position);
    entry.reject = reject;
  }

  #newEntry(account: number, c: Command, id: Id, position: bigint): OrderId {
    const entry: OrderId = {
      usedBy: c.type,
      sameAs: orderFields(c),
      reject: 0,
      position,
      orderId: 0n,
      order: undefined,
      closedOnDay: this.#day,
    };
    const known = this.#orders.get(account) ?? new Map();
    this.#orders.set(account, known);
    known.set(id, entry);
    this.count++;
    return entry;
  }

  close(entry: OrderId): void {
    entry.order = undefined;
    entry.closedOnDay = this.#day;
  }

  // Forgets the ids that were closed already when the last day ended.
  endDay(): void {
    for (const known of this.#orders.values()) {
      for (const [id, entry] of known) {
        if (entry.closedOnDay === -1 || entry.closedOnDay >= this.#day) continue;
        known.delete(id);
        this.count--;
      }
    }
    this.#day++;
  }

  transaction(account: number, id: Id): Transaction | undefined {
    return this.#transactions.get(account)?.get(id);
  }

  rememberTransaction(account: number, c: Command, position: bigint): void {
    const known = this.#transactions.get(account) ?? new Map();
    this.#transactions.set(account, known);
    known.set(c.id, { sameAs: transactionFields(c), position });
  }
}
