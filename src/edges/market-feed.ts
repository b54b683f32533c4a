// The market as everybody may see it, rebuilt from events: books with deltas, trades, tickers; and who was touched.
//
// Invariants:
//   1. A frame ends at the end of a command: no delta ever shows a command half done.
//   2. For each instrument every delta's `previous` is the `position` of the delta before it.
//   3. Nothing here asks the engine, but for start().
import type { Event, Side } from '../api/types.ts';
import { BookMirror, type InstrumentBook, type MirrorLevel } from '../mirror/book-mirror.ts';
import type { ExchangePort } from './exchange-port.ts';
import { tradesMax } from './limits.ts';
import { type OwnEvent, ownEvents, ownersOf } from './private-view.ts';

export interface PublicTrade {
  readonly position: bigint;
  readonly instrument: string;
  readonly tradeId: number;
  /** The taker's side. */
  readonly side: Side;
  readonly price: string;
  readonly quantity: string;
  /** The core's time, nanoseconds since 1970; null before it was first told. */
  readonly time: bigint | null;
}

/** [price, visible quantity, orders]; quantity "0" takes the level away. */
export type LevelRow = readonly [string, string, number];

export interface BookDelta {
  readonly instrument: string;
  readonly previous: bigint;
  readonly position: bigint;
  readonly bids: readonly LevelRow[];
  readonly asks: readonly LevelRow[];
}

export interface Ticker {
  readonly instrument: string;
  readonly position: bigint;
  readonly bid: string | null;
  readonly bidQuantity: string | null;
  readonly ask: string | null;
  readonly askQuantity: string | null;
  readonly last: string | null;
  /** Since the node was started. */
  readonly trades: number;
  readonly volume: string;
}

export interface FeedFrame {
  /** The last command that the frame covers. */
  readonly position: bigint;
  readonly books: readonly BookDelta[];
  readonly trades: readonly PublicTrade[];
  /** Events of accounts that somebody watches. */
  readonly own: ReadonlyMap<string, readonly OwnEvent[]>;
}

export interface FeedCounts {
  commands: number;
  events: number;
  trades: number;
  rejects: Map<string, number>;
}

/** The whole book, however deep. */
const levelsAtStart = 1_000_000;

interface Market {
  readonly book: InstrumentBook;
  /** Of the last delta, or of the state that the node started with. */
  position: bigint;
  readonly trades: PublicTrade[];
  last: string | null;
  volume: bigint;
  tradeCount: number;
  bids: Map<number, MirrorLevel>;
  asks: Map<number, MirrorLevel>;
}

export class MarketFeed {
  readonly counts: FeedCounts = { commands: 0, events: 0, trades: 0, rejects: new Map() };
  readonly #exchange: ExchangePort;
  readonly #markets = new Map<string, Market>();
  readonly #mirror: BookMirror;
  readonly #listeners = new Set<(frame: FeedFrame) => void>();
  readonly #watched = new Map<string, number>();
  readonly #touched = new Set<Market>();
  #trades: PublicTrade[] = [];
  #own = new Map<string, OwnEvent[]>();
  #position = 0n;
  #time: bigint | null = null;
  #early: Event[] | undefined = [];
  /** In the order in which they came; positions need not be in order. */
  #waiting: { readonly position: bigint; readonly resolve: () => void }[] = [];
  #stop: (() => void) | undefined;
  #fault: unknown;

  constructor(exchange: ExchangePort) {
    this.#exchange = exchange;
    this.#mirror = new BookMirror((book, side, level) => this.#changed(book, side, level));
  }

  /** The last command whose events have been seen. */
  get position(): bigint {
    return this.#position;
  }

