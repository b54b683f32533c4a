// EventHistory: the last events, as raw cells, for everybody who listens.
//
//   output ring (native) ──transfer──▶ history (this ring) ──▶ cursor of each consumer ──decode──▶ Event
//
// The native ring is emptied at once, so that nobody here ever holds the engine up. Consumers read from this ring at their own pace, each with
// a cursor; whoever falls back by more than the ring holds is overtaken. Nothing is decoded that nobody reads.
//
// Invariants:
//   1. Cells [tail, head) are valid; indices count up for ever, a cell lies at index mod capacity.
//   2. complete ≤ head; it stands after the last cell with flag Last: whole commands only before it.
//   3. Positions never fall from one cell to the next.
import { Cells } from '../wire/cells.ts';
import { EventReader } from '../wire/event-reader.ts';

export class EventHistory {
  readonly capacity: number;
  readonly reader: EventReader;
  readonly #cells: Cells;
  /** Position of the command before the first event that was ever kept. */
  readonly #before: bigint;
  #head = 0;
  #complete = 0;
  #lastPosition: bigint;

  constructor(capacity: number, positionBefore: bigint) {
    this.capacity = capacity;
    this.#cells = Cells.allocate(capacity);
    this.reader = new EventReader(this.#cells);
    this.#before = positionBefore;
    this.#lastPosition = positionBefore;
  }

  get head(): number {
    return this.#head;
  }

  get tail(): number {
    return Math.max(0, this.#head - this.capacity);
  }

  get complete(): number {
    return this.#complete;
  }

  /** Index of the first event of the command that comes next or is coming in, as far as it is still here. */
  get start(): number {
    return Math.max(this.#complete, this.tail);
  }

  /** Position of the last command whose events are all here. */
  get lastPosition(): bigint {
    return this.#lastPosition;
  }

  /** The cell of an index in [tail, head). */
  cellOf(index: number): number {
    return index % this.capacity;
  }

  /** Copies cells in; the oldest make room. */
  append(source: Cells, from: number, count: number): void {
    for (let done = 0; done < count; ) {
      const to = this.#head % this.capacity;
      const run = Math.min(count - done, this.capacity - to);
      this.#cells.copyFrom(source, from + done, to, run);
      done += run;
      this.#head += run;
    }
    for (let index = this.#head - 1; index >= this.#complete && index >= this.tail; index--) {
      const cell = this.cellOf(index);
      if (!this.reader.isLast(cell)) continue;
      this.#complete = index + 1;
      this.#lastPosition = this.reader.position(cell);
      break;
    }
  }

  /** Index of the first event at or after the position; undefined where events in between may be gone already. */
  indexOf(from: bigint): number | undefined {
    if (from > this.#lastPosition) return this.#complete;
    const tail = this.tail;
    // The oldest command may have lost its first events, unless nothing was lost yet.
    const oldest = tail === 0 ? this.#before + 1n : this.reader.position(this.cellOf(tail)) + 1n;
    if (from < oldest) return undefined;
    let low = tail;
    let high = this.#head;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.reader.position(this.cellOf(middle)) < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
