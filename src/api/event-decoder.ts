// EventDecoder: event cells as the objects that the public API hands out.
import type { Units } from '../decimal/scale.ts';
import type { EventReader } from '../wire/event-reader.ts';
import {
  type CommandName,
  causeNames,
  commandNames,
  eventFlags,
  eventTypes,
  orderTypeNames,
  tradingStateNames,
} from '../wire/layout.ts';
import { rejectName } from '../wire/rejects.ts';
import type { Instrument, Registry } from './registry.ts';
import type { Cause, Event, OrderType, Request, Side, TradingState } from './types.ts';

const million = 1_000_000n;
const type = eventTypes;

type OrderEvent = Extract<Event, { orderId: bigint; side: Side }>;
type BalanceOp = Extract<Event, { event: 'balance-changed' }>['op'];

/** value × fee / 10^6 in the quote asset, truncated toward zero, as docs/rules.md has it; as text. */
export function feeText(instrument: Instrument, price: Units, quantity: Units, fee: number): string {
  if (fee === 0) return '0';
  const { lotQuote, quote } = instrument;
  if (typeof price === 'number' && typeof quantity === 'number') {
    // Products of integers are exact as long as the last and largest one is.
    const product = price * quantity * Number(lotQuote) * fee;
    if (Number.isSafeInteger(product))
      return quote.scale.toText((product - (product % 1_000_000)) / 1_000_000);
  }
  return quote.scale.toText((BigInt(price) * BigInt(quantity) * lotQuote * BigInt(fee)) / million);
}

/** Decodes with the names of one exchange. */
export class EventDecoder {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The event in the cell. Every event that a core writes decodes; a type of a newer core throws. */
  decode(cells: EventReader, cell: number): Event {
    const event = this.#decode(cells, cell);
    if ((cells.flags(cell) & eventFlags.duplicate) !== 0) event.duplicate = true;
    return event;
  }

  #decode(cells: EventReader, cell: number): Event {
    const registry = this.#registry;
    const flags = cells.flags(cell);
    const position = cells.position(cell);
    const last = (flags & eventFlags.last) !== 0;
    switch (cells.type(cell)) {
      case type.trade:
        return this.#trade(cells, cell, position, last);
      case type.accepted:
        return this.#accepted(cells, cell, position, last, flags);
      case type.cancelled:
        return this.#cancelled(cells, cell, position, last);
      case type.booked:
      case type.triggered:
      case type.reduced:
        return this.#order(cells, cell, position, last, flags);
      case type.replaced:
        if ((flags & eventFlags.duplicate) === 0) return this.#order(cells, cell, position, last, flags);
        return {
          event: 'replaced-again',
          position,
          last,
          account: registry.accountName(cells.account(cell)),
          id: cells.id(cell),
          newId: cells.id2(cell),
          orderId: cells.orderId(cell),
        };
      case type.rejected:
        return this.#rejected(cells, cell, position, last);
      case type['mass-cancelled']: {
        const instrument = cells.instrument(cell);
        const side = cells.side(cell);
        return {
          event: 'mass-cancelled',
          position,
          last,
          account: registry.accountName(cells.account(cell)),
          ...(instrument === 0 ? {} : { instrument: registry.instrumentName(instrument) }),
          ...(side === 0 ? {} : { side: sideOf(side) }),
          count: Number(cells.quantity(cell)),
        };
      }
      case type['kill-switch-set']: {
        const account = registry.accountName(cells.account(cell));
        const on = cells.side(cell) === 1;
        return { event: 'kill-switch-set', position, last, account, on, count: Number(cells.quantity(cell)) };
      }
      case type['balance-changed']:
        return this.#balance(cells, cell, position, last);
      case type['asset-added']:
        return { event: 'asset-added', position, last, asset: cells.id(cell) };
      case type['instrument-added']:
        return { event: 'instrument-added', position, last, instrument: cells.id(cell) };
      case type['instrument-changed']:
        return { event: 'instrument-changed', position, last, instrument: this.#instrumentName(cells, cell) };
      case type['trading-state-set']: {
        const state = tradingStateNames[cells.kind(cell)] as TradingState;
        return {
          event: 'trading-state-set',
          position,
          last,
          instrument: this.#instrumentName(cells, cell),
          state,
        };
      }
      case type['account-added']: {
        const parent = registry.accountName(cells.account2(cell));
        return { event: 'account-added', position, last, account: cells.id(cell), parent };
      }
      case type['rights-set']:
        return { event: 'rights-set', position, last, account: registry.accountName(cells.account(cell)) };
      case type['limit-set']:
        return { event: 'limit-set', position, last, account: registry.accountName(cells.account(cell)) };
      case type['instrument-right-set']: {
        const account = registry.accountName(cells.account(cell));
        return {
          event: 'instrument-right-set',
          position,
          last,
          account,
          instrument: this.#instrumentName(cells, cell),
        };
      }
      case type['time-advanced']: {
        const expired = Number(cells.quantity(cell));
        return { event: 'time-advanced', position, last, time: cells.orderId(cell), expired };
      }
      case type['day-ended']:
        return { event: 'day-ended', position, last, count: Number(cells.quantity(cell)) };
      case type['availability-set']:
        return {
          event: 'availability-set',
          position,
          last,
          riskProcess: cells.instrument(cell),
          available: cells.side(cell) === 2,
          from: Number(cells.quantity(cell)),
        };
      default:
        throw new Error(`event type ${cells.type(cell)} at position ${position} is not known`);
    }
  }

