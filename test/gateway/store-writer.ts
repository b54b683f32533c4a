// Writes a message store by docs/gateway-store.md alone; the golden log of test/golden says whether it does so rightly.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../../src/gateway/crc32c.ts';
import { recordCrc } from '../../src/gateway/store-reader.ts';

export const own = 0xffffffff;

export class StoreWriter {
  readonly #folder: string;
  readonly #salt = Buffer.from('efcdab8967452301', 'hex');
  readonly #sequences = new Map<number, { count: number; bytes: number; last?: number }>();
  #segment: Buffer = Buffer.alloc(0);
  #number = 0;
  #end = 0;
  #dayRecord = 0n;
  #delivered: readonly [bigint, number];

  constructor(folder: string, position: bigint) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#delivered = [position, own];
    this.roll();
    this.day(position);
  }

  /** A new segment. */
  roll(): void {
    const header = Buffer.alloc(64);
    header.write('VBXMSG01', 'latin1');
    header.writeUInt32LE(1, 8);
    header.writeUInt32LE(this.#number + 1, 12);
    this.#salt.copy(header, 16);
    if (this.#number === 0) this.#dayRecord = (1n << 32n) | 64n;
    header.writeBigUInt64LE(this.#dayRecord, 24);
    header.writeUInt32LE(this.#end, 32);
    header.writeBigUInt64LE(1n << 17n, 40);
    header.writeUInt32LE(crc32c(header.subarray(0, 60)), 60);
    this.save();
    this.#number += 1;
    this.#segment = Buffer.alloc(1 << 17);
    header.copy(this.#segment);
    this.#end = 64;
  }

  day(position: bigint): void {
    const payload = Buffer.alloc(16);
    payload.writeBigUInt64LE(this.#delivered[0]);
    payload.writeUInt32LE(this.#delivered[1], 8);
    this.#dayRecord = (BigInt(this.#number) << 32n) | BigInt(this.#end);
    this.#append(3, 0, 0, [position, 0], 0n, payload, { flags: 0, before: 0 });
    this.#sequences.clear();
  }

  in(session: number, reference: number, timeNs: bigint, message: string): void {
    const payload = Buffer.from(message, 'latin1');
    this.#append(1, session, reference, this.#delivered, timeNs, payload, { flags: 0, before: 0 });
  }

  out(session: number, place: readonly [bigint, number], timeNs: bigint, message: string, last = true): void {
    const payload = Buffer.from(message, 'latin1');
    const of = this.#sequences.get(session) ?? { count: 0, bytes: 0 };
    const at = this.#end;
    this.#append(2, session, of.count + 1, place, timeNs, payload, { flags: last ? 1 : 0, before: of.bytes });
    if (of.last !== undefined)
      this.#segment.writeBigUInt64LE((BigInt(this.#number) << 32n) | BigInt(at), of.last + 32);
    this.#sequences.set(session, { count: of.count + 1, bytes: of.bytes + payload.length + 3, last: at });
    if (last && place[1] !== own) this.#delivered = place;
  }

  #append(
    kind: number,
    session: number,
    sequence: number,
    [position, index]: readonly [bigint, number],
    timeNs: bigint,
    payload: Buffer,
    { flags, before }: { flags: number; before: number },
  ): void {
    const record = Buffer.alloc(56 + payload.length);
    record.writeUInt32LE(record.length);
    record.writeUInt16LE(session, 8);
    record.writeUInt8(kind, 10);
    record.writeUInt8(flags, 11);
    record.writeUInt32LE(sequence, 12);
    record.writeBigUInt64LE(position, 16);
    record.writeBigUInt64LE(timeNs, 24);
    record.writeBigUInt64LE(BigInt(before), 40);
    record.writeUInt32LE(index, 48);
    if (kind === 2) {
      record.writeUInt16BE(payload.length + 1, 53);
      record.write('S', 55, 'latin1');
    }
    payload.copy(record, 56);
    record.writeUInt32LE(recordCrc(record, this.#salt, this.#number, this.#end), 4);
    record.copy(this.#segment, this.#end);
    this.#end += Math.ceil(record.length / 8) * 8;
  }

  get end(): number {
    return this.#end;
  }

  path(number: number = this.#number): string {
    return join(this.#folder, `messages-${String(number).padStart(8, '0')}`);
  }

  save(): void {
    if (this.#number > 0) writeFileSync(this.path(), this.#segment);
  }
}
