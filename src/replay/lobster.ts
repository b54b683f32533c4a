/**
 * LOBSTER's message files: `seconds-after-midnight,type,order id,size,price×10000,direction` a line
 * (docs/replay.md has the rules of feeding). Read twice: the first time for the orders that existed before the file
 * starts, the second time for the flow. An order book file beside it (`message` in its name replaced by `orderbook`)
 * is compared line by line.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Request, Side } from '../api/types.ts';
import { Scale } from '../decimal/scale.ts';
import { type FeedInstrument, replayAccount, setupOf } from './account-setup.ts';
import { LineReader } from './lines.ts';
import { ReplayError } from './replay-error.ts';
import type { BookCheck, FeedSide, Step, StepSource } from './step.ts';

const levelsCompared = 5;
/** What the order book file writes as the price of a level that is not there. */
const emptyLevel = 9_999_999_999;
const nanosASecond = 1_000_000_000n;
const kinds = { created: 1, reduced: 2, deleted: 3, executed: 4 } as const;
const kindMax = 7;

interface Message {
  readonly time: string;
  readonly kind: number;
  readonly id: string;
  readonly size: number;
  readonly price: number;
  /** Of the resting order. */
  readonly side: Side;
}
interface Seed {
  readonly side: Side;
  readonly price: number;
  size: number;
}
/** Executions of one time and one direction: one incoming order. */
interface Run {
  readonly time: string;
  readonly side: Side;
  readonly line: number;
  size: number;
  price: number;
  book: BookCheck | undefined;
}

export interface LobsterOptions {
  readonly path: string;
  readonly instrument?: string;
  readonly skipBad?: boolean;
}

export class LobsterSource implements StepSource {
  readonly feedTrades: Map<string, number> = new Map();
  readonly feed: FeedSide;
  badLines = 0;
  lines = 0;
  readonly #options: LobsterOptions;
  readonly #terms: FeedInstrument;
  readonly #midnight: bigint;
  readonly #booksPath: string | undefined;
  #reader: LineReader;
  #pass = 0;

  constructor(options: LobsterOptions) {
    const name = basename(options.path);
    const ticker = /^([A-Za-z.]{1,8})_/.exec(name)?.[1]?.toUpperCase() ?? 'LOBSTER';
    const date = /\d{4}-\d{2}-\d{2}/.exec(name)?.[0];
    this.#options = options;
    this.#terms = {
      instrument: options.instrument ?? `${ticker}-USD`,
      base: options.instrument?.split('-')[0] ?? ticker,
      quote: options.instrument?.split('-')[1] ?? 'USD',
      tickSize: '0.0001',
      lotSize: '1',
    };
    this.#midnight = BigInt(date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) || 0) / 1000n;
    const books = join(dirname(options.path), name.replace('message', 'orderbook'));
    this.#booksPath = name.includes('message') && existsSync(books) ? books : undefined;
    this.#reader = new LineReader(options.path);
    const ticks = Scale.ofText(this.#terms.tickSize);
    this.feed = {
      tradeKey: ({ price, quantity, maker }) => `${maker} ${ticks.toUnits(price, 'price')} ${quantity}`,
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
    // Order ids count up with the time of arrival, hence with the place in the queue.
    const before = [...seeds].sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1));
    yield before.map(([id, { side, price, size }]) => ({
      line: 0,
      request: this.#limit(id, side, price, size),
    }));
    yield* this.#flow();
  }

  async *#flow(): AsyncGenerator<Step[]> {
    this.#pass = 2;
    this.#reader = new LineReader(this.#options.path);
    const books = this.#booksPath === undefined ? undefined : bookLines(this.#booksPath);
    let second = this.#midnight;
    let run: Run | undefined;
    let steps: Step[] = [];
    const clock = (time: string, line: number): void => {
      const now = this.#midnight + BigInt(Math.floor(Number(time)));
      if (now <= second) return;
      second = now;
      steps.push({ line, request: { op: 'advance-time', time: now * nanosASecond } });
    };
    const endRun = (): void => {
      if (run === undefined) return;
      clock(run.time, run.line);
      const step: Step = { line: run.line, request: this.#incoming(run) };
      steps.push(run.book === undefined ? step : { ...step, book: run.book });
      run = undefined;
    };
    for await (const batch of this.#reader.batches()) {
      for (const text of batch) {
        this.lines += 1;
        const line = this.lines;
        const book = books === undefined ? undefined : bookOf((await books.next()).value);
        const message = this.#read(text, line);
        if (message === undefined) continue;
        if (
          run !== undefined &&
          !(message.kind === kinds.executed && message.time === run.time && message.side === run.side)
        )
          endRun();
        if (message.kind === kinds.executed) {
          const key = `${message.id} ${message.price} ${message.size}`;
          this.feedTrades.set(key, (this.feedTrades.get(key) ?? 0) + 1);
          run ??= {
            time: message.time,
            side: message.side,
            line,
            size: 0,
            price: message.price,
            book: undefined,
          };
          run.size += message.size;
          run.price = message.price;
          run.book = book;
          continue;
        }
        const step = this.#step(message, line);
        if (step !== undefined) {
          clock(message.time, line);
          steps.push(step);
        }
        if (book !== undefined) steps.push({ line, book });
      }
      yield steps;
      steps = [];
    }
    endRun();
    yield steps;
  }

  /** Hidden executions, crosses and halts leave the visible book as it is. */
  #step(message: Message, line: number): Step | undefined {
    const { id, size } = message;
    if (message.kind === kinds.created)
      return { line, request: this.#limit(id, message.side, message.price, size) };
    if (message.kind === kinds.reduced) {
      const { instrument } = this.#terms;
      return { line, request: { op: 'reduce', account: replayAccount, instrument, id, by: BigInt(size) } };
    }
    if (message.kind === kinds.deleted) {
      return { line, request: { op: 'cancel', account: replayAccount, id }, cancel: { remaining: size } };
    }
    return undefined;
  }

  /** Orders seen first in another event than a creation, with the sum of what happens to them. */
  async #seeds(): Promise<Map<string, Seed>> {
    this.#pass = 1;
    this.#reader = new LineReader(this.#options.path);
    const created = new Set<string>();
    const seeds = new Map<string, Seed>();
    for await (const batch of this.#reader.batches()) {
      for (const text of batch) {
        const message = parseMessage(text);
        if (typeof message === 'string' || message.kind > kinds.executed || created.has(message.id)) continue;
        const seed = seeds.get(message.id);
        if (message.kind === kinds.created) {
          if (seed === undefined) created.add(message.id);
        } else if (seed === undefined) {
          seeds.set(message.id, { side: message.side, price: message.price, size: message.size });
        } else {
          seed.size += message.size;
        }
      }
    }
    return seeds;
  }

  #read(text: string, line: number): Message | undefined {
    if (text === '') return undefined;
    const message = parseMessage(text);
    if (typeof message !== 'string') return message;
    this.badLines += 1;
    if (this.#options.skipBad === true) return undefined;
    throw new ReplayError('REPLAY_BAD_LINE', `line ${line}: ${message}`, { line });
  }

  #limit(id: string, side: Side, price: number, size: number): Request {
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
      quantity: BigInt(size),
    };
  }

  #incoming(run: Run): Request {
    const { instrument } = this.#terms;
    return {
      op: 'new',
      account: replayAccount,
      instrument,
      id: `t${run.line}`,
      side: run.side === 'buy' ? 'sell' : 'buy',
      type: 'limit',
      tif: 'ioc',
      price: BigInt(run.price),
      quantity: BigInt(run.size),
    };
  }
}

