// The clearing protocol: messages to bytes and back. docs/clearing-protocol.md has the tables.
//
// Invariants:
// 1. A message is read at its exact length only.
// 2. readClearing(bytes of a message) is that message, and writeClearing() refuses what has no place in its field.
import { invalidOption } from '../errors/checks.ts';

/** How a field lies in the bytes. */
type Kind = 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'i64' | 'i128' | 'id' | 'letter' | 'text32';
type Fields = Readonly<Record<string, Kind>>;

/** What a field is in JavaScript: 64 bits and more are bigint. */
type Value<K extends Kind> = K extends 'u64' | 'i64' | 'i128'
  ? bigint
  : K extends 'id' | 'letter' | 'text32'
    ? string
    : number;
type Message<Type extends string, F extends Fields> = { readonly type: Type } & {
  readonly [Name in keyof F]: Value<F[Name]>;
};

const requests = {
  deposit: ['D', { reference: 'u32', account: 'id', asset: 'id', transaction: 'id', amount: 'i128' }],
  withdraw: ['W', { reference: 'u32', account: 'id', asset: 'id', transaction: 'id', amount: 'i128' }],
  transfer: [
    'T',
    { reference: 'u32', account: 'id', asset: 'id', transaction: 'id', amount: 'i128', receiver: 'id' },
  ],
  'set-limit': ['L', { reference: 'u32', account: 'id', kind: 'u8', subject: 'id', limit: 'i128' }],
  'set-rights': ['R', { reference: 'u32', account: 'id', orderTypes: 'u32', instrumentDefault: 'u8' }],
  'set-instrument-right': ['I', { reference: 'u32', account: 'id', instrument: 'id', right: 'u8' }],
  'kill-switch': ['K', { reference: 'u32', account: 'id', state: 'u8' }],
  'mass-cancel': ['M', { reference: 'u32', account: 'id', instrument: 'id', side: 'u8' }],
  query: ['Q', { reference: 'u32', account: 'id', kind: 'u8', after: 'u64' }],
  'reference-query': ['N', { tag: 'u32' }],
} as const;

const answers = {
  acknowledged: [
    'A',
    {
      time: 'u64',
      reference: 'u32',
      request: 'letter',
      position: 'u64',
      duplicate: 'u8',
      account: 'id',
      subject: 'id',
      value: 'i128',
    },
  ],
  rejected: [
    'J',
    { time: 'u64', reference: 'u32', request: 'letter', position: 'u64', reason: 'u16', text: 'text32' },
  ],
  'balance-changed': [
    'B',
    {
      time: 'u64',
      position: 'u64',
      index: 'u32',
      account: 'id',
      asset: 'id',
      cause: 'u8',
      change: 'i128',
      total: 'i128',
      transaction: 'id',
      other: 'id',
    },
  ],
  'limit-set': [
    'X',
    { time: 'u64', position: 'u64', index: 'u32', account: 'id', kind: 'u8', subject: 'id', limit: 'i128' },
  ],
  'kill-switch-set': [
    'K',
    { time: 'u64', position: 'u64', index: 'u32', account: 'id', state: 'u8', cancelled: 'u64' },
  ],
  execution: [
    'E',
    {
      time: 'u64',
      position: 'u64',
      index: 'u32',
      instrument: 'id',
      account: 'id',
      side: 'u8',
      liquidity: 'letter',
      orderId: 'u64',
      clientId: 'id',
      price: 'i64',
      quantity: 'i64',
      leaves: 'i64',
      fee: 'i32',
      tradeId: 'u32',
      counterparty: 'id',
    },
  ],
  'reference-answer': ['N', { time: 'u64', tag: 'u32', lastReference: 'u32' }],
  'answer-begin': [
    'Q',
    { time: 'u64', reference: 'u32', kind: 'u8', account: 'id', position: 'u64', rows: 'u32' },
  ],
  balance: ['b', { time: 'u64', reference: 'u32', asset: 'id', total: 'i128', held: 'i128' }],
  position: [
    'p',
    { time: 'u64', reference: 'u32', instrument: 'id', position: 'i64', openBuy: 'i64', openSell: 'i64' },
  ],
  rights: ['r', { time: 'u64', reference: 'u32', orderTypes: 'u32', instrumentDefault: 'u8', killed: 'u8' }],
  'instrument-right': ['i', { time: 'u64', reference: 'u32', instrument: 'id', right: 'u8' }],
  limit: ['l', { time: 'u64', reference: 'u32', kind: 'u8', subject: 'id', limit: 'i128' }],
  'open-order': [
    'o',
    {
      time: 'u64',
      reference: 'u32',
      orderId: 'u64',
      instrument: 'id',
      clientId: 'id',
      side: 'u8',
      orderType: 'u8',
      timeInForce: 'u8',
      waiting: 'u8',
      price: 'i64',
      stopPrice: 'i64',
      open: 'i64',
      visible: 'i64',
      display: 'i64',
      expiry: 'u64',
    },
  ],
  'answer-end': ['Z', { time: 'u64', reference: 'u32', position: 'u64', openOrders: 'u32', next: 'u64' }],
} as const;

type Layout = Readonly<Record<string, readonly [string, Fields]>>;
type MessagesOf<L extends Layout> = { [Type in keyof L & string]: Message<Type, L[Type][1]> };

export type ClearingRequests = MessagesOf<typeof requests>;
export type ClearingAnswers = MessagesOf<typeof answers>;
export type ClearingRequest = ClearingRequests[keyof ClearingRequests];
/** What the gateway sends: answers, rows of answers, pushes. */
export type ClearingMessage = ClearingAnswers[keyof ClearingAnswers];
export type ClearingExecution = ClearingAnswers['execution'];
export type ClearingAcknowledged = ClearingAnswers['acknowledged'];
export type ClearingRejected = ClearingAnswers['rejected'];

