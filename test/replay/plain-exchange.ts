// A plain price-time model that stands in for an Exchange: what the replay's own tests run on, and the yardstick for the Bitstamp day.
import type { Event, OfferResult, OrderType, Request, Side } from '../../src/api/types.ts';
import { Scale } from '../../src/decimal/scale.ts';
import { VerbexError } from '../../src/errors/errors.ts';
import type { ReplayExchange } from '../../src/replay/replay.ts';

interface Order {
  readonly orderId: bigint;
  readonly account: string;
  readonly instrument: string;
  readonly side: Side;
  id: string;
  price: number;
  open: number;
}
interface Book {
  readonly ticks: Scale;
  readonly lots: Scale;
  readonly orders: Record<Side, Order[]>;
}

/** Distributes over the members of the union. */
type WithoutHead<E> = E extends Event ? Omit<E, 'position' | 'last'> : never;

export class PlainExchange implements ReplayExchange {
  /** Every command taken: the "state hash" is their digest. */
  readonly taken: Request[] = [];
  /** At most so many are taken by one offer, so that back-pressure is met. */
  readonly #room: number;
  readonly #books = new Map<string, Book>();
  readonly #accounts = new Set<string>();
  readonly #orders = new Map<string, Order | 'closed'>();
  readonly #listeners: ((batch: readonly Event[]) => void)[] = [];
  #pending: Event[] = [];
  #command: WithoutHead<Event>[] = [];
  #trades = 0;

  constructor(options: { room?: number; before?: readonly Request[] } = {}) {
    this.#room = options.room ?? 300;
    for (const request of options.before ?? []) this.#take(request);
    this.#pending = [];
  }

