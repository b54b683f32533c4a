import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { VerbexError } from '../../src/errors/errors.ts';
import { idFromJson, idToBytes, isId, isName, readId, writeName } from '../../src/wire/ids.ts';

const printable = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { minLength: 1, maxLength: 16 })
  .map((chars) => String.fromCharCode(...chars));

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as VerbexError).code;
  }
  return 'none';
}

describe('ids', () => {
  test('text comes back as it went', () => {
    fc.assert(
      fc.property(printable, (id) => {
        expect(readId(idToBytes(id), 0)).toBe(id);
      }),
    );
  });

  test('a UUID of RFC 9562 comes back in lower case', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(readId(idToBytes(uuid.toUpperCase()), 0)).toBe(uuid);
        expect(isId(uuid)).toBe(true);
      }),
    );
  });

  test('a UUID lies as its bytes, in the order in which it is written', () => {
    const bytes = idToBytes('01234567-89ab-7cde-8f01-23456789abcd');
    expect(Buffer.from(bytes).toString('hex')).toBe('0123456789ab7cde8f0123456789abcd');
  });

  test('text and UUIDs never collide', () => {
    fc.assert(
      fc.property(printable, fc.uuid(), (id, uuid) => {
        expect(idToBytes(id)).not.toEqual(idToBytes(uuid));
      }),
    );
  });

  test.each([
    '',
    'seventeen-letters',
    'a b',
    'tab\t',
    'é',
    '00000000-0000-0000-0000-000000000000',
    '01234567-89ab-7cde-7f01-23456789abcd',
    '01234567-89ab-7cde-8f01-23456789abcg',
    '0123456789ab7cde8f0123456789abcd',
  ])('%j is no id', (id) => {
    expect(isId(id)).toBe(false);
    expect(codeOf(() => idToBytes(id))).toBe('INVALID_ID');
  });

  test.each([undefined, null, 7, 7n, {}])('%s is no id', (id) => {
    expect(codeOf(() => idToBytes(id as unknown as string))).toBe('INVALID_ID');
  });

  test('none reads as nothing', () => {
    expect(readId(new Uint8Array(16), 0)).toBe('');
  });

  test('binary ids of the engine’s JSON are UUIDs', () => {
    expect(idFromJson('0x0123456789ab7cde8f0123456789abcd')).toBe('01234567-89ab-7cde-8f01-23456789abcd');
    expect(idFromJson('0x1234')).toBe('0x1234');
  });
});

describe('names', () => {
  test('are text only', () => {
    expect(isName('BTC-USD')).toBe(true);
    for (const name of [
      '',
      'a b',
      'é',
      'x'.repeat(17),
      '01234567-89ab-7cde-8f01-23456789abcd',
      5,
      undefined,
    ]) {
      expect(isName(name)).toBe(false);
      expect(codeOf(() => writeName(new Uint8Array(16), 0, name as string, 'account'))).toBe('INVALID_NAME');
    }
  });
});
