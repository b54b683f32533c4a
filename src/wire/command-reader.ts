// Command cells as plain objects, for dumps of a journal: raw numbers, nothing looked up. Fields that are zero are left out.
import type { Cells } from './cells.ts';
import { readId } from './ids.ts';
import {
  commandOffsets as at,
  cellBytes,
  commandFlags,
  commandNames,
  orderTypeNames,
  selfTradeNames,
  sideNames,
  timeInForceNames,
} from './layout.ts';

/** One command as it lies in the journal: ids of accounts, instruments and assets as numbers; ticks, lots, units as counts. */
export type RawCommand = { type: string } & Record<string, string | number | bigint>;

const transactions: readonly string[] = ['deposit', 'withdraw', 'transfer', 'set-limit'];
const terms: readonly string[] = ['add-instrument', 'change-instrument'];
const orders: readonly string[] = ['new', 'replace', 'cancel', 'reduce'];

/** Reads the command in the given cell. */
export function readCommand(cells: Cells, cell: number): RawCommand {
  const byte = cell * cellBytes;
  const number = cells.u8[byte + at.type]!;
  const type = commandNames[number] ?? `unknown-${number}`;
  const command: RawCommand = { type };
  const put = (name: string, value: string | number | bigint): void => {
    if (value !== 0 && value !== 0n && value !== '') command[name] = value;
  };
  const named = (offset: number, names: readonly string[]): string | number => {
    const value = cells.u8[byte + offset]!;
    return value === 0 ? 0 : (names[value] ?? value);
  };
  const int64 = (offset: number): number | bigint => cells.readInt64(byte + offset);
  const uint32 = (offset: number): number => cells.u32[(byte + offset) / 4]!;
  const int32 = (offset: number): number => cells.i32[(byte + offset) / 4]!;
  const isOrder = orders.includes(type);

  put('account', uint32(at.account));
  put(transactions.includes(type) ? 'subject' : 'instrument', uint32(at.instrument));
  put('id', readId(cells.u8, byte + at.id));
  put(
    'side',
    type === 'new' || type === 'mass-cancel' ? named(at.side, sideNames) : cells.u8[byte + at.side]!,
  );
  put(
    isOrder ? 'orderType' : 'kind',
    isOrder ? named(at.orderType, orderTypeNames) : cells.u8[byte + at.orderType]!,
  );
  put('tif', named(at.timeInForce, timeInForceNames));
  put('selfTrade', named(at.selfTrade, selfTradeNames));
  const flags = cells.u16[(byte + at.flags) / 2]!;
  put('flags', flags);
  if (transactions.includes(type)) put('amount', cells.readInt128(byte + at.amount));
  else {
    put(type === 'add-instrument' ? 'lotBase' : 'price', int64(at.price));
    put(type === 'add-instrument' ? 'lotQuote' : 'quantity', int64(at.quantity));
  }
  const eighth =
    type === 'transfer'
      ? 'toAccount'
      : type === 'set-rights'
        ? 'rights'
        : type === 'advance-time'
          ? 'time'
          : 'expiry';
  put(eighth, cells.u64[(byte + at.expiry) / 8]!);
  put('token', cells.u64[(byte + at.token) / 8]!);
  if ((flags & commandFlags.extended) === 0) return command;
  if (terms.includes(type)) {
    for (const name of ['priceMin', 'priceMax', 'quantityMin', 'quantityMax'] as const)
      put(name, int64(at[name]));
    for (const name of ['makerFee', 'takerFee', 'collar'] as const) put(name, int32(at[name]));
    for (const name of ['base', 'quote'] as const) put(name, uint32(at[name]));
  } else {
    put('newId', readId(cells.u8, byte + at.newId));
    for (const name of ['stopPrice', 'displayQuantity', 'minQuantity'] as const) put(name, int64(at[name]));
  }
  return command;
}
