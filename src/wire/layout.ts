// The layout of command and event cells, as native/wire/command.h and event.h have it. A test proves it equal to what the addon says.
// Little-endian, as every host that the engine builds for.

/** Bytes of a cell: two cache lines. */
export const cellBytes = 128;

/** Offsets in bytes. */
export const commandOffsets = {
  type: 0,
  side: 1,
  orderType: 2,
  timeInForce: 3,
  selfTrade: 4,
  flags: 6,
  account: 8,
  instrument: 12,
  id: 16,
  price: 32,
  quantity: 40,
  amount: 32,
  expiry: 48,
  toAccount: 48,
  rights: 48,
  token: 56,
  newId: 64,
  stopPrice: 80,
  displayQuantity: 88,
  minQuantity: 96,
  priceMin: 64,
  priceMax: 72,
  quantityMin: 80,
  quantityMax: 88,
  makerFee: 96,
  takerFee: 100,
  collar: 104,
  base: 108,
  quote: 112,
} as const;

/** Offsets in bytes. */
export const eventOffsets = {
  type: 0,
  flags: 1,
  side: 2,
  kind: 3,
  code: 4,
  schedules: 6,
  position: 8,
  account: 16,
  instrument: 20,
  orderId: 24,
  price: 32,
  quantity: 40,
  leaves: 48,
  token: 56,
  id: 64,
  id2: 80,
  orderId2: 96,
  leaves2: 104,
  amount: 96,
  account2: 112,
  fee: 116,
  fee2: 120,
  tradeId: 124,
} as const;

export const commandFlags = { extended: 1, postOnlyReject: 2, postOnlyReprice: 4, selfTradeFirm: 8 } as const;

export const eventFlags = {
  last: 1,
  duplicate: 2,
  booked: 4,
  repriced: 8,
  reload: 16,
  keptPriority: 32,
  stop: 64,
} as const;

/** Command types by the names that requests carry as `op`; the index is the number in the cell. */
export const commandNames = [
  'none',
  'new',
  'cancel',
  'reduce',
  'replace',
  'mass-cancel',
  'kill-switch',
  'deposit',
  'withdraw',
  'transfer',
  'add-asset',
  'add-instrument',
  'change-instrument',
  'set-trading-state',
  'add-account',
  'set-rights',
  'set-instrument-right',
  'set-limit',
  'advance-time',
  'day-end',
  'set-availability',
] as const;

/** Event types by the names that events carry as `event`; the index is the number in the cell. */
export const eventNames = [
  'none',
  'accepted',
  'rejected',
  'trade',
  'booked',
  'triggered',
  'cancelled',
  'reduced',
  'replaced',
  'mass-cancelled',
  'kill-switch-set',
  'balance-changed',
  'asset-added',
  'instrument-added',
  'instrument-changed',
  'trading-state-set',
  'account-added',
  'rights-set',
  'instrument-right-set',
  'limit-set',
  'time-advanced',
  'day-ended',
  'availability-set',
] as const;

export type CommandName = (typeof commandNames)[number];
export type EventName = (typeof eventNames)[number];

/** The number of each name: commandTypes.new is 1. */
export const commandTypes: Readonly<Record<CommandName, number>> = numbered(commandNames);
export const eventTypes: Readonly<Record<EventName, number>> = numbered(eventNames);

export const sideNames = ['none', 'buy', 'sell'] as const;
export const orderTypeNames = ['none', 'limit', 'market', 'stop', 'stop-limit'] as const;
export const timeInForceNames = ['none', 'gtc', 'day', 'gtd', 'ioc', 'fok'] as const;
export const selfTradeNames = ['none', 'cancel-newest', 'cancel-oldest', 'cancel-both', 'decrement'] as const;
export const tradingStateNames = ['none', 'open', 'cancel-only', 'halted', 'closed'] as const;
export const limitKindNames = [
  'none',
  'order-size',
  'order-value',
  'open-orders',
  'open-value',
  'position',
] as const;
export const causeNames = [
  'none',
  'requested',
  'immediate',
  'fill-or-kill',
  'min-quantity',
  'self-trade',
  'mass-cancel',
  'kill-switch',
  'expired',
  'day-end',
] as const;

/** Bits of SetRights' order types: 1 << order type, and iceberg on top. */
export const rightIceberg = 32;

function numbered<const Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, number) => [name, number])) as Record<Name, number>;
}
