// What the oracle knows: assets, instruments, accounts, orders. Plain objects and arrays; whatever can
// be summed up from the open orders (holds, exposures, open values) is summed up when it is asked for.
//
// `text` on instruments and accounts is their part of explain(), kept until something in it changes.

import type { OrderId } from './ids.ts';
import { type Decimal, millionths, millionthsOfTicks, value, ZERO } from './money.ts';
import { type Id, OrderType, Side, TradingState } from './wire.ts';

export interface Limits {
  maxOrders: number;
  maxAccounts: number;
  maxInstruments: number;
  maxClientIds: number;
}

export interface Asset {
  id: number;
  name: Id;
  decimals: number;
  issued: Decimal;
  fees: Decimal;
}

export interface Schedule {
  makerFee: number;
  takerFee: number;
}

export class Instrument {
  id = 0;
  name: Id = '';
  base = 0;
  quote = 0;
  lotBase = 0n;
  lotQuote = 0n;
  priceMin = 0n;
  priceMax = 0n;
  quantityMin = 0n;
  quantityMax = 0n;
  schedule: Schedule = { makerFee: 0, takerFee: 0 };
  collar = 0;
  state: number = TradingState.Open;
  lastPrice = 0n;
  trades = 0n;
  // Best first, and within a price in the order of the queue.
  bids: Order[] = [];
  asks: Order[] = [];
  // The order in which they are triggered.
  buyStops: Order[] = [];
  sellStops: Order[] = [];
  text: string | undefined;

  hasTraded(): boolean {
    return this.trades > 0n;
  }

  inBand(price: bigint): boolean {
    return price >= this.priceMin && price <= this.priceMax;
  }

  // Worst price of a market order that meets `reference`, or of a stop order with that stop price.
  collarPrice(side: number, reference: bigint): bigint {
    const width = millionthsOfTicks(reference, this.collar);
    if (side === Side.Buy) return larger(smaller(reference + width, this.priceMax), reference);
    return smaller(larger(reference - width, this.priceMin), reference);
  }

  openOrders(): Order[] {
    return [...this.bids, ...this.asks, ...this.buyStops, ...this.sellStops];
  }
}

export interface Limit {
  kind: number;
  subject: number;
  amount: bigint;
}

export class Account {
  readonly id: number;
  readonly parent: Account | undefined;
  readonly name: Id;
  readonly level: number;
  killed = false;
  orderTypes: number;
  instrumentDefault: number;
  instrumentRights: Map<number, number> = new Map();
  limits: Limit[] = [];
  totals: Map<number, Decimal> = new Map();
  positions: Map<number, bigint> = new Map();
  orders: Order[] = []; // open ones, by order id
  text: string | undefined;

  constructor(id: number, parent: Account | undefined, name: Id, orderTypes: number) {
    this.id = id;
    this.parent = parent;
    this.name = name;
    this.level = parent === undefined ? 0 : parent.level + 1;
    this.orderTypes = orderTypes;
    this.instrumentDefault = 1;
  }

  // Itself, and every ancestor up to and including the venue.
  chain(): Account[] {
    return this.parent === undefined ? [this] : [this, ...this.parent.chain()];
  }

  firm(): Account {
    return this.level <= 1 ? this : this.parent!.firm();
  }

  mayUse(instrument: Instrument): boolean {
    return (this.instrumentRights.get(instrument.id) ?? this.instrumentDefault) === 1;
  }

  limit(kind: number, subject: number): Limit | undefined {
    return this.limits.find((l) => l.kind === kind && l.subject === subject);
  }

  total(asset: number): Decimal {
    return this.totals.get(asset) ?? ZERO;
  }

  held(asset: number): Decimal {
    let held = ZERO;
    for (const order of this.orders) {
      if (order.holdAsset() === asset) held = held.plus(order.hold());
    }
    return held;
  }

  available(asset: number): Decimal {
    return this.total(asset).minus(this.held(asset));
  }

  credit(asset: number, change: Decimal): void {
    this.totals.set(asset, this.total(asset).plus(change));
    this.text = undefined;
  }

  position(instrument: Instrument): bigint {
    return this.positions.get(instrument.id) ?? 0n;
  }

  openQuantity(instrument: Instrument, side: number): bigint {
    let sum = 0n;
    for (const order of this.orders) {
      if (order.instrument === instrument && order.side === side) sum += order.open;
    }
    return sum;
  }

