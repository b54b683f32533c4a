// The engine's answers (docs/rules.md, section 11) as the views of the public API.
import { asUnits } from '../decimal/scale.ts';
import { idFromJson } from '../wire/ids.ts';
import { orderTypeNames, sideNames, timeInForceNames, tradingStateNames } from '../wire/layout.ts';
import type { ExactInteger } from './exact-json.ts';
import type { Instrument, Registry } from './registry.ts';
import type {
  AssetView,
  BalancesView,
  BookView,
  InstrumentView,
  OrdersView,
  OrderType,
  OrderView,
  Side,
  TimeInForce,
  TradingState,
} from './types.ts';

type Integer = ExactInteger;

/** Answer to `market`. */
export interface MarketAnswer {
  readonly position: Integer;
  readonly time: Integer;
  readonly assets: readonly { id: number; name: string; decimals: number; issued: string; fees: string }[];
  readonly instruments: readonly InstrumentAnswer[];
}

export interface InstrumentAnswer {
  readonly id: number;
  readonly name: string;
  readonly base: number;
  readonly quote: number;
  readonly lotBase: Integer;
  readonly lotQuote: Integer;
  readonly priceMin: Integer;
  readonly priceMax: Integer;
  readonly quantityMin: Integer;
  readonly quantityMax: Integer;
  readonly makerFee: number;
  readonly takerFee: number;
  readonly collar: number;
  readonly state: number;
  readonly lastPrice: Integer;
  readonly trades: Integer;
}

/** Answer to `levels` and `orders`. */
export interface BookAnswer<Level> {
  readonly position: Integer;
  readonly lastPrice: Integer;
  readonly trades: Integer;
  readonly state: number;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}
export type LevelAnswer = readonly [price: Integer, quantity: Integer, orders: number];
export type QueueAnswer = readonly [
  price: Integer,
  orders: readonly (readonly [orderId: Integer, account: number, visible: Integer])[],
];

/** Answer to `account-orders`: what it has, and a page of what it has open. */
export interface AccountAnswer {
  readonly position: Integer;
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly killed: number;
  readonly balances: readonly (readonly [asset: number, total: string, held: string])[];
  readonly exposures: readonly (readonly [
    instrument: number,
    position: Integer,
    openBuy: Integer,
    openSell: Integer,
  ])[];
  readonly openOrders: number;
  /** Order id of the order that the page begins behind. */
  readonly after: Integer;
  /** null: that order is not open any more. */
  readonly orders: readonly OrderAnswer[] | null;
}

/** An open order as the engine lists it. */
export type OrderRow = readonly [
  orderId: Integer,
  id: string,
  side: number,
  orderType: number,
  timeInForce: number,
  price: Integer,
  stopPrice: Integer,
  open: Integer,
  display: Integer,
  expiry: Integer,
];

/** Answer to `order`, of one that is open, and a row of `account-orders`. */
export interface OrderAnswer {
  readonly orderId: Integer;
  readonly instrument: number;
  readonly visible: Integer;
  readonly order: OrderRow;
}

export interface AccountListAnswer {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
}

/** Makes views with the names of one exchange. */
export class Views {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  book(answer: BookAnswer<LevelAnswer>, instrument: Instrument): BookView {
    const level = ([ticks, lots, orders]: LevelAnswer): [string, string, number] => [
      price(instrument, ticks),
      quantity(instrument, lots),
      orders,
    ];
    return {
      instrument: instrument.name,
      position: BigInt(answer.position),
      state: stateOf(answer.state),
      lastPrice: lastPrice(instrument, answer),
      bids: answer.bids.map(level),
      asks: answer.asks.map(level),
    };
  }

  orders(answer: BookAnswer<QueueAnswer>, instrument: Instrument): OrdersView {
    const queue = ([ticks, orders]: QueueAnswer): OrdersView['bids'][number] => ({
      price: price(instrument, ticks),
      orders: orders.map(([orderId, account, visible]) => ({
        orderId: BigInt(orderId),
        account: this.#registry.accountName(account),
        visible: quantity(instrument, visible),
      })),
    });
    return {
      instrument: instrument.name,
      position: BigInt(answer.position),
      bids: answer.bids.map(queue),
      asks: answer.asks.map(queue),
    };
  }

