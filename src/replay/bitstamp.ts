/**
 * Bitstamp's order-by-order feed: `receive-time-ms kind json` a line (docs/replay.md has the rules of feeding).
 * Read twice: the first time for the orders that existed before the file starts, the second time for the flow.
 */
import type { Request, Side } from '../api/types.ts';
import { Scale } from '../decimal/scale.ts';
import { DecimalError } from '../errors/errors.ts';
import { type FeedInstrument, replayAccount, setupOf } from './account-setup.ts';
import { LineReader } from './lines.ts';
import { ReplayError } from './replay-error.ts';
import type { BookCheck, FeedSide, Step, StepSource } from './step.ts';

const linePattern = /^(\d+) (order_created|order_changed|order_deleted|trade|order_book) (\{.*\})$/;
const bookPattern = /^\d+ order_book /;
/** A fill's trade follows the order's line; lines of other orders come between, but not many. */
const tradeWithinLines = 12;
const levelsCompared = 5;
const nanosASecond = 1_000_000_000n;

interface OrderJson {
  id: number | string;
  order_type: 0 | 1;
  price: number | string;
  amount: number | string;
}
interface Parsed {
  readonly timeMs: number;
  readonly kind: string;
  readonly json: unknown;
}
interface Seed {
  readonly id: string;
  readonly side: Side;
  readonly price: number;
  /** Lots: what happens to it later, summed up. */
  size: number;
  readonly line: number;
  createdLater: boolean;
}

export interface BitstampOptions {
  readonly path: string;
  readonly instrument?: string;
  readonly skipBad?: boolean;
  /** Orders whose deletion stands before their creation are taken as never resting (docs/replay.md). */
  readonly mend?: boolean;
}

export function bitstampInstrument(path: string): { instrument: string; base: string; quote: string } {
  const pair = /(?:^|[^a-z])([a-z]{3})(usd|eur|gbp|btc)(?:[^a-z]|$)/.exec(
    path.split('/').at(-1)?.toLowerCase() ?? '',
  );
  const base = (pair?.[1] ?? 'btc').toUpperCase();
  const quote = (pair?.[2] ?? 'usd').toUpperCase();
  return { instrument: `${base}-${quote}`, base, quote };
}

export class BitstampSource implements StepSource {
  readonly feedTrades: Map<string, number> = new Map();
  readonly feed: FeedSide;
  badLines = 0;
  lines = 0;
  readonly #options: BitstampOptions;
  readonly #terms: FeedInstrument;
  readonly #ticks: Scale;
  readonly #lots: Scale;
  #reader: LineReader;
  #pass = 0;

