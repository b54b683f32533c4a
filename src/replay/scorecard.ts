/**
 * What a replay counts: what became of the commands, and how near the engine comes to what the feed reports. Fed with
 * expectations by the position of the command that they belong to, and with all events in order.
 *
 * Invariant: an expectation is judged when the last event of its position has been seen, whichever of the two comes first.
 */
import type { Event } from '../api/types.ts';
import { BookMirror, type InstrumentBook, type MirrorLevel } from '../mirror/book-mirror.ts';
import { BestPrices, eventLine, type TextFile } from './outputs.ts';
import type { BookCheck, CancelCheck, StepSource } from './step.ts';

interface Expectation {
  readonly position: number;
  readonly cancel: CancelCheck | undefined;
  readonly book: BookCheck | undefined;
}

export interface FlowScore {
  /** Trades that the feed reports. */
  feedTrades: number;
  /** Of them, those that the engine made too: same price and quantity, as a multiset. */
  feedTradesMatched: number;
  /** Cancels that found exactly what the feed says was left. */
  cancelsExact: number;
  cancelsInexact: number;
  /** Cancels of orders that were filled or gone already. */
  cancelsGone: number;
  /** Orders that the feed calls filled and that the engine still had: taken out. */
  filledStillOpen: number;
  bestPriceChecked: number;
  /** Both best prices right. */
  bestPriceRight: number;
  /** Price and quantity of five levels of both sides right. */
  fiveLevelsRight: number;
}

export interface ScorecardOutputs {
  readonly events?: TextFile | undefined;
  readonly best?: TextFile | undefined;
}

export class Scorecard {
  readonly flow: FlowScore = {
    feedTrades: 0,
    feedTradesMatched: 0,
    cancelsExact: 0,
    cancelsInexact: 0,
    cancelsGone: 0,
    filledStillOpen: 0,
    bestPriceChecked: 0,
    bestPriceRight: 0,
    fiveLevelsRight: 0,
  };
  trades = 0;
  rejected = 0;
  events = 0;
  readonly rejectedByCode: Map<string, number> = new Map();
  readonly mirror: BookMirror = new BookMirror();
  readonly #source: StepSource;
  readonly #original: (name: string) => string;
  readonly #outputs: ScorecardOutputs;
  readonly #best: BestPrices | undefined;
  readonly #mirrors: boolean;
  readonly #madeTrades = new Map<string, number>();
  readonly #touched = new Set<InstrumentBook>();
  #waiting: Expectation[] = [];
  #judged = 0;
  /** The last position whose events have all been seen. */
  #seen = 0;
  #failure: Error | undefined;
  #waiter: { readonly position: number; readonly resolve: () => void } | undefined;

  constructor(source: StepSource, outputs: ScorecardOutputs) {
    this.#source = source;
    this.#original = (name) => source.original(name);
    this.#outputs = outputs;
    this.#best = outputs.best === undefined ? undefined : new BestPrices(outputs.best, this.#original);
    this.#mirrors = source.feed !== undefined || outputs.best !== undefined;
  }

  get seen(): number {
    return this.#seen;
  }

