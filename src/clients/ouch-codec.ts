// OUCH 5.0: messages to bytes and back. Source: "OUCH 5.0 Order Entry Specification", Nasdaq. docs/ouch.md says what each field means on our
// own gateway. Prices are ticks, quantities lots.
//
//     0      1                  fixed          + 2
//     ┌──────┬──────────────────┬──────────────┬───────────────────────────┐
//     │ type │ fields           │ bytes behind │ (length, tag, value) …    │   big-endian; length: tag and value
//     └──────┴──────────────────┴──────────────┴───────────────────────────┘
//
// Invariants:
// 1. A message is read only if every length in it agrees with every other one; read(write(x)) is x.
// 2. Prices are JavaScript numbers: one from 2^53 on is refused, not rounded.
import { InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

/** What may stand behind the fixed part, by name. docs/ouch.md says which of it is offered. */
export interface OuchOptions {
  readonly secondaryReference?: bigint;
  readonly firm?: string;
  readonly minQuantity?: number;
  readonly customerType?: string;
  /** Of a reserve order: what is shown at a time. */
  readonly maxFloor?: number;
  readonly priceType?: string;
  readonly pegOffset?: number;
  readonly discretionPrice?: bigint;
  readonly discretionPriceType?: string;
  readonly discretionPegOffset?: number;
  /** P or N. */
  readonly postOnly?: string;
  readonly randomReserves?: number;
  readonly route?: string;
  /** Seconds; with time in force 6. */
  readonly expireTime?: number;
  readonly tradeNow?: string;
  readonly handleInstruction?: string;
  readonly bboWeight?: string;
  readonly displayQuantity?: number;
  readonly displayPrice?: bigint;
  readonly groupId?: number;
  readonly sharesLocated?: string;
  readonly locateBroker?: string;
  readonly side?: string;
  readonly userRefIndex?: number;
  readonly aiqStrategy?: string;
  readonly aiqGroupId?: string;
}

interface Optional {
  readonly options?: OuchOptions;
}
interface Answer extends Optional {
  /** Nanoseconds since midnight. */
  readonly timeNs: number;
  readonly userRefNum: number;
}

export interface OuchEnter extends Optional {
  readonly type: 'enter';
  readonly userRefNum: number;
  /** B buy, S sell, T sell short, E sell short exempt. */
  readonly side: string;
  readonly quantity: number;
  readonly symbol: string;
  readonly price: number;
  /** 0 day, 3 immediate or cancel, 5 extended hours, 6 until a time, E after hours. */
  readonly timeInForce: string;
  /** Y visible, N hidden, A attributable. */
  readonly display: string;
  /** A agency, P principal, R riskless, O other. */
  readonly capacity: string;
  readonly sweep: string;
  readonly crossType: string;
  readonly clOrdId: string;
}
export interface OuchReplace extends Optional {
  readonly type: 'replace';
  readonly origUserRefNum: number;
  readonly userRefNum: number;
  readonly quantity: number;
  readonly price: number;
  readonly timeInForce: string;
  readonly display: string;
  readonly sweep: string;
  readonly clOrdId: string;
}
export interface OuchCancel extends Optional {
  readonly type: 'cancel';
  readonly userRefNum: number;
  /** What the order shall have in all, the executed part included; 0: nothing is left open. */
  readonly quantity: number;
}
export interface OuchModify extends Optional {
  readonly type: 'modify';
  readonly userRefNum: number;
  readonly side: string;
  /** As in a cancel. */
  readonly quantity: number;
}
export interface OuchMassCancel extends Optional {
  readonly type: 'mass-cancel';
  readonly userRefNum: number;
  readonly firm: string;
  /** '': every one. */
  readonly symbol: string;
}
export interface OuchSwitch extends Optional {
  readonly type: 'disable' | 'enable';
  readonly userRefNum: number;
  readonly firm: string;
}
export interface OuchAccountQuery extends Optional {
  readonly type: 'account-query';
}
export type OuchRequest =
  | OuchEnter
  | OuchReplace
  | OuchCancel
  | OuchModify
  | OuchMassCancel
  | OuchSwitch
  | OuchAccountQuery;

export interface OuchSystemEvent {
  readonly type: 'system-event';
  readonly timeNs: number;
  /** S start of day, E end of day. */
  readonly code: string;
}
interface OrderShown extends Answer {
  readonly side: string;
  /** Open now. */
  readonly quantity: number;
  readonly symbol: string;
  readonly price: number;
  readonly timeInForce: string;
  readonly display: string;
  readonly orderReference: bigint;
  readonly capacity: string;
  readonly sweep: string;
  readonly crossType: string;
  /** L live, D dead. */
  readonly state: string;
  readonly clOrdId: string;
}
export interface OuchAccepted extends OrderShown {
  readonly type: 'accepted';
}
export interface OuchReplaced extends OrderShown {
  readonly type: 'replaced';
  readonly origUserRefNum: number;
}
export interface OuchCanceled extends Answer {
  readonly type: 'canceled';
  /** By how much the open quantity fell. */
  readonly quantity: number;
  readonly reason: string;
}
export interface OuchAiqCanceled extends Answer {
  readonly type: 'aiq-canceled';
  readonly quantity: number;
  readonly reason: string;
  readonly prevented: number;
  readonly price: number;
  readonly liquidity: string;
  readonly strategy: string;
}
export interface OuchExecuted extends Answer {
  readonly type: 'executed';
  readonly quantity: number;
  readonly price: number;
  /** A added, R removed. */
  readonly liquidity: string;
  readonly match: bigint;
}
export interface OuchBroken extends Answer {
  readonly type: 'broken';
  readonly match: bigint;
  readonly reason: string;
  readonly clOrdId: string;
}
export interface OuchRejected extends Answer {
  readonly type: 'rejected';
  readonly reason: number;
  readonly clOrdId: string;
}
export interface OuchCancelAnswer extends Answer {
  readonly type: 'cancel-pending' | 'cancel-rejected';
}
export interface OuchPriorityUpdated extends Answer {
  readonly type: 'priority-updated';
  readonly price: number;
  readonly display: string;
  readonly orderReference: bigint;
}
export interface OuchModified extends Answer {
  readonly type: 'modified';
  readonly side: string;
  /** Open now. */
  readonly quantity: number;
}
export interface OuchRestated extends Answer {
  readonly type: 'restated';
  readonly reason: string;
}
export interface OuchMassCanceled extends Answer {
  readonly type: 'mass-canceled';
  readonly firm: string;
  readonly symbol: string;
}
export interface OuchSwitched extends Answer {
  readonly type: 'disabled' | 'enabled';
  readonly firm: string;
}
export interface OuchAccountAnswer extends Optional {
  readonly type: 'account-answer';
  readonly timeNs: number;
  readonly nextUserRefNum: number;
}
/** What the gateway says. */
export type OuchMessage =
  | OuchSystemEvent
  | OuchAccepted
  | OuchReplaced
  | OuchCanceled
  | OuchAiqCanceled
  | OuchExecuted
  | OuchBroken
  | OuchRejected
  | OuchCancelAnswer
  | OuchPriorityUpdated
  | OuchModified
  | OuchRestated
  | OuchMassCanceled
  | OuchSwitched
  | OuchAccountAnswer;

/** 'u': a number; 'b': a bigint; 'i': a signed number; 't': text with blanks behind it. And its bytes. */
type Field = readonly [name: string, kind: 'u' | 'b' | 'i' | 't', bytes: number];
/** Whether the length of an appendage always stands there, only with an appendage, or never. */
type Appendage = 'always' | 'optional' | 'never';

interface Layout {
  readonly type: string;
  readonly letter: number;
  readonly fields: readonly Field[];
  readonly fixed: number;
  readonly appendage: Appendage;
}

const reference: Field = ['userRefNum', 'u', 4];
const original: Field = ['origUserRefNum', 'u', 4];
const quantity: Field = ['quantity', 'u', 4];
const symbol: Field = ['symbol', 't', 8];
const price: Field = ['price', 'u', 8];
const clOrdId: Field = ['clOrdId', 't', 14];
const firm: Field = ['firm', 't', 4];
const time: Field = ['timeNs', 'u', 8];
const orderReference: Field = ['orderReference', 'b', 8];
const match: Field = ['match', 'b', 8];
const one = (name: string): Field => [name, 't', 1];
const ofOrder: readonly Field[] = [
  one('side'),
  quantity,
  symbol,
  price,
  one('timeInForce'),
  one('display'),
  orderReference,
  one('capacity'),
  one('sweep'),
  one('crossType'),
  one('state'),
  clOrdId,
];

function layout(type: string, letter: string, appendage: Appendage, fields: readonly Field[]): Layout {
  const fixed = fields.reduce((sum, [, , bytes]) => sum + bytes, 1);
  return { type, letter: letter.charCodeAt(0), fields, fixed, appendage };
}

const requests: readonly Layout[] = [
  layout('enter', 'O', 'always', [
    reference,
    one('side'),
    quantity,
    symbol,
    price,
    ...['timeInForce', 'display', 'capacity', 'sweep', 'crossType'].map(one),
    clOrdId,
  ]),
  layout('replace', 'U', 'always', [
    original,
    reference,
    quantity,
    price,
    ...['timeInForce', 'display', 'sweep'].map(one),
    clOrdId,
  ]),
  layout('cancel', 'X', 'optional', [reference, quantity]),
  layout('modify', 'M', 'optional', [reference, one('side'), quantity]),
  layout('mass-cancel', 'C', 'always', [reference, firm, symbol]),
  layout('disable', 'D', 'always', [reference, firm]),
  layout('enable', 'E', 'always', [reference, firm]),
  layout('account-query', 'Q', 'optional', []),
];

const answers: readonly Layout[] = [
  layout('system-event', 'S', 'never', [time, one('code')]),
  layout('accepted', 'A', 'always', [time, reference, ...ofOrder]),
  layout('replaced', 'U', 'always', [time, original, reference, ...ofOrder]),
  layout('canceled', 'C', 'optional', [time, reference, quantity, one('reason')]),
  layout('aiq-canceled', 'D', 'optional', [
    time,
    reference,
    quantity,
    one('reason'),
    ['prevented', 'u', 4],
    price,
    one('liquidity'),
    one('strategy'),
  ]),
  layout('executed', 'E', 'always', [time, reference, quantity, price, one('liquidity'), match]),
  layout('broken', 'B', 'optional', [time, reference, match, one('reason'), clOrdId]),
  layout('rejected', 'J', 'optional', [time, reference, ['reason', 'u', 2], clOrdId]),
  layout('cancel-pending', 'P', 'optional', [time, reference]),
  layout('cancel-rejected', 'I', 'optional', [time, reference]),
  layout('priority-updated', 'T', 'optional', [time, reference, price, one('display'), orderReference]),
  layout('modified', 'M', 'optional', [time, reference, one('side'), quantity]),
  layout('restated', 'R', 'always', [time, reference, one('reason')]),
  layout('mass-canceled', 'X', 'always', [time, reference, firm, symbol]),
  layout('disabled', 'G', 'always', [time, reference, firm]),
  layout('enabled', 'K', 'always', [time, reference, firm]),
  layout('account-answer', 'Q', 'optional', [time, ['nextUserRefNum', 'u', 4]]),
];

const tags: readonly (readonly [tag: number, ...Field])[] = [
  [1, 'secondaryReference', 'b', 8],
  [2, 'firm', 't', 4],
  [3, 'minQuantity', 'u', 4],
  [4, 'customerType', 't', 1],
  [5, 'maxFloor', 'u', 4],
  [6, 'priceType', 't', 1],
  [7, 'pegOffset', 'i', 4],
  [9, 'discretionPrice', 'b', 8],
  [10, 'discretionPriceType', 't', 1],
  [11, 'discretionPegOffset', 'i', 4],
  [12, 'postOnly', 't', 1],
  [13, 'randomReserves', 'u', 4],
  [14, 'route', 't', 4],
  [15, 'expireTime', 'u', 4],
  [16, 'tradeNow', 't', 1],
  [17, 'handleInstruction', 't', 1],
  [18, 'bboWeight', 't', 1],
  [22, 'displayQuantity', 'u', 4],
  [23, 'displayPrice', 'b', 8],
  [24, 'groupId', 'u', 2],
  [25, 'sharesLocated', 't', 1],
  [26, 'locateBroker', 't', 4],
  [27, 'side', 't', 1],
  [28, 'userRefIndex', 'u', 1],
  [29, 'aiqStrategy', 't', 1],
  [30, 'aiqGroupId', 't', 2],
];

const byLetter = (layouts: readonly Layout[]): ReadonlyMap<number, Layout> =>
  new Map(layouts.map((one) => [one.letter, one]));
const requestLayouts = byLetter(requests);
const answerLayouts = byLetter(answers);
const byType: ReadonlyMap<string, Layout> = new Map([...requests, ...answers].map((one) => [one.type, one]));
const byTag: ReadonlyMap<number, Field> = new Map(tags.map(([tag, ...field]) => [tag, field]));
const byOption: ReadonlyMap<string, readonly [number, Field]> = new Map(
  tags.map(([tag, ...field]) => [field[0], [tag, field]]),
);

/** Undefined for a number from 2^53 on. */
function readField(bytes: Buffer, at: number, [, kind, size]: Field): number | bigint | string | undefined {
  if (kind === 't') return bytes.toString('latin1', at, at + size).trimEnd();
  if (kind === 'b') return bytes.readBigUInt64BE(at);
  if (kind === 'i') return bytes.readInt32BE(at);
  if (size < 8) return bytes.readUIntBE(at, size);
  const high = bytes.readUInt32BE(at);
  return high < 0x200000 ? high * 0x100000000 + bytes.readUInt32BE(at + 4) : undefined;
}

function wrongField(name: string, value: unknown, expected: string): InvalidRequestError {
  return new InvalidRequestError('INVALID_REQUEST', `${name}: expected ${expected}, got ${shown(value)}`, {
    field: name,
  });
}

function writeField(bytes: Buffer, at: number, [name, kind, size]: Field, value: unknown): void {
  if (kind === 't') {
    if (typeof value !== 'string' || value.length > size || !/^[\x20-\x7e]*$/.test(value))
      throw wrongField(name, value, `at most ${size} printable ASCII characters`);
    bytes.write(value.padEnd(size), at, 'latin1');
  } else if (kind === 'b') {
    if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n)
      throw wrongField(name, value, 'a bigint of 64 bits');
    bytes.writeBigUInt64BE(value, at);
  } else {
    const [least, most] =
      kind === 'i'
        ? [-(2 ** 31), 2 ** 31 - 1]
        : [0, size === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * size) - 1];
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
      throw wrongField(name, value, `an integer from ${least} to ${most}`);
    if (size === 8) bytes.writeBigUInt64BE(BigInt(value as number), at);
    else if (kind === 'i') bytes.writeInt32BE(value as number, at);
    else bytes.writeUIntBE(value as number, at, size);
  }
}

