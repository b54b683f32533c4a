// Event cells as events, and the fees in them.
import { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventDecoder, feeText } from '../../src/api/event-decoder.ts';
import { parseExact } from '../../src/api/exact-json.ts';
import { Registry } from '../../src/api/registry.ts';
import type { Event } from '../../src/api/types.ts';
import { Cells } from '../../src/wire/cells.ts';
import { EventReader } from '../../src/wire/event-reader.ts';
import { idToBytes } from '../../src/wire/ids.ts';
import { eventOffsets as at, eventNames } from '../../src/wire/layout.ts';

const registry = new Registry();
registry.addAsset(1, 'BTC', 8);
registry.addAsset(2, 'USD', 18);
const terms = {
  priceMin: 1n,
  priceMax: 2n,
  quantityMin: 1n,
  quantityMax: 2n,
  makerFee: 0,
  takerFee: 0,
  collar: 0,
};
// A tick of 0.01, a lot of 0.0001.
registry.addInstrument({
  id: 1,
  name: 'BTC-USD',
  base: 1,
  quote: 2,
  lotBase: 10_000n,
  lotQuote: 1_000_000_000_000n,
  terms,
});
registry.addAccount(1, 'alice');
registry.addAccount(2, 'bob');
const decoder = new EventDecoder(registry);

type Fields = Partial<Record<keyof typeof at, number | bigint | string>>;
const bytes: Record<string, number> = {
  type: 1,
  flags: 1,
  side: 1,
  kind: 1,
  code: 2,
  account: 4,
  instrument: 4,
  account2: 4,
  fee: 4,
  fee2: 4,
  tradeId: 4,
};

function decode(name: (typeof eventNames)[number], fields: Fields): Event {
  const cells = Cells.allocate(1);
  const view = new DataView(cells.buffer);
  view.setUint8(0, eventNames.indexOf(name));
  view.setBigUint64(at.position, 9n, true);
  for (const [field, value] of Object.entries(fields) as [keyof typeof at, number | bigint | string][]) {
    const offset = at[field];
    if (typeof value === 'string') cells.u8.set(idToBytes(value), offset);
    else if (field === 'amount') cells.writeInt128(offset, value, field);
    else if (bytes[field] === 1) view.setUint8(offset, Number(value));
    else if (bytes[field] === 2) view.setUint16(offset, Number(value), true);
    else if (bytes[field] === 4) view.setInt32(offset, Number(value), true);
    else view.setBigInt64(offset, BigInt(value), true);
  }
  return decoder.decode(new EventReader(cells), 0);
}

const order = { account: 1, instrument: 1, orderId: 7n, id: 'c1', side: 2, kind: 1, price: 12_345 } as const;
const head = { position: 9n, last: true };
const seen = {
  ...head,
  account: 'alice',
  instrument: 'BTC-USD',
  orderId: 7n,
  id: 'c1',
  side: 'sell',
  type: 'limit',
  price: '123.45',
};

