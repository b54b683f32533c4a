// Intake: from requests to the native input ring.
//
//   offer(batch) ──encode──▶ stage ──one crossing per stageful──▶ input ring
//   submit(one)  ──encode──▶ waiting cells ──at the end of the turn, or when there is room──▶ stage ──▶ input ring
//
// Order: whatever was submitted before an offer goes into the ring before it.
import { BackPressureError, ClosedError, fromNative, type VerbexError } from '../errors/errors.ts';
import { Cells } from '../wire/cells.ts';
import { cellBytes, commandTypes } from '../wire/layout.ts';
import type { Additions } from './additions.ts';
import type { Answers } from './answers.ts';
import type { EngineNode } from './engine-node.ts';
import type { EventPump } from './event-pump.ts';
import type { OrderBatch } from './order-batch.ts';
import { atIndex, type RequestEncoder } from './request-encoder.ts';
import type { Event, OfferResult, Request } from './types.ts';

/** Requests that submit() keeps while the input ring is full. */
export const waitingMax = 65_536;
const waitingAtFirst = 256;

export interface IntakeParts {
  readonly node: EngineNode;
  readonly encoder: RequestEncoder;
  readonly additions: Additions;
  readonly answers: Answers;
  readonly pump: EventPump;
}

export class Intake {
  readonly #node: EngineNode;
  readonly #encoder: RequestEncoder;
  readonly #additions: Additions;
  readonly #answers: Answers;
  readonly #pump: EventPump;
  readonly #stage: Cells;
  /** For batches larger than the stage, which must be checked as a whole first. */
  #large: Cells | undefined;
  /** Submitted and not taken yet: cells [first, end). */
  #waiting: Cells = Cells.allocate(waitingAtFirst);
  #first = 0;
  #end = 0;
  #flushing = false;
  #failure: VerbexError | undefined;

  constructor({ node, encoder, additions, answers, pump }: IntakeParts) {
    this.#node = node;
    this.#encoder = encoder;
    this.#additions = additions;
    this.#answers = answers;
    this.#pump = pump;
    this.#stage = new Cells(node.stage, 0, node.stageCells);
  }

  get waiting(): number {
    return this.#end - this.#first;
  }

  /** Takes no more. */
  close(): void {
    this.#failure ??= new ClosedError();
  }

  /** The engine is gone: nothing that waits will be answered. */
  fail(failure: VerbexError): void {
    this.#failure = failure;
    this.#first = this.#end = 0;
    this.#answers.fail(failure);
  }

  offer(batch: readonly Request[]): OfferResult {
    this.#check();
    const count = batch.length;
    if (count === 0) return { accepted: 0 };
    if (!this.#flush()) return { accepted: 0 };
    const cells = this.#cellsFor(count);
    for (let index = 0; index < count; index++) {
      try {
        this.#encoder.encode(batch[index]!, cells, index, 0);
      } catch (error) {
        throw atIndex(error, index);
      }
    }
    return { accepted: this.#hand(cells, 0, count) };
  }

  /** Offers what a batch holds and takes what was accepted out of it. */
  offerBatch(batch: OrderBatch): OfferResult {
    this.#check();
    if (batch.size === 0 || !this.#flush()) return { accepted: 0 };
    const accepted = this.#hand(batch.cells, batch.first, batch.size);
    batch.drop(accepted);
    return { accepted };
  }

  submit(request: Request): Promise<Event[]> {
    this.#check();
    if (this.waiting >= waitingMax) {
      throw new BackPressureError(
        'BACK_PRESSURE',
        `${waitingMax} submitted requests wait for room in the input ring already`,
      );
    }
    this.#makeRoom();
    this.#encoder.encode(request, this.#waiting, this.#end, this.#answers.nextToken);
    this.#end++;
    const answer = this.#answers.expect();
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flushLater());
    }
    return answer;
  }

  /** Resolves once everything submitted so far is in the ring. */
  async drain(): Promise<void> {
    while (!this.#flush()) await turn();
  }

  /** The ring is full: resolves when it is worth trying again. */
  room(): Promise<void> {
    return turn();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #cellsFor(count: number): Cells {
    if (count <= this.#stage.count) return this.#stage;
    if (this.#large === undefined || this.#large.count < count) {
      this.#large = Cells.allocate(2 ** Math.ceil(Math.log2(count)));
    }
    return this.#large;
  }

  /** Hands cells to the ring; answers how many it took. */
  #hand(cells: Cells, first: number, count: number): number {
    let taken = 0;
    while (taken < count) {
      const run = Math.min(count - taken, this.#stage.count);
      if (cells !== this.#stage) this.#stage.copyFrom(cells, first + taken, 0, run);
      const accepted = this.#cross(run);
      for (let cell = 0; cell < accepted; cell++) {
        const type = this.#stage.u8[cell * cellBytes]!;
        if (type >= commandTypes['add-asset'] && type <= commandTypes['change-instrument']) {
          this.#additions.taken(this.#stage, cell);
        }
      }
      taken += accepted;
      if (accepted < run) {
        // Perhaps the engine waits for us: its output ring may be full of events that nobody has fetched.
        this.#pump.transfer();
        this.#pump.schedule();
        break;
      }
    }
    return taken;
  }

  #cross(count: number): number {
    try {
      return this.#node.offer(count);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Whether nothing waits any more. */
  #flush(): boolean {
    const waiting = this.#end - this.#first;
    if (waiting === 0) return true;
    this.#first += this.#hand(this.#waiting, this.#first, waiting);
    if (this.#first !== this.#end) return false;
    this.#first = this.#end = 0;
    return true;
  }

  #flushLater(): void {
    try {
      if (!this.#flush()) {
        setImmediate(() => this.#flushLater());
        return;
      }
    } catch (error) {
      this.fail(fromNative(error));
    }
    this.#flushing = false;
  }

  /** Room for one more waiting cell: moved to the front, or into twice the space. */
  #makeRoom(): void {
    if (this.#end < this.#waiting.count) return;
    const waiting = this.waiting;
    const target =
      waiting * 2 > this.#waiting.count ? Cells.allocate(this.#waiting.count * 2) : this.#waiting;
    target.copyFrom(this.#waiting, this.#first, 0, waiting);
    this.#waiting = target;
    this.#first = 0;
    this.#end = waiting;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