  offer(batch: readonly Request[]): OfferResult {
    for (const [index, request] of batch.entries()) this.#check(request, index);
    const part = batch.slice(0, this.#room);
    for (const request of part) this.#take(request);
    setImmediate(() => this.#publish());
    return { accepted: part.length };
  }

  onEvents(listener: (batch: readonly Event[]) => void): void {
    this.#listeners.push(listener);
  }

  stats(): { position: bigint } {
    return { position: BigInt(this.taken.length) };
  }

  stateHash(): Promise<{ position: bigint; stateHash: string }> {
    const text = JSON.stringify(this.taken, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
    let hash = 0;
    for (let at = 0; at < text.length; at += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
    return Promise.resolve({ ...this.stats(), stateHash: (hash >>> 0).toString(16).padStart(32, '0') });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #publish(): void {
    const events = this.#pending;
    this.#pending = [];
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }

  #check(request: Request, index: number): void {
    const fail = (code: string): never => {
      const error = new VerbexError(code, `${request.op} is wrong`);
      error.index = index;
      throw error;
    };
    if (
      'account' in request &&
      request.op !== 'add-account' &&
      request.account !== undefined &&
      !this.#accounts.has(request.account)
    ) {
      fail('UNKNOWN_ACCOUNT_NAME');
    }
    if (request.op === 'new' || request.op === 'replace' || request.op === 'reduce') {
      const book = this.#books.get(request.instrument) ?? fail('UNKNOWN_INSTRUMENT_NAME');
      try {
        if ('price' in request && request.price !== undefined) book.ticks.toUnits(request.price, 'price');
        book.lots.toUnits(request.op === 'reduce' ? request.by : request.quantity, 'quantity');
      } catch (error) {
        fail((error as VerbexError).code);
      }
    }
  }

  #take(request: Request): void {
    this.taken.push(request);
    this.#command = [];
    this.#apply(request);
    if (this.#command.length === 0) this.#command.push({ event: 'day-ended', count: 0 });
    const position = BigInt(this.taken.length);
    const lastAt = this.#command.length - 1;
    for (const [at, event] of this.#command.entries())
      this.#pending.push({ position, last: at === lastAt, ...event } as Event);
  }

  #apply(request: Request): void {
    switch (request.op) {
      case 'add-instrument': {
        const { instrument, tickSize, lotSize } = request;
        this.#books.set(instrument, {
          ticks: Scale.ofText(tickSize),
          lots: Scale.ofText(lotSize),
          orders: { buy: [], sell: [] },
        });
        this.#command.push({ event: 'instrument-added', instrument });
        return;
      }
      case 'add-account':
        this.#accounts.add(request.account);
        this.#command.push({
          event: 'account-added',
          account: request.account,
          parent: request.parent ?? 'VENUE',
        });
        return;
      case 'new': {
        const book = this.#books.get(request.instrument)!;
        const { account, instrument, id, side } = request;
        if (this.#orders.has(`${account} ${id}`)) {
          this.#reject(request, 'DUPLICATE_CLIENT_ORDER_ID');
          return;
        }
        const order: Order = {
          orderId: BigInt(this.taken.length),
          account,
          instrument,
          id,
          side,
          price: Number(book.ticks.toUnits(request.price ?? '1', 'price')),
          open: Number(book.lots.toUnits(request.quantity, 'quantity')),
        };
        const quantity = book.lots.toText(order.open);
        const booked = request.tif !== 'ioc' && !this.#crosses(book, order);
        this.#command.push({
          event: 'accepted',
          ...this.#fields(order, book),
          quantity,
          booked,
          visible: booked ? quantity : '0',
        });
        this.#match(book, order, booked, request.tif === 'ioc');
        return;
      }
      case 'cancel': {
        const order = this.#orders.get(`${request.account} ${request.id}`);
        if (order === undefined) {
          this.#reject(request, 'UNKNOWN_ORDER');
          return;
        }
        if (order === 'closed') {
          this.#reject(request, 'ORDER_CLOSED');
          return;
        }
        this.#cancel(order);
        return;
      }
      case 'reduce': {
        const order = this.#orders.get(`${request.account} ${request.id}`);
        if (order === undefined) {
          this.#reject(request, 'UNKNOWN_ORDER');
          return;
        }
        if (order === 'closed') {
          this.#reject(request, 'ORDER_CLOSED');
          return;
        }
        const book = this.#books.get(order.instrument)!;
        const by = Number(book.lots.toUnits(request.by, 'by'));
        if (by >= order.open) {
          this.#cancel(order);
          return;
        }
        order.open -= by;
        const open = book.lots.toText(order.open);
        this.#command.push({
          event: 'reduced',
          ...this.#fields(order, book),
          cause: 'requested',
          quantity: book.lots.toText(by),
          open,
          visible: open,
        });
        return;
      }
      case 'replace': {
        const order = this.#orders.get(`${request.account} ${request.id}`);
        if (order === undefined) {
          this.#reject(request, 'UNKNOWN_ORDER');
          return;
        }
        if (order === 'closed') {
          this.#reject(request, 'ORDER_CLOSED');
          return;
        }
        const book = this.#books.get(order.instrument)!;
        this.#leave(order, book);
        if (request.newId !== undefined) {
          this.#orders.set(`${order.account} ${order.id}`, 'closed');
          order.id = request.newId;
        }
        order.price = Number(book.ticks.toUnits(request.price ?? book.ticks.toText(order.price), 'price'));
        order.open = Number(book.lots.toUnits(request.quantity, 'quantity'));
        const open = book.lots.toText(order.open);
        const booked = !this.#crosses(book, order);
        this.#command.push({
          event: 'replaced',
          ...this.#fields(order, book),
          id: request.id,
          newId: order.id,
          open,
          visible: booked ? open : '0',
          booked,
        });
        this.#match(book, order, booked, false);
        return;
      }
      default:
        return;
    }
  }

  #reject(request: Request, code: string): void {
    const { account, id } = request as { account: string; id: string };
    this.#command.push({ event: 'rejected', code, op: request.op, account, id });
  }

  #fields(
    order: Order,
    book: Book,
  ): {
    account: string;
    instrument: string;
    orderId: bigint;
    id: string;
    side: Side;
    type: OrderType;
    price: string;
  } {
    const { account, instrument, orderId, id, side } = order;
    return { account, instrument, orderId, id, side, type: 'limit', price: book.ticks.toText(order.price) };
  }

  #crosses(book: Book, order: Order): boolean {
    const best = book.orders[order.side === 'buy' ? 'sell' : 'buy'][0];
    return (
      best !== undefined && (order.side === 'buy' ? best.price <= order.price : best.price >= order.price)
    );
  }

  #match(book: Book, taker: Order, rests: boolean, immediate: boolean): void {
    const { lots, ticks } = book;
    const makers = book.orders[taker.side === 'buy' ? 'sell' : 'buy'];
    const key = (order: Order): string => `${order.account} ${order.id}`;
    while (!rests && taker.open > 0 && this.#crosses(book, taker)) {
      const maker = makers[0]!;
      const quantity = Math.min(taker.open, maker.open);
      taker.open -= quantity;
      maker.open -= quantity;
      this.#trades += 1;
      this.#command.push({
        event: 'trade',
        instrument: taker.instrument,
        tradeId: this.#trades,
        side: taker.side,
        price: ticks.toText(maker.price),
        quantity: lots.toText(quantity),
        maker: maker.id,
        makerAccount: maker.account,
        makerOrderId: maker.orderId,
        makerLeft: lots.toText(maker.open),
        makerFee: '0',
        taker: taker.id,
        takerAccount: taker.account,
        takerOrderId: taker.orderId,
        takerLeft: lots.toText(taker.open),
        takerFee: '0',
      });
      if (maker.open === 0) {
        makers.shift();
        this.#orders.set(key(maker), 'closed');
      }
    }
    this.#orders.set(key(taker), taker.open === 0 ? 'closed' : taker);
    if (taker.open === 0) return;
    const open = lots.toText(taker.open);
    if (immediate) {
      this.#orders.set(key(taker), 'closed');
      this.#command.push({
        event: 'cancelled',
        ...this.#fields(taker, book),
        cause: 'immediate',
        quantity: open,
      });
      return;
    }
    if (!rests) this.#command.push({ event: 'booked', ...this.#fields(taker, book), open, visible: open });
    const queue = book.orders[taker.side];
    const worse = (other: Order): boolean =>
      taker.side === 'buy' ? other.price < taker.price : other.price > taker.price;
    const at = queue.findIndex(worse);
    queue.splice(at < 0 ? queue.length : at, 0, taker);
  }

  #cancel(order: Order): void {
    const book = this.#books.get(order.instrument)!;
    this.#leave(order, book);
    this.#orders.set(`${order.account} ${order.id}`, 'closed');
    this.#command.push({
      event: 'cancelled',
      ...this.#fields(order, book),
      cause: 'requested',
      quantity: book.lots.toText(order.open),
    });
  }

  #leave(order: Order, book: Book): void {
    const queue = book.orders[order.side];
    queue.splice(queue.indexOf(order), 1);
  }
}
