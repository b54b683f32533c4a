// The messages of OUCH 5.0 and ITCH 5.0 as the published specifications list them, transcribed as data: field, offset, length, kind. Read by
// a decoder of a few lines, so that the codecs of src/clients are compared with something that shares no code with them.
//
// Sources: "OUCH 5.0 Order Entry Specification", Nasdaq, 2025 (nasdaqtrader.com, Trading Services); "Nasdaq TotalView-ITCH 5.0",
// "Nasdaq TotalView-ITCH GLIMPSE 5.0".

type Kind = 'int' | 'alpha' | 'digits';
export type Row = readonly [field: string, offset: number, length: number, kind: Kind];

export interface Table {
  readonly letter: string;
  /** Bytes, without the length of an appendage. */
  readonly length: number;
  /** Whether an appendage's length stands behind it: always, only with an appendage, never. */
  readonly appendage: 'always' | 'optional' | 'never';
  readonly rows: readonly Row[];
}

function table(letter: string, length: number, appendage: Table['appendage'], text: string): Table {
  const rows = text
    .trim()
    .split(/\s*;\s*/)
    .filter((row) => row !== '')
    .map((row): Row => {
      const [field, offset, bytes, kind] = row.split(/\s+/);
      return [field!, Number(offset), Number(bytes), kind as Kind];
    });
  return { letter, length, appendage, rows };
}

export const ouchRequests: Readonly<Record<string, Table>> = {
  enter: table(
    'O',
    45,
    'always',
    `userRefNum 1 4 int; side 5 1 alpha; quantity 6 4 int; symbol 10 8 alpha; price 18 8 int;
    timeInForce 26 1 alpha; display 27 1 alpha; capacity 28 1 alpha; sweep 29 1 alpha; crossType 30 1 alpha; clOrdId 31 14 alpha`,
  ),
  replace: table(
    'U',
    38,
    'always',
    `origUserRefNum 1 4 int; userRefNum 5 4 int; quantity 9 4 int; price 13 8 int; timeInForce 21 1 alpha;
    display 22 1 alpha; sweep 23 1 alpha; clOrdId 24 14 alpha`,
  ),
  cancel: table('X', 9, 'optional', 'userRefNum 1 4 int; quantity 5 4 int'),
  modify: table('M', 10, 'optional', 'userRefNum 1 4 int; side 5 1 alpha; quantity 6 4 int'),
  'mass-cancel': table('C', 17, 'always', 'userRefNum 1 4 int; firm 5 4 alpha; symbol 9 8 alpha'),
  disable: table('D', 9, 'always', 'userRefNum 1 4 int; firm 5 4 alpha'),
  enable: table('E', 9, 'always', 'userRefNum 1 4 int; firm 5 4 alpha'),
  'account-query': table('Q', 1, 'optional', ''),
};

