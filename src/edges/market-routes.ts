// Public market data, health and metrics: no key needed.
import type { OrdersView } from '../api/types.ts';
import type { ExchangePort } from './exchange-port.ts';
import { Fields } from './fields.ts';
import { levelsDefault, levelsMax, tradesDefault, tradesMax } from './limits.ts';
import type { MarketFeed } from './market-feed.ts';
import { RequestError } from './request-error.ts';
import type { Call, Reply, Route } from './router.ts';

export interface MarketRoutesOptions {
  readonly exchange: ExchangePort;
  readonly feed: MarketFeed;
  readonly metrics: { readonly type: string; text(): Promise<string> };
  readonly version: string;
}

/**
 * Lets equal questions share one query. A question joins one that was asked before only if no event has been
 * published in between: whoever got an answer to an order sees that order in the book.
 */
class SharedQueries {
  readonly #feed: MarketFeed;
  readonly #asked = new Map<string, { position: bigint; answer: Promise<unknown> }>();

  constructor(feed: MarketFeed) {
    this.#feed = feed;
  }

  async ask<T>(what: string, query: () => Promise<T>): Promise<T> {
    const { position } = this.#feed;
    const there = this.#asked.get(what);
    if (there !== undefined && there.position === position) return (await there.answer) as T;
    const mine = { position, answer: query() };
    this.#asked.set(what, mine);
    try {
      return await mine.answer;
    } finally {
      if (this.#asked.get(what) === mine) this.#asked.delete(what);
    }
  }
}

/** Level 3 without whose the orders are. */
function anonymous(view: OrdersView): object {
  const rows = (levels: OrdersView['bids']): object[] =>
    levels.map(({ price, orders }) => ({
      price,
      orders: orders.map(({ orderId, visible }) => ({ orderId, visible })),
    }));
  return { ...view, bids: rows(view.bids), asks: rows(view.asks) };
}

export function marketRoutes({ exchange, feed, metrics, version }: MarketRoutesOptions): Route[] {
  const shared = new SharedQueries(feed);
  const instrumentOf = (call: Call): string => {
    const name = call.params.instrument ?? '';
    if (!feed.has(name)) throw new RequestError(404, 'UNKNOWN_INSTRUMENT', 'there is no such instrument');
    return name;
  };

  const book = async (call: Call): Promise<Reply> => {
    const instrument = instrumentOf(call);
    const fields = Fields.ofQuery(call.query);
    const level = fields.optionalInteger('level', 1, 3) ?? 2;
    const levels = fields.optionalInteger('levels', 1, levelsMax) ?? levelsDefault;
    fields.done();
    const depth = level === 1 ? 1 : levels;
    const query = async (): Promise<unknown> =>
      level === 3
        ? anonymous(await exchange.orders(instrument, { levels: depth }))
        : await exchange.book(instrument, { levels: depth });
    return { status: 200, body: await shared.ask(`${instrument} ${level} ${depth}`, query) };
  };

  const trades = (call: Call): Reply => {
    const instrument = instrumentOf(call);
    const fields = Fields.ofQuery(call.query);
    const limit = fields.optionalInteger('limit', 1, tradesMax) ?? tradesDefault;
    fields.done();
    return {
      status: 200,
      body: { instrument, position: feed.position, trades: feed.trades(instrument, limit) },
    };
  };

  const instruments = async (call: Call): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    const [list, assets] = [await exchange.instruments(), await exchange.assets()];
    return {
      status: 200,
      body: { instruments: list, assets: assets.map(({ asset, decimals }) => ({ asset, decimals })) },
    };
  };

  const instrument = async (call: Call): Promise<Reply> => {
    const name = instrumentOf(call);
    Fields.ofQuery(call.query).done();
    const list = await exchange.instruments();
    return { status: 200, body: list.find((one) => one.instrument === name) };
  };

  const health = (): Reply => {
    const { position, durablePosition, failure } = exchange.stats();
    const healthy = feed.fault === undefined && failure === '';
    const body = {
      status: healthy ? 'ok' : 'degraded',
      version,
      position,
      durablePosition,
      published: feed.position,
    };
    return { status: healthy ? 200 : 503, body };
  };

  const metricsText = async (): Promise<Reply> => ({
    status: 200,
    body: await metrics.text(),
    type: metrics.type,
  });

  return [
    { method: 'GET', path: '/v1/book/:instrument', access: 'public', takesBody: false, answer: book },
    { method: 'GET', path: '/v1/trades/:instrument', access: 'public', takesBody: false, answer: trades },
    { method: 'GET', path: '/v1/instruments', access: 'public', takesBody: false, answer: instruments },
    {
      method: 'GET',
      path: '/v1/instruments/:instrument',
      access: 'public',
      takesBody: false,
      answer: instrument,
    },
    { method: 'GET', path: '/v1/health', access: 'public', takesBody: false, answer: health },
    { method: 'GET', path: '/v1/metrics', access: 'public', takesBody: false, answer: metricsText },
  ];
}
