/** The gateways' message store as it lies on disk (docs/gateway-store.md), read without the engine, also while a gateway writes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NativeError } from '../errors/errors.ts';
import { crc32c } from './crc32c.ts';

export type RecordKind = 'in' | 'out' | 'day';

export interface StoredRecord {
  readonly kind: RecordKind;
  readonly session: number;
  /** Out: in its session's day, from 1. In: the reference that the client gave it. */
  readonly sequence: number;
  /** Out: of the event. In: of the last event before it. Day: at which the day began. */
  readonly position: bigint;
  /** Of the event within its position; undefined for the gateway's own messages. */
  readonly index: number | undefined;
  /** The core's time, nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** The last message that its event causes. */
  readonly last: boolean;
  /** Without the frame; a view of the file. */
  readonly payload: Buffer;
  readonly file: string;
  readonly offset: number;
}

interface Segment {
  readonly path: string;
  readonly number: number;
  readonly bytes: Buffer;
  readonly salt: Buffer;
  readonly previousEnd: number;
}

const segmentName = /^messages-([0-9a-f]{8})$/;
const segmentMagic = 'VBXMSG01';
const segmentVersion = 1;
const segmentHeaderBytes = 64;
const segmentCrcAt = 60;
const recordHeaderBytes = 56;
const nextAt = 32;
const beforeAt = 40;
const payloadBytesMax = 0xfffe;
const ownIndex = 0xffffffff;
const kinds: readonly (RecordKind | undefined)[] = [undefined, 'in', 'out', 'day'];

/** Every record, in order. Throws JOURNAL_DAMAGED with its place where a record is not whole, after those before it. */
export function* readStore(folder: string): Generator<StoredRecord> {
  const numbers = segmentNumbers(folder);
  let segment = readSegment(folder, numbers[0] ?? 0);
  for (const [at, number] of numbers.entries()) {
    const following = numbers[at + 1];
    if (following !== undefined && following !== number + 1)
      throw damage(pathOf(folder, number + 1), 0, 'the segment is missing');
    const next = following === undefined ? undefined : readSegment(folder, following);
    yield* recordsOf(segment, next?.previousEnd);
    if (next !== undefined) segment = next;
  }
}

function segmentNumbers(folder: string): number[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    throw new NativeError('NOT_FOUND', `there is no folder ${folder}`, { cause });
  }
  const numbers = names
    .flatMap((name) => {
      const digits = segmentName.exec(name)?.[1];
      return digits === undefined ? [] : [Number.parseInt(digits, 16)];
    })
    .sort((a, b) => a - b);
  if (numbers.length === 0) throw new NativeError('NOT_FOUND', `${folder} holds no message store`);
  return numbers;
}

function pathOf(folder: string, number: number): string {
  return join(folder, `messages-${number.toString(16).padStart(8, '0')}`);
}

function readSegment(folder: string, number: number): Segment {
  const path = pathOf(folder, number);
  const bytes = readFileSync(path);
  const header = bytes.subarray(0, segmentHeaderBytes);
  if (
    header.length < segmentHeaderBytes ||
    header.toString('latin1', 0, segmentMagic.length) !== segmentMagic ||
    header.readUInt32LE(segmentCrcAt) !== crc32c(header.subarray(0, segmentCrcAt))
  )
    throw damage(path, 0, 'no header of a segment');
  const version = header.readUInt32LE(8);
  if (version !== segmentVersion)
    throw new NativeError('UNSUPPORTED_FORMAT', `${path} has version ${version}`);
  if (header.readUInt32LE(12) !== number) throw damage(path, 0, 'the header is another segment’s');
  return { path, number, bytes, salt: header.subarray(16, 24), previousEnd: header.readUInt32LE(32) };
}

/** `end`: where the next segment says that this one ends; the last one ends where nothing is. */
function* recordsOf(segment: Segment, end: number | undefined): Generator<StoredRecord> {
  const { bytes } = segment;
  let offset = segmentHeaderBytes;
  while (end === undefined || offset < end) {
    const length = offset + 4 <= bytes.length ? bytes.readUInt32LE(offset) : 0;
    if (length === 0 && end === undefined) return;
    if (!isWhole(segment, offset, length)) throw damage(segment.path, offset, 'no whole record');
    yield recordAt(segment, offset, length);
    offset += Math.ceil(length / 8) * 8;
  }
  if (end !== undefined && offset !== end) throw damage(segment.path, offset, 'more than the segment had');
}

function isWhole({ bytes, number, salt }: Segment, offset: number, length: number): boolean {
  if (length < recordHeaderBytes || length > recordHeaderBytes + payloadBytesMax) return false;
  if (offset + length > bytes.length) return false;
  return (
    bytes.readUInt32LE(offset + 4) ===
    recordCrc(bytes.subarray(offset, offset + length), salt, number, offset)
  );
}

/** Of a whole record, from its length to the end of its payload, at its place. */
export function recordCrc(record: Buffer, salt: Buffer, segment: number, offset: number): number {
  const seed = Buffer.alloc(24);
  salt.copy(seed);
  seed.writeUInt32LE(offset, 8);
  seed.writeUInt32LE(segment, 12);
  seed.writeUInt32LE(record.length, 16);
  const crc = crc32c(record.subarray(8, nextAt), crc32c(seed));
  return crc32c(record.subarray(beforeAt), crc);
}

function recordAt(segment: Segment, offset: number, length: number): StoredRecord {
  const record = segment.bytes.subarray(offset, offset + length);
  const kind = kinds[record.readUInt8(10)];
  if (kind === undefined) throw damage(segment.path, offset, 'a record of an unknown kind');
  const index = record.readUInt32LE(48);
  return {
    kind,
    session: record.readUInt16LE(8),
    sequence: record.readUInt32LE(12),
    position: record.readBigUInt64LE(16),
    index: index === ownIndex ? undefined : index,
    timeNs: record.readBigUInt64LE(24),
    last: (record.readUInt8(11) & 1) === 1,
    payload: record.subarray(recordHeaderBytes),
    file: segment.path,
    offset,
  };
}

function damage(file: string, offset: number, what: string): NativeError {
  return new NativeError('JOURNAL_DAMAGED', `the message store is damaged: ${what}`, {
    place: { file, offset, what },
  });
}

/** Sessions from here on are clearing sessions. */
export const clearingSession = 0x8000;

// OUCH 5.0, outbound: the order's UserRefNum behind type and time; a replace has the old one there and the new one behind it.
const answersOfOrders = 'AUCDEBJPITRX';
const referenceAt = 9;

/** The orders that a message is about, by UserRefNum; none for clearing and for what concerns no order. */
export function referencesOf({ kind, session, sequence, payload }: StoredRecord): readonly number[] {
  if (kind === 'day') return [];
  if (kind === 'in') return [sequence];
  const type = payload.toString('latin1', 0, 1);
  if (session >= clearingSession || !answersOfOrders.includes(type) || type === '') return [];
  const places = type === 'U' ? [referenceAt, referenceAt + 4] : [referenceAt];
  return places.flatMap((at) => (at + 4 <= payload.length ? [payload.readUInt32BE(at)] : []));
}