  order(answer: OrderAnswer, account: string): OrderView {
    const instrument = this.#registry.instrumentById(answer.instrument);
    if (instrument === undefined) throw new Error(`instrument ${answer.instrument} is not registered`);
    const [orderId, id, side, orderType, timeInForce, ticks, stopTicks, open, display, expiry] = answer.order;
    return {
      id: idFromJson(id),
      account,
      instrument: instrument.name,
      orderId: BigInt(orderId),
      side: sideNames[side] as Side,
      type: orderTypeNames[orderType] as OrderType,
      tif: timeInForceNames[timeInForce] as TimeInForce,
      price: price(instrument, ticks),
      ...(isZero(stopTicks) ? {} : { stopPrice: price(instrument, stopTicks) }),
      open: quantity(instrument, open),
      visible: quantity(instrument, answer.visible),
      ...(isZero(display) ? {} : { displayQuantity: quantity(instrument, display) }),
      ...(isZero(expiry) ? {} : { expiry: BigInt(expiry) }),
    };
  }

  balances(answer: AccountAnswer): BalancesView {
    const registry = this.#registry;
    return {
      account: answer.name,
      position: BigInt(answer.position),
      parent: registry.accountName(answer.parent),
      killed: answer.killed !== 0,
      openOrders: answer.openOrders,
      balances: answer.balances.map(([id, total, held]) => {
        const { name, scale } = registry.assetById(id);
        const available = BigInt(total) - BigInt(held);
        return {
          asset: name,
          total: scale.toText(BigInt(total)),
          held: scale.toText(BigInt(held)),
          available: scale.toText(available),
        };
      }),
      exposures: answer.exposures.map(([id, position, openBuy, openSell]) => {
        const instrument = registry.instrumentById(id);
        if (instrument === undefined) throw new Error(`instrument ${id} is not registered`);
        return {
          instrument: instrument.name,
          position: quantity(instrument, position),
          openBuy: quantity(instrument, openBuy),
          openSell: quantity(instrument, openSell),
        };
      }),
    };
  }

  instrument(answer: InstrumentAnswer): InstrumentView {
    const instrument = this.#registry.instrument(answer.name);
    return {
      instrument: instrument.name,
      base: instrument.base.name,
      quote: instrument.quote.name,
      tickSize: instrument.price.size,
      lotSize: instrument.quantity.size,
      minPrice: price(instrument, answer.priceMin),
      maxPrice: price(instrument, answer.priceMax),
      minQuantity: quantity(instrument, answer.quantityMin),
      maxQuantity: quantity(instrument, answer.quantityMax),
      makerFee: answer.makerFee,
      takerFee: answer.takerFee,
      collar: answer.collar,
      state: stateOf(answer.state),
      lastPrice: lastPrice(instrument, answer),
      trades: Number(answer.trades),
    };
  }

  asset({ name, decimals, issued, fees }: MarketAnswer['assets'][number]): AssetView {
    const { scale } = this.#registry.asset(name);
    return { asset: name, decimals, issued: scale.toText(BigInt(issued)), fees: scale.toText(BigInt(fees)) };
  }
}

function price(instrument: Instrument, ticks: Integer): string {
  return instrument.price.toText(asUnits(BigInt(ticks)));
}

function quantity(instrument: Instrument, lots: Integer): string {
  return instrument.quantity.toText(asUnits(BigInt(lots)));
}

function lastPrice(instrument: Instrument, answer: { lastPrice: Integer; trades: Integer }): string | null {
  return isZero(answer.trades) ? null : price(instrument, answer.lastPrice);
}

function stateOf(number: number): TradingState {
  return tradingStateNames[number] as TradingState;
}

function isZero(value: Integer): boolean {
  return value === 0;
}
