/**
 * The neutral format: one JSON object a line, its fields named like the API's (docs/replay.md). Instruments and accounts that no
 * line defines are defined on first use.
 */
import type {
  InstrumentTerms,
  LimitKind,
  OrderType,
  Request,
  SelfTrade,
  Side,
  TimeInForce,
  TradingState,
} from '../api/types.ts';
import { replayAccount } from './account-setup.ts';
import { JsonLine } from './jsonl-line.ts';
import { defaultLot, defaultTick, type InstrumentDefinition, JsonlWorld, pairOf } from './jsonl-world.ts';
import { LineReader } from './lines.ts';
import { ReplayError } from './replay-error.ts';
import { ShortNames } from './short-names.ts';
import type { Step, StepSource } from './step.ts';

const sides = ['buy', 'sell'] as const satisfies readonly Side[];
const orderTypes = ['limit', 'market', 'stop', 'stop-limit'] as const satisfies readonly OrderType[];
const tifs = ['gtc', 'day', 'gtd', 'ioc', 'fok'] as const satisfies readonly TimeInForce[];
const selfTrades = [
  'none',
  'cancel-newest',
  'cancel-oldest',
  'cancel-both',
  'decrement',
] as const satisfies readonly SelfTrade[];
const states = ['open', 'cancel-only', 'halted', 'closed'] as const satisfies readonly TradingState[];
const limitKinds = [
  'order-size',
  'order-value',
  'open-orders',
  'open-value',
  'position',
] as const satisfies readonly LimitKind[];

/** Where an order is: what cancel, reduce and replace may leave out. */
interface Place {
  readonly account: string;
  readonly instrument: string;
}

export interface JsonlOptions {
  readonly path: string;
  readonly skipBad?: boolean;
}

export class JsonlSource implements StepSource {
  badLines = 0;
  lines = 0;
  readonly #reader: LineReader;
  readonly #skipBad: boolean;
  readonly #names = new ShortNames();
  readonly #world = new JsonlWorld();
  readonly #orders = new Map<string, Place>();
  readonly #places = new Map<string, Map<string, Place>>();
  /** `instrument` lines that stand together at the beginning, given together. */
  #definitions: { readonly line: number; readonly definition: InstrumentDefinition }[] = [];

  constructor(options: JsonlOptions) {
    this.#reader = new LineReader(options.path);
    this.#skipBad = options.skipBad === true;
  }

  get progress(): number {
    return this.#reader.progress;
  }

  original(name: string): string {
    return this.#names.original(name);
  }

  async *steps(): AsyncGenerator<Step[]> {
    for await (const batch of this.#reader.batches()) {
      const steps: Step[] = [];
      for (const text of batch) {
        this.lines += 1;
        this.#line(text, this.lines, steps);
      }
      yield steps;
    }
    const steps: Step[] = [];
    this.#define(steps);
    yield steps;
  }