function readOptions(bytes: Buffer, from: number): OuchOptions | undefined {
  const options: Record<string, unknown> = {};
  for (let at = from; at < bytes.length; ) {
    const length = bytes[at]!;
    const field = byTag.get(bytes[at + 1] ?? 0);
    if (field === undefined || length !== 1 + field[2] || at + 1 + length > bytes.length) return undefined;
    if (field[0] in options) return undefined;
    options[field[0]] = readField(bytes, at + 2, field);
    at += 1 + length;
  }
  return options;
}

function read(bytes: Buffer, layouts: ReadonlyMap<number, Layout>): Record<string, unknown> | undefined {
  const found = layouts.get(bytes[0] ?? 0);
  if (found === undefined) return undefined;
  const { fixed, appendage } = found;
  const bare = bytes.length === fixed && appendage !== 'always';
  if (!bare) {
    if (appendage === 'never' || bytes.length < fixed + 2) return undefined;
    if (bytes.length !== fixed + 2 + bytes.readUInt16BE(fixed)) return undefined;
  }
  const message: Record<string, unknown> = { type: found.type };
  let at = 1;
  for (const field of found.fields) {
    const value = readField(bytes, at, field);
    if (value === undefined) return undefined;
    message[field[0]] = value;
    at += field[2];
  }
  if (bytes.length > fixed + 2) {
    const options = readOptions(bytes, fixed + 2);
    if (options === undefined) return undefined;
    message.options = options;
  }
  return message;
}

