// Assets, instruments, accounts, rights and limits. Rules, section 3.

import type { Model } from './model.ts';
import { AMOUNT_MAX, MILLION, value, ZERO } from './money.ts';
import { Account, Instrument, type Schedule } from './state.ts';
import { type Command, EventType, type Id, LimitKind, Reject, RIGHTS_ALL } from './wire.ts';

const SCHEDULES_MAX = 16;
const TICKS_MAX = 1n << 53n;

export function addAsset(model: Model, c: Command): number {
  const refused = nameRefused(c.id, model.assets);
  if (refused !== Reject.NONE) return refused;
  if (c.orderType > 18) return Reject.INVALID_DECIMALS;
  if (model.assets.length >= model.limits.maxInstruments) return Reject.CAPACITY_INSTRUMENTS;

  const id = model.assets.length + 1;
  model.assets.push({ id, name: c.id, decimals: c.orderType, issued: ZERO, fees: ZERO });
  model.emit({ type: EventType.AssetAdded, instrument: id, id: c.id });
  return Reject.NONE;
}

export function addInstrument(model: Model, c: Command): number {
  const refused = nameRefused(c.id, model.instruments);
  if (refused !== Reject.NONE) return refused;
  if (model.asset(c.base) === undefined || model.asset(c.quote) === undefined) return Reject.UNKNOWN_ASSET;
  if (c.orderType > 4) return Reject.INVALID_TRADING_STATE;
  const valid =
    c.base !== c.quote && c.price >= 1n && c.quantity >= 1n && fieldsValid(c, c.price, c.quantity);
  if (!valid) return Reject.INVALID_INSTRUMENT;
  if (model.instruments.length >= model.limits.maxInstruments) return Reject.CAPACITY_INSTRUMENTS;

  const instrument = new Instrument();
  instrument.id = model.instruments.length + 1;
  instrument.name = c.id;
  instrument.base = c.base;
  instrument.quote = c.quote;
  instrument.lotBase = c.price;
  instrument.lotQuote = c.quantity;
  if (c.orderType !== 0) instrument.state = c.orderType;
  takeFields(instrument, c);
  model.instruments.push(instrument);
  model.emit({
    type: EventType.InstrumentAdded,
    instrument: instrument.id,
    id: c.id,
    kind: instrument.state,
  });
  return Reject.NONE;
}

export function changeInstrument(model: Model, c: Command): number {
  const instrument = model.instrument(c.instrument);
  if (instrument === undefined) return Reject.UNKNOWN_INSTRUMENT;
  if (!fieldsValid(c, instrument.lotBase, instrument.lotQuote)) return Reject.INVALID_INSTRUMENT;
  const schedules = schedulesInUse(instrument, c);
  const least = (fees: number[]) => Math.min(...fees);
  const leastMaker = least(schedules.map((s) => s.makerFee));
  const leastTaker = least(schedules.map((s) => s.takerFee));
  if (leastMaker + leastTaker < 0) return Reject.FEES_BELOW_REBATES;
  const different = new Set(schedules.map((s) => `${s.makerFee} ${s.takerFee}`));
  if (different.size > SCHEDULES_MAX) return Reject.CAPACITY_FEE_SCHEDULES;

  takeFields(instrument, c);
  instrument.text = undefined;
  model.emit({ type: EventType.InstrumentChanged, instrument: instrument.id });
  return Reject.NONE;
}

// The schedules of open orders, and the one that would be in force.
function schedulesInUse(instrument: Instrument, inForce: Schedule): Schedule[] {
  return [inForce, ...instrument.openOrders().map((order) => order.schedule)];
}

function fieldsValid(c: Command, lotBase: bigint, lotQuote: bigint): boolean {
  return (
    1n <= c.priceMin &&
    c.priceMin <= c.priceMax &&
    c.priceMax <= TICKS_MAX &&
    1n <= c.quantityMin &&
    c.quantityMin <= c.quantityMax &&
    c.quantityMax <= TICKS_MAX &&
    -MILLION <= c.makerFee &&
    c.makerFee <= MILLION &&
    0 <= c.takerFee &&
    c.takerFee <= MILLION &&
    c.makerFee + c.takerFee >= 0 &&
    0 <= c.collar &&
    c.collar <= MILLION &&
    value(c.priceMax, c.quantityMax, lotQuote).times(2).lessThanOrEqualTo(AMOUNT_MAX) &&
    value(1n, c.quantityMax, lotBase).lessThanOrEqualTo(AMOUNT_MAX)
  );
}

