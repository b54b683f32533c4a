// RequestEncoder: requests as command cells.
//
// Checks what the core cannot see (names, texts, missing fields) and leaves every rule to the core. A cell that an error leaves half
// written is never offered.
import { refuseNotDecimal, type Scale, type Units } from '../decimal/scale.ts';
import { InvalidRequestError, VerbexError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import type { Cells } from '../wire/cells.ts';
import { writeId, writeName } from '../wire/ids.ts';
import {
  commandOffsets as at,
  cellBytes,
  commandFlags,
  commandNames,
  limitKindNames,
  orderTypeNames,
  rightIceberg,
  selfTradeNames,
  sideNames,
  timeInForceNames,
  tradingStateNames,
} from '../wire/layout.ts';
import type { Additions } from './additions.ts';
import { encodeAddInstrument, mergeTerms, writeTerms } from './instrument-terms.ts';
import type { Registry } from './registry.ts';
import type { NewOrder, ReplaceOrder, Request, SetLimit, SetRights } from './types.ts';

const operations = numbersOf(commandNames);
const sides = numbersOf(sideNames);
const orderTypes = numbersOf(orderTypeNames);
const timesInForce = numbersOf(timeInForceNames);
const selfTrades = numbersOf(selfTradeNames);
const tradingStates = numbersOf(tradingStateNames);
const limitKinds = numbersOf(limitKindNames);

const immediateOrCancel = 4;
const goodTillCancel = 1;
const limitOrder = 1;
const marketOrder = 2;

/** Encodes into any cells, with the names of one exchange. */
export class RequestEncoder {
  readonly #registry: Registry;
  readonly #additions: Additions;

  constructor(registry: Registry, additions: Additions) {
    this.#registry = registry;
    this.#additions = additions;
  }

  /**
   * Writes the request into the cell; the token is echoed in its events, 0 is for those that nobody waits for.
   * Throws a VerbexError without having told anybody of the request.
   */
  encode(request: Request, cells: Cells, cell: number, token: number): void {
    const byte = cell * cellBytes;
    cells.clear(cell);
    if (typeof request !== 'object' || request === null) throw invalid('request', 'expected an object');
    const type = operations.get(request.op);
    if (type === undefined) throw invalid('op', `${shown(request.op)} is no request`);
    cells.u8[byte] = type;
    if (token !== 0) cells.writeInt64(byte + at.token, token, 'token');
    this.#fields(request, cells, byte);
  }

  #fields(request: Request, cells: Cells, byte: number): void {
    const registry = this.#registry;
    switch (request.op) {
      case 'new':
        this.#newOrder(request, cells, byte);
        return;
      case 'cancel':
        cells.u32[(byte + at.account) >>> 2] = registry.account(request.account);
        writeId(cells.u8, byte + at.id, request.id);
        return;
      case 'reduce': {
        const instrument = registry.instrument(request.instrument);
        cells.u32[(byte + at.account) >>> 2] = registry.account(request.account);
        cells.u32[(byte + at.instrument) >>> 2] = instrument.id;
        writeId(cells.u8, byte + at.id, request.id);
        cells.writeInt64(byte + at.quantity, units(instrument.quantity, request.by, 'by'), 'by');
        return;
      }
      case 'replace':
        this.#replace(request, cells, byte);
        return;
      case 'mass-cancel':
        cells.u32[(byte + at.account) >>> 2] = this.#scope(request.account);
        if (request.instrument !== undefined) {
          cells.u32[(byte + at.instrument) >>> 2] = registry.instrument(request.instrument).id;
        }
        if (request.side !== undefined) cells.u8[byte + at.side] = choice(sides, request.side, 'side');
        return;
      case 'kill-switch':
        if (typeof request.on !== 'boolean') throw invalid('on', 'expected true or false');
        cells.u32[(byte + at.account) >>> 2] = this.#scope(request.account);
        cells.u8[byte + at.side] = request.on ? 1 : 2;
        return;
      case 'deposit':
      case 'withdraw':
      case 'transfer': {
        const asset = registry.asset(request.asset);
        cells.u32[(byte + at.account) >>> 2] = registry.account(request.account);
        cells.u32[(byte + at.instrument) >>> 2] = asset.id;
        writeId(cells.u8, byte + at.id, request.id);
        cells.writeInt128(byte + at.amount, units(asset.scale, request.amount, 'amount'), 'amount');
        if (request.op === 'transfer')
          cells.u32[(byte + at.toAccount) >>> 2] = registry.account(request.to, 'to');
        return;
      }
      case 'add-asset':
        writeName(cells.u8, byte + at.id, request.asset, 'asset');
        cells.u8[byte + at.orderType] = smallInteger(request.decimals, 0, 255, 'decimals');
        return;
      case 'add-instrument':
        writeName(cells.u8, byte + at.id, request.instrument, 'instrument');
        if (request.state !== undefined)
          cells.u8[byte + at.orderType] = choice(tradingStates, request.state, 'state');
        encodeAddInstrument(request, registry, cells, byte);
        return;
      case 'change-instrument': {
        const instrument = registry.instrument(request.instrument);
        cells.u32[(byte + at.instrument) >>> 2] = instrument.id;
        writeTerms(mergeTerms(request, instrument, this.#additions.isChanging(instrument.id)), cells, byte);
        return;
      }
      case 'set-trading-state':
        cells.u32[(byte + at.instrument) >>> 2] = registry.instrument(request.instrument).id;
        cells.u8[byte + at.orderType] = choice(tradingStates, request.state, 'state');
        return;
      case 'add-account':
        cells.u32[(byte + at.account) >>> 2] = this.#scope(request.parent, 'parent');
        writeName(cells.u8, byte + at.id, request.account, 'account');
        return;
      case 'set-rights':
        this.#setRights(request, cells, byte);
        return;
      case 'set-instrument-right':
        cells.u32[(byte + at.account) >>> 2] = this.#scope(request.account);
        cells.u32[(byte + at.instrument) >>> 2] = registry.instrument(request.instrument).id;
        cells.u8[byte + at.side] = choice(instrumentRights, request.right, 'right');
        return;
      case 'set-limit':
        this.#setLimit(request, cells, byte);
        return;
      case 'advance-time':
        if (typeof request.time !== 'bigint')
          throw invalid('time', 'expected nanoseconds since 1970 as a bigint');
        cells.writeUint64(byte + at.expiry, request.time, 'time');
        return;
      case 'day-end':
        return;
    }
  }

  #newOrder(request: NewOrder, cells: Cells, byte: number): void {
    const instrument = this.#registry.instrument(request.instrument);
    const type = request.type === undefined ? limitOrder : choice(orderTypes, request.type, 'type');
    const { u8, u32 } = cells;
    u8[byte + at.side] = choice(sides, request.side, 'side');
    u8[byte + at.orderType] = type;
    u8[byte + at.timeInForce] =
      request.tif !== undefined
        ? choice(timesInForce, request.tif, 'tif')
        : type === marketOrder
          ? immediateOrCancel
          : goodTillCancel;
    if (request.selfTrade !== undefined && request.selfTrade !== 'none') {
      u8[byte + at.selfTrade] = choice(selfTrades, request.selfTrade, 'selfTrade');
    }
    u32[(byte + at.account) >>> 2] = this.#registry.account(request.account);
    u32[(byte + at.instrument) >>> 2] = instrument.id;
    writeId(u8, byte + at.id, request.id);
    if (request.price !== undefined) {
      cells.writeInt64(byte + at.price, units(instrument.price, request.price, 'price'), 'price');
    }
    cells.writeInt64(
      byte + at.quantity,
      units(instrument.quantity, request.quantity, 'quantity'),
      'quantity',
    );
    if (request.expiry !== undefined)
      cells.writeUint64(byte + at.expiry, nanoseconds(request.expiry), 'expiry');

    let flags = 0;
    if (request.postOnly !== undefined && request.postOnly !== false) flags |= postOnlyFlag(request.postOnly);
    if (request.selfTradeScope !== undefined)
      flags |= choice(selfTradeScopes, request.selfTradeScope, 'selfTradeScope');
    const { stopPrice, displayQuantity, minQuantity } = request;
    if (stopPrice !== undefined || displayQuantity !== undefined || minQuantity !== undefined) {
      flags |= commandFlags.extended;
      if (stopPrice !== undefined) {
        cells.writeInt64(byte + at.stopPrice, units(instrument.price, stopPrice, 'stopPrice'), 'stopPrice');
      }
      if (displayQuantity !== undefined) {
        const lots = units(instrument.quantity, displayQuantity, 'displayQuantity');
        cells.writeInt64(byte + at.displayQuantity, lots, 'displayQuantity');
      }
      if (minQuantity !== undefined) {
        cells.writeInt64(
          byte + at.minQuantity,
          units(instrument.quantity, minQuantity, 'minQuantity'),
          'minQuantity',
        );
      }
    }
    if (flags !== 0) cells.u16[(byte + at.flags) >>> 1] = flags;
  }

  #replace(request: ReplaceOrder, cells: Cells, byte: number): void {
    const instrument = this.#registry.instrument(request.instrument);
    cells.u32[(byte + at.account) >>> 2] = this.#registry.account(request.account);
    cells.u32[(byte + at.instrument) >>> 2] = instrument.id;
    writeId(cells.u8, byte + at.id, request.id);
    if (request.price !== undefined) {
      cells.writeInt64(byte + at.price, units(instrument.price, request.price, 'price'), 'price');
    }
    cells.writeInt64(
      byte + at.quantity,
      units(instrument.quantity, request.quantity, 'quantity'),
      'quantity',
    );
    if (request.newId === undefined && request.stopPrice === undefined) return;
    cells.u16[(byte + at.flags) >>> 1] = commandFlags.extended;
    if (request.newId !== undefined) writeId(cells.u8, byte + at.newId, request.newId, 'newId');
    if (request.stopPrice !== undefined) {
      cells.writeInt64(
        byte + at.stopPrice,
        units(instrument.price, request.stopPrice, 'stopPrice'),
        'stopPrice',
      );
    }
  }

  #setRights(request: SetRights, cells: Cells, byte: number): void {
    cells.u32[(byte + at.account) >>> 2] = this.#scope(request.account);
    if (!Array.isArray(request.orderTypes)) throw invalid('orderTypes', 'expected an array');
    let bits = 0;
    for (const type of request.orderTypes) {
      bits |= type === 'iceberg' ? rightIceberg : 1 << choice(orderTypes, type, 'orderTypes');
    }
    cells.u32[(byte + at.rights) >>> 2] = bits;
    cells.u32[(byte + at.rights + 4) >>> 2] = choice(instrumentDefaults, request.instruments, 'instruments');
  }

  #setLimit(request: SetLimit, cells: Cells, byte: number): void {
    const { kind, limit } = request;
    cells.u32[(byte + at.account) >>> 2] = this.#scope(request.account);
    cells.u8[byte + at.orderType] = choice(limitKinds, kind, 'kind');
    let scale: Scale | undefined;
    if (kind === 'order-size' || kind === 'position') {
      const instrument = this.#registry.instrument(request.instrument as string);
      cells.u32[(byte + at.instrument) >>> 2] = instrument.id;
      scale = instrument.quantity;
    } else if (kind !== 'open-orders') {
      const asset = this.#registry.asset(request.asset as string);
      cells.u32[(byte + at.instrument) >>> 2] = asset.id;
      scale = asset.scale;
    }
    let amount: Units = -1;
    if (limit !== null) {
      if (scale !== undefined) amount = units(scale, limit as string | bigint, 'limit');
      else if (typeof limit === 'number') amount = smallInteger(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
      else amount = BigInt(countOf(limit));
      if (amount < 0) throw invalid('limit', 'a limit is not negative; null removes it');
    }
    cells.writeInt128(byte + at.amount, amount, 'limit');
  }

  /** The account that an operator's request means: left out, the venue. */
  #scope(name: string | undefined, field = 'account'): number {
    return name === undefined ? 0 : this.#registry.account(name, field);
  }
}

