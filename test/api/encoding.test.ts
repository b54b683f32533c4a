// Requests as command cells, field by field, and the defaults of instruments.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Additions } from '../../src/api/additions.ts';
import type { VerbexError } from '../../src/api/errors.ts';
import { Registry } from '../../src/api/registry.ts';
import { RequestEncoder } from '../../src/api/request-encoder.ts';
import type { AddInstrument, Request } from '../../src/api/types.ts';
import { Cells } from '../../src/wire/cells.ts';
import { type RawCommand, readCommand } from '../../src/wire/command-reader.ts';

const registry = new Registry();
registry.addAsset(1, 'BTC', 8);
registry.addAsset(2, 'USD', 10);
registry.addAsset(3, 'WEI', 18);
registry.addInstrument({
  id: 1,
  name: 'BTC-USD',
  base: 1,
  quote: 2,
  lotBase: 1n,
  lotQuote: 1n,
  terms: {
    priceMin: 1n,
    priceMax: 1000n,
    quantityMin: 2n,
    quantityMax: 2000n,
    makerFee: -1,
    takerFee: 3,
    collar: 4,
  },
});
registry.addAccount(1, 'firm');
registry.addAccount(2, 'alice');
const encoder = new RequestEncoder(registry, new Additions(registry));

function encode(request: Request, token = 0): RawCommand {
  const cells = Cells.allocate(1);
  cells.u8.fill(0xff);
  encoder.encode(request, cells, 0, token);
  return readCommand(cells, 0);
}

function errorOf(request: object): VerbexError {
  try {
    encode(request as Request);
  } catch (error) {
    return error as VerbexError;
  }
  throw new Error('nothing was thrown');
}

const order = {
  op: 'new',
  account: 'alice',
  instrument: 'BTC-USD',
  id: 'c1',
  side: 'buy',
  quantity: '1',
} as const;
const encoded = { type: 'new', account: 2, instrument: 1, id: 'c1', side: 'buy', quantity: 100_000_000 };