function takeFields(instrument: Instrument, c: Command): void {
  instrument.priceMin = c.priceMin;
  instrument.priceMax = c.priceMax;
  instrument.quantityMin = c.quantityMin;
  instrument.quantityMax = c.quantityMax;
  instrument.schedule = { makerFee: c.makerFee, takerFee: c.takerFee };
  instrument.collar = c.collar;
}

function nameRefused(name: Id, named: readonly { name: Id }[]): number {
  if (name === '') return Reject.INVALID_NAME;
  return named.some((other) => other.name === name) ? Reject.NAME_EXISTS : Reject.NONE;
}

export function setTradingState(model: Model, c: Command): number {
  const instrument = model.instrument(c.instrument);
  if (instrument === undefined) return Reject.UNKNOWN_INSTRUMENT;
  if (c.orderType === 0 || c.orderType > 4) return Reject.INVALID_TRADING_STATE;

  instrument.state = c.orderType;
  instrument.text = undefined;
  model.emit({ type: EventType.TradingStateSet, instrument: instrument.id, kind: c.orderType });
  return Reject.NONE;
}

export function addAccount(model: Model, c: Command): number {
  const parent = model.account(c.account);
  if (parent === undefined) return Reject.UNKNOWN_ACCOUNT;
  const refused = nameRefused(c.id, model.accounts);
  if (refused !== Reject.NONE) return refused;
  if (parent.level === 3) return Reject.INVALID_PARENT;
  if (model.accounts.length - 1 >= model.limits.maxAccounts) return Reject.CAPACITY_ACCOUNTS;

  const account = new Account(model.accounts.length, parent, c.id, RIGHTS_ALL);
  model.accounts.push(account);
  model.emit({ type: EventType.AccountAdded, account: account.id, account2: parent.id, id: c.id });
  return Reject.NONE;
}

export function setRights(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  const orderTypes = Number(c.rights & 0xffffffffn);
  const instrumentDefault = Number(c.rights >> 32n);
  if ((orderTypes & ~RIGHTS_ALL) !== 0) return Reject.INVALID_RIGHTS;
  if (instrumentDefault !== 1 && instrumentDefault !== 2) return Reject.INVALID_RIGHTS;

  account.orderTypes = orderTypes;
  account.instrumentDefault = instrumentDefault;
  account.text = undefined;
  model.emit({ type: EventType.RightsSet, account: account.id });
  return Reject.NONE;
}

export function setInstrumentRight(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (model.instrument(c.instrument) === undefined) return Reject.UNKNOWN_INSTRUMENT;
  if (c.side > 2) return Reject.INVALID_RIGHTS;

  if (c.side === 0) account.instrumentRights.delete(c.instrument);
  else account.instrumentRights.set(c.instrument, c.side);
  account.text = undefined;
  model.emit({
    type: EventType.InstrumentRightSet,
    account: account.id,
    instrument: c.instrument,
    side: c.side,
  });
  return Reject.NONE;
}

export function setLimit(model: Model, c: Command): number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  const kind = c.orderType;
  if (kind === 0 || kind > 5 || c.amount < -1n || c.amount > 1n << 120n) return Reject.INVALID_LIMIT;
  if (kind === LimitKind.OrderSize || kind === LimitKind.Position) {
    if (model.instrument(c.instrument) === undefined) return Reject.UNKNOWN_INSTRUMENT;
  } else if (kind === LimitKind.OpenOrders) {
    if (c.instrument !== 0) return Reject.INVALID_LIMIT;
  } else if (model.asset(c.instrument) === undefined) {
    return Reject.UNKNOWN_ASSET;
  }
  if (kind === LimitKind.OpenValue && c.amount !== -1n) {
    const openValues = model.subtree(account).map((below) => below.openValue(c.instrument));
    const sum = openValues.reduce((a, b) => a.plus(b), ZERO);
    if (sum.greaterThan(AMOUNT_MAX)) return Reject.VALUE_OVERFLOW;
  }

  account.limits = account.limits.filter((l) => l.kind !== kind || l.subject !== c.instrument);
  if (c.amount !== -1n) account.limits.push({ kind, subject: c.instrument, amount: c.amount });
  account.text = undefined;
  model.emit({
    type: EventType.LimitSet,
    account: account.id,
    instrument: c.instrument,
    kind,
    amount: c.amount,
  });
  return Reject.NONE;
}