export const ouchAnswers: Readonly<Record<string, Table>> = {
  'system-event': table('S', 10, 'never', 'timeNs 1 8 int; code 9 1 alpha'),
  accepted: table(
    'A',
    62,
    'always',
    `timeNs 1 8 int; userRefNum 9 4 int; side 13 1 alpha; quantity 14 4 int; symbol 18 8 alpha; price 26 8 int;
    timeInForce 34 1 alpha; display 35 1 alpha; orderReference 36 8 int; capacity 44 1 alpha; sweep 45 1 alpha; crossType 46 1 alpha;
    state 47 1 alpha; clOrdId 48 14 alpha`,
  ),
  replaced: table(
    'U',
    66,
    'always',
    `timeNs 1 8 int; origUserRefNum 9 4 int; userRefNum 13 4 int; side 17 1 alpha; quantity 18 4 int;
    symbol 22 8 alpha; price 30 8 int; timeInForce 38 1 alpha; display 39 1 alpha; orderReference 40 8 int; capacity 48 1 alpha;
    sweep 49 1 alpha; crossType 50 1 alpha; state 51 1 alpha; clOrdId 52 14 alpha`,
  ),
  canceled: table(
    'C',
    18,
    'optional',
    'timeNs 1 8 int; userRefNum 9 4 int; quantity 13 4 int; reason 17 1 alpha',
  ),
  'aiq-canceled': table(
    'D',
    32,
    'optional',
    `timeNs 1 8 int; userRefNum 9 4 int; quantity 13 4 int; reason 17 1 alpha; prevented 18 4 int;
    price 22 8 int; liquidity 30 1 alpha; strategy 31 1 alpha`,
  ),
  executed: table(
    'E',
    34,
    'always',
    `timeNs 1 8 int; userRefNum 9 4 int; quantity 13 4 int; price 17 8 int; liquidity 25 1 alpha;
    match 26 8 int`,
  ),
  broken: table(
    'B',
    36,
    'optional',
    'timeNs 1 8 int; userRefNum 9 4 int; match 13 8 int; reason 21 1 alpha; clOrdId 22 14 alpha',
  ),
  rejected: table(
    'J',
    29,
    'optional',
    'timeNs 1 8 int; userRefNum 9 4 int; reason 13 2 int; clOrdId 15 14 alpha',
  ),
  'cancel-pending': table('P', 13, 'optional', 'timeNs 1 8 int; userRefNum 9 4 int'),
  'cancel-rejected': table('I', 13, 'optional', 'timeNs 1 8 int; userRefNum 9 4 int'),
  'priority-updated': table(
    'T',
    30,
    'optional',
    `timeNs 1 8 int; userRefNum 9 4 int; price 13 8 int; display 21 1 alpha;
    orderReference 22 8 int`,
  ),
  modified: table(
    'M',
    18,
    'optional',
    'timeNs 1 8 int; userRefNum 9 4 int; side 13 1 alpha; quantity 14 4 int',
  ),
  restated: table('R', 14, 'always', 'timeNs 1 8 int; userRefNum 9 4 int; reason 13 1 alpha'),
  'mass-canceled': table(
    'X',
    25,
    'always',
    'timeNs 1 8 int; userRefNum 9 4 int; firm 13 4 alpha; symbol 17 8 alpha',
  ),
  disabled: table('G', 17, 'always', 'timeNs 1 8 int; userRefNum 9 4 int; firm 13 4 alpha'),
  enabled: table('K', 17, 'always', 'timeNs 1 8 int; userRefNum 9 4 int; firm 13 4 alpha'),
  'account-answer': table('Q', 13, 'optional', 'timeNs 1 8 int; nextUserRefNum 9 4 int'),
};

/** Tags of an appendage: number, bytes of the value, kind. */
export const ouchTags: Readonly<Record<string, readonly [tag: number, length: number, kind: Kind]>> = {
  secondaryReference: [1, 8, 'int'],
  firm: [2, 4, 'alpha'],
  minQuantity: [3, 4, 'int'],
  customerType: [4, 1, 'alpha'],
  maxFloor: [5, 4, 'int'],
  priceType: [6, 1, 'alpha'],
  discretionPrice: [9, 8, 'int'],
  discretionPriceType: [10, 1, 'alpha'],
  postOnly: [12, 1, 'alpha'],
  randomReserves: [13, 4, 'int'],
  route: [14, 4, 'alpha'],
  expireTime: [15, 4, 'int'],
  tradeNow: [16, 1, 'alpha'],
  handleInstruction: [17, 1, 'alpha'],
  bboWeight: [18, 1, 'alpha'],
  displayQuantity: [22, 4, 'int'],
  displayPrice: [23, 8, 'int'],
  groupId: [24, 2, 'int'],
  sharesLocated: [25, 1, 'alpha'],
  locateBroker: [26, 4, 'alpha'],
  side: [27, 1, 'alpha'],
  userRefIndex: [28, 1, 'int'],
  aiqStrategy: [29, 1, 'alpha'],
  aiqGroupId: [30, 2, 'alpha'],
};