  #instrumentName(cells: EventReader, cell: number): string {
    return this.#registry.instrumentName(cells.instrument(cell));
  }

  #trade(cells: EventReader, cell: number, position: bigint, last: boolean): Event {
    const registry = this.#registry;
    const instrument = this.#instrument(cells, cell);
    const price = cells.price(cell);
    const quantity = cells.quantity(cell);
    return {
      event: 'trade',
      position,
      last,
      instrument: instrument.name,
      tradeId: cells.tradeId(cell),
      side: sideOf(cells.side(cell)),
      price: instrument.price.toText(price),
      quantity: instrument.quantity.toText(quantity),
      maker: cells.id2(cell),
      makerAccount: registry.accountName(cells.account2(cell)),
      makerOrderId: cells.orderId2(cell),
      makerLeft: instrument.quantity.toText(cells.leaves2(cell)),
      makerFee: feeText(instrument, price, quantity, cells.fee2(cell)),
      taker: cells.id(cell),
      takerAccount: registry.accountName(cells.account(cell)),
      takerOrderId: cells.orderId(cell),
      takerLeft: instrument.quantity.toText(cells.leaves(cell)),
      takerFee: feeText(instrument, price, quantity, cells.fee(cell)),
    };
  }

  /** The most frequent event, written out: spreading the fields that all order events have costs as much as decoding them. */
  #accepted(cells: EventReader, cell: number, position: bigint, last: boolean, flags: number): Event {
    const instrument = this.#instrument(cells, cell);
    const event: Extract<Event, { event: 'accepted' }> = {
      event: 'accepted',
      position,
      last,
      account: this.#registry.accountName(cells.account(cell)),
      instrument: instrument.name,
      orderId: cells.orderId(cell),
      id: cells.id(cell),
      side: sideOf(cells.side(cell)),
      type: orderTypeNames[cells.kind(cell)] as OrderType,
      price: instrument.price.toText(cells.price(cell)),
      quantity: instrument.quantity.toText(cells.quantity(cell)),
      visible: instrument.quantity.toText(cells.leaves2(cell)),
      booked: (flags & eventFlags.booked) !== 0,
    };
    if ((flags & eventFlags.repriced) !== 0) event.repriced = true;
    if ((flags & eventFlags.stop) !== 0) event.stop = true;
    return event;
  }

  /** As frequent as accepted ones, and written out for the same reason. */
  #cancelled(cells: EventReader, cell: number, position: bigint, last: boolean): Event {
    const instrument = this.#instrument(cells, cell);
    return {
      event: 'cancelled',
      position,
      last,
      account: this.#registry.accountName(cells.account(cell)),
      instrument: instrument.name,
      orderId: cells.orderId(cell),
      id: cells.id(cell),
      side: sideOf(cells.side(cell)),
      type: orderTypeNames[cells.kind(cell)] as OrderType,
      price: instrument.price.toText(cells.price(cell)),
      cause: causeNames[cells.code(cell)] as Cause,
      quantity: instrument.quantity.toText(cells.quantity(cell)),
    };
  }

  #order(cells: EventReader, cell: number, position: bigint, last: boolean, flags: number): Event {
    const instrument = this.#instrument(cells, cell);
    const lots = instrument.quantity;
    const order = {
      position,
      last,
      account: this.#registry.accountName(cells.account(cell)),
      instrument: instrument.name,
      orderId: cells.orderId(cell),
      id: cells.id(cell),
      side: sideOf(cells.side(cell)),
      type: orderTypeNames[cells.kind(cell)] as OrderType,
      price: instrument.price.toText(cells.price(cell)),
    };
    const booked = (flags & eventFlags.booked) !== 0;
    let event: OrderEvent;
    switch (cells.type(cell)) {
      case type.booked: {
        const open = lots.toText(cells.leaves(cell));
        event = { event: 'booked', ...order, open, visible: lots.toText(cells.leaves2(cell)) };
        if ((flags & eventFlags.reload) !== 0) event.reload = true;
        return event;
      }
      case type.triggered: {
        const open = lots.toText(cells.leaves(cell));
        return { event: 'triggered', ...order, open, visible: lots.toText(cells.leaves2(cell)), booked };
      }
      case type.reduced:
        return {
          event: 'reduced',
          ...order,
          cause: causeNames[cells.code(cell)] as Cause,
          quantity: lots.toText(cells.quantity(cell)),
          open: lots.toText(cells.leaves(cell)),
          visible: lots.toText(cells.leaves2(cell)),
        };
      default: {
        const open = lots.toText(cells.leaves(cell));
        const visible = lots.toText(cells.leaves2(cell));
        event = { event: 'replaced', ...order, newId: cells.id2(cell), open, visible, booked };
        if ((flags & eventFlags.keptPriority) !== 0) event.keptPriority = true;
        if ((flags & eventFlags.repriced) !== 0) event.repriced = true;
        if ((flags & eventFlags.stop) !== 0) event.stop = true;
        return event;
      }
    }
  }

  #rejected(cells: EventReader, cell: number, position: bigint, last: boolean): Event {
    const op = (commandNames[cells.kind(cell)] ?? 'none') as CommandName;
    const event: Extract<Event, { event: 'rejected' }> = {
      event: 'rejected',
      position,
      last,
      code: rejectName(cells.code(cell)),
      op: op === 'none' ? 'unknown' : (op as Request['op']),
    };
    if (!accountless.has(op)) event.account = this.#registry.accountName(cells.account(cell));
    const subject = cells.instrument(cell);
    if (subject !== 0) {
      if (ofAsset.has(op)) event.asset = this.#registry.assetName(subject);
      // The subject of a limit is an instrument or an asset; the event does not say which.
      else if (op !== 'set-limit') event.instrument = this.#registry.instrumentName(subject);
    }
    const id = cells.id(cell);
    if (id !== '') event.id = id;
    return event;
  }

  #balance(cells: EventReader, cell: number, position: bigint, last: boolean): Event {
    const asset = this.#registry.assetById(cells.instrument(cell));
    const op = commandNames[cells.kind(cell)] as BalanceOp;
    const other = cells.account2(cell);
    return {
      event: 'balance-changed',
      position,
      last,
      account: this.#registry.accountName(cells.account(cell)),
      asset: asset.name,
      id: cells.id(cell),
      op,
      change: asset.scale.toText(cells.change(cell)),
      total: asset.scale.toText(cells.amount(cell)),
      ...(op === 'transfer' ? { other: this.#registry.accountName(other) } : {}),
    };
  }

  #instrument(cells: EventReader, cell: number): Instrument {
    const id = cells.instrument(cell);
    const instrument = this.#registry.instrumentById(id);
    if (instrument === undefined)
      throw new Error(`instrument ${id} at position ${cells.position(cell)} is not registered`);
    return instrument;
  }
}

/** Commands whose account field means nothing. */
const accountless: ReadonlySet<CommandName> = new Set([
  'none',
  'add-asset',
  'add-instrument',
  'change-instrument',
  'set-trading-state',
  'advance-time',
  'day-end',
]);
const ofAsset: ReadonlySet<CommandName> = new Set(['deposit', 'withdraw', 'transfer']);

function sideOf(number: number): Side {
  return number === 1 ? 'buy' : 'sell';
}
