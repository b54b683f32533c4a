import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cells } from '../../src/wire/cells.ts';
import { readCommand } from '../../src/wire/command-reader.ts';
import { EventReader } from '../../src/wire/event-reader.ts';
import { idToBytes } from '../../src/wire/ids.ts';
import { cellBytes, commandOffsets, eventOffsets } from '../../src/wire/layout.ts';

const int64 = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);

describe('cells', () => {
  test('64-bit fields hold numbers and bigints alike', () => {
    const cells = Cells.allocate(1);
    fc.assert(
      fc.property(fc.maxSafeInteger(), int64, (number, bigint) => {
        cells.writeInt64(32, number, 'price');
        expect(cells.i64[4]).toBe(BigInt(number));
        expect(BigInt(cells.readInt64(32))).toBe(BigInt(number));
        cells.writeInt64(40, bigint, 'price');
        expect(cells.i64[5]).toBe(bigint);
        expect(BigInt(cells.readInt64(40))).toBe(bigint);
      }),
    );
  });

  test('128-bit fields', () => {
    const cells = Cells.allocate(1);
    fc.assert(
      fc.property(fc.bigInt(-(1n << 127n), (1n << 127n) - 1n), (amount) => {
        cells.writeInt128(32, amount, 'amount');
        expect(cells.readInt128(32)).toBe(amount);
      }),
    );
  });

  test('what does not fit is refused', () => {
    const cells = Cells.allocate(1);
    for (const call of [
      () => cells.writeInt64(32, 1n << 63n, 'price'),
      () => cells.writeUint64(32, -1n, 'time'),
      () => cells.writeUint64(32, 1n << 64n, 'time'),
      () => cells.writeInt128(32, 1n << 127n, 'amount'),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'DECIMAL_OUT_OF_RANGE' }));
    }
  });

  test('views over bytes that lie at an odd place', () => {
    const bytes = new Uint8Array(3 + 2 * cellBytes).subarray(3);
    bytes[cellBytes] = 7;
    const cells = Cells.over(bytes);
    expect(cells.count).toBe(2);
    expect(new EventReader(cells).type(1)).toBe(7);
  });

  test('an event cell is read field by field', () => {
    const cells = Cells.allocate(2);
    const view = new DataView(cells.buffer, cellBytes);
    const at = eventOffsets;
    view.setUint8(at.type, 3);
    view.setUint8(at.flags, 1);
    view.setUint8(at.side, 2);
    view.setUint8(at.kind, 4);
    view.setUint16(at.code, 0x1234, true);
    view.setBigUint64(at.position, 1n << 63n, true);
    view.setUint32(at.account, 0xfffffffe, true);
    view.setUint32(at.instrument, 9, true);
    view.setBigUint64(at.orderId, 11n, true);
    view.setBigInt64(at.price, -5n, true);
    view.setBigInt64(at.quantity, (1n << 62n) + 1n, true);
    view.setBigInt64(at.leaves, 12n, true);
    view.setBigUint64(at.token, 13n, true);
    cells.u8.set(idToBytes('taker'), cellBytes + at.id);
    cells.u8.set(idToBytes('01234567-89ab-7cde-8f01-23456789abcd'), cellBytes + at.id2);
    view.setBigUint64(at.orderId2, 14n, true);
    view.setBigInt64(at.leaves2, 15n, true);
    view.setUint32(at.account2, 16, true);
    view.setInt32(at.fee, -17, true);
    view.setInt32(at.fee2, 18, true);
    view.setUint32(at.tradeId, 0xffffffff, true);
    const event = new EventReader(cells);
    expect([event.type(1), event.flags(1), event.side(1), event.kind(1), event.code(1)]).toEqual([
      3, 1, 2, 4, 0x1234,
    ]);
    expect([event.position(1), event.account(1), event.instrument(1)]).toEqual([1n << 63n, 0xfffffffe, 9]);
    expect([event.orderId(1), event.price(1), event.quantity(1)]).toEqual([11n, -5, (1n << 62n) + 1n]);
    expect([event.leaves(1), event.token(1), event.isLast(1)]).toEqual([12, 13n, true]);
    expect([event.id(1), event.id2(1)]).toEqual(['taker', '01234567-89ab-7cde-8f01-23456789abcd']);
    expect([event.orderId2(1), event.leaves2(1), event.account2(1)]).toEqual([14n, 15, 16]);
    expect([event.fee(1), event.fee2(1), event.tradeId(1)]).toEqual([-17, 18, 0xffffffff]);
    expect(event.amount(1)).toBe((15n << 64n) | 14n);
    expect(event.change(1)).toBe((((1n << 62n) + 1n) << 64n) + (1n << 64n) - 5n);
  });

  test('a command cell as a plain object', () => {
    const cells = Cells.allocate(1);
    const at = commandOffsets;
    cells.u8[at.type] = 1;
    cells.u8[at.side] = 2;
    cells.u8[at.orderType] = 4;
    cells.u8[at.timeInForce] = 3;
    cells.u16[at.flags / 2] = 1;
    cells.u32[at.account / 4] = 3;
    cells.u32[at.instrument / 4] = 1;
    cells.u8.set(idToBytes('c1'), at.id);
    cells.writeInt64(at.price, 100, 'price');
    cells.writeInt64(at.quantity, 5, 'quantity');
    cells.writeUint64(at.expiry, 77n, 'expiry');
    cells.writeInt64(at.stopPrice, 99, 'stopPrice');
    expect(readCommand(cells, 0)).toEqual({
      type: 'new',
      account: 3,
      instrument: 1,
      id: 'c1',
      side: 'sell',
      orderType: 'stop-limit',
      tif: 'gtd',
      flags: 1,
      price: 100,
      quantity: 5,
      expiry: 77n,
      stopPrice: 99,
    });
    cells.clear(0);
    cells.u8[at.type] = 200;
    expect(readCommand(cells, 0)).toEqual({ type: 'unknown-200' });
  });
});