describe('every request as a cell', () => {
  test.each<[string, Request, Record<string, unknown>]>([
    [
      'a limit order',
      { ...order, price: '236.47' },
      { ...encoded, orderType: 'limit', tif: 'gtc', price: 23_647 },
    ],
    [
      'in units',
      { ...order, price: 7n, quantity: 8n },
      { ...encoded, orderType: 'limit', tif: 'gtc', price: 7, quantity: 8 },
    ],
    ['a market order', { ...order, type: 'market' }, { ...encoded, orderType: 'market', tif: 'ioc' }],
    [
      'fill or kill',
      { ...order, type: 'market', tif: 'fok' },
      { ...encoded, orderType: 'market', tif: 'fok' },
    ],
    [
      'a stop',
      { ...order, type: 'stop', stopPrice: '1', tif: 'day' },
      { ...encoded, orderType: 'stop', tif: 'day', flags: 1, stopPrice: 100 },
    ],
    [
      'an iceberg with everything',
      {
        ...order,
        type: 'limit',
        tif: 'gtd',
        price: '1',
        displayQuantity: '0.5',
        minQuantity: '0.25',
        expiry: 1_700_000_000_000,
        selfTrade: 'decrement',
        selfTradeScope: 'firm',
        postOnly: 'reprice',
      },
      {
        ...encoded,
        orderType: 'limit',
        tif: 'gtd',
        price: 100,
        displayQuantity: 50_000_000,
        minQuantity: 25_000_000,
        expiry: 1_700_000_000_000_000_000n,
        selfTrade: 'decrement',
        flags: 1 | 4 | 8,
      },
    ],
    [
      'post only',
      { ...order, price: '1', postOnly: true },
      { ...encoded, orderType: 'limit', tif: 'gtc', price: 100, flags: 2 },
    ],
    [
      'not post only',
      { ...order, price: '1', postOnly: false, selfTrade: 'none', selfTradeScope: 'account' },
      { ...encoded, orderType: 'limit', tif: 'gtc', price: 100 },
    ],
    ['cancel', { op: 'cancel', account: 'alice', id: 'c1' }, { type: 'cancel', account: 2, id: 'c1' }],
    [
      'reduce',
      { op: 'reduce', account: 'alice', id: 'c1', instrument: 'BTC-USD', by: '0.1' },
      { type: 'reduce', account: 2, instrument: 1, id: 'c1', quantity: 10_000_000 },
    ],
    [
      'replace',
      {
        op: 'replace',
        account: 'alice',
        instrument: 'BTC-USD',
        id: 'c1',
        newId: 'c2',
        price: '2',
        quantity: '3',
        stopPrice: '4',
      },
      {
        type: 'replace',
        account: 2,
        instrument: 1,
        id: 'c1',
        flags: 1,
        newId: 'c2',
        price: 200,
        quantity: 300_000_000,
        stopPrice: 400,
      },
    ],
    [
      'replace in place',
      { op: 'replace', account: 'alice', instrument: 'BTC-USD', id: 'c1', quantity: '3' },
      { type: 'replace', account: 2, instrument: 1, id: 'c1', quantity: 300_000_000 },
    ],
    ['mass cancel of everybody', { op: 'mass-cancel' }, { type: 'mass-cancel' }],
    [
      'mass cancel',
      { op: 'mass-cancel', account: 'firm', instrument: 'BTC-USD', side: 'sell' },
      { type: 'mass-cancel', account: 1, instrument: 1, side: 'sell' },
    ],
    ['kill switch on', { op: 'kill-switch', on: true }, { type: 'kill-switch', side: 1 }],
    [
      'kill switch off',
      { op: 'kill-switch', account: 'firm', on: false },
      { type: 'kill-switch', account: 1, side: 2 },
    ],
    [
      'deposit',
      { op: 'deposit', account: 'alice', asset: 'WEI', id: 't1', amount: '123456789012.345678901234567890' },
      { type: 'deposit', account: 2, subject: 3, id: 't1', amount: 123456789012345678901234567890n },
    ],
    [
      'withdraw',
      { op: 'withdraw', account: 'alice', asset: 'BTC', id: 't1', amount: 5n },
      { type: 'withdraw', account: 2, subject: 1, id: 't1', amount: 5n },
    ],
    [
      'transfer',
      { op: 'transfer', account: 'alice', to: 'firm', asset: 'BTC', id: 't1', amount: '1' },
      { type: 'transfer', account: 2, subject: 1, id: 't1', amount: 100_000_000n, toAccount: 1n },
    ],
    [
      'add asset',
      { op: 'add-asset', asset: 'ETH', decimals: 18 },
      { type: 'add-asset', id: 'ETH', kind: 18 },
    ],
    [
      'change instrument',
      { op: 'change-instrument', instrument: 'BTC-USD', maxPrice: '20', takerFee: 9 },
      {
        type: 'change-instrument',
        instrument: 1,
        flags: 1,
        priceMin: 1,
        priceMax: 2_000,
        quantityMin: 2,
        quantityMax: 2_000,
        makerFee: -1,
        takerFee: 9,
        collar: 4,
      },
    ],
    [
      'trading state',
      { op: 'set-trading-state', instrument: 'BTC-USD', state: 'halted' },
      { type: 'set-trading-state', instrument: 1, kind: 3 },
    ],
    ['add firm', { op: 'add-account', account: 'new' }, { type: 'add-account', id: 'new' }],
    [
      'add account',
      { op: 'add-account', account: 'new', parent: 'firm' },
      { type: 'add-account', account: 1, id: 'new' },
    ],
    [
      'rights',
      {
        op: 'set-rights',
        account: 'firm',
        orderTypes: ['limit', 'stop-limit', 'iceberg'],
        instruments: 'deny',
      },
      { type: 'set-rights', account: 1, rights: 0b110010n | (2n << 32n) },
    ],
    [
      'instrument right',
      { op: 'set-instrument-right', account: 'firm', instrument: 'BTC-USD', right: 'deny' },
      { type: 'set-instrument-right', account: 1, instrument: 1, side: 2 },
    ],
    [
      'a size limit',
      { op: 'set-limit', account: 'firm', kind: 'order-size', instrument: 'BTC-USD', limit: '2' },
      { type: 'set-limit', account: 1, subject: 1, kind: 1, amount: 200_000_000n },
    ],
    [
      'a value limit',
      { op: 'set-limit', kind: 'open-value', asset: 'USD', limit: '2' },
      { type: 'set-limit', subject: 2, kind: 4, amount: 20_000_000_000n },
    ],
    [
      'a count limit',
      { op: 'set-limit', kind: 'open-orders', limit: 7 },
      { type: 'set-limit', kind: 3, amount: 7n },
    ],
    [
      'a count limit as text',
      { op: 'set-limit', kind: 'open-orders', limit: '7' },
      { type: 'set-limit', kind: 3, amount: 7n },
    ],
    [
      'no limit',
      { op: 'set-limit', kind: 'open-orders', limit: null },
      { type: 'set-limit', kind: 3, amount: -1n },
    ],
    ['time', { op: 'advance-time', time: 1n << 63n }, { type: 'advance-time', time: 1n << 63n }],
    ['day end', { op: 'day-end' }, { type: 'day-end' }],
  ])('%s', (_, request, expected) => {
    expect(encode(request)).toEqual(expected);
    expect(encode(request, 2 ** 40 + 1)).toEqual({ ...expected, token: 2n ** 40n + 1n });
  });
});

