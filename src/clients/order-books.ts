// OrderBooks: every instrument's book, order by order, from ITCH messages alone. No clock, no connection.
//
// Invariants:
// 1. An order stands in exactly one level, levels have at least one order, and a level's quantity is the sum of its orders'.
// 2. The orders of a level stand in the order in which they would trade.
// 3. A message that cannot follow what came before changes nothing and throws FEED_OUT_OF_STEP.
import { FeedError } from '../errors/errors.ts';
import type { ItchMessage, ItchSide } from './itch-codec.ts';

/** An order that rests, as the feed shows it. */
export interface FeedOrder {
  readonly reference: number;
  /** Ticks. */
  readonly price: number;
  /** Lots. */
  readonly quantity: number;
}

export interface FeedLevel {
  readonly price: number;
  readonly quantity: number;
  readonly orders: number;
}

/** Of one level, after a message; quantity 0: the level is gone. */
export interface FeedChange extends FeedLevel {
  readonly symbol: string;
  readonly side: ItchSide;
}

export interface FeedTrade {
  readonly symbol: string;
  readonly price: number;
  readonly quantity: number;
  /** The number of the execution: with it a broken one is named. */
  readonly match: bigint;
  /** Of the order that rested; undefined for an auction. */
  readonly side: ItchSide | undefined;
  /** Nanoseconds since midnight. */
  readonly timeNs: number;
}

export interface OrderBooksListener {
  change?(change: FeedChange): void;
  trade?(trade: FeedTrade): void;
  /** Trading actions: T trading, Q quotation only, P paused, H halted. */
  tradingState?(symbol: string, state: string, reason: string): void;
}

interface Level {
  readonly price: number;
  quantity: number;
  /** A Map remembers in which order things were put in: the queue. */
  readonly orders: Map<number, Order>;
}

interface Order {
  readonly reference: number;
  readonly book: Book;
  readonly side: ItchSide;
  readonly price: number;
  readonly level: Level;
  quantity: number;
}

interface Book {
  readonly symbol: string;
  readonly locate: number;
  tradingState: string;
  /** Ascending: the best stands at the end. */
  readonly buy: Level[];
  /** Descending, likewise. */
  readonly sell: Level[];
}

