// The cells of commands and events as plain objects, and back: what the oracle reads and writes.
//
// Written from docs/rules.md and the layout in native/wire/{command,event,reject,client_id}.h, not from
// any code of the core or of src/: a mistake there must not be shared here.

export const CELL = 128;

export const CommandType = {
  NewOrder: 1,
  CancelOrder: 2,
  ReduceOrder: 3,
  ReplaceOrder: 4,
  MassCancel: 5,
  KillSwitch: 6,
  Deposit: 7,
  Withdraw: 8,
  Transfer: 9,
  AddAsset: 10,
  AddInstrument: 11,
  ChangeInstrument: 12,
  SetTradingState: 13,
  AddAccount: 14,
  SetRights: 15,
  SetInstrumentRight: 16,
  SetLimit: 17,
  AdvanceTime: 18,
  DayEnd: 19,
  SetAvailability: 20, // of deployments in roles, which have tests of their own
} as const;

export const Side = { None: 0, Buy: 1, Sell: 2 } as const;
export const OrderType = { Limit: 1, Market: 2, Stop: 3, StopLimit: 4 } as const;
export const TimeInForce = { Gtc: 1, Day: 2, Gtd: 3, Ioc: 4, Fok: 5 } as const;
export const SelfTrade = { None: 0, CancelNewest: 1, CancelOldest: 2, CancelBoth: 3, Decrement: 4 } as const;
export const TradingState = { Open: 1, CancelOnly: 2, Halted: 3, Closed: 4 } as const;
export const LimitKind = { OrderSize: 1, OrderValue: 2, OpenOrders: 3, OpenValue: 4, Position: 5 } as const;
export const CommandFlag = {
  Extended: 1,
  PostOnlyReject: 2,
  PostOnlyReprice: 4,
  SelfTradeFirm: 8,
} as const;
export const RIGHT_ICEBERG: number = 1 << 5;
export const RIGHTS_ALL = 0b111110;

export const EventType = {
  Accepted: 1,
  Rejected: 2,
  Trade: 3,
  Booked: 4,
  Triggered: 5,
  Cancelled: 6,
  Reduced: 7,
  Replaced: 8,
  MassCancelled: 9,
  KillSwitchSet: 10,
  BalanceChanged: 11,
  AssetAdded: 12,
  InstrumentAdded: 13,
  InstrumentChanged: 14,
  TradingStateSet: 15,
  AccountAdded: 16,
  RightsSet: 17,
  InstrumentRightSet: 18,
  LimitSet: 19,
  TimeAdvanced: 20,
  DayEnded: 21,
  AvailabilitySet: 22,
} as const;

export const EventFlag = {
  Last: 1,
  Duplicate: 2,
  Booked: 4,
  Repriced: 8,
  Reload: 16,
  KeptPriority: 32,
  Stop: 64,
} as const;

export const Cause = {
  Requested: 1,
  Immediate: 2,
  FillOrKill: 3,
  MinQuantity: 4,
  SelfTrade: 5,
  MassCancel: 6,
  KillSwitch: 7,
  Expired: 8,
  DayEnd: 9,
} as const;