const instrumentRights: ReadonlyMap<string, number> = new Map([
  ['default', 0],
  ['allow', 1],
  ['deny', 2],
]);
const instrumentDefaults: ReadonlyMap<string, number> = new Map([
  ['allow', 1],
  ['deny', 2],
]);
const selfTradeScopes: ReadonlyMap<string, number> = new Map([
  ['account', 0],
  ['firm', commandFlags.selfTradeFirm],
]);

function numbersOf(names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.flatMap((name, number) => (number === 0 ? [] : [[name, number] as const])));
}

function invalid(field: string, message: string): InvalidRequestError {
  return new InvalidRequestError('INVALID_REQUEST', `${field}: ${message}`, { field });
}

function choice(numbers: ReadonlyMap<string, number>, name: string, field: string): number {
  const number = numbers.get(name);
  if (number === undefined) {
    const given = name === undefined ? 'is missing' : `${shown(name)} is not known`;
    throw invalid(field, `${given}; one of ${[...numbers.keys()].join(', ')}`);
  }
  return number;
}

function units(scale: Scale, value: string | bigint, field: string): Units {
  if (value === undefined) throw invalid(field, 'is missing');
  return scale.toUnits(value, field);
}

function smallInteger(value: number, min: number, max: number, field: string): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalid(field, `${shown(value)} is not an integer from ${min} to ${max}`);
  }
  return value;
}

function countOf(value: string | bigint): string | bigint {
  if (typeof value === 'bigint' || (typeof value === 'string' && /^\d{1,39}$/.test(value))) return value;
  return refuseNotDecimal(value, 'limit');
}

function postOnlyFlag(postOnly: unknown): number {
  if (postOnly === true || postOnly === 'reject') return commandFlags.postOnlyReject;
  if (postOnly === 'reprice') return commandFlags.postOnlyReprice;
  throw invalid('postOnly', `${shown(postOnly)} is not known; one of true, false, "reject", "reprice"`);
}

function nanoseconds(expiry: number | bigint): bigint {
  if (typeof expiry === 'bigint') return expiry;
  if (!Number.isSafeInteger(expiry) || expiry < 0) {
    throw invalid('expiry', 'expected whole milliseconds since 1970 as a number, or nanoseconds as a bigint');
  }
  return BigInt(expiry) * 1_000_000n;
}

/** Says at which place of a batch an error arose. */
export function atIndex(error: unknown, index: number): unknown {
  if (error instanceof VerbexError) error.index = index;
  return error;
}