  /** Whether all events up to this position have been seen, once they have or the time is over. */
  async seenUpTo(position: number, timeoutMs: number): Promise<boolean> {
    this.check();
    if (this.#seen >= position) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiter = {
        position,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
    });
    this.#waiter = undefined;
    this.check();
    return this.#seen >= position;
  }

  /** Throws what went wrong while events were seen: they come by a callback that has nobody to throw to. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  expect(position: number, cancel: CancelCheck | undefined, book: BookCheck | undefined): void {
    this.#waiting.push({ position, cancel, book });
    if (position <= this.#seen) this.#judge();
  }

  /** Takes back what was expected after this position: those commands get other positions. */
  forget(position: number): void {
    this.#waiting = this.#waiting.slice(this.#judged).filter((expected) => expected.position <= position);
    this.#judged = 0;
  }

  see(events: readonly Event[]): void {
    if (this.#failure !== undefined) return;
    try {
      for (const event of events) this.#see(event);
    } catch (error) {
      this.#failure = error as Error;
    }
    if (this.#waiter !== undefined && (this.#waiter.position <= this.#seen || this.#failure !== undefined)) {
      this.#waiter.resolve();
      this.#waiter = undefined;
    }
  }

  /** To be called once at the end. */
  finish(): void {
    for (const [key, count] of this.#source.feedTrades ?? []) {
      this.flow.feedTrades += count;
      this.flow.feedTradesMatched += Math.min(count, this.#madeTrades.get(key) ?? 0);
    }
  }

  #see(event: Event): void {
    this.events += 1;
    this.#outputs.events?.write(eventLine(event, this.#original));
    if (event.event === 'trade') {
      this.trades += 1;
      if (this.#source.feed !== undefined) {
        const key = this.#source.feed.tradeKey(event);
        this.#madeTrades.set(key, (this.#madeTrades.get(key) ?? 0) + 1);
      }
    } else if (event.event === 'rejected') {
      this.rejected += 1;
      this.rejectedByCode.set(event.code, (this.rejectedByCode.get(event.code) ?? 0) + 1);
    }
    if (this.#mirrors) {
      if (event.event === 'cancelled' || event.event === 'rejected') this.#judgeCancel(event);
      const book = this.mirror.apply(event);
      if (book !== undefined && this.#best !== undefined) this.#touched.add(book);
    }
    if (!event.last) return;
    this.#seen = Number(event.position);
    if (this.#touched.size > 0) {
      for (const book of this.#touched) this.#best?.after(event.position, book);
      this.#touched.clear();
    }
    if (this.#judged < this.#waiting.length) this.#judge();
  }

  #judgeCancel(event: Extract<Event, { event: 'cancelled' | 'rejected' }>): void {
    const next = this.#waiting[this.#judged];
    if (next?.cancel === undefined || next.position !== Number(event.position)) return;
    if (event.event === 'rejected') {
      if (next.cancel.remaining > 0) this.flow.cancelsGone += 1;
    } else if (next.cancel.remaining === 0) {
      this.flow.filledStillOpen += 1;
    } else {
      const lots = this.mirror.book(event.instrument)?.lotsOf(event.quantity);
      if (lots === next.cancel.remaining) this.flow.cancelsExact += 1;
      else this.flow.cancelsInexact += 1;
    }
  }

  #judge(): void {
    for (; this.#judged < this.#waiting.length; this.#judged += 1) {
      const next = this.#waiting[this.#judged]!;
      if (next.position > this.#seen) break;
      if (next.book !== undefined) this.#judgeBook(next.book);
    }
    // What is judged is dropped from time to time, not one by one.
    if (this.#judged > 4096) {
      this.#waiting = this.#waiting.slice(this.#judged);
      this.#judged = 0;
    }
  }

  #judgeBook(check: BookCheck): void {
    const [instrument] = this.mirror.instruments;
    const book = instrument === undefined ? undefined : this.mirror.book(instrument);
    if (book === undefined) return;
    const bids = book.levels('buy', 5);
    const asks = book.levels('sell', 5);
    this.flow.bestPriceChecked += 1;
    if (bids[0]?.price === check.bids[0]?.[0] && asks[0]?.price === check.asks[0]?.[0])
      this.flow.bestPriceRight += 1;
    if (sameLevels(bids, check.bids) && sameLevels(asks, check.asks)) this.flow.fiveLevelsRight += 1;
  }
}

function sameLevels(
  levels: readonly MirrorLevel[],
  expected: readonly (readonly [number, number])[],
): boolean {
  return (
    levels.length === expected.length &&
    levels.every(
      ({ price, quantity }, at) =>
        price === expected[at]?.[0] && quantity === BigInt(expected[at]?.[1] ?? -1),
    )
  );
}
