// The codecs against the specifications' tables (spec-tables.ts), which share no code with them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ItchMessage, readItch, writeItch } from '../../src/clients/itch-codec.ts';
import { moldHeader, readMoldHeader, readMoldMessages } from '../../src/clients/mold-codec.ts';
import { readOuchMessage, readOuchRequest, writeOuch } from '../../src/clients/ouch-codec.ts';
import { decode, itchMessages, ouchAnswers, ouchRequests, ouchTags, type Table } from './spec-tables.ts';

const bigints = new Set([
  ...[
    'orderReference',
    'match',
    'secondaryReference',
    'discretionPrice',
    'displayPrice',
    'paired',
    'imbalance',
  ],
]);

function values(name: string, length: number, kind: string, type: string): fc.Arbitrary<unknown> {
  if (name === 'printable') return fc.boolean();
  if (name === 'side' && type.startsWith('itch')) return fc.constantFrom('buy', 'sell');
  if (kind === 'digits') return fc.maxSafeNat();
  if (kind === 'alpha') {
    // A code of one letter is shown as it is, a blank too.
    if (length === 1 && type.startsWith('itch')) return fc.constantFrom(...'ABCXYZ019');
    const characters = fc.string({ unit: fc.constantFrom(...'ABCXYZabc019 #-'), maxLength: length });
    return characters.map((text) => text.trimEnd());
  }
  if (bigints.has(name) || (type === 'itch cross' && name === 'shares'))
    return fc.bigInt(0n, (1n << 64n) - 1n);
  return length === 8 ? fc.maxSafeNat() : fc.nat(Math.min(2 ** (8 * length) - 1, Number.MAX_SAFE_INTEGER));
}

function messages(
  protocol: string,
  tables: Readonly<Record<string, Table>>,
): fc.Arbitrary<Record<string, unknown>> {
  return fc.constantFrom(...Object.keys(tables)).chain((type) => {
    const { rows, appendage } = tables[type]!;
    const fields = Object.fromEntries(
      rows.map(([name, , length, kind]) => [name, values(name, length, kind, `${protocol} ${type}`)]),
    );
    if (type === 'directory') fields.marks = fc.constant('QN'.padEnd(16, 'x'));
    const options = Object.fromEntries(
      Object.entries(ouchTags).map(([name, [, length, kind]]) => [name, values(name, length, kind, 'tag')]),
    );
    const message = fc.record(fields).map((record) => ({ type: type.replace('-attributed', ''), ...record }));
    if (protocol === 'itch' || appendage === 'never') return message;
    return fc
      .tuple(message, fc.option(fc.record(options, { requiredKeys: [] })))
      .map(([record, given]) =>
        given && Object.keys(given).length > 0 ? { ...record, options: given } : record,
      );
  });
}

/** A message as the tables show it. */
function plain(message: Record<string, unknown>, prefix = ''): Record<string, bigint | string> {
  return Object.fromEntries(
    Object.entries(message).flatMap(([name, value]) => {
      if (name === 'marks') return [];
      if (name === 'options') return Object.entries(plain(value as Record<string, unknown>, 'options.'));
      if (value === 'buy' || value === 'sell') return [[name, value === 'buy' ? 'B' : 'S']];
      if (typeof value === 'boolean') return [[name, value ? 'Y' : 'N']];
      return [[prefix + name, typeof value === 'number' ? BigInt(value) : (value as bigint | string)]];
    }),
  );
}

const protocols = [
  ['OUCH requests', 'ouch', ouchRequests, writeOuch, readOuchRequest],
  ['OUCH answers', 'ouch', ouchAnswers, writeOuch, readOuchMessage],
  ['ITCH', 'itch', itchMessages, writeItch, readItch],
] as const;

describe.each(protocols)('%s', (_name, protocol, tables, writeAny, read) => {
  const write = writeAny as (message: never) => Buffer;
  const all = messages(protocol, tables);

  test('what is written is what the tables read, and comes back', () => {
    fc.assert(
      fc.property(all, (message) => {
        const bytes = write(message as never);
        const decoded = decode(tables, bytes);
        decoded.type = String(decoded.type).replace('-attributed', '');
        expect(decoded).toEqual(plain(message));
        expect(read(bytes)).toEqual(message);
      }),
      { numRuns: 2000 },
    );
  });

  test('every type of the tables is there', () => {
    for (const type of Object.keys(tables)) {
      const [message] = fc.sample(messages(protocol, { [type]: tables[type]! }), { numRuns: 1, seed: 1 });
      expect(read(write(message as never))?.type).toBe(type.replace('-attributed', ''));
    }
  });

  test('cut off, or with a byte too many, it is none', () => {
    fc.assert(
      fc.property(all, fc.nat(), (message, cut) => {
        const bytes = write(message as never);
        const short = bytes.subarray(0, cut % bytes.length);
        // Behind the fixed part an appendage may be wanting altogether.
        const bare = Object.values(tables).some(
          ({ letter, length, appendage }) =>
            letter.charCodeAt(0) === short[0] && appendage !== 'always' && short.length === length,
        );
        if (!bare) expect(read(short)).toBeUndefined();
        expect(read(Buffer.concat([bytes, Buffer.from([0])]))).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  test('any bytes are a message or none, without an error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void read(Buffer.from(bytes))));
  });
});

describe('numbers that JavaScript has not got', () => {
  test('are refused', () => {
    const add: ItchMessage = {
      type: 'delete',
      locate: 1,
      tracking: 0,
      timeNs: 0,
      reference: Number.MAX_SAFE_INTEGER,
    };
    const bytes = writeItch(add);
    expect(readItch(bytes)).toEqual(add);
    bytes.writeBigUInt64BE(1n << 53n, 11);
    expect(readItch(bytes)).toBeUndefined();
  });

  test('what does not fit a field is said with its name', () => {
    const cancel = { type: 'cancel', userRefNum: 1, quantity: 1 } as const;
    expect(() => writeOuch({ ...cancel, quantity: 2 ** 32 })).toThrow('quantity');
    expect(() => writeOuch({ ...cancel, quantity: 0.5 })).toThrow('quantity');
    expect(() => writeOuch({ type: 'disable', userRefNum: 1, firm: 'ABCDE' })).toThrow('firm');
    expect(() => writeOuch({ ...cancel, options: { unknown: 1 } as never })).toThrow('unknown');
  });
});

describe('MoldUDP64', () => {
  test('heads come back, messages fill their datagram exactly', () => {
    const heads = fc.record({
      session: fc.constantFrom('', 'RUN1', '0123456789'),
      sequence: fc.maxSafeNat(),
      count: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(heads, (head) => {
        expect(readMoldHeader(moldHeader(head))).toEqual(head);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (payloads) => {
        const parts = payloads.flatMap((payload) => [
          Buffer.from([payload.length >> 8, payload.length & 255]),
          payload,
        ]);
        const datagram = Buffer.concat([
          moldHeader({ session: 'RUN1', sequence: 1, count: payloads.length }),
          ...parts,
        ]);
        expect(readMoldMessages(datagram, payloads.length)?.map((one) => [...one])).toEqual(
          payloads.map((one) => [...one]),
        );
        expect(readMoldMessages(datagram, payloads.length + 1)).toBeUndefined();
        if (payloads.length > 0)
          expect(readMoldMessages(datagram.subarray(0, -1), payloads.length)).toBeUndefined();
      }),
    );
  });
});