test.each<[string, (typeof eventNames)[number], Fields, object]>([
  [
    'accepted',
    'accepted',
    { ...order, flags: 1 | 4 | 8, quantity: 15_000, leaves2: 5_000 },
    { event: 'accepted', ...seen, quantity: '1.5', visible: '0.5', booked: true, repriced: true },
  ],
  [
    'a stop accepted',
    'accepted',
    { ...order, kind: 4, flags: 1 | 64, quantity: 10_000 },
    {
      event: 'accepted',
      ...seen,
      type: 'stop-limit',
      quantity: '1',
      visible: '0',
      booked: false,
      stop: true,
    },
  ],
  [
    'the first answer again',
    'accepted',
    { ...order, price: 0, flags: 1 | 2 },
    { event: 'accepted', ...seen, price: '0', quantity: '0', visible: '0', booked: false, duplicate: true },
  ],
  [
    'trade',
    'trade',
    {
      side: 1,
      kind: 1,
      account: 1,
      orderId: 8n,
      id: 'taker',
      leaves: 1,
      account2: 2,
      orderId2: 7n,
      id2: 'maker',
      leaves2: 0,
      instrument: 1,
      price: 12_345,
      quantity: 10_000,
      tradeId: 3,
      fee: 250,
      fee2: -100,
    },
    {
      event: 'trade',
      position: 9n,
      last: false,
      instrument: 'BTC-USD',
      tradeId: 3,
      side: 'buy',
      price: '123.45',
      quantity: '1',
      maker: 'maker',
      makerAccount: 'bob',
      makerOrderId: 7n,
      makerLeft: '0',
      makerFee: '-0.012345',
      taker: 'taker',
      takerAccount: 'alice',
      takerOrderId: 8n,
      takerLeft: '0.0001',
      takerFee: '0.0308625',
    },
  ],
  [
    'booked',
    'booked',
    { ...order, flags: 1 | 16, quantity: 1, leaves: 10_000, leaves2: 2_000 },
    { event: 'booked', ...seen, open: '1', visible: '0.2', reload: true },
  ],
  [
    'triggered',
    'triggered',
    { ...order, flags: 1 | 4, leaves: 10_000, leaves2: 10_000 },
    { event: 'triggered', ...seen, open: '1', visible: '1', booked: true },
  ],
  [
    'cancelled',
    'cancelled',
    { ...order, flags: 1, code: 5, quantity: 10_000 },
    { event: 'cancelled', ...seen, cause: 'self-trade', quantity: '1' },
  ],
  [
    'reduced',
    'reduced',
    { ...order, flags: 1, code: 1, quantity: 1, leaves: 10_000, leaves2: 9_999 },
    { event: 'reduced', ...seen, cause: 'requested', quantity: '0.0001', open: '1', visible: '0.9999' },
  ],
  [
    'replaced',
    'replaced',
    { ...order, flags: 1 | 4 | 32, id2: 'c2', leaves: 10_000, leaves2: 10_000 },
    { event: 'replaced', ...seen, newId: 'c2', open: '1', visible: '1', booked: true, keptPriority: true },
  ],
  [
    'replaced again',
    'replaced',
    { account: 1, id: 'c1', id2: 'c2', orderId: 7n, flags: 1 | 2 },
    {
      event: 'replaced-again',
      ...head,
      account: 'alice',
      id: 'c1',
      newId: 'c2',
      orderId: 7n,
      duplicate: true,
    },
  ],
  [
    'a rejected order',
    'rejected',
    { flags: 1, kind: 1, code: 34, account: 1, instrument: 1, id: 'c1' },
    {
      event: 'rejected',
      ...head,
      code: 'INSUFFICIENT_FUNDS',
      op: 'new',
      account: 'alice',
      instrument: 'BTC-USD',
      id: 'c1',
    },
  ],
  [
    'a rejected withdrawal',
    'rejected',
    { flags: 1, kind: 8, code: 34, account: 1, instrument: 2, id: 't1' },
    {
      event: 'rejected',
      ...head,
      code: 'INSUFFICIENT_FUNDS',
      op: 'withdraw',
      account: 'alice',
      asset: 'USD',
      id: 't1',
    },
  ],
  [
    'a rejected command of a stranger',
    'rejected',
    { flags: 1, kind: 200, code: 1, account: 77, instrument: 5 },
    { event: 'rejected', ...head, code: 'UNKNOWN_COMMAND', op: 'unknown', instrument: '#5' },
  ],
  [
    'a rejected name',
    'rejected',
    { flags: 1, kind: 10, code: 46, id: 'BTC' },
    { event: 'rejected', ...head, code: 'NAME_EXISTS', op: 'add-asset', id: 'BTC' },
  ],
  [
    'mass-cancelled',
    'mass-cancelled',
    { flags: 1, quantity: 12 },
    { event: 'mass-cancelled', ...head, account: 'VENUE', count: 12 },
  ],
  [
    'mass-cancelled, in part',
    'mass-cancelled',
    { flags: 1, account: 1, instrument: 1, side: 2 },
    { event: 'mass-cancelled', ...head, account: 'alice', instrument: 'BTC-USD', side: 'sell', count: 0 },
  ],
  [
    'kill switch',
    'kill-switch-set',
    { flags: 1, account: 2, side: 1, quantity: 3 },
    { event: 'kill-switch-set', ...head, account: 'bob', on: true, count: 3 },
  ],
  [
    'a withdrawal',
    'balance-changed',
    { flags: 1, account: 1, instrument: 1, id: 't1', kind: 8, price: -5n, quantity: -1n, amount: 1n << 100n },
    {
      event: 'balance-changed',
      ...head,
      account: 'alice',
      asset: 'BTC',
      id: 't1',
      op: 'withdraw',
      change: '-0.00000005',
      total: '12676506002282294014967.03205376',
    },
  ],
  [
    'a transfer',
    'balance-changed',
    { flags: 0, account: 1, instrument: 2, id: 't1', kind: 9, account2: 2 },
    {
      event: 'balance-changed',
      ...head,
      last: false,
      account: 'alice',
      asset: 'USD',
      id: 't1',
      op: 'transfer',
      change: '0',
      total: '0',
      other: 'bob',
    },
  ],
  [
    'asset',
    'asset-added',
    { flags: 1, instrument: 3, id: 'ETH' },
    { event: 'asset-added', ...head, asset: 'ETH' },
  ],
  [
    'instrument',
    'instrument-added',
    { flags: 1, id: 'E-U' },
    { event: 'instrument-added', ...head, instrument: 'E-U' },
  ],
  [
    'terms',
    'instrument-changed',
    { flags: 1, instrument: 1 },
    { event: 'instrument-changed', ...head, instrument: 'BTC-USD' },
  ],
  [
    'state',
    'trading-state-set',
    { flags: 1, instrument: 1, kind: 2 },
    { event: 'trading-state-set', ...head, instrument: 'BTC-USD', state: 'cancel-only' },
  ],
  [
    'account',
    'account-added',
    { flags: 1, account: 3, account2: 1, id: 'carol' },
    { event: 'account-added', ...head, account: 'carol', parent: 'alice' },
  ],
  ['rights', 'rights-set', { flags: 1, account: 1 }, { event: 'rights-set', ...head, account: 'alice' }],
  ['limit', 'limit-set', { flags: 1, account: 1 }, { event: 'limit-set', ...head, account: 'alice' }],
  [
    'instrument right',
    'instrument-right-set',
    { flags: 1, account: 1, instrument: 1 },
    { event: 'instrument-right-set', ...head, account: 'alice', instrument: 'BTC-USD' },
  ],
  [
    'time',
    'time-advanced',
    { flags: 1, orderId: 5n, quantity: 2 },
    { event: 'time-advanced', ...head, time: 5n, expired: 2 },
  ],
  ['day', 'day-ended', { flags: 1, quantity: 4 }, { event: 'day-ended', ...head, count: 4 }],
])('%s', (_, name, fields, expected) => {
  expect(decode(name, fields)).toEqual(expected);
});

