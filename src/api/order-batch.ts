// OrderBatch: the fast lane in. Orders are written straight into command cells: no objects, no texts but the id.
import { BackPressureError, InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import { Cells } from '../wire/cells.ts';
import { writeDigits } from '../wire/digits.ts';
import { writeId } from '../wire/ids.ts';
import {
  commandOffsets as at,
  cellBytes,
  commandTypes,
  orderTypeNames,
  timeInForceNames,
} from '../wire/layout.ts';
import type { Side, TimeInForce } from './types.ts';

const limit = orderTypeNames.indexOf('limit');
const market = orderTypeNames.indexOf('market');
const ioc = timeInForceNames.indexOf('ioc');
const newOrder = commandTypes.new;
const cancelOrder = commandTypes.cancel;
const reduceOrder = commandTypes.reduce;
const replaceOrder = commandTypes.replace;
const two32 = 4294967296;
const timesInForce: Readonly<Record<TimeInForce, number>> = { gtc: 1, day: 2, gtd: 3, ioc: 4, fok: 5 };

/** What `exchange.accountRef()` answers: an account by number. Good for as long as the data it came from. */
export type AccountRef = number & { readonly ref: 'account' };
/** What `exchange.instrumentRef()` answers: an instrument by number. Good for as long as the data it came from. */
export type InstrumentRef = number & { readonly ref: 'instrument' };
/** An order id: text, or a non-negative integer that stands for its decimal digits. */
export type BatchId = string | number;

/**
 * A run of command cells to be filled and offered. Prices are whole ticks and quantities whole lots here: integers, for which JavaScript
 * numbers are exact up to 2^53, which is also the core's own bound. Anything else throws INVALID_REQUEST.
 *
 * Not to be shared between threads. A batch may be filled again after `exchange.offerBatch(batch)` has taken something from it.
 */
export class OrderBatch {
  readonly cells: Cells;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  #first = 0;
  #end = 0;

  constructor(capacity: number) {
    this.cells = Cells.allocate(capacity);
    this.#u8 = this.cells.u8;
    this.#u32 = this.cells.u32;
  }

  /** Commands that it holds. */
  get size(): number {
    return this.#end - this.#first;
  }

  /** Commands that it can hold. */
  get capacity(): number {
    return this.cells.count;
  }

  /** Index of the oldest cell that has not been taken. */
  get first(): number {
    return this.#first;
  }

  /** A limit order, good till cancelled unless said otherwise. */
  limit(
    account: AccountRef,
    instrument: InstrumentRef,
    id: BatchId,
    side: Side,
    ticks: number,
    lots: number,
    tif: TimeInForce = 'gtc',
  ): void {
    const byte = this.#order(newOrder, account, instrument, id);
    const u8 = this.#u8;
    u8[byte + at.side] = side === 'buy' ? 1 : 2;
    u8[byte + at.orderType] = limit;
    u8[byte + at.timeInForce] = timesInForce[tif];
    this.#count(byte + at.price, ticks, 'ticks');
    this.#count(byte + at.quantity, lots, 'lots');
    this.#end++;
  }

  /** A market order, immediate or cancel. */
  market(account: AccountRef, instrument: InstrumentRef, id: BatchId, side: Side, lots: number): void {
    const byte = this.#order(newOrder, account, instrument, id);
    const u8 = this.#u8;
    u8[byte + at.side] = side === 'buy' ? 1 : 2;
    u8[byte + at.orderType] = market;
    u8[byte + at.timeInForce] = ioc;
    this.#count(byte + at.quantity, lots, 'lots');
    this.#end++;
  }

  cancel(account: AccountRef, id: BatchId): void {
    this.#order(cancelOrder, account, 0, id);
    this.#end++;
  }

  /** By so many lots; the place in the queue is kept. */
  reduce(account: AccountRef, id: BatchId, lots: number): void {
    const byte = this.#order(reduceOrder, account, 0, id);
    this.#count(byte + at.quantity, lots, 'lots');
    this.#end++;
  }

  /** To a new price and a new open quantity; the id stays. */
  replace(account: AccountRef, id: BatchId, ticks: number, lots: number): void {
    const byte = this.#order(replaceOrder, account, 0, id);
    this.#count(byte + at.price, ticks, 'ticks');
    this.#count(byte + at.quantity, lots, 'lots');
    this.#end++;
  }

  /** Empties it. */
  clear(): void {
    this.#first = this.#end = 0;
  }

  /** Forgets the oldest ones; what `offerBatch` does with those that were taken. */
  drop(count: number): void {
    this.#first += Math.min(count, this.size);
    if (this.#first === this.#end) this.clear();
  }

  /** The next cell, with what every order command has. */
  #order(type: number, account: number, instrument: number, id: BatchId): number {
    if (this.#end === this.cells.count) this.#makeRoom();
    const byte = this.#end * cellBytes;
    const u32 = this.#u32;
    const word = byte >>> 2;
    // Only the first line is ever written: the second one stays zero as it was made. One store after another costs a quarter of a fill().
    u32[word] = 0;
    u32[word + 1] = 0;
    u32[word + 8] = 0;
    u32[word + 9] = 0;
    u32[word + 10] = 0;
    u32[word + 11] = 0;
    u32[word + 12] = 0;
    u32[word + 13] = 0;
    u32[word + 14] = 0;
    u32[word + 15] = 0;
    this.#u8[byte] = type;
    u32[word + at.account / 4] = account;
    u32[word + at.instrument / 4] = instrument;
    const idWord = word + at.id / 4;
    if (typeof id === 'number') {
      if (!Number.isSafeInteger(id) || id < 0) throw invalidNumber(id);
      writeDigits(u32, idWord, id);
    } else {
      u32[idWord] = u32[idWord + 1] = u32[idWord + 2] = u32[idWord + 3] = 0;
      writeId(this.#u8, byte + at.id, id);
    }
    return byte;
  }

  #count(byte: number, value: number, what: string): void {
    if (!Number.isSafeInteger(value)) {
      throw new InvalidRequestError(
        'INVALID_REQUEST',
        `${what}: ${shown(value)} is not a whole number below 2^53`,
        {
          field: what,
        },
      );
    }
    const word = byte >>> 2;
    this.#u32[word] = value >>> 0;
    this.#u32[word + 1] = Math.floor(value / two32) >>> 0;
  }

  #makeRoom(): void {
    if (this.#first === 0) {
      throw new BackPressureError(
        'BATCH_FULL',
        `the batch holds ${this.cells.count} commands already: offer it first`,
      );
    }
    const { size } = this;
    this.cells.copyFrom(this.cells, this.#first, 0, size);
    this.#first = 0;
    this.#end = size;
  }
}

function invalidNumber(id: number): InvalidRequestError {
  return new InvalidRequestError('INVALID_ID', `id: ${shown(id)} is not a whole number from 0 to 2^53`, {
    field: 'id',
  });
}