/** Undefined where the bytes are no such message. */
export function readOuchMessage(bytes: Buffer): OuchMessage | undefined {
  return read(bytes, answerLayouts) as unknown as OuchMessage | undefined;
}

/** What a gateway does: for gateways of tests, and recordings. */
export function readOuchRequest(bytes: Buffer): OuchRequest | undefined {
  return read(bytes, requestLayouts) as unknown as OuchRequest | undefined;
}

/** Throws INVALID_REQUEST for a field that does not fit. */
export function writeOuch(message: OuchRequest | OuchMessage): Buffer {
  const found = byType.get(message.type);
  if (found === undefined) throw wrongField('type', message.type, 'a message of OUCH 5.0');
  const given = Object.entries(('options' in message && message.options) || {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const option = byOption.get(name);
      if (option === undefined) throw wrongField('options', name, 'an option of OUCH 5.0');
      return { tag: option[0], field: option[1], value };
    })
    .sort((a, b) => a.tag - b.tag);
  if (given.length > 0 && found.appendage === 'never')
    throw wrongField('options', found.type, 'none in this message');
  const behind = given.reduce((sum, { field }) => sum + 2 + field[2], 0);
  const appended = found.appendage === 'always' || behind > 0;
  const bytes = Buffer.alloc(found.fixed + (appended ? 2 + behind : 0));
  bytes[0] = found.letter;
  let at = 1;
  for (const field of found.fields) {
    writeField(bytes, at, field, (message as unknown as Record<string, unknown>)[field[0]]);
    at += field[2];
  }
  if (appended) bytes.writeUInt16BE(behind, found.fixed);
  at += 2;
  for (const { tag, field, value } of given) {
    bytes[at] = 1 + field[2];
    bytes[at + 1] = tag;
    writeField(bytes, at + 2, field, value);
    at += 2 + field[2];
  }
  return bytes;
}