export const Reject = {
  NONE: 0,
  UNKNOWN_COMMAND: 1,
  UNKNOWN_ACCOUNT: 2,
  UNKNOWN_INSTRUMENT: 3,
  UNKNOWN_ASSET: 4,
  UNKNOWN_ORDER: 5,
  ORDER_CLOSED: 6,
  ACCOUNT_CANNOT_TRADE: 7,
  INVALID_CLIENT_ORDER_ID: 8,
  DUPLICATE_CLIENT_ORDER_ID: 9,
  INVALID_FLAGS: 10,
  INVALID_SIDE: 11,
  INVALID_ORDER_TYPE: 12,
  INVALID_TIME_IN_FORCE: 13,
  INVALID_SELF_TRADE: 14,
  INVALID_PRICE: 15,
  INVALID_STOP_PRICE: 16,
  INVALID_QUANTITY: 17,
  INVALID_DISPLAY_QUANTITY: 18,
  INVALID_MIN_QUANTITY: 19,
  INVALID_EXPIRY: 20,
  PRICE_OUT_OF_BAND: 21,
  QUANTITY_BELOW_MINIMUM: 22,
  QUANTITY_ABOVE_MAXIMUM: 23,
  INSTRUMENT_NOT_OPEN: 24,
  INSTRUMENT_FROZEN: 25,
  KILLED: 26,
  ORDER_TYPE_NOT_ALLOWED: 27,
  INSTRUMENT_NOT_ALLOWED: 28,
  ORDER_SIZE_LIMIT: 29,
  ORDER_VALUE_LIMIT: 30,
  OPEN_ORDERS_LIMIT: 31,
  OPEN_VALUE_LIMIT: 32,
  POSITION_LIMIT: 33,
  INSUFFICIENT_FUNDS: 34,
  VALUE_OVERFLOW: 35,
  NO_LIQUIDITY: 36,
  POST_ONLY_WOULD_CROSS: 37,
  CAPACITY_ORDERS: 38,
  CAPACITY_CLIENT_IDS: 39,
  CAPACITY_ACCOUNTS: 40,
  CAPACITY_INSTRUMENTS: 41,
  CAPACITY_FEE_SCHEDULES: 42,
  INVALID_AMOUNT: 43,
  DUPLICATE_TRANSACTION: 44,
  INVALID_NAME: 45,
  NAME_EXISTS: 46,
  INVALID_DECIMALS: 47,
  INVALID_INSTRUMENT: 48,
  INVALID_TRADING_STATE: 49,
  INVALID_PARENT: 50,
  INVALID_RIGHTS: 51,
  INVALID_LIMIT: 52,
  TIME_NOT_MONOTONIC: 53,
  SAME_ACCOUNT: 54,
  FEES_BELOW_REBATES: 55,
  RISK_UNAVAILABLE: 56,
  INVALID_AVAILABILITY: 57,
  VENUE_LIMIT_NOT_POSSIBLE: 58,
} as const;

// A client's id or a name: '' for none, the text itself, or '0x' and 32 hex digits for 16 binary bytes.
export type Id = string;

// One command. Fields that share bytes in the cell are separate here; those that the type does not
// name are zero, but for the first line's plain ones.
export interface Command {
  type: number;
  side: number;
  orderType: number;
  timeInForce: number;
  selfTrade: number;
  flags: number;
  account: number;
  instrument: number;
  id: Id;
  price: bigint;
  quantity: bigint;
  amount: bigint; // Deposit, Withdraw, Transfer, SetLimit: in place of price and quantity
  expiry: bigint;
  toAccount: bigint; // Transfer: in place of expiry
  rights: bigint; // SetRights: in place of expiry
  token: bigint;
  newId: Id;
  stopPrice: bigint;
  displayQuantity: bigint;
  minQuantity: bigint;
  // AddInstrument, ChangeInstrument: in place of the five above
  priceMin: bigint;
  priceMax: bigint;
  quantityMin: bigint;
  quantityMax: bigint;
  makerFee: number;
  takerFee: number;
  collar: number;
  base: number;
  quote: number;
}

const blank: Command = {
  type: 0,
  side: 0,
  orderType: 0,
  timeInForce: 0,
  selfTrade: 0,
  flags: 0,
  account: 0,
  instrument: 0,
  id: '',
  price: 0n,
  quantity: 0n,
  amount: 0n,
  expiry: 0n,
  toAccount: 0n,
  rights: 0n,
  token: 0n,
  newId: '',
  stopPrice: 0n,
  displayQuantity: 0n,
  minQuantity: 0n,
  priceMin: 0n,
  priceMax: 0n,
  quantityMin: 0n,
  quantityMax: 0n,
  makerFee: 0,
  takerFee: 0,
  collar: 0,
  base: 0,
  quote: 0,
};