/** The message, or what is wrong with it. */
function parseMessage(text: string): Message | string {
  const fields = text.split(',');
  if (fields.length < 6) return 'not six fields';
  const [time, kindText, id, sizeText, priceText, direction] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  if (!/^\d+(\.\d+)?$/.test(time)) return `time "${time}" is not a number of seconds`;
  const kind = Number(kindText);
  if (!Number.isInteger(kind) || kind < 1 || kind > kindMax)
    return `type "${kindText}" is none of 1 to ${kindMax}`;
  const side: Side = direction.trim() === '1' ? 'buy' : 'sell';
  if (kind > kinds.executed) return { time, kind, id, size: 0, price: 0, side };
  if (direction.trim() !== '1' && direction.trim() !== '-1')
    return `direction "${direction}" is neither 1 nor -1`;
  const size = Number(sizeText);
  const price = Number(priceText);
  if (!Number.isSafeInteger(size) || size <= 0) return `size "${sizeText}" is not a positive whole number`;
  if (!Number.isSafeInteger(price) || price <= 0)
    return `price "${priceText}" is not a positive whole number`;
  if (!/^\d{1,15}$/.test(id)) return `order id "${id}" is not a number`;
  return { time, kind, id, size, price, side };
}

async function* bookLines(path: string): AsyncGenerator<string> {
  for await (const batch of new LineReader(path).batches()) yield* batch;
}

/** `ask price,ask size,bid price,bid size` for each level, best first. */
function bookOf(text: string | undefined): BookCheck | undefined {
  if (text === undefined || text === '') return undefined;
  const numbers = text.split(',').map(Number);
  const bids: [number, number][] = [];
  const asks: [number, number][] = [];
  for (let at = 0; at + 3 < numbers.length && at < 4 * levelsCompared; at += 4) {
    const [askPrice, askSize, bidPrice, bidSize] = numbers.slice(at, at + 4) as [
      number,
      number,
      number,
      number,
    ];
    if (Math.abs(askPrice) < emptyLevel) asks.push([askPrice, askSize]);
    if (Math.abs(bidPrice) < emptyLevel) bids.push([bidPrice, bidSize]);
  }
  return { bids, asks };
}
