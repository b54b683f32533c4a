/**
 * The visible book of one or more instruments, rebuilt from events alone (docs/rules.md, section 10): what any
 * consumer of the event stream can know. Edges take their deltas from it, the replay its best prices.
 *
 * Requires: events in the order of their positions, from the first one on (or from a moment when the books were
 * empty), each exactly once. Duplicates' answers change nothing and are skipped.
 *
 * Invariants:
 * 1. A level exists exactly as long as an order shows on it; its quantity is the sum of what they show.
 * 2. `bids` ascend and `asks` descend by price, so that the best stands at the end of either.
 */
import type { Event, Side } from '../api/types.ts';
import { Scale } from '../decimal/scale.ts';
import { VerbexError } from '../errors/errors.ts';

/** The mirror was fed something that no core writes, out of order, or before its instrument was defined. */
export class MirrorError extends VerbexError {}

export interface MirrorLevel {
  /** Ticks. */
  readonly price: number;
  /** Visible lots. */
  readonly quantity: bigint;
  readonly orders: number;
}
interface Level {
  price: number;
  quantity: bigint;
  orders: number;
}
interface Resting {
  side: Side;
  price: number;
  visible: number;
}

/** Told after each change of a level; a level that is gone has quantity 0. */
export type LevelListener = (book: InstrumentBook, side: Side, level: MirrorLevel) => void;

/** One instrument's visible book. */
export class InstrumentBook {
  readonly instrument: string;
  readonly ticks: Scale;
  readonly lots: Scale;
  readonly #orders = new Map<bigint, Resting>();
  readonly #bids: Level[] = [];
  readonly #asks: Level[] = [];

  constructor(instrument: string, tickSize: string, lotSize: string) {
    this.instrument = instrument;
    this.ticks = Scale.ofText(tickSize, 'tickSize');
    this.lots = Scale.ofText(lotSize, 'lotSize');
  }

  /** The core allows at most 2^53 ticks and lots, so that a `number` holds either. */
  ticksOf(text: string): number {
    return Number(this.ticks.toUnits(text, 'price'));
  }

  lotsOf(text: string): number {
    return Number(this.lots.toUnits(text, 'quantity'));
  }

  best(side: Side): MirrorLevel | undefined {
    return this.#side(side).at(-1);
  }

  /** At most `count` levels, best first. */
  levels(side: Side, count: number = Number.POSITIVE_INFINITY): MirrorLevel[] {
    const levels = this.#side(side);
    const found: MirrorLevel[] = [];
    for (let at = levels.length - 1; at >= 0 && found.length < count; at -= 1) {
      const { price, quantity, orders } = levels[at]!;
      found.push({ price, quantity, orders });
    }
    return found;
  }

  /** How many orders show. */
  get orders(): number {
    return this.#orders.size;
  }

  add(orderId: bigint, side: Side, price: number, visible: number, tell: LevelListener | undefined): void {
    this.#orders.set(orderId, { side, price, visible });
    this.#change(side, price, visible, 1, tell);
  }

  remove(orderId: bigint, tell: LevelListener | undefined): void {
    const order = this.#orders.get(orderId);
    if (order === undefined) return; // A waiting stop, or a taker that never rested.
    this.#orders.delete(orderId);
    this.#change(order.side, order.price, -order.visible, -1, tell);
  }

  /** The order keeps its place and shows this much. */
  show(orderId: bigint, visible: number, tell: LevelListener | undefined): void {
    const order = this.#orders.get(orderId);
    if (order === undefined) return;
    const by = visible - order.visible;
    order.visible = visible;
    if (by !== 0) this.#change(order.side, order.price, by, 0, tell);
  }

  /** A trade took `quantity` of what the maker shows; one that shows nothing leaves (an iceberg comes back by its reload). */
  take(orderId: bigint, quantity: number, tell: LevelListener | undefined): void {
    const order = this.#orders.get(orderId);
    if (order === undefined || order.visible < quantity) {
      throw new MirrorError(
        'MIRROR_OUT_OF_STEP',
        `maker ${orderId} of ${this.instrument} does not show ${quantity} lots`,
      );
    }
    order.visible -= quantity;
    if (order.visible === 0) this.#orders.delete(orderId);
    this.#change(order.side, order.price, -quantity, order.visible === 0 ? -1 : 0, tell);
  }

  #side(side: Side): Level[] {
    return side === 'buy' ? this.#bids : this.#asks;
  }

  #change(side: Side, price: number, by: number, orders: number, tell: LevelListener | undefined): void {
    const levels = this.#side(side);
    let low = 0;
    let high = levels.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = levels[middle]!.price;
      if (side === 'buy' ? there < price : there > price) low = middle + 1;
      else high = middle;
    }
    let level = levels[low];
    if (level === undefined || level.price !== price) {
      level = { price, quantity: 0n, orders: 0 };
      levels.splice(low, 0, level);
    }
    level.quantity += BigInt(by);
    level.orders += orders;
    if (level.orders === 0) levels.splice(low, 1);
    tell?.(this, side, level);
  }
}

export class BookMirror {
  readonly #books = new Map<string, InstrumentBook>();
  readonly #tell: LevelListener | undefined;

  constructor(tell?: LevelListener) {
    this.#tell = tell;
  }

  /** Tells the steps of an instrument's prices and quantities; events carry them as decimal text only. */
  define(instrument: string, tickSize: string, lotSize: string): InstrumentBook {
    const known = this.#books.get(instrument);
    if (known !== undefined) return known;
    const book = new InstrumentBook(instrument, tickSize, lotSize);
    this.#books.set(instrument, book);
    return book;
  }

  book(instrument: string): InstrumentBook | undefined {
    return this.#books.get(instrument);
  }

  get instruments(): string[] {
    return [...this.#books.keys()];
  }

  /** Answers the book that the event was about, if it can have changed one. */
  apply(event: Event): InstrumentBook | undefined {
    switch (event.event) {
      case 'accepted':
      case 'triggered':
        if (event.duplicate || !event.booked) return undefined;
        return this.#add(event, event.visible);
      case 'booked':
        return this.#add(event, event.visible);
      case 'trade': {
        const book = this.#need(event.instrument);
        book.take(event.makerOrderId, book.lotsOf(event.quantity), this.#tell);
        return book;
      }
      case 'reduced': {
        const book = this.#need(event.instrument);
        book.show(event.orderId, book.lotsOf(event.visible), this.#tell);
        return book;
      }
      case 'cancelled': {
        const book = this.#need(event.instrument);
        book.remove(event.orderId, this.#tell);
        return book;
      }
      case 'replaced': {
        if (event.duplicate) return undefined;
        const book = this.#need(event.instrument);
        if (event.keptPriority) {
          book.show(event.orderId, book.lotsOf(event.visible), this.#tell);
          return book;
        }
        book.remove(event.orderId, this.#tell);
        return event.booked ? this.#add(event, event.visible) : book;
      }
      default:
        return undefined;
    }
  }

  #add(
    event: { instrument: string; orderId: bigint; side: Side; price: string },
    visible: string,
  ): InstrumentBook {
    const book = this.#need(event.instrument);
    book.add(event.orderId, event.side, book.ticksOf(event.price), book.lotsOf(visible), this.#tell);
    return book;
  }

  #need(instrument: string): InstrumentBook {
    const book = this.#books.get(instrument);
    if (book === undefined) {
      throw new MirrorError('MIRROR_UNKNOWN_INSTRUMENT', `the steps of ${instrument} have not been defined`);
    }
    return book;
  }
}
