/** What a reader of a file hands to the feeder: commands in their order, and what should be seen between them. */
import type { Request } from '../api/types.ts';

/** The book as a feed's own snapshot has it, in ticks and lots, best first. */
export interface BookCheck {
  readonly bids: readonly (readonly [price: number, quantity: number])[];
  readonly asks: readonly (readonly [price: number, quantity: number])[];
}

/** What a feed says of a cancel: `remaining` lots were left, 0 when the feed calls the order filled. */
export interface CancelCheck {
  readonly remaining: number;
}

export interface Step {
  /** Line of the file, from 1; 0 for what the replay adds by itself before the first line. */
  readonly line: number;
  /** One command. Left out: only the checks. */
  readonly request?: Request;
  readonly cancel?: CancelCheck;
  /** The book after everything before this step, and after its command. */
  readonly book?: BookCheck;
}

/** A trade as the feed reports it: a key that the engine's trades are compared by, as a multiset. */
export interface FeedSide {
  /** How the engine's trade is called in the feed's terms. */
  tradeKey(trade: { price: string; quantity: string; maker: string }): string;
}

/** An instrument that the replay defined: what a book mirror has to know. */
export interface DefinedInstrument {
  readonly instrument: string;
  readonly tickSize: string;
  readonly lotSize: string;
}

/** A reader of one format. */
export interface StepSource {
  /** Batches of steps, the same for the same file each time. */
  steps(): AsyncGenerator<Step[]>;
  /** Called for each trade that the feed reports. Left out: the format has none. */
  readonly feed?: FeedSide;
  /** Trades of the feed seen so far, by key. */
  readonly feedTrades?: ReadonlyMap<string, number>;
  /** Lines that were skipped because they are wrong (only with skipBad). */
  readonly badLines: number;
  /** Lines read. */
  readonly lines: number;
  /** 0 to 1: how much of the file has been read. */
  readonly progress: number;
  /** Ids and names as they stand in the file, for those that the core knows by a shorter one. */
  original(name: string): string;
}
