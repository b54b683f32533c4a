// The clearing protocol's bytes from TypeScript: golden ones as in test/native/gateway/clearing_codec_test.cpp, and
// every message there and back.
import { describe, expect, test } from 'vitest';
import {
  type ClearingMessage,
  readClearing,
  readClearingRequest,
  writeClearing,
  writeClearingAnswer,
} from '../../src/clients/clearing-codec.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');
const blank = (text: string): string => Buffer.from(text.padEnd(16)).toString('hex');

describe('clearing codec', () => {
  test('writes the bytes that the gateway reads', () => {
    expect(
      hex(
        writeClearing({
          ...{ type: 'transfer', reference: 0x01020304, account: 'acme', asset: 'USD' },
          ...{ transaction: 't-1', amount: -2n, receiver: 'bolt' },
        }),
      ),
    ).toBe(`5401020304${blank('acme')}${blank('USD')}${blank('t-1')}${'f'.repeat(31)}e${blank('bolt')}`);
    expect(
      hex(
        writeClearing({
          ...{ type: 'deposit', reference: 7, account: 'acme', asset: 'USD' },
          ...{ transaction: '01912F80-0000-7000-8000-00000000002a', amount: 1n << 64n },
        }),
      ),
    ).toBe(
      `4400000007${blank('acme')}${blank('USD')}01912f8000007000800000000000002a0000000000000001${'0'.repeat(16)}`,
    );
  });

  test('reads the bytes that the gateway writes', () => {
    const execution = Buffer.from(
      `45${'0'.repeat(15)}1${'0'.repeat(15)}200000003${blank('BTC-USD')}${blank('acme')}0141${'0'.repeat(15)}4` +
        `${blank('o-1')}${'0'.repeat(15)}5${'0'.repeat(15)}6${'0'.repeat(15)}7ffffff9c00000008${blank('')}`,
      'hex',
    );
    const read = readClearing(execution);
    expect(read).toEqual({
      ...{ type: 'execution', time: 1n, position: 2n, index: 3, instrument: 'BTC-USD', account: 'acme' },
      ...{ side: 1, liquidity: 'A', orderId: 4n, clientId: 'o-1', price: 5n, quantity: 6n, leaves: 7n },
      ...{ fee: -100, tradeId: 8, counterparty: '' },
    });
    expect(hex(writeClearingAnswer(read!))).toBe(hex(execution));
  });

  test('every message comes back as it went, and no other length is read', () => {
    const lengths = {
      ...{ A: 71, J: 56, B: 118, X: 70, K: 46, E: 127, N: 17 },
      ...{ Q: 42, b: 61, p: 53, r: 19, i: 30, l: 46, o: 105, Z: 33 },
    };
    const letters = Object.entries(lengths);
    let seed = 1;
    const random = (): number => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return (seed >> 8) & 0xff;
    };
    for (const [letter, length] of letters) {
      for (let round = 0; round < 50; round++) {
        // Ids of any 16 bytes are shown, not written: here all bytes are text.
        const bytes = Buffer.from(Array.from({ length }, () => 0x21 + (random() % 94)));
        bytes.write(letter, 0, 'latin1');
        const message = readClearing(bytes) as ClearingMessage;
        expect(message, letter).toBeDefined();
        expect(hex(writeClearingAnswer(message))).toBe(hex(bytes));
        expect(readClearing(bytes.subarray(0, length - 1))).toBeUndefined();
        expect(readClearing(Buffer.concat([bytes, bytes.subarray(0, 1)]))).toBeUndefined();
      }
    }
    for (let code = 0; code < 256; code++) {
      if (letters.some(([letter]) => letter.charCodeAt(0) === code)) continue;
      for (const [, length] of letters) {
        const bytes = Buffer.alloc(length, 0x20);
        bytes[0] = code;
        expect(readClearing(bytes)).toBeUndefined();
      }
    }
    expect(readClearing(Buffer.alloc(0))).toBeUndefined();
  });

  test('ids: text, UUIDs, none, and what is neither', () => {
    const row = (id: string): string => {
      const bytes = Buffer.alloc(61, 0x20);
      bytes.write('b', 0, 'latin1');
      bytes.write(id, 13, 'hex');
      return (readClearing(bytes) as { asset: string }).asset;
    };
    expect(row(blank('BTC'))).toBe('BTC');
    expect(row(blank(''))).toBe('');
    expect(row('01912f8000007000800000000000002a')).toBe('01912f80-0000-7000-8000-00000000002a');
    expect(row('05000000000000000000000000000000')).toBe('0x05000000000000000000000000000000');
  });

  test('refuses what has no place in its field', () => {
    const money = { account: 'a', asset: 'b', transaction: 'c', amount: 1n };
    const deposit = { type: 'deposit', reference: 1, ...money } as const;
    for (const wrong of [
      { amount: 1n << 127n },
      { amount: -(1n << 127n) - 1n },
      { amount: 1 as unknown as bigint },
      { account: 'seventeen-letters', amount: 1n },
      { account: 'a b', amount: 1n },
      { reference: -1, amount: 1n },
      { reference: 2 ** 32, amount: 1n },
      { reference: 1.5, amount: 1n },
    ]) {
      expect(() => writeClearing({ ...deposit, ...wrong })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
    }
    const largest = { ...deposit, amount: (1n << 127n) - 1n };
    expect(readClearingRequest(writeClearing(largest))).toEqual(largest);
  });
});
