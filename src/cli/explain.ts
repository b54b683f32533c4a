/** `verbex explain`: any part of a recovered state, readably. */
import { VerbexError } from '../errors/errors.ts';
import {
  limitKindNames,
  orderTypeNames,
  sideNames,
  timeInForceNames,
  tradingStateNames,
} from '../wire/layout.ts';
import { type Command, type Given, UsageError } from './command.ts';
import {
  type Explained,
  type ExplainedAccount,
  type ExplainedInstrument,
  type ExplainedOrder,
  readExplained,
  Units,
} from './explained.ts';
import { folderOf, folderOption, folderPositional, offline, storedLimits } from './offline.ts';
import { facts, table } from './output.ts';

const levelsShown = 10;

export const explainCommand: Command = {
  name: 'explain',
  summary: 'print any part of a recovered state',
  positionals: [folderPositional],
  options: [
    folderOption,
    { name: 'account', value: 'NAME', help: 'this account: balances, limits, exposures, orders' },
    { name: 'instrument', value: 'NAME', help: 'this instrument: terms and book' },
    { name: 'order', value: 'ACCOUNT/ID', help: 'this open order, with its place in the queue' },
    {
      name: 'at',
      value: 'POSITION',
      range: [1, Number.MAX_SAFE_INTEGER],
      help: 'the state after this position',
    },
  ],
  notes: [
    'Without --account, --instrument or --order: everything in short; with --json the whole state as docs/rules.md, section 11, has it.',
  ],
  examples: [
    ['verbex explain ./data', 'what there is'],
    ['verbex explain ./data --account alice', 'what alice has, and what is held for her orders'],
    ['verbex explain ./data --order alice/o-17 --at 5000', 'where her order stood after command 5000'],
  ],
  async run(given, output) {
    const parts = ['account', 'instrument', 'order'].filter((name) => given.text(name) !== undefined);
    if (parts.length > 1) throw new UsageError(`--${parts.join(' and --')}: one at a time`);
    const folder = folderOf(given);
    const text = await offline((native) =>
      native.explainAt(folder, storedLimits, BigInt(given.integer('at') ?? 0)),
    );
    const state = readExplained(text);
    const [part] = parts;
    if (part === undefined) output.answerJson(text.trim(), () => overview(state));
    else {
      const [object, readable] = partOf(part, given, state);
      output.answer({ position: state.position, ...object }, readable);
    }
    return 0;
  },
};

function partOf(part: string, given: Given, state: Explained): [Record<string, unknown>, string] {
  const name = given.need(part);
  if (part === 'account') {
    const account = accountOf(state, name);
    return [{ account }, accountText(account, state)];
  }
  if (part === 'instrument') {
    const instrument = state.instruments.find((candidate) => candidate.name === name);
    if (instrument === undefined)
      throw new VerbexError(
        'UNKNOWN_INSTRUMENT_NAME',
        `no instrument "${name}" at position ${state.position}`,
      );
    return [{ instrument }, instrumentText(instrument, state)];
  }
  const slash = name.indexOf('/');
  if (slash < 1) throw new UsageError(`--order is "${name}", not ACCOUNT/ID`);
  return orderPart(accountOf(state, name.slice(0, slash)), name.slice(slash + 1), state);
}

function accountOf(state: Explained, name: string): ExplainedAccount {
  const account = state.accounts.find((candidate) => candidate.name === name);
  if (account === undefined)
    throw new VerbexError('UNKNOWN_ACCOUNT_NAME', `no account "${name}" at position ${state.position}`);
  return account;
}

function overview(state: Explained): string {
  const units = new Units(state);
  const orders = state.accounts.reduce((sum, account) => sum + account.orders.length, 0);
  return [
    facts([
      ['position', state.position],
      ['time', timeText(state.time)],
      ['accounts', state.accounts.length],
      ['open orders', orders],
    ]),
    '',
    table(
      ['asset', 'decimals', 'issued', 'fees'],
      state.assets.map(({ id, name, decimals, issued, fees }) => [
        name,
        decimals,
        units.amount(id, issued),
        units.amount(id, fees),
      ]),
    ),
    '',
    table(
      ['instrument', 'state', 'bid', 'ask', 'last', 'trades'],
      state.instruments.map((instrument) => {
        const best = (levels: ExplainedInstrument['bids']): string =>
          levels[0] === undefined ? '' : units.price(instrument.id, levels[0][0]);
        return [
          instrument.name,
          tradingStateNames[instrument.state] ?? instrument.state,
          best(instrument.bids),
          best(instrument.asks),
          instrument.trades === 0 ? '' : units.price(instrument.id, instrument.lastPrice),
          instrument.trades,
        ];
      }),
    ),
  ].join('\n');
}

function accountText(account: ExplainedAccount, state: Explained): string {
  const units = new Units(state);
  const parent = state.accounts.find(({ id }) => id === account.parent)?.name ?? '';
  return [
    facts([
      ['account', account.name],
      ['under', account.id === 0 ? 'nobody' : parent],
      ['kill switch', account.killed === 1 ? 'on' : 'off'],
      [
        'limits',
        account.limits
          .map(([kind, subject, limit]) => `${limitKindNames[kind] ?? kind}:${subject}=${limit}`)
          .join(' ') || 'none',
      ],
    ]),
    '',
    table(
      ['asset', 'total', 'held', 'available'],
      account.balances.map(([asset, total, held]) => [
        units.asset(asset),
        units.amount(asset, total),
        units.amount(asset, held),
        units.amount(asset, String(BigInt(total) - BigInt(held))),
      ]),
    ),
    '',
    table(
      ['instrument', 'position', 'open buy', 'open sell'],
      account.exposures.map(([instrument, position, buy, sell]) => [
        units.instrument(instrument),
        units.quantity(instrument, position),
        units.quantity(instrument, buy),
        units.quantity(instrument, sell),
      ]),
    ),
    '',
    ordersTable(account.orders, account, state, units),
  ].join('\n');
}