// A command from the fields that matter. Flag Extended is set where the second line holds something.
export function command(fields: Partial<Command>): Command {
  const made = { ...blank, ...fields };
  if (usesSecondLine(made)) made.flags |= CommandFlag.Extended;
  return made;
}

function usesSecondLine(c: Command): boolean {
  if (describesInstrument(c.type)) return true;
  return c.newId !== '' || c.stopPrice !== 0n || c.displayQuantity !== 0n || c.minQuantity !== 0n;
}

function describesInstrument(type: number): boolean {
  return type === CommandType.AddInstrument || type === CommandType.ChangeInstrument;
}

function carriesAmount(type: number): boolean {
  return (
    type === CommandType.Deposit ||
    type === CommandType.Withdraw ||
    type === CommandType.Transfer ||
    type === CommandType.SetLimit
  );
}

export function decodeId(bytes: Buffer, at: number): Id {
  let length = 16;
  while (length > 0 && bytes[at + length - 1] === 0) length--;
  for (let i = 0; i < length; i++) {
    const byte = bytes[at + i]!;
    if (byte < 0x21 || byte > 0x7e) return `0x${bytes.toString('hex', at, at + 16)}`;
  }
  return bytes.toString('latin1', at, at + length);
}

export function encodeId(id: Id, bytes: Buffer, at: number): void {
  bytes.fill(0, at, at + 16);
  if (id.length === 34) bytes.write(id.slice(2), at, 16, 'hex');
  else if (id !== '') bytes.write(id, at, 16, 'latin1');
}

function readAmount(bytes: Buffer, at: number): bigint {
  return (bytes.readBigInt64LE(at + 8) << 64n) | bytes.readBigUInt64LE(at);
}

