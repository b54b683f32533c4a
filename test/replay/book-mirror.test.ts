import { describe, expect, test } from 'vitest';
import type { Event, Side } from '../../src/api/types.ts';
import { BookMirror, type InstrumentBook } from '../../src/mirror/book-mirror.ts';

const order = (orderId: bigint, side: Side, price: string) =>
  ({
    position: orderId,
    last: true,
    account: 'a',
    instrument: 'X-Y',
    orderId,
    id: `o${orderId}`,
    side,
    type: 'limit',
    price,
  }) as const;

const accepted = (
  orderId: bigint,
  side: Side,
  price: string,
  quantity: string,
  visible = quantity,
): Event => ({
  ...order(orderId, side, price),
  event: 'accepted',
  quantity,
  visible,
  booked: true,
});

const trade = (makerOrderId: bigint, quantity: string, makerLeft: string): Event => ({
  event: 'trade',
  position: 99n,
  last: false,
  instrument: 'X-Y',
  tradeId: 1,
  side: 'buy',
  price: '10',
  quantity,
  maker: 'm',
  makerAccount: 'a',
  makerOrderId,
  makerLeft,
  makerFee: '0',
  taker: 't',
  takerAccount: 'a',
  takerOrderId: 99n,
  takerLeft: '0',
  takerFee: '0',
});

function bookAfter(...events: Event[]): InstrumentBook {
  const mirror = new BookMirror();
  const book = mirror.define('X-Y', '0.05', '0.001');
  for (const event of events) mirror.apply(event);
  return book;
}

function shown(book: InstrumentBook, side: Side): [string, string, number][] {
  return book
    .levels(side)
    .map(({ price, quantity, orders }) => [book.ticks.toText(price), book.lots.toText(quantity), orders]);
}

describe('book mirror', () => {
  test('levels stand best first on both sides, with what shows and how many', () => {
    const book = bookAfter(
      accepted(1n, 'buy', '9.95', '1'),
      accepted(2n, 'buy', '10', '2'),
      accepted(3n, 'buy', '9.95', '0.5'),
      accepted(4n, 'sell', '11', '3'),
      accepted(5n, 'sell', '10.5', '4', '1'),
    );
    expect(shown(book, 'buy')).toEqual([
      ['10', '2', 1],
      ['9.95', '1.5', 2],
    ]);
    expect(shown(book, 'sell')).toEqual([
      ['10.5', '1', 1],
      ['11', '3', 1],
    ]);
    expect(book.best('buy')?.price).toBe(200);
  });

  test('an iceberg leaves when its clip is gone and comes back by its reload', () => {
    const book = bookAfter(accepted(1n, 'sell', '10', '3', '1'), trade(1n, '1', '2'));
    expect(shown(book, 'sell')).toEqual([]);
    const reload: Event = {
      ...order(1n, 'sell', '10'),
      event: 'booked',
      open: '2',
      visible: '1',
      reload: true,
    };
    const later = bookAfter(
      accepted(1n, 'sell', '10', '3', '1'),
      accepted(2n, 'sell', '10', '5'),
      trade(1n, '1', '2'),
      reload,
    );
    expect(shown(later, 'sell')).toEqual([['10', '6', 2]]);
  });

  test('reduced, replaced and cancelled orders', () => {
    const replaced = (fields: Partial<Extract<Event, { event: 'replaced' }>>): Event => ({
      ...order(1n, 'buy', '10'),
      event: 'replaced',
      newId: 'n',
      open: '4',
      visible: '4',
      booked: true,
      ...fields,
    });
    const first = accepted(1n, 'buy', '10', '5');
    const reduced: Event = {
      ...order(1n, 'buy', '10'),
      event: 'reduced',
      cause: 'requested',
      quantity: '1',
      open: '4',
      visible: '4',
    };
    expect(shown(bookAfter(first, reduced), 'buy')).toEqual([['10', '4', 1]]);
    expect(shown(bookAfter(first, replaced({ keptPriority: true })), 'buy')).toEqual([['10', '4', 1]]);
    expect(shown(bookAfter(first, replaced({ price: '9' })), 'buy')).toEqual([['9', '4', 1]]);
    // It met a maker: it is out of the book until its own booked event.
    expect(shown(bookAfter(first, replaced({ price: '11', booked: false, visible: '0' })), 'buy')).toEqual(
      [],
    );
    const cancelled: Event = {
      ...order(1n, 'buy', '10'),
      event: 'cancelled',
      cause: 'mass-cancel',
      quantity: '5',
    };
    expect(shown(bookAfter(first, cancelled), 'buy')).toEqual([]);
    // A waiting stop or a taker that never rested was not in the book.
    expect(shown(bookAfter(first, { ...cancelled, orderId: 7n }), 'buy')).toEqual([['10', '5', 1]]);
  });

  test('answers given again change nothing', () => {
    const again = { ...accepted(1n, 'buy', '10', '5'), duplicate: true } as Event;
    expect(shown(bookAfter(accepted(1n, 'buy', '10', '5'), again), 'buy')).toEqual([['10', '5', 1]]);
  });

  test('listeners hear each level that changes, and of gone ones that they are empty', () => {
    const heard: [Side, number, bigint][] = [];
    const mirror = new BookMirror((_, side, { price, quantity }) => heard.push([side, price, quantity]));
    mirror.define('X-Y', '1', '1');
    for (const event of [accepted(1n, 'sell', '10', '2'), trade(1n, '1', '1'), trade(1n, '1', '0')])
      mirror.apply(event);
    expect(heard).toEqual([
      ['sell', 10, 2n],
      ['sell', 10, 1n],
      ['sell', 10, 0n],
    ]);
  });

  test('what no core writes is refused', () => {
    const code = (events: Event[]): string => {
      try {
        bookAfter(...events);
        return 'none';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code([trade(5n, '1', '0')])).toBe('MIRROR_OUT_OF_STEP');
    expect(code([{ ...accepted(1n, 'buy', '10', '5'), instrument: 'Z' } as Event])).toBe(
      'MIRROR_UNKNOWN_INSTRUMENT',
    );
  });
});