  get instruments(): string[] {
    return [...this.#markets.keys()];
  }

  /** Set when the events contradicted the books: what is shown from then on cannot be trusted. */
  get fault(): unknown {
    return this.#fault;
  }

  /** Reads the books as they stand, and goes on from there with events. */
  async start(): Promise<void> {
    this.#stop = this.#exchange.onEvents((batch) => this.#take(batch));
    const primed = new Map<string, bigint>();
    for (const { instrument, tickSize, lotSize, lastPrice } of await this.#exchange.instruments()) {
      const view = await this.#exchange.orders(instrument, { levels: levelsAtStart });
      const market = this.#define(instrument, tickSize, lotSize, view.position);
      market.last = lastPrice;
      for (const side of ['buy', 'sell'] as const) {
        for (const { price, orders } of side === 'buy' ? view.bids : view.asks) {
          for (const { orderId, visible } of orders) {
            market.book.add(
              orderId,
              side,
              market.book.ticksOf(price),
              market.book.lotsOf(visible),
              undefined,
            );
          }
        }
      }
      primed.set(instrument, view.position);
      if (view.position > this.#position) this.#position = view.position;
    }
    const early = this.#early ?? [];
    this.#early = undefined;
    const later = early.filter((event) => {
      const since =
        'instrument' in event && event.instrument !== undefined ? primed.get(event.instrument) : undefined;
      return since === undefined || event.position > since;
    });
    this.#apply(later);
  }

  stop(): void {
    this.#stop?.();
    this.#listeners.clear();
  }

  onFrame(listener: (frame: FeedFrame) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once the command's events have been handed to everybody who listens here. */
  async reached(position: bigint): Promise<void> {
    if (position <= this.#position || this.#fault !== undefined) return;
    await new Promise<void>((resolve) => this.#waiting.push({ position, resolve }));
  }

  /** Collects an account's own events into frames until the returned function is called. */
  watch(account: string): () => void {
    this.#watched.set(account, (this.#watched.get(account) ?? 0) + 1);
    return () => {
      const left = (this.#watched.get(account) ?? 1) - 1;
      if (left > 0) this.#watched.set(account, left);
      else this.#watched.delete(account);
    };
  }

  has(instrument: string): boolean {
    return this.#markets.has(instrument);
  }

  /** The latest trades, newest first. */
  trades(instrument: string, count: number): PublicTrade[] {
    return this.#markets.get(instrument)?.trades.slice(-count).reverse() ?? [];
  }

  /** The whole book as of its last delta. */
  book(instrument: string): Omit<BookDelta, 'previous'> | undefined {
    const market = this.#markets.get(instrument);
    if (market === undefined) return undefined;
    const rows = (side: Side): LevelRow[] => market.book.levels(side).map((level) => row(market, level));
    return { instrument, position: market.position, bids: rows('buy'), asks: rows('sell') };
  }

  /** The best `count` levels of either side, best first. */
  depth(instrument: string, count: number): { readonly bids: LevelRow[]; readonly asks: LevelRow[] } {
    const market = this.#markets.get(instrument);
    if (market === undefined) return { bids: [], asks: [] };
    const rows = (side: Side): LevelRow[] =>
      market.book.levels(side, count).map((level) => row(market, level));
    return { bids: rows('buy'), asks: rows('sell') };
  }

  /** Of the book's last delta; 0 for an instrument that is not known. */
  bookPosition(instrument: string): bigint {
    return this.#markets.get(instrument)?.position ?? 0n;
  }

  ticker(instrument: string): Ticker | undefined {
    const market = this.#markets.get(instrument);
    if (market === undefined) return undefined;
    const bid = market.book.best('buy');
    const ask = market.book.best('sell');
    return {
      instrument,
      position: this.#position,
      bid: bid === undefined ? null : market.book.ticks.toText(bid.price),
      bidQuantity: bid === undefined ? null : market.book.lots.toText(bid.quantity),
      ask: ask === undefined ? null : market.book.ticks.toText(ask.price),
      askQuantity: ask === undefined ? null : market.book.lots.toText(ask.quantity),
      last: market.last,
      trades: market.tradeCount,
      volume: market.book.lots.toText(market.volume),
    };
  }

  #define(instrument: string, tickSize: string, lotSize: string, position: bigint): Market {
    const market: Market = {
      book: this.#mirror.define(instrument, tickSize, lotSize),
      position,
      trades: [],
      last: null,
      volume: 0n,
      tradeCount: 0,
      bids: new Map(),
      asks: new Map(),
    };
    this.#markets.set(instrument, market);
    return market;
  }

  #changed(book: InstrumentBook, side: Side, { price, quantity, orders }: MirrorLevel): void {
    const market = this.#markets.get(book.instrument);
    if (market === undefined) return;
    (side === 'buy' ? market.bids : market.asks).set(price, { price, quantity, orders });
    this.#touched.add(market);
  }

  #take(batch: readonly Event[]): void {
    if (this.#early !== undefined) this.#early.push(...batch);
    else this.#apply(batch);
  }

  #apply(batch: readonly Event[]): void {
    if (batch.length === 0 || this.#fault !== undefined) return;
    const end = batch[batch.length - 1];
    try {
      for (const event of batch) this.#event(event);
      if (end === undefined || !end.last) return;
      this.#position = end.position;
      this.#publish(end.position);
    } catch (error) {
      this.#fault = error;
      // Nobody is left waiting for a frame that does not come.
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    }
  }

  #release(position: bigint): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((one) => one.position > position);
    for (const one of waiting) if (one.position <= position) one.resolve();
  }

  #event(event: Event): void {
    const counts = this.counts;
    counts.events++;
    if (event.last) counts.commands++;
    if (event.event === 'instrument-added') {
      const { instrument, position } = event;
      this.#define(
        instrument,
        this.#exchange.price(instrument, 1),
        this.#exchange.quantity(instrument, 1),
        position,
      );
    } else if (event.event === 'time-advanced') this.#time = event.time;
    else if (event.event === 'trade') this.#trade(event);
    else if (event.event === 'rejected')
      counts.rejects.set(event.code, (counts.rejects.get(event.code) ?? 0) + 1);
    this.#mirror.apply(event);
    if (this.#watched.size === 0) return;
    for (const account of ownersOf(event)) {
      if (!this.#watched.has(account)) continue;
      const seen = this.#own.get(account);
      if (seen === undefined) this.#own.set(account, ownEvents(event, account));
      else seen.push(...ownEvents(event, account));
    }
  }

  #trade(event: Extract<Event, { event: 'trade' }>): void {
    const { position, instrument, tradeId, side, price, quantity } = event;
    this.counts.trades++;
    const market = this.#markets.get(instrument);
    if (market === undefined) return;
    const trade = { position, instrument, tradeId, side, price, quantity, time: this.#time };
    market.trades.push(trade);
    if (market.trades.length > 2 * tradesMax) market.trades.splice(0, tradesMax);
    market.last = price;
    market.tradeCount++;
    market.volume += BigInt(market.book.lots.toUnits(quantity, 'quantity'));
    this.#trades.push(trade);
  }

  #publish(position: bigint): void {
    const books: BookDelta[] = [];
    for (const market of this.#touched) {
      const [bids, asks] = [market.bids, market.asks].map((levels) =>
        [...levels.values()].map((level) => row(market, level)),
      ) as [LevelRow[], LevelRow[]];
      market.bids.clear();
      market.asks.clear();
      books.push({ instrument: market.book.instrument, previous: market.position, position, bids, asks });
      market.position = position;
    }
    this.#touched.clear();
    const [trades, own] = [this.#trades, this.#own];
    this.#trades = [];
    this.#own = new Map();
    for (const listener of this.#listeners) listener({ position, books, trades, own });
    this.#release(position);
  }
}

function row(market: Market, level: MirrorLevel): LevelRow {
  return [market.book.ticks.toText(level.price), market.book.lots.toText(level.quantity), level.orders];
}
