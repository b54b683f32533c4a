// ITCH 5.0 and the end of a GLIMPSE snapshot: messages to bytes and back. Source: "Nasdaq TotalView-ITCH 5.0", "… GLIMPSE 5.0", Nasdaq.
// docs/itch.md has the tables, and says what each field means on our own feed. Prices are ticks, shares lots.
//
//     0      1        3          5            11
//     ┌──────┬────────┬──────────┬────────────┬───────────
//     │ type │ locate │ tracking │ time, 6    │ by type                big-endian
//     └──────┴────────┴──────────┴────────────┴───────────
//
// Invariants:
// 1. A message is read at its exact length only, and readItch(writeItch(x)) is x.
// 2. 64-bit numbers of orders are JavaScript numbers: one from 2^53 on is refused, not rounded.

export interface ItchHeader {
  /** The instrument's number of the day; 0: none. */
  readonly locate: number;
  readonly tracking: number;
  /** Nanoseconds since midnight. */
  readonly timeNs: number;
}

export type ItchSide = 'buy' | 'sell';

export interface ItchSystemEvent extends ItchHeader {
  readonly type: 'system-event';
  /** O, S, Q, M, E, C: begin and end of messages, of system hours, of market hours. */
  readonly code: string;
}
export interface ItchDirectory extends ItchHeader {
  readonly type: 'directory';
  readonly symbol: string;
  readonly roundLot: number;
  /** The bytes of the other columns, as they come: 19 and 20, 25 to 38. */
  readonly marks: string;
}
export interface ItchTradingAction extends ItchHeader {
  readonly type: 'trading-action';
  readonly symbol: string;
  /** H, P, Q, T: halted, paused, quotation only, trading. */
  readonly state: string;
  readonly reason: string;
}
export interface ItchAdd extends ItchHeader {
  readonly type: 'add';
  readonly reference: number;
  readonly side: ItchSide;
  readonly shares: number;
  readonly symbol: string;
  readonly price: number;
  /** The market participant, where the message names one. */
  readonly attribution?: string;
}
export interface ItchExecuted extends ItchHeader {
  readonly type: 'executed';
  readonly reference: number;
  readonly shares: number;
  readonly match: bigint;
}
export interface ItchExecutedWithPrice extends ItchHeader {
  readonly type: 'executed-with-price';
  readonly reference: number;
  readonly shares: number;
  readonly match: bigint;
  readonly printable: boolean;
  readonly price: number;
}
export interface ItchCancel extends ItchHeader {
  readonly type: 'cancel';
  readonly reference: number;
  /** That are gone. */
  readonly shares: number;
}
export interface ItchDelete extends ItchHeader {
  readonly type: 'delete';
  readonly reference: number;
}
export interface ItchReplace extends ItchHeader {
  readonly type: 'replace';
  readonly reference: number;
  readonly newReference: number;
  readonly shares: number;
  readonly price: number;
}
export interface ItchTrade extends ItchHeader {
  readonly type: 'trade';
  readonly reference: number;
  readonly side: ItchSide;
  readonly shares: number;
  readonly symbol: string;
  readonly price: number;
  readonly match: bigint;
}
export interface ItchCross extends ItchHeader {
  readonly type: 'cross';
  readonly shares: bigint;
  readonly symbol: string;
  readonly price: number;
  readonly match: bigint;
  /** O, C, H: opening, closing, after a halt. */
  readonly cross: string;
}
export interface ItchBrokenTrade extends ItchHeader {
  readonly type: 'broken-trade';
  readonly match: bigint;
}
export interface ItchImbalance extends ItchHeader {
  readonly type: 'imbalance';
  readonly paired: bigint;
  readonly imbalance: bigint;
  /** B, S, N, O: buy, sell, none, too few orders. */
  readonly direction: string;
  readonly symbol: string;
  readonly farPrice: number;
  readonly nearPrice: number;
  readonly referencePrice: number;
  readonly cross: string;
  readonly variation: string;
}
/** The last message of a snapshot: no header. */
export interface ItchEndOfSnapshot {
  readonly type: 'end-of-snapshot';
  /** Of the stream's next message. */
  readonly sequence: number;
}