/** Where a price stands or would stand, best last. */
function placeOf(levels: readonly Level[], side: ItchSide, price: number): number {
  let [low, high] = [0, levels.length];
  // Most of what happens happens near the best price.
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = levels[middle]!.price;
    if (side === 'buy' ? at < price : at > price) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class OrderBooks {
  readonly #books = new Map<number, Book>();
  readonly #bySymbol = new Map<string, Book>();
  readonly #orders = new Map<number, Order>();
  #listener: OrderBooksListener;

  constructor(listener: OrderBooksListener = {}) {
    this.#listener = listener;
  }

  /** Whom to tell from now on. */
  listen(listener: OrderBooksListener): void {
    this.#listener = listener;
  }

  /** Symbols that the directory has named. */
  get symbols(): string[] {
    return [...this.#bySymbol.keys()];
  }

  /** Orders that rest, of all instruments. */
  get orderCount(): number {
    return this.#orders.size;
  }

  has(symbol: string): boolean {
    return this.#bySymbol.has(symbol);
  }

  /** T, Q, P or H; '': the feed has not said. */
  tradingState(symbol: string): string {
    return this.#bySymbol.get(symbol)?.tradingState ?? '';
  }

  /** The instrument's number of the day. */
  locate(symbol: string): number | undefined {
    return this.#bySymbol.get(symbol)?.locate;
  }

  /** The best `count` levels, best first. */
  levels(symbol: string, side: ItchSide, count: number = Number.POSITIVE_INFINITY): FeedLevel[] {
    const levels = this.#bySymbol.get(symbol)?.[side] ?? [];
    const answer: FeedLevel[] = [];
    for (let at = levels.length - 1; at >= 0 && answer.length < count; at--) {
      const { price, quantity, orders } = levels[at]!;
      answer.push({ price, quantity, orders: orders.size });
    }
    return answer;
  }

  /** The orders of a price, in the order in which they would trade; without a price those of the whole side, best first. */
  queue(symbol: string, side: ItchSide, price?: number): FeedOrder[] {
    const levels = this.#bySymbol.get(symbol)?.[side] ?? [];
    const answer: FeedOrder[] = [];
    for (let at = levels.length - 1; at >= 0; at--) {
      const level = levels[at]!;
      if (price !== undefined && level.price !== price) continue;
      for (const { reference, quantity } of level.orders.values())
        answer.push({ reference, price: level.price, quantity });
    }
    return answer;
  }

  apply(message: ItchMessage): void {
    switch (message.type) {
      case 'directory':
        this.#name(message.locate, message.symbol);
        break;
      case 'trading-action':
        this.#tradingAction(message.locate, message.symbol, message.state, message.reason);
        break;
      case 'add': {
        const book = this.#books.get(message.locate) ?? this.#name(message.locate, message.symbol);
        this.#add(book, message.side, message.reference, message.price, message.shares);
        break;
      }
      case 'executed': {
        const order = this.#take(message.reference, message.shares);
        this.#traded(order, order.price, message);
        break;
      }
      case 'executed-with-price': {
        const order = this.#take(message.reference, message.shares);
        // What is not printable is in a cross already.
        if (message.printable) this.#traded(order, message.price, message);
        break;
      }
      case 'cancel':
        this.#take(message.reference, message.shares);
        break;
      case 'delete':
        this.#take(message.reference, undefined);
        break;
      case 'replace': {
        const { book, side } = this.#order(message.reference);
        if (message.newReference !== message.reference) this.#free(message.newReference);
        this.#take(message.reference, undefined);
        this.#add(book, side, message.newReference, message.price, message.shares);
        break;
      }
      case 'trade':
      case 'cross':
        this.#listener.trade?.({
          symbol: message.symbol,
          price: message.price,
          quantity: Number(message.shares),
          match: message.match,
          side: message.type === 'trade' ? message.side : undefined,
          timeNs: message.timeNs,
        });
        break;
      default:
        break;
    }
  }

  #name(locate: number, symbol: string): Book {
    const known = this.#books.get(locate);
    if (known !== undefined) {
      if (known.symbol !== symbol) throw outOfStep(`number ${locate} was ${known.symbol}, and is ${symbol}`);
      return known;
    }
    if (this.#bySymbol.has(symbol)) throw outOfStep(`${symbol} has two numbers`);
    const book: Book = { symbol, locate, tradingState: '', buy: [], sell: [] };
    this.#books.set(locate, book);
    this.#bySymbol.set(symbol, book);
    return book;
  }

  #tradingAction(locate: number, symbol: string, state: string, reason: string): void {
    const book = this.#books.get(locate) ?? this.#name(locate, symbol);
    book.tradingState = state;
    this.#listener.tradingState?.(symbol, state, reason);
  }

  #free(reference: number): void {
    if (this.#orders.has(reference)) throw outOfStep(`order ${reference} is there already`);
  }

  #order(reference: number): Order {
    const order = this.#orders.get(reference);
    if (order === undefined) throw outOfStep(`there is no order ${reference}`);
    return order;
  }

  #add(book: Book, side: ItchSide, reference: number, price: number, quantity: number): void {
    this.#free(reference);
    if (quantity === 0) throw outOfStep(`order ${reference} of nothing`);
    const levels = book[side];
    const place = placeOf(levels, side, price);
    let level = levels[place];
    if (level === undefined || level.price !== price) {
      level = { price, quantity: 0, orders: new Map() };
      levels.splice(place, 0, level);
    }
    const order = { reference, book, side, price, level, quantity };
    level.orders.set(reference, order);
    level.quantity += quantity;
    this.#orders.set(reference, order);
    this.#changed(book, side, level);
  }

  /** So much of the order, or all of it, is gone. */
  #take(reference: number, quantity: number | undefined): Order {
    const order = this.#order(reference);
    const taken = quantity ?? order.quantity;
    if (taken > order.quantity) throw outOfStep(`order ${reference} has ${order.quantity}, not ${taken}`);
    const { level, book, side } = order;
    order.quantity -= taken;
    level.quantity -= taken;
    if (order.quantity === 0) {
      this.#orders.delete(reference);
      level.orders.delete(reference);
      if (level.orders.size === 0) book[side].splice(placeOf(book[side], side, level.price), 1);
    }
    this.#changed(book, side, level);
    return order;
  }

  #changed(book: Book, side: ItchSide, { price, quantity, orders }: Level): void {
    this.#listener.change?.({ symbol: book.symbol, side, price, quantity, orders: orders.size });
  }

  #traded(
    { book, side }: Order,
    price: number,
    { shares, match, timeNs }: { shares: number; match: bigint; timeNs: number },
  ): void {
    this.#listener.trade?.({ symbol: book.symbol, price, quantity: shares, match, side, timeNs });
  }
}

function outOfStep(what: string): FeedError {
  return new FeedError('FEED_OUT_OF_STEP', `a message that cannot follow what came before: ${what}`);
}