describe('what is refused at the edge', () => {
  test.each<[string, object, string]>([
    ['nothing', null as unknown as object, 'INVALID_REQUEST'],
    ['no operation', {}, 'INVALID_REQUEST'],
    ['operation none', { op: 'none' }, 'INVALID_REQUEST'],
    ['a name with a blank', { op: 'add-account', account: 'a b' }, 'INVALID_NAME'],
    [
      'a UUID as name',
      { op: 'add-asset', asset: '01234567-89ab-7cde-8f01-23456789abcd', decimals: 2 },
      'INVALID_NAME',
    ],
    ['half a decimal', { op: 'add-asset', asset: 'X', decimals: 1.5 }, 'INVALID_REQUEST'],
    ['an unknown parent', { op: 'add-account', account: 'x', parent: 'y' }, 'UNKNOWN_ACCOUNT_NAME'],
    ['a switch that is neither', { op: 'kill-switch', on: 'yes' }, 'INVALID_REQUEST'],
    [
      'an unknown state',
      { op: 'set-trading-state', instrument: 'BTC-USD', state: 'ajar' },
      'INVALID_REQUEST',
    ],
    ['a time in milliseconds', { op: 'advance-time', time: 5 }, 'INVALID_REQUEST'],
    ['a negative time', { op: 'advance-time', time: -5n }, 'DECIMAL_OUT_OF_RANGE'],
    ['a negative limit', { op: 'set-limit', kind: 'open-orders', limit: -1 }, 'INVALID_REQUEST'],
    [
      'a negative value limit',
      { op: 'set-limit', kind: 'order-value', asset: 'USD', limit: '-1' },
      'INVALID_REQUEST',
    ],
    ['a limit without its asset', { op: 'set-limit', kind: 'order-value', limit: '1' }, 'UNKNOWN_ASSET_NAME'],
    [
      'a value limit as number',
      { op: 'set-limit', kind: 'order-value', asset: 'USD', limit: 1 },
      'NUMBER_NOT_ALLOWED',
    ],
    ['a count limit that is none', { op: 'set-limit', kind: 'open-orders', limit: '1.5' }, 'INVALID_DECIMAL'],
    [
      'rights that are no list',
      { op: 'set-rights', orderTypes: 'limit', instruments: 'allow' },
      'INVALID_REQUEST',
    ],
    ['an unknown right', { op: 'set-rights', orderTypes: ['peg'], instruments: 'allow' }, 'INVALID_REQUEST'],
    [
      'an amount beyond 128 bits',
      { op: 'deposit', account: 'alice', asset: 'BTC', id: 't', amount: 1n << 127n },
      'DECIMAL_OUT_OF_RANGE',
    ],
    [
      'a fee in percent',
      { op: 'change-instrument', instrument: 'BTC-USD', makerFee: 0.1 },
      'INVALID_REQUEST',
    ],
    ['a strange post-only', { ...order, price: '1', postOnly: 'maybe' }, 'INVALID_REQUEST'],
  ])('%s', (_, request, code) => {
    expect(errorOf(request)).toMatchObject({ code });
  });

  test('garbage of any shape is a VerbexError, never a crash', () => {
    const op = fc.constantFrom(
      ...[
        'new',
        'cancel',
        'reduce',
        'replace',
        'mass-cancel',
        'kill-switch',
        'deposit',
        'transfer',
        'add-asset',
      ],
      ...[
        'add-instrument',
        'change-instrument',
        'set-rights',
        'set-limit',
        'advance-time',
        'set-instrument-right',
      ],
    );
    const value = fc.oneof(
      fc.anything({ withBigInt: true }),
      fc.constantFrom('alice', 'BTC-USD', 'BTC', 'limit', '1', 1n),
    );
    const fields = fc.dictionary(
      fc.constantFrom(
        'account',
        'instrument',
        'id',
        'side',
        'type',
        'price',
        'quantity',
        'asset',
        'amount',
        'limit',
        'kind',
        'by',
        'to',
        'tickSize',
        'lotSize',
        'base',
        'quote',
        'makerFee',
        'minPrice',
        'on',
        'time',
        'orderTypes',
        'instruments',
      ),
      value,
    );
    fc.assert(
      fc.property(op, fields, (name, rest) => {
        try {
          encode({ ...rest, op: name } as unknown as Request);
        } catch (error) {
          expect(error).toHaveProperty('code');
          expect(String((error as Error).name)).toMatch(/Error$/);
          expect((error as { details?: unknown }).details).toBeDefined();
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('instruments', () => {
  const add: AddInstrument = {
    op: 'add-instrument',
    instrument: 'X',
    base: 'BTC',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.00000001',
  };

  test('ticks and lots as units of the assets', () => {
    expect(encode(add)).toMatchObject({ lotBase: 1, lotQuote: 1, base: 1, quote: 2, collar: 50_000 });
    expect(encode({ ...add, tickSize: '25', lotSize: '0.5' })).toMatchObject({
      lotBase: 50_000_000,
      lotQuote: 125_000_000_000,
    });
    expect(encode({ ...add, base: 'WEI', tickSize: '0.0001', lotSize: '0.000001' })).toMatchObject({
      lotBase: 1_000_000_000_000,
      lotQuote: 1,
    });
  });

  test('defaults are generous and inside the core’s bounds', () => {
    const scales = fc.constantFrom('1000000', '25', '1', '0.5', '0.01', '0.0001');
    fc.assert(
      fc.property(scales, scales, fc.constantFrom('BTC', 'WEI'), (tickSize, lotSize, base) => {
        let raw: Record<string, string | number | bigint>;
        try {
          raw = encode({ ...add, tickSize, lotSize, base, quote: base === 'WEI' ? 'USD' : 'WEI' });
        } catch (error) {
          // More units of the asset than 64 bits hold.
          expect(error).toMatchObject({ code: 'DECIMAL_OUT_OF_RANGE' });
          expect(Number(tickSize) * Number(lotSize) > 9 || Number(lotSize) > 9).toBe(true);
          return;
        }
        const big = (name: string): bigint => BigInt(raw[name]!);
        expect(big('priceMin')).toBe(1n);
        expect(big('quantityMin')).toBe(1n);
        expect(2n * big('priceMax') * big('quantityMax') * big('lotQuote') <= 1n << 120n).toBe(true);
        expect(big('quantityMax') * big('lotBase') <= 1n << 120n).toBe(true);
        expect(big('priceMax')).toBe(1_000_000_000n);
        expect(big('quantityMax') >= 1_000_000n && big('quantityMax') <= 1n << 50n).toBe(true);
      }),
    );
  });

  test('what is given stays as it is', () => {
    const given = {
      minPrice: '1',
      maxPrice: '500',
      minQuantity: '0.1',
      maxQuantity: '100',
      makerFee: -10,
      takerFee: 20,
      collar: 30,
    };
    expect(encode({ ...add, ...given, state: 'halted' })).toMatchObject({
      priceMin: 100,
      priceMax: 50_000,
      quantityMin: 10_000_000,
      quantityMax: 10_000_000_000,
      makerFee: -10,
      takerFee: 20,
      collar: 30,
      kind: 3,
    });
  });

  test('a product that the quote asset cannot hold says what would', () => {
    const error = errorOf({ ...add, quote: 'BTC', base: 'WEI', tickSize: '0.01', lotSize: '0.000000001' });
    expect(error).toMatchObject({
      code: 'INVALID_TICK_OR_LOT',
      details: { decimalsNeeded: 11, decimals: 8 },
    });
    expect(error.message).toBe(
      'tickSize × lotSize needs 11 decimals in BTC, which has 8: make the tick or the lot larger, or give BTC 11 decimals',
    );
  });

  test.each([
    { lotSize: '0.000000001' },
    { tickSize: '0' },
    { tickSize: '-1' },
    { lotSize: 'x' },
    { lotSize: undefined as unknown as string },
  ])('%j is refused', (fields) => {
    expect(['INVALID_TICK_OR_LOT', 'INVALID_DECIMAL']).toContain(errorOf({ ...add, ...fields }).code);
  });
});