export type ItchMessage =
  | ItchSystemEvent
  | ItchDirectory
  | ItchTradingAction
  | ItchAdd
  | ItchExecuted
  | ItchExecutedWithPrice
  | ItchCancel
  | ItchDelete
  | ItchReplace
  | ItchTrade
  | ItchCross
  | ItchBrokenTrade
  | ItchImbalance
  | ItchEndOfSnapshot;

const letter = (text: string): number => text.charCodeAt(0);
const types = {
  systemEvent: letter('S'),
  directory: letter('R'),
  tradingAction: letter('H'),
  add: letter('A'),
  addAttributed: letter('F'),
  executed: letter('E'),
  executedWithPrice: letter('C'),
  cancel: letter('X'),
  delete: letter('D'),
  replace: letter('U'),
  trade: letter('P'),
  cross: letter('Q'),
  brokenTrade: letter('B'),
  imbalance: letter('I'),
  endOfSnapshot: letter('G'),
};

const lengths = new Uint8Array(256);
for (const [type, length] of [
  [types.systemEvent, 12],
  [types.directory, 39],
  [types.tradingAction, 25],
  [types.add, 36],
  [types.addAttributed, 40],
  [types.executed, 31],
  [types.executedWithPrice, 36],
  [types.cancel, 23],
  [types.delete, 19],
  [types.replace, 35],
  [types.trade, 44],
  [types.cross, 40],
  [types.brokenTrade, 19],
  [types.imbalance, 50],
  [types.endOfSnapshot, 21],
] as const) {
  lengths[type] = length;
}

/** Types of the standard that say nothing about orders or trades: readers may pass over them. */
const others: ReadonlySet<number> = new Set(['Y', 'L', 'V', 'W', 'K', 'J', 'h', 'N', 'O'].map(letter));

/** Whether the standard has such a message, though nothing of it concerns a book. */
export function isOtherItch(bytes: Buffer): boolean {
  return bytes.length > 11 && others.has(bytes[0]!);
}

const symbols = new Map<number, Map<number, string>>();

/** Eight characters without the blanks behind them. There are few symbols and many messages: each text is made once. */
function symbolAt(bytes: Buffer, at: number): string {
  const high = bytes.readUInt32BE(at);
  const low = bytes.readUInt32BE(at + 4);
  const known = symbols.get(high)?.get(low);
  if (known !== undefined) return known;
  const text = bytes.toString('latin1', at, at + 8).trimEnd();
  // Not without bound: what is no feed may send anything.
  if (symbols.size > 10_000) symbols.clear();
  const row = symbols.get(high) ?? new Map<number, string>();
  if (row.size > 10_000) row.clear();
  symbols.set(high, row.set(low, text));
  return text;
}

/** NaN from 2^53 on. */
function numberAt(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32BE(at);
  return high < 0x200000 ? high * 0x100000000 + bytes.readUInt32BE(at + 4) : Number.NaN;
}

const text = (bytes: Buffer, at: number, end: number): string => bytes.toString('latin1', at, end);

function sideAt(bytes: Buffer, at: number): ItchSide | undefined {
  const side = bytes[at];
  return side === 0x42 ? 'buy' : side === 0x53 ? 'sell' : undefined;
}