describe('fees', () => {
  test('are millionths truncated toward zero, whatever the size', () => {
    const Exact = Decimal.clone({
      precision: 200,
      toExpNeg: -100,
      toExpPos: 100,
      rounding: Decimal.ROUND_DOWN,
    });
    const instrument = registry.instrument('BTC-USD');
    const count = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 2 ** 50 }));
    fc.assert(
      fc.property(
        count,
        count,
        fc.integer({ min: -1_000_000, max: 1_000_000 }),
        fc.constantFrom(1n, 7n, 10n ** 12n),
        (price, quantity, fee, lotQuote) => {
          const expected = new Exact(price)
            .mul(quantity)
            .mul(lotQuote.toString())
            .mul(fee)
            .div(1_000_000)
            .trunc()
            .div('1e18');
          const text = feeText({ ...instrument, lotQuote }, price, quantity, fee);
          expect(text).toBe(expected.isZero() ? '0' : expected.toFixed());
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('the engine’s JSON', () => {
  test('loses no integer', () => {
    const text =
      '{"a":1234567890123456789,"b":-1234567890123456789,"c":12,"d":"x\\"1234567890123456789","e":[9007199254740993]}';
    expect(parseExact(text)).toEqual({
      a: '1234567890123456789',
      b: '-1234567890123456789',
      c: 12,
      d: 'x"1234567890123456789',
      e: ['9007199254740993'],
    });
  });
});
