// EventReader: the fields of event cells, read in place.
//
// Nothing is decoded before it is asked for, and nothing is allocated but where a bigint or a text is returned. The index counts cells from the start of
// the buffer. Whoever holds the buffer says how long a cell stays valid.
import type { Cells } from './cells.ts';
import { readId } from './ids.ts';
import { cellBytes, eventFlags, eventOffsets } from './layout.ts';

const at = eventOffsets;
const words32 = cellBytes / 4;
const words64 = cellBytes / 8;

/** Reads any field of any cell; which fields an event has stands in docs/rules.md, section 10. */
export class EventReader {
  readonly cells: Cells;

  constructor(cells: Cells) {
    this.cells = cells;
  }

  /** Number of the event type; eventNames has its name. */
  type(cell: number): number {
    return this.cells.u8[cell * cellBytes]!;
  }
  flags(cell: number): number {
    return this.cells.u8[cell * cellBytes + at.flags]!;
  }
  isLast(cell: number): boolean {
    return (this.flags(cell) & eventFlags.last) !== 0;
  }
  side(cell: number): number {
    return this.cells.u8[cell * cellBytes + at.side]!;
  }
  kind(cell: number): number {
    return this.cells.u8[cell * cellBytes + at.kind]!;
  }
  /** Reject code or cause. */
  code(cell: number): number {
    return this.cells.u16[(cell * cellBytes + at.code) >>> 1]!;
  }
  position(cell: number): bigint {
    return this.cells.u64[cell * words64 + at.position / 8]!;
  }
  account(cell: number): number {
    return this.cells.u32[cell * words32 + at.account / 4]!;
  }
  /** Instrument, or the asset of BalanceChanged and AssetAdded. */
  instrument(cell: number): number {
    return this.cells.u32[cell * words32 + at.instrument / 4]!;
  }
  orderId(cell: number): bigint {
    return this.cells.u64[cell * words64 + at.orderId / 8]!;
  }
  /** Ticks. */
  price(cell: number): number | bigint {
    return this.cells.readInt64(cell * cellBytes + at.price);
  }
  /** Lots. */
  quantity(cell: number): number | bigint {
    return this.cells.readInt64(cell * cellBytes + at.quantity);
  }
  /** Lots. */
  leaves(cell: number): number | bigint {
    return this.cells.readInt64(cell * cellBytes + at.leaves);
  }
  token(cell: number): bigint {
    return this.cells.u64[cell * words64 + at.token / 8]!;
  }
  id(cell: number): string {
    return readId(this.cells.u8, cell * cellBytes + at.id);
  }
  id2(cell: number): string {
    return readId(this.cells.u8, cell * cellBytes + at.id2);
  }
  orderId2(cell: number): bigint {
    return this.cells.u64[cell * words64 + at.orderId2 / 8]!;
  }
  /** Lots. */
  leaves2(cell: number): number | bigint {
    return this.cells.readInt64(cell * cellBytes + at.leaves2);
  }
  /** BalanceChanged: the total after it; LimitSet: the limit. */
  amount(cell: number): bigint {
    return this.cells.readInt128(cell * cellBytes + at.amount);
  }
  /** BalanceChanged: the change, which lies where price and quantity are. */
  change(cell: number): bigint {
    return this.cells.readInt128(cell * cellBytes + at.price);
  }
  account2(cell: number): number {
    return this.cells.u32[cell * words32 + at.account2 / 4]!;
  }
  /** Millionths, the taker's. */
  fee(cell: number): number {
    return this.cells.i32[cell * words32 + at.fee / 4]!;
  }
  /** Millionths, the maker's. */
  fee2(cell: number): number {
    return this.cells.i32[cell * words32 + at.fee2 / 4]!;
  }
  tradeId(cell: number): number {
    return this.cells.u32[cell * words32 + at.tradeId / 4]!;
  }
}