/** Undefined where the bytes are no such message: a type that is not known, another length, a field without such a value. */
export function readItch(bytes: Buffer): ItchMessage | undefined {
  const type = bytes[0]!;
  if (bytes.length === 0 || bytes.length !== lengths[type]) return undefined;
  if (type === types.endOfSnapshot) {
    const digits = text(bytes, 1, 21).trim();
    const sequence = Number(digits);
    return /^\d+$/.test(digits) && Number.isSafeInteger(sequence)
      ? { type: 'end-of-snapshot', sequence }
      : undefined;
  }
  const locate = bytes.readUInt16BE(1);
  const tracking = bytes.readUInt16BE(3);
  const timeNs = bytes.readUIntBE(5, 6);
  const header = { locate, tracking, timeNs };
  switch (type) {
    case types.systemEvent:
      return { type: 'system-event', ...header, code: text(bytes, 11, 12) };
    case types.directory:
      return {
        type: 'directory',
        ...header,
        symbol: symbolAt(bytes, 11),
        roundLot: bytes.readUInt32BE(21),
        marks: text(bytes, 19, 21) + text(bytes, 25, 39),
      };
    case types.tradingAction:
      return {
        type: 'trading-action',
        ...header,
        symbol: symbolAt(bytes, 11),
        state: text(bytes, 19, 20),
        reason: text(bytes, 21, 25).trimEnd(),
      };
    case types.cross:
      return {
        type: 'cross',
        ...header,
        shares: bytes.readBigUInt64BE(11),
        symbol: symbolAt(bytes, 19),
        price: bytes.readUInt32BE(27),
        match: bytes.readBigUInt64BE(31),
        cross: text(bytes, 39, 40),
      };
    case types.brokenTrade:
      return { type: 'broken-trade', ...header, match: bytes.readBigUInt64BE(11) };
    case types.imbalance:
      return {
        type: 'imbalance',
        ...header,
        paired: bytes.readBigUInt64BE(11),
        imbalance: bytes.readBigUInt64BE(19),
        direction: text(bytes, 27, 28),
        symbol: symbolAt(bytes, 28),
        farPrice: bytes.readUInt32BE(36),
        nearPrice: bytes.readUInt32BE(40),
        referencePrice: bytes.readUInt32BE(44),
        cross: text(bytes, 48, 49),
        variation: text(bytes, 49, 50),
      };
    default:
      return readOfOrder(bytes, type, locate, tracking, timeNs);
  }
}

/** The messages that begin with an order's number: nearly all of a feed. */
function readOfOrder(
  bytes: Buffer,
  type: number,
  locate: number,
  tracking: number,
  timeNs: number,
): ItchMessage | undefined {
  const reference = numberAt(bytes, 11);
  if (Number.isNaN(reference)) return undefined;
  switch (type) {
    case types.add:
    case types.addAttributed: {
      const side = sideAt(bytes, 19);
      if (side === undefined) return undefined;
      const add: ItchAdd = {
        type: 'add',
        locate,
        tracking,
        timeNs,
        reference,
        side,
        shares: bytes.readUInt32BE(20),
        symbol: symbolAt(bytes, 24),
        price: bytes.readUInt32BE(32),
      };
      return type === types.add ? add : { ...add, attribution: text(bytes, 36, 40).trimEnd() };
    }
    case types.executed:
      return {
        type: 'executed',
        locate,
        tracking,
        timeNs,
        reference,
        shares: bytes.readUInt32BE(19),
        match: bytes.readBigUInt64BE(23),
      };
    case types.executedWithPrice: {
      const printable = bytes[31];
      if (printable !== 0x59 && printable !== 0x4e) return undefined;
      return {
        type: 'executed-with-price',
        locate,
        tracking,
        timeNs,
        reference,
        shares: bytes.readUInt32BE(19),
        match: bytes.readBigUInt64BE(23),
        printable: printable === 0x59,
        price: bytes.readUInt32BE(32),
      };
    }
    case types.cancel:
      return { type: 'cancel', locate, tracking, timeNs, reference, shares: bytes.readUInt32BE(19) };
    case types.delete:
      return { type: 'delete', locate, tracking, timeNs, reference };
    case types.replace: {
      const newReference = numberAt(bytes, 19);
      if (Number.isNaN(newReference)) return undefined;
      return {
        type: 'replace',
        locate,
        tracking,
        timeNs,
        reference,
        newReference,
        shares: bytes.readUInt32BE(27),
        price: bytes.readUInt32BE(31),
      };
    }
    case types.trade: {
      const side = sideAt(bytes, 19);
      if (side === undefined) return undefined;
      return {
        type: 'trade',
        locate,
        tracking,
        timeNs,
        reference,
        side,
        shares: bytes.readUInt32BE(20),
        symbol: symbolAt(bytes, 24),
        price: bytes.readUInt32BE(32),
        match: bytes.readBigUInt64BE(36),
      };
    }
    default:
      return undefined;
  }
}