function ordersTable(
  orders: readonly ExplainedOrder[],
  account: ExplainedAccount,
  state: Explained,
  units: Units,
): string {
  const heads = ['id', 'order id', 'instrument', 'side', 'type', 'tif', 'price', 'open', 'stop', 'expiry'];
  const places = placesOf(state);
  return table(
    heads,
    orders.map((order) => {
      const [orderId, id, side, type, tif, price, stopPrice, open, , expiry] = order;
      const instrument = places.get(orderId)?.instrument.id ?? account.exposures[0]?.[0] ?? 0;
      return [
        id,
        String(orderId),
        units.instrument(instrument),
        sideNames[side] ?? side,
        orderTypeNames[type] ?? type,
        timeInForceNames[tif] ?? tif,
        units.price(instrument, price),
        units.quantity(instrument, open),
        stopPrice === 0 ? '' : units.price(instrument, stopPrice),
        expiry === 0 ? '' : timeText(expiry),
      ];
    }),
  );
}

interface Place {
  readonly instrument: ExplainedInstrument;
  readonly queue: 'bids' | 'asks' | 'buyStops' | 'sellStops';
  readonly price: string | number;
  /** Orders before it on its level. */
  readonly ahead: number;
  readonly visible: string | number;
}

/** Where each order of the state stands. */
function placesOf(state: Explained): Map<string | number, Place> {
  const places = new Map<string | number, Place>();
  for (const instrument of state.instruments) {
    for (const queue of ['bids', 'asks', 'buyStops', 'sellStops'] as const) {
      for (const [price, orders] of instrument[queue]) {
        for (const [ahead, [orderId, , , visible]] of orders.entries()) {
          places.set(orderId, { instrument, queue, price, ahead, visible });
        }
      }
    }
  }
  return places;
}

function orderPart(
  account: ExplainedAccount,
  id: string,
  state: Explained,
): [Record<string, unknown>, string] {
  const order = account.orders.find(([, candidate]) => candidate === id);
  const place = order === undefined ? undefined : placesOf(state).get(order[0]);
  if (order === undefined || place === undefined) {
    throw new VerbexError(
      'UNKNOWN_ORDER',
      `${account.name} has no open order "${id}" at position ${state.position}`,
    );
  }
  const units = new Units(state);
  const [orderId, , side, type, tif, price, stopPrice, open, display, expiry] = order;
  const { instrument } = place;
  const shown = {
    account: account.name,
    id,
    orderId,
    instrument: instrument.name,
    side: sideNames[side],
    type: orderTypeNames[type],
    tif: timeInForceNames[tif],
    price: units.price(instrument.id, price),
    open: units.quantity(instrument.id, open),
    visible: units.quantity(instrument.id, place.visible),
    ordersAhead: place.ahead,
    queue: place.queue,
    ...(stopPrice === 0 ? {} : { stopPrice: units.price(instrument.id, stopPrice) }),
    ...(display === 0 ? {} : { displayQuantity: units.quantity(instrument.id, display) }),
    ...(expiry === 0 ? {} : { expiry: timeText(expiry) }),
  };
  return [
    { order: shown },
    facts(Object.entries(shown).map(([name, value]): [string, string] => [name, String(value)])),
  ];
}

function instrumentText(instrument: ExplainedInstrument, state: Explained): string {
  const units = new Units(state);
  const { id } = instrument;
  const rows = (levels: ExplainedInstrument['bids']): string[][] =>
    levels
      .slice(0, levelsShown)
      .map(([price, orders]) => [
        units.price(id, price),
        units.quantity(id, String(orders.reduce((sum, [, , , visible]) => sum + BigInt(visible), 0n))),
        String(orders.length),
      ]);
  return [
    facts([
      ['instrument', instrument.name],
      ['base, quote', `${units.asset(instrument.base)}, ${units.asset(instrument.quote)}`],
      ['state', tradingStateNames[instrument.state] ?? instrument.state],
      ['fees in millionths', `maker ${instrument.makerFee}, taker ${instrument.takerFee}`],
      ['last price', instrument.trades === 0 ? 'none' : units.price(id, instrument.lastPrice)],
      ['trades', instrument.trades],
      ['levels', `${instrument.bids.length} bids, ${instrument.asks.length} asks`],
      [
        'waiting stops',
        instrument.buyStops.length + instrument.sellStops.length === 0
          ? 'none'
          : `${instrument.buyStops.length} buy, ${instrument.sellStops.length} sell prices`,
      ],
    ]),
    '',
    table(['ask', 'visible', 'orders'], rows(instrument.asks).reverse()),
    '',
    table(['bid', 'visible', 'orders'], rows(instrument.bids)),
  ].join('\n');
}

/** Nanoseconds since 1970; 0 is before the first tick of the clock. */
function timeText(time: string | number): string {
  const nanos = BigInt(time);
  return nanos === 0n ? 'not set' : new Date(Number(nanos / 1_000_000n)).toISOString();
}
