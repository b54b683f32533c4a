// Deposit, Withdraw, Transfer. Rules, section 4.

import { transactionFields } from './ids.ts';
import type { Model } from './model.ts';
import { AMOUNT_MAX, type Decimal, decimal, integer } from './money.ts';
import type { Account, Asset } from './state.ts';
import { type Command, EventFlag, EventType, Reject } from './wire.ts';

const AMOUNT_LIMIT = 1n << 120n;

export function deposit(model: Model, c: Command): number {
  const payer = payerOf(model, c);
  if (typeof payer === 'number') return payer;
  const seen = repeated(model, c);
  if (seen !== undefined) return seen;
  if (c.amount < 1n || c.amount > AMOUNT_LIMIT) return Reject.INVALID_AMOUNT;
  const amount = decimal(c.amount);
  if (payer.asset.issued.plus(amount).greaterThan(AMOUNT_MAX)) return Reject.VALUE_OVERFLOW;

  payer.asset.issued = payer.asset.issued.plus(amount);
  move(model, c, payer.account, payer.asset, amount, 0);
  model.ids.rememberTransaction(c.account, c, model.position);
  return Reject.NONE;
}

export function withdraw(model: Model, c: Command): number {
  const payer = payerOf(model, c);
  if (typeof payer === 'number') return payer;
  const refused = repeated(model, c) ?? uncovered(c, payer);
  if (refused !== undefined) return refused;

  const amount = decimal(c.amount);
  payer.asset.issued = payer.asset.issued.minus(amount);
  move(model, c, payer.account, payer.asset, amount.negated(), 0);
  model.ids.rememberTransaction(c.account, c, model.position);
  return Reject.NONE;
}

export function transfer(model: Model, c: Command): number {
  const payer = payerOf(model, c);
  if (typeof payer === 'number' && payer !== Reject.INVALID_CLIENT_ORDER_ID) return payer;
  if (c.toAccount >= BigInt(model.accounts.length)) return Reject.UNKNOWN_ACCOUNT;
  const receiver = model.accounts[Number(c.toAccount)]!;
  if (receiver.id === 0) return Reject.ACCOUNT_CANNOT_TRADE;
  if (receiver.id === c.account) return Reject.SAME_ACCOUNT;
  if (typeof payer === 'number') return payer;
  const refused = repeated(model, c) ?? uncovered(c, payer);
  if (refused !== undefined) return refused;

  const amount = decimal(c.amount);
  move(model, c, payer.account, payer.asset, amount.negated(), receiver.id);
  move(model, c, receiver, payer.asset, amount, payer.account.id);
  model.ids.rememberTransaction(c.account, c, model.position);
  return Reject.NONE;
}

interface Payer {
  account: Account;
  asset: Asset;
}

// The last of these checks is the id's: a transfer's receiver is looked at before it.
function payerOf(model: Model, c: Command): Payer | number {
  const account = model.account(c.account);
  if (account === undefined) return Reject.UNKNOWN_ACCOUNT;
  if (account.id === 0) return Reject.ACCOUNT_CANNOT_TRADE;
  const asset = model.asset(c.instrument);
  if (asset === undefined) return Reject.UNKNOWN_ASSET;
  if (c.id === '') return Reject.INVALID_CLIENT_ORDER_ID;
  return { account, asset };
}

// The id rule: undefined for a new id, otherwise what the command comes to.
function repeated(model: Model, c: Command): number | undefined {
  const first = model.ids.transaction(c.account, c.id);
  if (first === undefined) return undefined;
  if (first.sameAs !== transactionFields(c)) return Reject.DUPLICATE_TRANSACTION;
  model.emit({
    type: EventType.BalanceChanged,
    flags: EventFlag.Duplicate,
    kind: c.type,
    account: c.account,
    account2: Number(c.toAccount),
    instrument: c.instrument,
    id: c.id,
    orderId: first.position,
  });
  return Reject.NONE;
}

function uncovered(c: Command, payer: Payer): number | undefined {
  if (c.amount < 1n || c.amount > AMOUNT_LIMIT) return Reject.INVALID_AMOUNT;
  const available = payer.account.available(payer.asset.id);
  return available.lessThan(decimal(c.amount)) ? Reject.INSUFFICIENT_FUNDS : undefined;
}

function move(
  model: Model,
  c: Command,
  account: Account,
  asset: Asset,
  change: Decimal,
  otherSide: number,
): void {
  account.credit(asset.id, change);
  model.emit({
    type: EventType.BalanceChanged,
    kind: c.type,
    account: account.id,
    account2: otherSide,
    instrument: asset.id,
    id: c.id,
    change: integer(change),
    amount: integer(account.total(asset.id)),
  });
}