  #line(text: string, line: number, steps: Step[]): void {
    if (text.trim() === '') return;
    // What a line sends before it turns out to be bad stays sent: accounts and instruments of first use.
    const requests: Request[] = [];
    this.#attempt(line, () => {
      const parsed = new JsonLine(text);
      if (parsed.op === 'instrument') {
        this.#definitions.push({ line, definition: this.#definition(parsed) });
        return;
      }
      this.#define(steps);
      this.#read(parsed, requests);
    });
    for (const request of requests) steps.push({ line, request });
  }

  #define(steps: Step[]): void {
    const definitions = this.#definitions;
    if (definitions.length === 0) return;
    this.#definitions = [];
    const line = definitions[0]!.line;
    this.#attempt(line, () => {
      for (const request of this.#world.instruments(definitions.map(({ definition }) => definition)))
        steps.push({ line, request });
    });
  }

  #attempt(line: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ReplayError)) throw error;
      this.badLines += 1;
      if (this.#skipBad) return;
      throw new ReplayError(error.code, `line ${line}: ${error.message}`, { line, cause: error });
    }
  }

  #read(line: JsonLine, out: Request[]): void {
    switch (line.op) {
      case 'new':
        this.#new(line, out);
        return;
      case 'cancel': {
        const id = this.#id(line);
        out.push({ op: 'cancel', account: this.#place(line, id, out).account, id });
        return;
      }
      case 'reduce': {
        const id = this.#id(line);
        out.push({ op: 'reduce', ...this.#place(line, id, out), id, by: line.needDecimal('by', 'quantity') });
        return;
      }
      case 'replace':
        this.#replace(line, out);
        return;
      case 'account': {
        const parent = this.#name(line, 'parent');
        const account = this.#needName(line, 'account', 'name', 'id');
        const options = { endow: line.flag('endow') ?? true, parent };
        out.push(...this.#world.useAccount(account, options));
        return;
      }
      case 'asset':
      case 'add-asset': {
        const asset = this.#needName(line, 'asset', 'name', 'id');
        out.push(...this.#world.asset(asset, line.integer('decimals') ?? 8));
        return;
      }
      default:
        this.#operator(line, out);
        return;
    }
  }

  #new(line: JsonLine, out: Request[]): void {
    const id = this.#id(line);
    const instrument = this.#instrument(line, out);
    const account = this.#account(line, out);
    const price = line.decimal('price');
    const stopPrice = line.decimal('stopPrice');
    const displayQuantity = line.decimal('displayQuantity');
    const minQuantity = line.decimal('minQuantity');
    const expiry = line.nanos('expiry');
    const type = line.oneOf('type', orderTypes);
    const tif = line.oneOf('tif', tifs);
    const selfTrade = line.oneOf('selfTrade', selfTrades);
    const selfTradeScope = line.oneOf('selfTradeScope', ['account', 'firm']);
    const postOnly =
      typeof line.raw('postOnly') === 'boolean'
        ? line.flag('postOnly')
        : line.oneOf('postOnly', ['reject', 'reprice']);
    const side = line.oneOf('side', sides);
    if (side === undefined) throw new ReplayError('REPLAY_BAD_LINE', '"side" is missing');
    out.push({
      op: 'new',
      account,
      instrument,
      id,
      side,
      quantity: line.needDecimal('quantity'),
      ...(type === undefined ? {} : { type }),
      ...(tif === undefined ? {} : { tif }),
      ...(price === undefined ? {} : { price }),
      ...(stopPrice === undefined ? {} : { stopPrice }),
      ...(displayQuantity === undefined ? {} : { displayQuantity }),
      ...(minQuantity === undefined ? {} : { minQuantity }),
      ...(expiry === undefined ? {} : { expiry }),
      ...(postOnly === undefined ? {} : { postOnly }),
      ...(selfTrade === undefined ? {} : { selfTrade }),
      ...(selfTradeScope === undefined ? {} : { selfTradeScope }),
    });
    this.#remember(id, account, instrument);
  }

  #replace(line: JsonLine, out: Request[]): void {
    const id = this.#id(line);
    const place = this.#place(line, id, out);
    const given = line.text('newId');
    const newId = given === undefined ? undefined : this.#names.id(given);
    const price = line.decimal('price');
    const stopPrice = line.decimal('stopPrice');
    out.push({
      op: 'replace',
      ...place,
      id,
      quantity: line.needDecimal('quantity'),
      ...(newId === undefined ? {} : { newId }),
      ...(price === undefined ? {} : { price }),
      ...(stopPrice === undefined ? {} : { stopPrice }),
    });
    if (newId !== undefined) this.#remember(newId, place.account, place.instrument);
  }

  /** Requests of the API that are neither orders nor definitions. */
  #operator(line: JsonLine, out: Request[]): void {
    const account = this.#name(line, 'account');
    const instrument = this.#name(line, 'instrument');
    const onAccount = account === undefined ? {} : { account };
    const onInstrument = instrument === undefined ? {} : { instrument };
    switch (line.op) {
      case 'mass-cancel': {
        const side = line.oneOf('side', sides);
        out.push({
          op: 'mass-cancel',
          ...onAccount,
          ...onInstrument,
          ...(side === undefined ? {} : { side }),
        });
        return;
      }
      case 'kill-switch':
        out.push({ op: 'kill-switch', ...onAccount, on: line.flag('on') ?? true });
        return;
      case 'deposit':
      case 'withdraw': {
        // Who says what is paid in wants to know what is there: an account that comes into being so is not endowed.
        const who = this.#account(line, out, false);
        const asset = this.#needName(line, 'asset');
        out.push({
          op: line.op,
          account: who,
          asset,
          id: this.#id(line),
          amount: line.needDecimal('amount', 'quantity'),
        });
        return;
      }
      case 'transfer': {
        const who = this.#account(line, out, false);
        const to = this.#needName(line, 'to', 'toAccount');
        out.push(...this.#world.useAccount(to, { endow: false }));
        const asset = this.#needName(line, 'asset');
        out.push({
          op: 'transfer',
          account: who,
          to,
          asset,
          id: this.#id(line),
          amount: line.needDecimal('amount', 'quantity'),
        });
        return;
      }
      case 'add-instrument': {
        const definition = this.#definition(line);
        const { base, quote, tickSize, lotSize, rest } = definition;
        this.#world.defined(definition);
        out.push({
          op: 'add-instrument',
          ...rest,
          instrument: definition.instrument,
          base,
          quote,
          tickSize,
          lotSize,
        });
        return;
      }
      case 'change-instrument':
        out.push({
          op: 'change-instrument',
          ...this.#terms(line),
          instrument: this.#needName(line, 'instrument'),
        });
        return;
      case 'set-trading-state': {
        const state = line.oneOf('state', states);
        if (state === undefined) throw new ReplayError('REPLAY_BAD_LINE', '"state" is missing');
        out.push({ op: 'set-trading-state', instrument: this.#instrument(line, out), state });
        return;
      }
      case 'add-account': {
        const parent = this.#name(line, 'parent');
        const name = this.#needName(line, 'account', 'name', 'id');
        this.#world.definedAccount(name);
        out.push({ op: 'add-account', account: name, ...(parent === undefined ? {} : { parent }) });
        return;
      }
      case 'set-rights': {
        const types = line.raw('orderTypes');
        const words = [...orderTypes, 'iceberg'] as const;
        if (!Array.isArray(types) || !types.every((type) => words.includes(type))) {
          throw new ReplayError('REPLAY_BAD_LINE', `"orderTypes" is not a list of ${words.join(', ')}`);
        }
        out.push({
          op: 'set-rights',
          ...onAccount,
          orderTypes: types,
          instruments: line.oneOf('instruments', ['allow', 'deny']) ?? 'allow',
        });
        return;
      }
      case 'set-instrument-right': {
        const right = line.oneOf('right', ['allow', 'deny', 'default']) ?? 'default';
        out.push({
          op: 'set-instrument-right',
          ...onAccount,
          instrument: this.#instrument(line, out),
          right,
        });
        return;
      }
      case 'set-limit': {
        const kind = line.oneOf('kind', limitKinds);
        if (kind === undefined) throw new ReplayError('REPLAY_BAD_LINE', '"kind" is missing');
        const asset = this.#name(line, 'asset');
        const text = line.decimal('limit', 'amount');
        const limit = text === undefined ? null : kind === 'open-orders' ? Number(text) : text;
        out.push({
          op: 'set-limit',
          ...onAccount,
          ...onInstrument,
          ...(asset === undefined ? {} : { asset }),
          kind,
          limit,
        });
        return;
      }
      case 'advance-time': {
        const time = line.nanos('time');
        if (time === undefined) throw new ReplayError('REPLAY_BAD_LINE', '"time" is missing');
        out.push({ op: 'advance-time', time });
        return;
      }
      case 'day-end':
        out.push({ op: 'day-end' });
        return;
      default:
        throw new ReplayError('REPLAY_BAD_LINE', `"op" is "${line.op}", which is no operation`);
    }
  }

  #definition(line: JsonLine): InstrumentDefinition {
    const given = line.needText('instrument', 'id', 'name');
    const instrument = this.#names.name(given);
    if (this.#world.hasInstrument(instrument))
      throw new ReplayError('REPLAY_BAD_LINE', `${given} is defined already`);
    const [base, quote] = pairOf(given);
    const priceDecimals = line.integer('priceDecimals');
    const lotDecimals = line.integer('quantityDecimals', 'lotDecimals');
    const state = line.oneOf('state', states);
    return {
      instrument,
      base: this.#names.name(line.text('base', 'baseAsset') ?? base),
      quote: this.#names.name(line.text('quote', 'quoteAsset') ?? quote),
      tickSize:
        line.step('tickSize', 'tick', 'priceStep', 'priceIncrement') ??
        (priceDecimals === undefined ? defaultTick : stepOf(priceDecimals)),
      lotSize:
        line.step('lotSize', 'lot', 'quantityStep', 'quantityIncrement') ??
        (lotDecimals === undefined ? defaultLot : stepOf(lotDecimals)),
      baseDecimals: line.integer('baseDecimals'),
      quoteDecimals: line.integer('quoteDecimals'),
      rest: { ...this.#terms(line), ...(state === undefined ? {} : { state }) },
    };
  }

  #terms(line: JsonLine): InstrumentTerms {
    const terms: Record<string, string | number> = {};
    const decimals = [
      ['minPrice', 'priceMin'],
      ['maxPrice', 'priceMax'],
      ['minQuantity', 'quantityMin'],
      ['maxQuantity', 'quantityMax'],
    ] as const;
    for (const [name, alias] of decimals) {
      const value = line.decimal(name, alias);
      if (value !== undefined) terms[name] = value;
    }
    for (const name of ['makerFee', 'takerFee', 'collar'] as const) {
      const value = line.integer(name);
      if (value !== undefined) terms[name] = value;
    }
    return terms;
  }

  #id(line: JsonLine): string {
    return this.#names.id(line.needText('id'));
  }

  #name(line: JsonLine, ...fields: string[]): string | undefined {
    const text = line.text(...fields);
    return text === undefined ? undefined : this.#names.name(text);
  }

  #needName(line: JsonLine, ...fields: string[]): string {
    return this.#names.name(line.needText(...fields));
  }

  #account(line: JsonLine, out: Request[], endow = true): string {
    const account = this.#name(line, 'account');
    if (account === undefined) {
      out.push(...this.#world.useDefaultAccount());
      return replayAccount;
    }
    out.push(...this.#world.useAccount(account, { endow }));
    return account;
  }

  #instrument(line: JsonLine, out: Request[]): string {
    const given = line.needText('instrument');
    const instrument = this.#names.name(given);
    if (!this.#world.hasInstrument(instrument)) {
      if (instrument === given) out.push(...this.#world.useInstrument(instrument));
      else {
        const [base, quote] = pairOf(given).map((asset) => this.#names.name(asset)) as [string, string];
        out.push(
          ...this.#world.instruments([
            { instrument, base, quote, tickSize: defaultTick, lotSize: defaultLot, rest: {} },
          ]),
        );
      }
    }
    return instrument;
  }

  /** Where the order is that a line names by its id, and perhaps by more. */
  #place(line: JsonLine, id: string, out: Request[]): Place {
    const known = this.#orders.get(id);
    const account = line.has('account') ? this.#account(line, out) : known?.account;
    const instrument = line.has('instrument') ? this.#instrument(line, out) : known?.instrument;
    if (account !== undefined && instrument !== undefined) return { account, instrument };
    // An id that no line used: the core says UNKNOWN_ORDER, wherever it is asked.
    const anywhere = instrument ?? this.#world.firstInstrument();
    if (anywhere === undefined)
      throw new ReplayError('REPLAY_BAD_LINE', `no order "${this.original(id)}" and no instrument so far`);
    if (account === undefined) out.push(...this.#world.useDefaultAccount());
    return { account: account ?? replayAccount, instrument: anywhere };
  }

  /** One object for all orders of an account in an instrument: a file has millions of ids. */
  #remember(id: string, account: string, instrument: string): void {
    let byInstrument = this.#places.get(account);
    if (byInstrument === undefined) {
      byInstrument = new Map();
      this.#places.set(account, byInstrument);
    }
    let place = byInstrument.get(instrument);
    if (place === undefined) {
      place = { account, instrument };
      byInstrument.set(instrument, place);
    }
    this.#orders.set(id, place);
  }
}

/** 2 to "0.01". */
function stepOf(decimals: number): string {
  if (decimals < 0 || decimals > 18)
    throw new ReplayError('REPLAY_BAD_LINE', `${decimals} decimals: 0 to 18 are possible`);
  return decimals === 0 ? '1' : `0.${'1'.padStart(decimals, '0')}`;
}