const letters: Readonly<Record<ItchMessage['type'], number>> = {
  'system-event': types.systemEvent,
  directory: types.directory,
  'trading-action': types.tradingAction,
  add: types.add,
  executed: types.executed,
  'executed-with-price': types.executedWithPrice,
  cancel: types.cancel,
  delete: types.delete,
  replace: types.replace,
  trade: types.trade,
  cross: types.cross,
  'broken-trade': types.brokenTrade,
  imbalance: types.imbalance,
  'end-of-snapshot': types.endOfSnapshot,
};

/** The bytes of a message: for feeds of tests, recordings and other producers. */
export function writeItch(message: ItchMessage): Buffer {
  const type =
    message.type === 'add' && message.attribution !== undefined ? types.addAttributed : letters[message.type];
  const bytes = Buffer.alloc(lengths[type]!, 0x20);
  bytes[0] = type;
  if (message.type === 'end-of-snapshot') {
    bytes.write(String(message.sequence).padStart(20), 1, 'latin1');
    return bytes;
  }
  bytes.writeUInt16BE(message.locate, 1);
  bytes.writeUInt16BE(message.tracking, 3);
  bytes.writeUIntBE(message.timeNs, 5, 6);
  const letterAt = (at: number, value: string): number => bytes.write(value, at, 'latin1');
  const longAt = (at: number, value: number | bigint): number => bytes.writeBigUInt64BE(BigInt(value), at);
  const sideLetter = (side: ItchSide): string => (side === 'buy' ? 'B' : 'S');
  switch (message.type) {
    case 'system-event':
      letterAt(11, message.code);
      break;
    case 'directory':
      letterAt(11, message.symbol);
      letterAt(19, message.marks.slice(0, 2));
      bytes.writeUInt32BE(message.roundLot, 21);
      letterAt(25, message.marks.slice(2));
      break;
    case 'trading-action':
      letterAt(11, message.symbol);
      letterAt(19, message.state);
      letterAt(21, message.reason);
      break;
    case 'add':
      longAt(11, message.reference);
      letterAt(19, sideLetter(message.side));
      bytes.writeUInt32BE(message.shares, 20);
      letterAt(24, message.symbol);
      bytes.writeUInt32BE(message.price, 32);
      if (message.attribution !== undefined) letterAt(36, message.attribution);
      break;
    case 'executed':
    case 'executed-with-price':
      longAt(11, message.reference);
      bytes.writeUInt32BE(message.shares, 19);
      longAt(23, message.match);
      if (message.type === 'executed') break;
      letterAt(31, message.printable ? 'Y' : 'N');
      bytes.writeUInt32BE(message.price, 32);
      break;
    case 'cancel':
      longAt(11, message.reference);
      bytes.writeUInt32BE(message.shares, 19);
      break;
    case 'delete':
      longAt(11, message.reference);
      break;
    case 'replace':
      longAt(11, message.reference);
      longAt(19, message.newReference);
      bytes.writeUInt32BE(message.shares, 27);
      bytes.writeUInt32BE(message.price, 31);
      break;
    case 'trade':
      longAt(11, message.reference);
      letterAt(19, sideLetter(message.side));
      bytes.writeUInt32BE(message.shares, 20);
      letterAt(24, message.symbol);
      bytes.writeUInt32BE(message.price, 32);
      longAt(36, message.match);
      break;
    case 'cross':
      longAt(11, message.shares);
      letterAt(19, message.symbol);
      bytes.writeUInt32BE(message.price, 27);
      longAt(31, message.match);
      letterAt(39, message.cross);
      break;
    case 'broken-trade':
      longAt(11, message.match);
      break;
    case 'imbalance':
      longAt(11, message.paired);
      longAt(19, message.imbalance);
      letterAt(27, message.direction);
      letterAt(28, message.symbol);
      bytes.writeUInt32BE(message.farPrice, 36);
      bytes.writeUInt32BE(message.nearPrice, 40);
      bytes.writeUInt32BE(message.referencePrice, 44);
      letterAt(48, message.cross);
      letterAt(49, message.variation);
      break;
  }
  return bytes;
}