const head = 'locate 1 2 int; tracking 3 2 int; timeNs 5 6 int;';
export const itchMessages: Readonly<Record<string, Table>> = {
  'system-event': table('S', 12, 'never', `${head} code 11 1 alpha`),
  directory: table('R', 39, 'never', `${head} symbol 11 8 alpha; roundLot 21 4 int`),
  'trading-action': table('H', 25, 'never', `${head} symbol 11 8 alpha; state 19 1 alpha; reason 21 4 alpha`),
  add: table(
    'A',
    36,
    'never',
    `${head} reference 11 8 int; side 19 1 alpha; shares 20 4 int; symbol 24 8 alpha; price 32 4 int`,
  ),
  'add-attributed': table(
    'F',
    40,
    'never',
    `${head} reference 11 8 int; side 19 1 alpha; shares 20 4 int; symbol 24 8 alpha;
    price 32 4 int; attribution 36 4 alpha`,
  ),
  executed: table('E', 31, 'never', `${head} reference 11 8 int; shares 19 4 int; match 23 8 int`),
  'executed-with-price': table(
    'C',
    36,
    'never',
    `${head} reference 11 8 int; shares 19 4 int; match 23 8 int; printable 31 1 alpha;
    price 32 4 int`,
  ),
  cancel: table('X', 23, 'never', `${head} reference 11 8 int; shares 19 4 int`),
  delete: table('D', 19, 'never', `${head} reference 11 8 int`),
  replace: table(
    'U',
    35,
    'never',
    `${head} reference 11 8 int; newReference 19 8 int; shares 27 4 int; price 31 4 int`,
  ),
  trade: table(
    'P',
    44,
    'never',
    `${head} reference 11 8 int; side 19 1 alpha; shares 20 4 int; symbol 24 8 alpha; price 32 4 int;
    match 36 8 int`,
  ),
  cross: table(
    'Q',
    40,
    'never',
    `${head} shares 11 8 int; symbol 19 8 alpha; price 27 4 int; match 31 8 int; cross 39 1 alpha`,
  ),
  'broken-trade': table('B', 19, 'never', `${head} match 11 8 int`),
  imbalance: table(
    'I',
    50,
    'never',
    `${head} paired 11 8 int; imbalance 19 8 int; direction 27 1 alpha; symbol 28 8 alpha; farPrice 36 4 int;
    nearPrice 40 4 int; referencePrice 44 4 int; cross 48 1 alpha; variation 49 1 alpha`,
  ),
  'end-of-snapshot': table('G', 21, 'never', 'sequence 1 20 digits'),
};

function fieldOf(bytes: Buffer, offset: number, length: number, kind: Kind): bigint | string {
  const part = bytes.subarray(offset, offset + length);
  if (kind === 'int') return BigInt(`0x${part.toString('hex')}`);
  if (kind === 'digits') return BigInt(part.toString('latin1').trim());
  return part.toString('latin1').trimEnd();
}

/** What the tables read in these bytes: the message's name, and every field as a bigint or text; throws where nothing fits exactly. */
export function decode(
  tables: Readonly<Record<string, Table>>,
  bytes: Buffer,
): Record<string, bigint | string> {
  const found = Object.entries(tables).find(([, { letter }]) => letter === bytes.toString('latin1', 0, 1));
  if (found === undefined) throw new Error(`no message ${bytes.toString('latin1', 0, 1)}`);
  const [type, { length, appendage, rows }] = found;
  const message: Record<string, bigint | string> = { type };
  for (const [field, offset, size, kind] of rows) message[field] = fieldOf(bytes, offset, size, kind);
  if (bytes.length === length && appendage !== 'always') return message;
  if (appendage === 'never' || bytes.length !== length + 2 + bytes.readUInt16BE(length))
    throw new Error(`${bytes.length} bytes of ${type}`);
  for (let at = length + 2; at < bytes.length; at += 1 + bytes[at]!) {
    const tag = Object.entries(ouchTags).find(([, [number]]) => number === bytes[at + 1]);
    if (tag === undefined || bytes[at] !== 1 + tag[1][1]) throw new Error(`tag ${bytes[at + 1]} of ${type}`);
    message[`options.${tag[0]}`] = fieldOf(bytes, at + 2, tag[1][1], tag[1][2]);
  }
  return message;
}
