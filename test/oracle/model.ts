// Model: the whole core as docs/rules.md describes it, written for clarity and for nothing else.
//
// apply() checks everything first; only when nothing can be refused any more does it change state. A
// handler answers with a reject code, or with 0 after it has written its events.

import { explain } from './explain.ts';
import { deposit, transfer, withdraw } from './funds.ts';
import { Ids } from './ids.ts';
import { advanceTime, dayEnd, killSwitch, massCancel } from './mass.ts';
import {
  addAccount,
  addAsset,
  addInstrument,
  changeInstrument,
  setInstrumentRight,
  setLimit,
  setRights,
  setTradingState,
} from './setup.ts';
import { Account, type Asset, type Instrument, type Limits, type Order } from './state.ts';
import { cancelOrder, newOrder, reduceOrder, replaceOrder } from './trading.ts';
import {
  type Command,
  CommandType,
  type Event,
  EventFlag,
  EventType,
  event,
  Reject,
  RIGHTS_ALL,
} from './wire.ts';

type Handler = (model: Model, c: Command) => number;

const handlers: Record<number, Handler> = {
  [CommandType.NewOrder]: newOrder,
  [CommandType.CancelOrder]: cancelOrder,
  [CommandType.ReduceOrder]: reduceOrder,
  [CommandType.ReplaceOrder]: replaceOrder,
  [CommandType.MassCancel]: massCancel,
  [CommandType.KillSwitch]: killSwitch,
  [CommandType.Deposit]: deposit,
  [CommandType.Withdraw]: withdraw,
  [CommandType.Transfer]: transfer,
  [CommandType.AddAsset]: addAsset,
  [CommandType.AddInstrument]: addInstrument,
  [CommandType.ChangeInstrument]: changeInstrument,
  [CommandType.SetTradingState]: setTradingState,
  [CommandType.AddAccount]: addAccount,
  [CommandType.SetRights]: setRights,
  [CommandType.SetInstrumentRight]: setInstrumentRight,
  [CommandType.SetLimit]: setLimit,
  [CommandType.AdvanceTime]: advanceTime,
  [CommandType.DayEnd]: dayEnd,
};

export class Model {
  readonly limits: Limits;
  position = 0n;
  time = 0n;
  assets: Asset[] = []; // id 1 first
  instruments: Instrument[] = []; // id 1 first
  accounts: Account[] = [new Account(0, undefined, 'VENUE', RIGHTS_ALL)]; // by id
  ids: Ids = new Ids();
  #events: Event[] = [];

  constructor(limits: Limits) {
    this.limits = limits;
  }

  apply(c: Command): Event[] {
    this.position++;
    this.#events = [];
    const handler = handlers[c.type];
    const reject = handler === undefined ? Reject.UNKNOWN_COMMAND : handler(this, c);
    if (reject !== Reject.NONE) this.rejected(c, reject);
    for (const e of this.#events) {
      e.position = this.position;
      e.token = c.token;
    }
    this.#events.at(-1)!.flags |= EventFlag.Last;
    return this.#events;
  }

  explain(): string {
    return explain(this);
  }

  emit(fields: Partial<Event>): Event {
    const e = event(fields);
    this.#events.push(e);
    return e;
  }

  // The fields that every event of an order has.
  emitOrder(order: Order, fields: Partial<Event>): Event {
    return this.emit({
      side: order.side,
      kind: order.orderType,
      account: order.account.id,
      instrument: order.instrument.id,
      orderId: order.orderId,
      id: order.id,
      price: order.price,
      ...fields,
    });
  }

  rejected(c: Command, code: number, more: Partial<Event> = {}): void {
    this.emit({
      type: EventType.Rejected,
      kind: c.type,
      code,
      account: c.account,
      instrument: c.instrument,
      id: c.id,
      ...more,
    });
  }

  asset(id: number): Asset | undefined {
    return this.assets[id - 1];
  }

  instrument(id: number): Instrument | undefined {
    return this.instruments[id - 1];
  }

  account(id: number): Account | undefined {
    return this.accounts[id];
  }

  // Itself and all its descendants, by id.
  subtree(root: Account): Account[] {
    return this.accounts.filter((account) => account.chain().includes(root));
  }

  // All open orders, account by account.
  openOrders(): Order[] {
    return this.accounts.flatMap((account) => account.orders);
  }
}