  // Gross open value in one quote asset.
  openValue(quote: number): Decimal {
    let sum = ZERO;
    for (const order of this.orders) {
      if (order.instrument.quote === quote) sum = sum.plus(order.openValue());
    }
    return sum;
  }
}

export const PostOnly = { No: 0, Reject: 1, Reprice: 2 } as const;

export class Order {
  readonly orderId: bigint;
  readonly account: Account;
  readonly instrument: Instrument;
  readonly side: number;
  readonly orderType: number; // as entered
  readonly timeInForce: number;
  readonly selfTrade: number;
  readonly firmWide: boolean;
  readonly postOnly: number;
  readonly display: bigint;
  readonly expiry: bigint;
  readonly schedule: Schedule;
  id: Id;
  remembered!: OrderId; // under its present id; Ids sets it
  waiting: boolean; // among the stops
  visible = 0n; // while it rests
  #price: bigint; // worst price
  #stopPrice: bigint;
  #open: bigint;
  #hold: Decimal | undefined;
  #openValue: Decimal | undefined;

  constructor(
    fields: Pick<
      Order,
      | 'orderId'
      | 'account'
      | 'instrument'
      | 'side'
      | 'orderType'
      | 'timeInForce'
      | 'selfTrade'
      | 'firmWide'
      | 'postOnly'
      | 'display'
      | 'expiry'
      | 'schedule'
      | 'id'
    >,
    price: bigint,
    stopPrice: bigint,
    open: bigint,
  ) {
    this.orderId = fields.orderId;
    this.account = fields.account;
    this.instrument = fields.instrument;
    this.side = fields.side;
    this.orderType = fields.orderType;
    this.timeInForce = fields.timeInForce;
    this.selfTrade = fields.selfTrade;
    this.firmWide = fields.firmWide;
    this.postOnly = fields.postOnly;
    this.display = fields.display;
    this.expiry = fields.expiry;
    this.schedule = fields.schedule;
    this.id = fields.id;
    this.waiting = this.orderType === OrderType.Stop || this.orderType === OrderType.StopLimit;
    this.#price = price;
    this.#stopPrice = stopPrice;
    this.#open = open;
  }

  get price(): bigint {
    return this.#price;
  }

  get stopPrice(): bigint {
    return this.#stopPrice;
  }

  get open(): bigint {
    return this.#open;
  }

  // Every change of what an order holds goes through here.
  change(to: { price?: bigint; stopPrice?: bigint; open?: bigint; visible?: bigint; id?: Id }): void {
    this.#price = to.price ?? this.#price;
    this.#stopPrice = to.stopPrice ?? this.#stopPrice;
    this.#open = to.open ?? this.#open;
    this.visible = to.visible ?? this.visible;
    this.id = to.id ?? this.id;
    this.#hold = undefined;
    this.#openValue = undefined;
    this.touch();
  }

  touch(): void {
    this.account.text = undefined;
    this.instrument.text = undefined;
  }

  // Its open value: value(worst price, open quantity).
  openValue(): Decimal {
    this.#openValue ??= value(this.#price, this.#open, this.instrument.lotQuote);
    return this.#openValue;
  }

  hold(): Decimal {
    this.#hold ??= worstCase(this.instrument, this.schedule, this.side, this.#price, this.#open);
    return this.#hold;
  }

  holdAsset(): number {
    return holdAsset(this.instrument, this.side);
  }

  // How it is matched: a triggered stop-limit is a limit.
  restsAfterMatching(): boolean {
    return (
      (this.orderType === OrderType.Limit || this.orderType === OrderType.StopLimit) && this.timeInForce <= 3
    );
  }
}

export function holdAsset(instrument: Instrument, side: number): number {
  return side === Side.Buy ? instrument.quote : instrument.base;
}

// hold(o) of section 4.
export function worstCase(
  instrument: Instrument,
  schedule: Schedule,
  side: number,
  price: bigint,
  open: bigint,
): Decimal {
  if (side === Side.Sell) return value(open, instrument.lotBase, 1n);
  const v = value(price, open, instrument.lotQuote);
  return v.plus(millionths(v, Math.max(schedule.makerFee, schedule.takerFee, 0)));
}

export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

export function opposite(side: number): number {
  return side === Side.Buy ? Side.Sell : Side.Buy;
}
