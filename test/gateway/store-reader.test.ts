import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VerbexError } from '../../src/errors/errors.ts';
import { crc32c } from '../../src/gateway/crc32c.ts';
import { readStore, referencesOf, type StoredRecord } from '../../src/gateway/store-reader.ts';
import { root } from '../architecture/files.ts';
import { own, StoreWriter } from './store-writer.ts';

const golden = join(root, 'test', 'golden', 'gateway-store', 'v1');
const time = 1_700_000_000_000_000_000n;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-store-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const answer = (type: string, reference: number): string =>
  `${type}${'\0'.repeat(11)}${String.fromCharCode(reference)}rest`;

/** The same as test/native/gateway/store_golden_test.cpp writes. */
function writeGolden(): StoreWriter {
  const store = new StoreWriter(folder, 41n);
  store.out(7, [41n, own], time, 'S\x01\x02\x03\x04\x05\x06\x07\x08S');
  store.in(7, 5, time + 1n, 'Oa message that came in');
  store.out(7, [42n, 0], time + 2n, answer('A', 5));
  store.in(300, 9, time + 3n, 'O');
  store.out(300, [43n, 1], time + 4n, answer('E', 9), false);
  store.out(7, [43n, 1], time + 4n, answer('E', 5));
  store.day(44n);
  store.out(7, [45n, 0], time + 5n, answer('C', 6));
  store.save();
  return store;
}

const shown = ({ kind, session, sequence, position, index, payload }: StoredRecord): string =>
  `${kind} ${session} ${sequence} ${position}.${index ?? 'own'} ${kind === 'day' ? '' : payload.toString('latin1', 0, 1)}`;

/** What can be read, and what stops it. */
function read(): { records: StoredRecord[]; failure?: VerbexError } {
  const records: StoredRecord[] = [];
  try {
    for (const record of readStore(folder)) records.push(record);
  } catch (failure) {
    if (!(failure instanceof VerbexError)) throw failure;
    return { records, failure };
  }
  return { records };
}

test('the checksum is the published one', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283);
});

test('a log written by the documented format is the engine’s, byte for byte', () => {
  const store = writeGolden();
  const written = readFileSync(store.path());
  const log = readFileSync(join(golden, 'messages-00000001'));
  expect(written.subarray(0, log.length).equals(log)).toBe(true);
  expect(written.subarray(log.length).every((byte) => byte === 0)).toBe(true);
});

test('the engine’s log reads as what it was told', () => {
  const records = [...readStore(golden)];
  expect(records.map(shown)).toEqual([
    'day 0 0 41.0 ',
    'out 7 1 41.own S',
    'in 7 5 41.own O',
    'out 7 2 42.0 A',
    'in 300 9 42.0 O',
    'out 300 1 43.1 E',
    'out 7 3 43.1 E',
    'day 0 0 44.0 ',
    'out 7 1 45.0 C',
  ]);
  expect(records.map((record) => referencesOf(record))).toEqual([[], [], [5], [5], [9], [9], [5], [], [6]]);
  expect(records.map(({ last }) => last)).toEqual([
    ...[false, true, false, true, false, false, true, false, true],
  ]);
  expect(records[2]).toMatchObject({ timeNs: time + 1n, offset: 208 });
});

test('segments follow each other; the first ones may be gone', () => {
  const store = writeGolden();
  store.roll();
  store.in(8, 1, time, 'X');
  store.roll();
  store.in(8, 2, time, 'Y');
  store.save();
  expect(read().records.map(shown).slice(-2)).toEqual(['in 8 1 45.0 X', 'in 8 2 45.0 Y']);
  rmSync(store.path(1));
  expect(read().records.map(shown)).toEqual(['in 8 1 45.0 X', 'in 8 2 45.0 Y']);
});

test('a missing segment, and one that ends elsewhere, are named', () => {
  const store = writeGolden();
  store.roll();
  store.in(8, 1, time, 'X');
  store.roll();
  store.save();
  const first = readFileSync(store.path(1));
  // Only the day's record is left.
  writeFileSync(store.path(1), first.subarray(0, 64 + 72));
  expect(read().failure).toMatchObject({
    code: 'JOURNAL_DAMAGED',
    place: { file: store.path(1), offset: 136 },
  });
  writeFileSync(store.path(1), first);
  rmSync(store.path(2));
  expect(read().failure).toMatchObject({
    code: 'JOURNAL_DAMAGED',
    place: { file: store.path(2), offset: 0 },
  });
});

test('every flipped byte is noticed, or is one that says nothing', () => {
  const store = writeGolden();
  const log = readFileSync(store.path());
  const whole = read().records;
  const silent = new Set<number>();
  for (const { offset, payload } of whole) {
    for (let at = offset + 32; at < offset + 40; at += 1) silent.add(at);
    for (let at = offset + 56 + payload.length; at % 8 !== 0; at += 1) silent.add(at);
  }
  for (let at = 0; at < store.end; at += 1) {
    const flipped = Buffer.from(log);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
    writeFileSync(store.path(), flipped);
    const { records, failure } = read();
    if (silent.has(at)) expect(records.map(shown)).toEqual(whole.map(shown));
    else expect([at, failure?.code]).toEqual([at, 'JOURNAL_DAMAGED']);
    expect(records.map(shown)).toEqual(whole.slice(0, records.length).map(shown));
  }
});

test('a folder without a store says so', () => {
  expect(read().failure).toMatchObject({ code: 'NOT_FOUND' });
  expect(() => [...readStore(join(folder, 'gone'))]).toThrow('there is no folder');
});