const widths: Readonly<Record<Kind, number>> = {
  ...{ u8: 1, u16: 2, u32: 4, u64: 8, i32: 4, i64: 8, i128: 16, id: 16, letter: 1, text32: 32 },
};
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const highest = { u8: 0xff, u16: 0xffff, u32: 0xffffffff };

function lengthOf(fields: Fields): number {
  return Object.values(fields).reduce((bytes, kind) => bytes + widths[kind], 1);
}

function writeId(bytes: Buffer, at: number, value: unknown, field: string): void {
  if (typeof value === 'string' && uuid.test(value)) {
    bytes.write(value.replaceAll('-', ''), at, 'hex');
  } else if (typeof value === 'string' && /^[\x21-\x7e]{0,16}$/.test(value)) {
    bytes.write(value.padEnd(16), at, 'latin1');
  } else {
    throw invalidOption(field, value, '1 to 16 printable ASCII characters or a UUID');
  }
}

/** Text as it is, '' for none; a UUID in its usual form; any other 16 bytes as 0x and 32 digits. */
function readId(bytes: Buffer, at: number): string {
  const text = bytes.toString('latin1', at, at + 16).trimEnd();
  if (/^[\x21-\x7e]*$/.test(text)) return text;
  const hex = bytes.toString('hex', at, at + 16);
  const dashed = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return uuid.test(dashed) ? dashed : `0x${hex}`;
}

function writeField(bytes: Buffer, at: number, kind: Kind, value: unknown, field: string): void {
  switch (kind) {
    case 'id':
      writeId(bytes, at, value, field);
      return;
    case 'letter':
    case 'text32':
      bytes.write(String(value).padEnd(widths[kind]), at, widths[kind], 'latin1');
      return;
    case 'u64':
    case 'i64':
    case 'i128': {
      const bits = widths[kind] * 8;
      if (typeof value !== 'bigint') throw invalidOption(field, value, 'a bigint');
      const kept = kind === 'u64' ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value);
      if (kept !== value) throw invalidOption(field, value, `an integer of ${bits} bits`);
      let rest = BigInt.asUintN(bits, value);
      for (let i = at + widths[kind] - 1; i >= at; i--) {
        bytes[i] = Number(rest & 0xffn);
        rest >>= 8n;
      }
      return;
    }
    case 'i32':
      if (!Number.isInteger(value) || (Number(value) | 0) !== value)
        throw invalidOption(field, value, 'an integer of 32 bits');
      bytes.writeInt32BE(Number(value), at);
      return;
    default:
      if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > highest[kind])
        throw invalidOption(field, value, `an integer from 0 to ${highest[kind]}`);
      bytes.writeUIntBE(Number(value), at, widths[kind]);
  }
}

function readField(bytes: Buffer, at: number, kind: Kind): bigint | number | string {
  switch (kind) {
    case 'id':
      return readId(bytes, at);
    case 'letter':
    case 'text32':
      return bytes.toString('latin1', at, at + widths[kind]).trimEnd();
    case 'u64':
      return bytes.readBigUInt64BE(at);
    case 'i64':
      return bytes.readBigInt64BE(at);
    case 'i128':
      return (bytes.readBigInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8);
    case 'i32':
      return bytes.readInt32BE(at);
    default:
      return bytes.readUIntBE(at, widths[kind]);
  }
}

function write(layout: Layout, message: { readonly type: string }): Buffer {
  const [letter, fields] = layout[message.type]!;
  const bytes = Buffer.alloc(lengthOf(fields));
  bytes.write(letter, 0, 'latin1');
  let at = 1;
  for (const [field, kind] of Object.entries(fields)) {
    writeField(bytes, at, kind, (message as unknown as Record<string, unknown>)[field], field);
    at += widths[kind];
  }
  return bytes;
}

function byLetter(layout: Layout): Map<number, { type: string; fields: [string, Kind][]; length: number }> {
  return new Map(
    Object.entries(layout).map(([type, [letter, fields]]) => [
      letter.charCodeAt(0),
      { type, fields: Object.entries(fields), length: lengthOf(fields) },
    ]),
  );
}
const answersByLetter = byLetter(answers);
const requestsByLetter = byLetter(requests);

function read(layout: ReturnType<typeof byLetter>, bytes: Buffer): unknown {
  const found = bytes.length === 0 ? undefined : layout.get(bytes[0]!);
  if (found === undefined || bytes.length !== found.length) return undefined;
  const message: Record<string, unknown> = { type: found.type };
  let at = 1;
  for (const [field, kind] of found.fields) {
    message[field] = readField(bytes, at, kind);
    at += widths[kind];
  }
  return message;
}

/** A request's bytes. Throws INVALID_OPTION for what has no place in its field. */
export function writeClearing(request: ClearingRequest): Buffer {
  return write(requests, request);
}

/** Undefined where the bytes are no message of a gateway: a type that is not known, or another length. */
export function readClearing(bytes: Buffer): ClearingMessage | undefined {
  return read(answersByLetter, bytes) as ClearingMessage | undefined;
}

/** The other side: for gateways of tests. */
export function writeClearingAnswer(message: ClearingMessage): Buffer {
  return write(answers, message);
}

export function readClearingRequest(bytes: Buffer): ClearingRequest | undefined {
  return read(requestsByLetter, bytes) as ClearingRequest | undefined;
}
