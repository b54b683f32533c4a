// Views of a run of cells, and the integers in them.
//
// 64-bit fields hold counts that nearly always fit into 53 bits. They are read and written as two 32-bit halves, as JavaScript numbers; a bigint is
// made only for what does not fit, or where the public API promises one.
import { DecimalError } from '../errors/errors.ts';
import { cellBytes } from './layout.ts';

const two32 = 4294967296;

/** The typed views of one buffer of cells. */
export class Cells {
  readonly buffer: ArrayBuffer;
  readonly count: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
  readonly f64: Float64Array;

  constructor(
    buffer: ArrayBuffer,
    byteOffset = 0,
    count: number = Math.floor((buffer.byteLength - byteOffset) / cellBytes),
  ) {
    const bytes = count * cellBytes;
    this.buffer = buffer;
    this.count = count;
    this.u8 = new Uint8Array(buffer, byteOffset, bytes);
    this.u16 = new Uint16Array(buffer, byteOffset, bytes / 2);
    this.u32 = new Uint32Array(buffer, byteOffset, bytes / 4);
    this.i32 = new Int32Array(buffer, byteOffset, bytes / 4);
    this.u64 = new BigUint64Array(buffer, byteOffset, bytes / 8);
    this.i64 = new BigInt64Array(buffer, byteOffset, bytes / 8);
    this.f64 = new Float64Array(buffer, byteOffset, bytes / 8);
  }

  /** Fresh cells, all zero. */
  static allocate(count: number): Cells {
    return new Cells(new ArrayBuffer(count * cellBytes));
  }

  /** Cells over bytes that lie anywhere; copied if they are not aligned to 8 bytes. */
  static over(bytes: Uint8Array): Cells {
    if (bytes.buffer instanceof ArrayBuffer && bytes.byteOffset % 8 === 0) {
      return new Cells(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / cellBytes));
    }
    return new Cells(new Uint8Array(bytes).buffer);
  }

  /** Copies `count` cells of another buffer here. */
  copyFrom(source: Cells, from: number, to: number, count: number): void {
    this.u8.set(source.u8.subarray(from * cellBytes, (from + count) * cellBytes), to * cellBytes);
  }

  /** Zeroes one cell. */
  clear(cell: number): void {
    const { f64 } = this;
    const start = cell * (cellBytes / 8);
    // For so few words a loop costs a quarter of fill().
    for (let word = start; word < start + cellBytes / 8; word++) f64[word] = 0;
  }

  /** A signed 64-bit field. Throws DECIMAL_OUT_OF_RANGE. Numbers must be safe integers. */
  writeInt64(byte: number, value: number | bigint, what: string): void {
    if (typeof value === 'number') {
      const word = byte >>> 2;
      this.u32[word] = value >>> 0;
      this.u32[word + 1] = Math.floor(value / two32) >>> 0;
      return;
    }
    if (BigInt.asIntN(64, value) !== value) throw outOfRange(what, 64);
    this.i64[byte >>> 3] = value;
  }

  /** An unsigned 64-bit field. Throws DECIMAL_OUT_OF_RANGE. */
  writeUint64(byte: number, value: bigint, what: string): void {
    if (BigInt.asUintN(64, value) !== value) throw outOfRange(what, 64);
    this.u64[byte >>> 3] = value;
  }

  /** A signed 128-bit field. Throws DECIMAL_OUT_OF_RANGE. */
  writeInt128(byte: number, value: number | bigint, what: string): void {
    const amount = BigInt(value);
    if (BigInt.asIntN(128, amount) !== amount) throw outOfRange(what, 128);
    this.i64[byte >>> 3] = BigInt.asIntN(64, amount);
    this.i64[(byte >>> 3) + 1] = amount >> 64n;
  }

  /** A signed 64-bit field: a number where that is exact. */
  readInt64(byte: number): number | bigint {
    const word = byte >>> 2;
    const high = this.i32[word + 1]!;
    // 2^21 × 2^32 is 2^53; one short of it on either side keeps every sum below exact.
    if (high < 0x200000 && high > -0x200000) return high * two32 + this.u32[word]!;
    return this.i64[byte >>> 3]!;
  }

  readInt128(byte: number): bigint {
    return (this.i64[(byte >>> 3) + 1]! << 64n) | this.u64[byte >>> 3]!;
  }
}

function outOfRange(what: string, bits: number): DecimalError {
  return new DecimalError('DECIMAL_OUT_OF_RANGE', `${what} does not fit into ${bits} bits`, { field: what });
}