  constructor(options: BitstampOptions) {
    const named = bitstampInstrument(options.path);
    const [base, quote] = options.instrument?.split('-') ?? [];
    this.#options = options;
    this.#terms = {
      instrument: options.instrument ?? named.instrument,
      base: base ?? named.base,
      quote: quote ?? named.quote,
      tickSize: '0.01',
      lotSize: '0.00000001',
    };
    this.#ticks = Scale.ofText(this.#terms.tickSize);
    this.#lots = Scale.ofText(this.#terms.lotSize);
    this.#reader = new LineReader(options.path);
    this.feed = {
      tradeKey: ({ price, quantity }) =>
        `${this.#ticks.toUnits(price, 'price')} ${this.#lots.toUnits(quantity, 'quantity')}`,
    };
  }

  get progress(): number {
    return (this.#pass === 2 ? 0.2 : 0) + this.#reader.progress * (this.#pass === 2 ? 0.8 : 0.2);
  }

  original(name: string): string {
    return name;
  }

  async *steps(): AsyncGenerator<Step[]> {
    const seeds = await this.#seeds();
    yield setupOf(this.#terms).map((request) => ({ line: 0, request }));
    const before = [...seeds.values()]
      .filter(({ size, createdLater }) => size > 0 && !(createdLater && this.#options.mend === true))
      // Bitstamp counts its order ids up: the id is the time of arrival, hence the place in the queue.
      .sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1));
    yield before.map((seed) => ({
      line: 0,
      request: this.#limit(seed.id, seed.side, seed.price, seed.size),
    }));
    yield* this.#flow(seeds);
  }

  async *#flow(seeds: ReadonlyMap<string, Seed>): AsyncGenerator<Step[]> {
    this.#pass = 2;
    this.#reader = new LineReader(this.#options.path);
    const prices = new Map<string, number>();
    for (const seed of seeds.values()) prices.set(seed.id, seed.price);
    let second = 0n;
    let line = 0;
    for await (const batch of this.#reader.batches()) {
      const steps: Step[] = [];
      for (const text of batch) {
        line += 1;
        this.lines = line;
        const parsed = this.#parse(text, line);
        if (parsed === undefined) continue;
        const step = this.#attempt(line, () => this.#step(parsed, line, prices, seeds));
        if (step === undefined) continue;
        const now = BigInt(Math.floor(parsed.timeMs / 1000));
        if (step.request !== undefined && now > second) {
          second = now;
          steps.push({ line, request: { op: 'advance-time', time: now * nanosASecond } });
        }
        steps.push(step);
      }
      yield steps;
    }
  }

  #step(
    parsed: Parsed,
    line: number,
    prices: Map<string, number>,
    seeds: ReadonlyMap<string, Seed>,
  ): Step | undefined {
    if (parsed.kind === 'order_book') return { line, book: this.#book(parsed.json) };
    if (parsed.kind === 'trade') {
      const trade = parsed.json as OrderJson;
      const key = `${this.#price(trade.price)} ${this.#amount(trade.amount)}`;
      this.feedTrades.set(key, (this.feedTrades.get(key) ?? 0) + 1);
      return undefined;
    }
    const order = parsed.json as OrderJson;
    const id = String(order.id);
    const price = this.#price(order.price);
    const amount = this.#amount(order.amount);
    const seed = seeds.get(id);
    if (seed?.createdLater && this.#options.mend === true) return undefined;
    if (parsed.kind === 'order_created') {
      if (seed !== undefined) return undefined; // It is there already, or its deletion was read before.
      prices.set(id, price);
      return { line, request: this.#limit(id, sideOf(order), price, amount) };
    }
    if (parsed.kind === 'order_changed') {
      if (prices.get(id) === price) return undefined; // A fill: the engine makes it by itself.
      prices.set(id, price);
      const { instrument } = this.#terms;
      return {
        line,
        request: {
          op: 'replace',
          account: replayAccount,
          instrument,
          id,
          price: BigInt(price),
          quantity: BigInt(amount),
        },
      };
    }
    prices.delete(id);
    return { line, request: { op: 'cancel', account: replayAccount, id }, cancel: { remaining: amount } };
  }

  /** Orders seen in a change or a deletion before any creation. */
  async #seeds(): Promise<Map<string, Seed>> {
    this.#pass = 1;
    this.#reader = new LineReader(this.#options.path);
    const seen = new Set<string>();
    const seeds = new Map<string, Seed>();
    let unfilled: Seed[] = [];
    let line = 0;
    for await (const batch of this.#reader.batches()) {
      for (const text of batch) {
        line += 1;
        if (bookPattern.test(text)) continue; // Long, frequent, and nothing here is in them.
        const parsed = parseLine(text);
        if (parsed === undefined) continue;
        const order = parsed.json as OrderJson;
        try {
          if (parsed.kind === 'trade') {
            unfilled = unfilled.filter((seed) => line - seed.line < tradeWithinLines);
            const price = this.#price(order.price);
            const at = unfilled.findIndex((seed) => seed.price === price);
            const [filled] = at < 0 ? [] : unfilled.splice(at, 1);
            if (filled !== undefined) filled.size += this.#amount(order.amount);
            continue;
          }
          const id = String(order.id);
          const known = seeds.get(id);
          if (parsed.kind === 'order_created' && known !== undefined) known.createdLater = true;
          if (seen.has(id)) continue;
          seen.add(id);
          if (parsed.kind === 'order_created') continue;
          const size = this.#amount(order.amount);
          const seed = {
            id,
            side: sideOf(order),
            price: this.#price(order.price),
            size,
            line,
            createdLater: false,
          };
          seeds.set(id, seed);
          if (parsed.kind === 'order_changed' || size === 0) unfilled.push(seed);
        } catch (error) {
          // The second reading comes to the same line and says what is wrong with it, or skips it.
          if (!(error instanceof ReplayError)) throw error;
        }
      }
    }
    return seeds;
  }

  #parse(text: string, line: number): Parsed | undefined {
    if (text === '') return undefined;
    return this.#attempt(line, () => {
      const parsed = parseLine(text);
      if (parsed === undefined) throw new ReplayError('REPLAY_BAD_LINE', 'not `receive-time-ms kind json`');
      return parsed;
    });
  }

  #attempt<T>(line: number, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ReplayError)) throw error;
      this.badLines += 1;
      if (this.#options.skipBad === true) return undefined;
      throw new ReplayError(error.code, `line ${line}: ${error.message}`, { line, cause: error });
    }
  }

  #limit(id: string, side: Side, price: number, lots: number): Request {
    const { instrument } = this.#terms;
    return {
      op: 'new',
      account: replayAccount,
      instrument,
      id,
      side,
      type: 'limit',
      tif: 'gtc',
      price: BigInt(price),
      quantity: BigInt(lots),
    };
  }

  #book(json: unknown): BookCheck {
    const { bids, asks } = json as { bids?: unknown; asks?: unknown };
    if (!Array.isArray(bids) || !Array.isArray(asks))
      throw new ReplayError('REPLAY_BAD_LINE', 'order_book without bids and asks');
    const side = (levels: unknown[]): [number, number][] =>
      levels.slice(0, levelsCompared).map((level) => {
        const [price, amount] = level as [string, string];
        return [this.#price(price), this.#amount(amount)];
      });
    return { bids: side(bids), asks: side(asks) };
  }

  #price(value: number | string): number {
    return whole(this.#ticks, value, 'price');
  }

  #amount(value: number | string): number {
    return whole(this.#lots, value, 'amount');
  }
}

function sideOf(order: OrderJson): Side {
  if (order.order_type === 0) return 'buy';
  if (order.order_type === 1) return 'sell';
  throw new ReplayError('REPLAY_BAD_LINE', 'order_type is neither 0 nor 1');
}

/** Orders carry decimal text. Trades carry the same numbers printed from a double, which rounding brings back. */
function whole(steps: Scale, value: number | string, what: string): number {
  const text = typeof value === 'number' && Number.isFinite(value) ? value.toFixed(steps.decimals) : value;
  try {
    return Number(steps.toUnits(text as string, what));
  } catch (cause) {
    if (!(cause instanceof DecimalError)) throw cause;
    throw new ReplayError('REPLAY_BAD_LINE', cause.message, { cause });
  }
}

function parseLine(text: string): Parsed | undefined {
  const match = linePattern.exec(text);
  if (match === null) return undefined;
  try {
    return { timeMs: Number(match[1]), kind: match[2]!, json: JSON.parse(match[3]!) };
  } catch {
    return undefined; // Broken JSON is a bad line like any other: the caller says so, with its number.
  }
}
