import { expect, test } from 'vitest';
import type { Event } from '../../src/api/types.ts';
import { outcomeOf, ownEvents, ownersOf } from '../../src/edges/private-view.ts';

const order = {
  account: 'a',
  instrument: 'A-B',
  orderId: 9n,
  id: 'x',
  side: 'buy',
  type: 'limit',
  price: '5',
} as const;
const accepted: Event = {
  event: 'accepted',
  position: 9n,
  last: false,
  quantity: '3',
  visible: '0',
  booked: false,
  ...order,
};

function trade(more: Partial<Extract<Event, { event: 'trade' }>>): Event {
  const maker = { maker: 'm', makerAccount: 'b', makerOrderId: 4n, makerLeft: '7', makerFee: '-1' };
  const taker = { taker: 'x', takerAccount: 'a', takerOrderId: 9n, takerLeft: '2', takerFee: '2' };
  return {
    event: 'trade',
    position: 9n,
    last: false,
    instrument: 'A-B',
    tradeId: 1,
    side: 'buy',
    price: '5',
    quantity: '1',
    ...maker,
    ...taker,
    ...more,
  };
}

test('of a trade everybody sees their own side', () => {
  expect(ownEvents(trade({}), 'a')).toEqual([
    {
      event: 'trade',
      position: 9n,
      instrument: 'A-B',
      tradeId: 1,
      role: 'taker',
      side: 'buy',
      price: '5',
      quantity: '1',
      id: 'x',
      orderId: 9n,
      left: '2',
      fee: '2',
    },
  ]);
  expect(ownEvents(trade({}), 'b')).toMatchObject([
    { role: 'maker', side: 'sell', id: 'm', orderId: 4n, left: '7', fee: '-1' },
  ]);
  expect(ownEvents(trade({}), 'c')).toEqual([]);
  expect(ownEvents(trade({ makerAccount: 'a' }), 'a')).toHaveLength(2);
  expect(ownersOf(trade({ makerAccount: 'a' }))).toEqual(['a']);
  expect(ownersOf(trade({}))).toEqual(['a', 'b']);
  expect(ownersOf({ event: 'day-ended', position: 1n, last: true, count: 0 })).toEqual([]);
});

test('an outcome adds up what the command did to the order', () => {
  const filledLater = [
    accepted,
    trade({}),
    trade({ quantity: '0.5', takerLeft: '1.5' }),
    { event: 'booked', position: 9n, last: true, open: '1.5', visible: '1.5', ...order },
  ] as Event[];
  expect(outcomeOf(filledLater, 'a', 'x')).toMatchObject({
    orderId: 9n,
    status: 'open',
    open: '1.5',
    filled: '1.5',
  });
  const whole = [accepted, trade({ quantity: '3', takerLeft: '0' })] as Event[];
  expect(outcomeOf(whole, 'a', 'x')).toMatchObject({ status: 'filled', open: '0', filled: '3' });
  const rest = [
    accepted,
    trade({}),
    { event: 'cancelled', cause: 'immediate', position: 9n, last: true, quantity: '2', ...order },
  ] as Event[];
  expect(outcomeOf(rest, 'a', 'x')).toMatchObject({ status: 'cancelled', open: '0', filled: '1' });
});

test('a stop that the order has triggered may meet what is left of it', () => {
  const events = [
    accepted,
    trade({}),
    { event: 'booked', position: 9n, last: false, open: '2', visible: '2', ...order },
    {
      event: 'triggered',
      position: 9n,
      last: false,
      open: '2',
      visible: '0',
      booked: false,
      ...order,
      account: 'c',
      orderId: 3n,
      id: 'stop',
      side: 'sell',
    },
    trade({
      side: 'sell',
      quantity: '2',
      maker: 'x',
      makerAccount: 'a',
      makerOrderId: 9n,
      makerLeft: '0',
      taker: 'stop',
      takerAccount: 'c',
      takerOrderId: 3n,
      takerLeft: '0',
    }),
  ] as Event[];
  const outcome = outcomeOf(events, 'a', 'x');
  expect(outcome).toMatchObject({ status: 'filled', open: '0', filled: '3' });
  expect(outcome.events.map(({ event }) => event)).toEqual(['accepted', 'trade', 'booked', 'trade']);
  expect(
    JSON.stringify(outcome, (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
  ).not.toContain('stop');
});

test('a first answer that is given again says so, and no more', () => {
  const again: Event = { ...accepted, last: true, duplicate: true };
  expect(outcomeOf([again], 'a', 'x')).toMatchObject({ status: 'unchanged', orderId: 9n });
  expect(outcomeOf([again], 'a', 'x')).not.toHaveProperty('open');
});