function writeAmount(amount: bigint, bytes: Buffer, at: number): void {
  bytes.writeBigUInt64LE(BigInt.asUintN(64, amount), at);
  bytes.writeBigInt64LE(BigInt.asIntN(64, amount >> 64n), at + 8);
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// The command in the cell that starts at `at`.
export function decodeCommand(bytes: Buffer, at: number): Command {
  const c = { ...blank };
  c.type = bytes[at]!;
  c.side = bytes[at + 1]!;
  c.orderType = bytes[at + 2]!;
  c.timeInForce = bytes[at + 3]!;
  c.selfTrade = bytes[at + 4]!;
  c.flags = bytes.readUInt16LE(at + 6);
  c.account = bytes.readUInt32LE(at + 8);
  c.instrument = bytes.readUInt32LE(at + 12);
  c.id = decodeId(bytes, at + 16);
  if (carriesAmount(c.type)) {
    c.amount = readAmount(bytes, at + 32);
  } else {
    c.price = bytes.readBigInt64LE(at + 32);
    c.quantity = bytes.readBigInt64LE(at + 40);
  }
  const third = bytes.readBigUInt64LE(at + 48);
  if (c.type === CommandType.Transfer) c.toAccount = third;
  else if (c.type === CommandType.SetRights) c.rights = third;
  else c.expiry = third;
  c.token = bytes.readBigUInt64LE(at + 56);
  if ((c.flags & CommandFlag.Extended) === 0) return c;
  if (describesInstrument(c.type)) {
    c.priceMin = bytes.readBigInt64LE(at + 64);
    c.priceMax = bytes.readBigInt64LE(at + 72);
    c.quantityMin = bytes.readBigInt64LE(at + 80);
    c.quantityMax = bytes.readBigInt64LE(at + 88);
    c.makerFee = bytes.readInt32LE(at + 96);
    c.takerFee = bytes.readInt32LE(at + 100);
    c.collar = bytes.readInt32LE(at + 104);
    c.base = bytes.readUInt32LE(at + 108);
    c.quote = bytes.readUInt32LE(at + 112);
  } else {
    c.newId = decodeId(bytes, at + 64);
    c.stopPrice = bytes.readBigInt64LE(at + 80);
    c.displayQuantity = bytes.readBigInt64LE(at + 88);
    c.minQuantity = bytes.readBigInt64LE(at + 96);
  }
  return c;
}

export function encodeCommand(c: Command, bytes: Buffer, at: number): void {
  bytes.fill(0, at, at + CELL);
  bytes[at] = c.type;
  bytes[at + 1] = c.side;
  bytes[at + 2] = c.orderType;
  bytes[at + 3] = c.timeInForce;
  bytes[at + 4] = c.selfTrade;
  bytes.writeUInt16LE(c.flags, at + 6);
  bytes.writeUInt32LE(c.account, at + 8);
  bytes.writeUInt32LE(c.instrument, at + 12);
  encodeId(c.id, bytes, at + 16);
  if (carriesAmount(c.type)) {
    writeAmount(c.amount, bytes, at + 32);
  } else {
    bytes.writeBigInt64LE(c.price, at + 32);
    bytes.writeBigInt64LE(c.quantity, at + 40);
  }
  const third =
    c.type === CommandType.Transfer ? c.toAccount : c.type === CommandType.SetRights ? c.rights : c.expiry;
  bytes.writeBigUInt64LE(third, at + 48);
  bytes.writeBigUInt64LE(c.token, at + 56);
  if ((c.flags & CommandFlag.Extended) === 0) return;
  if (describesInstrument(c.type)) {
    bytes.writeBigInt64LE(c.priceMin, at + 64);
    bytes.writeBigInt64LE(c.priceMax, at + 72);
    bytes.writeBigInt64LE(c.quantityMin, at + 80);
    bytes.writeBigInt64LE(c.quantityMax, at + 88);
    bytes.writeInt32LE(c.makerFee, at + 96);
    bytes.writeInt32LE(c.takerFee, at + 100);
    bytes.writeInt32LE(c.collar, at + 104);
    bytes.writeUInt32LE(c.base, at + 108);
    bytes.writeUInt32LE(c.quote, at + 112);
  } else {
    encodeId(c.newId, bytes, at + 64);
    bytes.writeBigInt64LE(c.stopPrice, at + 80);
    bytes.writeBigInt64LE(c.displayQuantity, at + 88);
    bytes.writeBigInt64LE(c.minQuantity, at + 96);
  }
}

export function encodeCommands(commands: readonly Command[]): Buffer {
  const bytes = Buffer.alloc(commands.length * CELL);
  commands.forEach((c, i) => {
    encodeCommand(c, bytes, i * CELL);
  });
  return bytes;
}

export function decodeCommands(bytes: Uint8Array): Command[] {
  const buffer = asBuffer(bytes);
  const commands: Command[] = [];
  for (let at = 0; at < buffer.length; at += CELL) commands.push(decodeCommand(buffer, at));
  return commands;
}

// One event. `change` and `amount` lie where price and quantity, orderId2 and leaves2 lie: an event has
// one or the other.
export interface Event {
  type: number;
  flags: number;
  side: number;
  kind: number;
  code: number;
  position: bigint;
  account: number;
  instrument: number;
  orderId: bigint;
  price: bigint;
  quantity: bigint;
  change: bigint; // BalanceChanged
  leaves: bigint;
  token: bigint;
  id: Id;
  id2: Id;
  orderId2: bigint;
  leaves2: bigint;
  amount: bigint; // BalanceChanged, LimitSet
  account2: number;
  fee: number;
  fee2: number;
  tradeId: number;
}

const blankEvent: Event = {
  type: 0,
  flags: 0,
  side: 0,
  kind: 0,
  code: 0,
  position: 0n,
  account: 0,
  instrument: 0,
  orderId: 0n,
  price: 0n,
  quantity: 0n,
  change: 0n,
  leaves: 0n,
  token: 0n,
  id: '',
  id2: '',
  orderId2: 0n,
  leaves2: 0n,
  amount: 0n,
  account2: 0,
  fee: 0,
  fee2: 0,
  tradeId: 0,
};

export function event(fields: Partial<Event>): Event {
  return { ...blankEvent, ...fields };
}

export function encodeEvents(events: readonly Event[]): Buffer {
  const bytes = Buffer.alloc(events.length * CELL);
  let at = 0;
  for (const e of events) {
    bytes[at] = e.type;
    bytes[at + 1] = e.flags;
    bytes[at + 2] = e.side;
    bytes[at + 3] = e.kind;
    bytes.writeUInt16LE(e.code, at + 4);
    bytes.writeBigUInt64LE(e.position, at + 8);
    bytes.writeUInt32LE(e.account, at + 16);
    bytes.writeUInt32LE(e.instrument, at + 20);
    bytes.writeBigUInt64LE(e.orderId, at + 24);
    if (e.type === EventType.BalanceChanged) {
      writeAmount(e.change, bytes, at + 32);
    } else {
      bytes.writeBigInt64LE(e.price, at + 32);
      bytes.writeBigInt64LE(e.quantity, at + 40);
    }
    bytes.writeBigInt64LE(e.leaves, at + 48);
    bytes.writeBigUInt64LE(e.token, at + 56);
    if (e.id !== '') encodeId(e.id, bytes, at + 64);
    if (e.id2 !== '') encodeId(e.id2, bytes, at + 80);
    if (e.type === EventType.BalanceChanged || e.type === EventType.LimitSet) {
      writeAmount(e.amount, bytes, at + 96);
    } else {
      bytes.writeBigUInt64LE(e.orderId2, at + 96);
      bytes.writeBigInt64LE(e.leaves2, at + 104);
    }
    bytes.writeUInt32LE(e.account2, at + 112);
    bytes.writeInt32LE(e.fee, at + 116);
    bytes.writeInt32LE(e.fee2, at + 120);
    bytes.writeUInt32LE(e.tradeId, at + 124);
    at += CELL;
  }
  return bytes;
}

export function decodeEvents(cells: Uint8Array): Event[] {
  const bytes = asBuffer(cells);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; at += CELL) {
    const e = { ...blankEvent };
    e.type = bytes[at]!;
    e.flags = bytes[at + 1]!;
    e.side = bytes[at + 2]!;
    e.kind = bytes[at + 3]!;
    e.code = bytes.readUInt16LE(at + 4);
    e.position = bytes.readBigUInt64LE(at + 8);
    e.account = bytes.readUInt32LE(at + 16);
    e.instrument = bytes.readUInt32LE(at + 20);
    e.orderId = bytes.readBigUInt64LE(at + 24);
    if (e.type === EventType.BalanceChanged) {
      e.change = readAmount(bytes, at + 32);
    } else {
      e.price = bytes.readBigInt64LE(at + 32);
      e.quantity = bytes.readBigInt64LE(at + 40);
    }
    e.leaves = bytes.readBigInt64LE(at + 48);
    e.token = bytes.readBigUInt64LE(at + 56);
    e.id = decodeId(bytes, at + 64);
    e.id2 = decodeId(bytes, at + 80);
    if (e.type === EventType.BalanceChanged || e.type === EventType.LimitSet) {
      e.amount = readAmount(bytes, at + 96);
    } else {
      e.orderId2 = bytes.readBigUInt64LE(at + 96);
      e.leaves2 = bytes.readBigInt64LE(at + 104);
    }
    e.account2 = bytes.readUInt32LE(at + 112);
    e.fee = bytes.readInt32LE(at + 116);
    e.fee2 = bytes.readInt32LE(at + 120);
    e.tradeId = bytes.readUInt32LE(at + 124);
    events.push(e);
  }
  return events;
}
