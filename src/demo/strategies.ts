// What the demo participants want to do next. Floating point is at home here: it invents prices, it does not keep money.
import type { NewOrder, Request, Side } from '../api/types.ts';
import { Scale } from '../decimal/scale.ts';
import type { DemoInstrument } from './market.ts';
import type { Random } from './random.ts';

/** An instrument as the crowd sees it: a fair price that wanders slowly and drifts back home. */
export class Market {
  readonly name: string;
  readonly usualLots: number;
  readonly #ticks: Scale;
  readonly #lots: Scale;
  readonly #tickSize: number;
  readonly #home: number;
  #fair: number;

  constructor(demo: DemoInstrument, lastPrice: string | null) {
    this.name = demo.terms.instrument;
    this.usualLots = demo.usualLots;
    this.#ticks = Scale.ofText(demo.terms.tickSize);
    this.#lots = Scale.ofText(demo.terms.lotSize);
    this.#tickSize = Number(demo.terms.tickSize);
    this.#home = demo.price;
    this.#fair = lastPrice === null ? demo.price : Number(lastPrice);
  }

  get fair(): number {
    return this.#fair;
  }

  /** About 0.6 % an hour, never far from home for long. */
  wander(random: Random, seconds: number): void {
    const pull = Math.log(this.#home / this.#fair) * 0.0005 * seconds;
    this.#fair *= Math.exp(pull + 0.0001 * Math.sqrt(seconds) * random.normal());
  }

  /** The price `distance` (a fraction of the fair price) away from fair: below it for buys, above for sells. */
  ticks(side: Side, distance: number): number {
    const price = this.#fair * (side === 'buy' ? 1 - distance : 1 + distance);
    return Math.max(1, Math.round(price / this.#tickSize));
  }

  priceText(ticks: number): string {
    return this.#ticks.toText(ticks);
  }

  lots(random: Random, scale = 1): number {
    return Math.max(1, Math.round(this.usualLots * scale * random.exponential()));
  }

  quantityText(lots: number): string {
    return this.#lots.toText(lots);
  }
}

/** An order of the crowd from the moment it is offered until it is known to be closed. */
export interface LiveOrder {
  readonly id: string;
  readonly trader: Trader;
  readonly market: Market;
  readonly side: Side;
  /** Which rung of a maker's ladder; −1 for takers. */
  readonly rung: number;
  ticks: number;
  lots: number;
  /** When it was offered; 0 once it has been answered. */
  offeredAt: number;
}

export interface Trader {
  readonly account: string;
  readonly role: 'maker' | 'taker';
  readonly orders: Map<string, LiveOrder>;
  /** Lots bought less lots sold, by instrument, in units of a usual order: who has bought much sells rather. */
  readonly leaning: Map<string, number>;
}

/** What a strategy wants: a new order, or a request about one that lives. */
export type Wish =
  | {
      readonly order: Omit<NewOrder, 'op' | 'id' | 'account' | 'instrument'>;
      readonly ticks: number;
      readonly lots: number;
      readonly rung: number;
    }
  | { readonly request: Request };

const rungs = 8;
const takerOrdersMax = 25;
/** The crowd never has more orders than this for each maker and instrument, or for each taker. */
export const openOrdersMax: { readonly maker: number; readonly taker: number } = {
  maker: rungs * 2,
  taker: takerOrdersMax,
};

function leaning(trader: Trader, market: Market): number {
  return Math.max(-1, Math.min(1, (trader.leaning.get(market.name) ?? 0) / 200));
}

/** Keeps a ladder of quotes on both sides of the fair price, moved when it has left them behind. */
export function makerWish(random: Random, trader: Trader, market: Market): Wish | undefined {
  const side: Side = random.chance(0.5) ? 'buy' : 'sell';
  const rung = Math.min(random.below(rungs), random.below(rungs));
  const skew = leaning(trader, market) * 0.0002 * (side === 'buy' ? 1 : -1);
  const distance = Math.max(0.00002, 0.00006 + rung * 0.00012 + skew + random.fraction() * 0.00008);
  const ticks = market.ticks(side, distance);
  const there = [...trader.orders.values()].find(
    (order) => order.market === market && order.side === side && order.rung === rung,
  );
  const lots = market.lots(random, 1 + rung / 3);
  if (there === undefined) {
    const quantity = market.quantityText(lots);
    const order = {
      side,
      price: market.priceText(ticks),
      quantity,
      postOnly: 'reprice',
      selfTrade: 'cancel-oldest',
    } as const;
    const hidden =
      lots >= 10 && random.chance(0.08) ? { displayQuantity: market.quantityText(Math.ceil(lots / 5)) } : {};
    return { order: { ...order, ...hidden }, ticks, lots, rung };
  }
  if (there.offeredAt > 0) return undefined;
  const { account } = trader;
  const away = Math.abs(there.ticks - ticks) / ticks;
  if (away < 0.00025 && !random.chance(0.05)) return undefined;
  if (random.chance(0.5)) return { request: { op: 'cancel', account, id: there.id } };
  there.ticks = ticks;
  const request = { op: 'replace', account, instrument: market.name, id: there.id } as const;
  return { request: { ...request, price: market.priceText(ticks), quantity: market.quantityText(lots) } };
}

/** Trades at the market, leaves a few limit orders, stops and icebergs behind, and changes its mind. */
export function takerWish(random: Random, trader: Trader, market: Market, nowMs: number): Wish | undefined {
  const mood = random.fraction();
  if (trader.orders.size >= takerOrdersMax || (mood < 0.3 && trader.orders.size > 4))
    return changeOfMind(random, trader);
  const side: Side = random.chance(0.5 - 0.45 * leaning(trader, market)) ? 'buy' : 'sell';
  const selfTrade = random.chance(0.5) ? 'cancel-newest' : 'decrement';
  const lots = market.lots(random, 0.7);
  const quantity = market.quantityText(lots);
  const make = (distance: number, more: Partial<NewOrder>): Wish => {
    const ticks = market.ticks(side, distance);
    return {
      order: { side, quantity, selfTrade, price: market.priceText(ticks), ...more },
      ticks,
      lots,
      rung: -1,
    };
  };
  if (mood < 0.6)
    return make(-0.0004 - random.fraction() * 0.0004, { tif: random.chance(0.1) ? 'fok' : 'ioc' });
  if (mood < 0.72)
    return { order: { side, quantity, selfTrade, type: 'market', tif: 'ioc' }, ticks: 0, lots, rung: -1 };
  const away = 0.0003 + random.exponential() * 0.0012;
  if (mood < 0.9) {
    if (random.chance(0.15))
      return make(away, { tif: 'gtd', expiry: Math.round(nowMs + 20_000 + random.below(60_000)) });
    return make(away, { tif: random.chance(0.3) ? 'day' : 'gtc' });
  }
  if (mood < 0.95 && lots >= 10)
    return make(away, { displayQuantity: market.quantityText(Math.ceil(lots / 4)) });
  // A stop waits on the far side of the market: buys above it, sells below.
  const trigger = market.ticks(side === 'buy' ? 'sell' : 'buy', away);
  const stopPrice = market.priceText(trigger);
  if (random.chance(0.5))
    return { order: { side, quantity, selfTrade, type: 'stop', stopPrice }, ticks: trigger, lots, rung: -1 };
  const price = market.priceText(Math.max(1, Math.round(trigger * (side === 'buy' ? 1.0005 : 0.9995))));
  return {
    order: { side, quantity, selfTrade, type: 'stop-limit', price, stopPrice },
    ticks: trigger,
    lots,
    rung: -1,
  };
}

function changeOfMind(random: Random, trader: Trader): Wish | undefined {
  const index = random.chance(0.7) ? 0 : random.below(trader.orders.size);
  const order = [...trader.orders.values()][index];
  if (order === undefined || order.offeredAt > 0) return undefined;
  const { account } = trader;
  const { id, market } = order;
  if (order.lots < 4 || random.chance(0.8)) return { request: { op: 'cancel', account, id } };
  const by = market.quantityText(Math.max(1, Math.floor(order.lots / 4)));
  order.lots -= Math.floor(order.lots / 4);
  return { request: { op: 'reduce', account, id, instrument: market.name, by } };
}