/** Reasons of rejects, by number. */
export const ouchReasons: ReadonlyMap<number, string> = new Map([
  [0x01, 'quote unavailable'],
  [0x02, 'destination closed'],
  [0x03, 'invalid display'],
  [0x04, 'invalid max floor'],
  [0x05, 'invalid peg type'],
  [0x06, 'fat finger'],
  [0x07, 'halted'],
  [0x08, 'intermarket sweep not allowed'],
  [0x09, 'invalid side'],
  [0x0a, 'processing error'],
  [0x0b, 'cancel pending'],
  [0x0c, 'firm not authorized'],
  [0x0d, 'invalid minimum quantity'],
  [0x0e, 'no closing reference price'],
  [0x0f, 'other'],
  [0x10, 'cancel not allowed'],
  [0x11, 'pegging not allowed'],
  [0x12, 'crossed market'],
  [0x13, 'invalid quantity'],
  [0x14, 'invalid cross order'],
  [0x15, 'replace not allowed'],
  [0x16, 'routing not allowed'],
  [0x17, 'invalid symbol'],
  [0x18, 'test'],
  [0x19, 'late limit-on-close too aggressive'],
  [0x1a, 'retail not allowed'],
  [0x1b, 'invalid price of a midpoint post-only order'],
  [0x1c, 'invalid destination'],
  [0x1d, 'invalid price'],
  [0x1e, 'shares exceed threshold'],
  [0x1f, 'exceeds the notional value allowed'],
  [0x20, 'risk: aggregate exposure'],
  [0x21, 'risk: market impact'],
  [0x22, 'risk: restricted stock'],
  [0x23, 'risk: short sale restricted'],
  [0x24, 'risk: intermarket sweep not allowed'],
  [0x25, 'risk: exceeds the limit of average daily volume'],
  [0x26, 'risk: fat finger'],
  [0x27, 'risk: locate required'],
  [0x28, 'risk: message rate of the symbol'],
  [0x29, 'risk: message rate of the port'],
  [0x2a, 'risk: rate of duplicate messages'],
  [0x2b, 'risk: short sale not allowed'],
  [0x2c, 'risk: market order not allowed'],
  [0x2d, 'risk: pre-market not allowed'],
  [0x2e, 'risk: post-market not allowed'],
  [0x2f, 'risk: short sale exempt not allowed'],
  [0x30, 'risk: notional value of the order'],
  [0x31, 'risk: quantity above maximum'],
  [0x32, 'short sale state not available'],
  [0x33, 'risk: market buy of a new issue not allowed'],
  [0x40, 'invalid self-match prevention'],
]);
