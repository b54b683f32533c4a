// The operator's routes: accounts, money, instruments, switches, keys. Served on the admin listener only.
import type {
  AddInstrument,
  ChangeInstrument,
  Event,
  InstrumentTerms,
  LimitKind,
  MassCancel,
  Request,
  SetLimit,
  TradingState,
} from '../api/types.ts';
import type { ExchangePort } from './exchange-port.ts';
import { Fields } from './fields.ts';
import type { KeyStore } from './keys.ts';
import { levelsMax } from './limits.ts';
import type { MarketFeed } from './market-feed.ts';
import { executed, given } from './order-routes.ts';
import { RequestError } from './request-error.ts';
import type { Call, Reply, Route } from './router.ts';

const states = ['open', 'cancel-only', 'halted', 'closed'] as const satisfies readonly TradingState[];
const limitKinds = [
  'order-size',
  'order-value',
  'open-orders',
  'open-value',
  'position',
] as const satisfies readonly LimitKind[];
const rightTypes = ['limit', 'market', 'stop', 'stop-limit', 'iceberg'] as const;
const millionth = 1_000_000;

function terms(fields: Fields): InstrumentTerms {
  return given<InstrumentTerms>({
    minPrice: fields.optionalDecimal('minPrice'),
    maxPrice: fields.optionalDecimal('maxPrice'),
    minQuantity: fields.optionalDecimal('minQuantity'),
    maxQuantity: fields.optionalDecimal('maxQuantity'),
    makerFee: fields.optionalInteger('makerFee', -millionth, millionth),
    takerFee: fields.optionalInteger('takerFee', 0, millionth),
    collar: fields.optionalInteger('collar', 0, millionth),
  });
}

/** open-orders counts orders, so a JSON integer; every other limit is a decimal text; null takes the limit away. */
function limitRequest(fields: Fields): SetLimit {
  const kind = fields.choice('kind', limitKinds);
  const limit = fields.isNull('limit')
    ? null
    : kind === 'open-orders'
      ? fields.integer('limit', 0, 2 ** 32)
      : fields.decimal('limit');
  return given<SetLimit>({
    op: 'set-limit',
    account: fields.optionalName('account'),
    kind,
    instrument: fields.optionalName('instrument'),
    asset: fields.optionalName('asset'),
    limit,
  });
}

export interface AdminRoutesOptions {
  readonly exchange: ExchangePort;
  readonly feed: MarketFeed;
  readonly keys: KeyStore;
}

type Making = (fields: Fields, call: Call) => Request;

/** Commands: path, and how the body becomes one. */
const commands: readonly [Route['method'], string, Making][] = [
  [
    'POST',
    '/v1/accounts',
    (fields) =>
      given({
        op: 'add-account' as const,
        account: fields.name('account'),
        parent: fields.optionalName('parent'),
      }),
  ],
  ['POST', '/v1/deposits', (fields) => ({ op: 'deposit', ...money(fields) })],
  ['POST', '/v1/withdrawals', (fields) => ({ op: 'withdraw', ...money(fields) })],
  ['POST', '/v1/transfers', (fields) => ({ op: 'transfer', ...money(fields), to: fields.name('to') })],
  [
    'POST',
    '/v1/assets',
    (fields) => ({
      op: 'add-asset',
      asset: fields.name('asset'),
      decimals: fields.integer('decimals', 0, 18),
    }),
  ],
  [
    'POST',
    '/v1/instruments',
    (fields) => ({
      ...given<AddInstrument>({
        op: 'add-instrument',
        instrument: fields.name('instrument'),
        base: fields.name('base'),
        quote: fields.name('quote'),
        tickSize: fields.decimal('tickSize'),
        lotSize: fields.decimal('lotSize'),
        state: fields.optionalChoice('state', states),
      }),
      ...terms(fields),
    }),
  ],
  [
    'PATCH',
    '/v1/instruments/:instrument',
    (fields, call) =>
      ({
        op: 'change-instrument',
        instrument: call.params.instrument ?? '',
        ...terms(fields),
      }) satisfies ChangeInstrument,
  ],
  [
    'PUT',
    '/v1/instruments/:instrument/state',
    (fields, call) => ({
      op: 'set-trading-state',
      instrument: call.params.instrument ?? '',
      state: fields.choice('state', states),
    }),
  ],
  [
    'POST',
    '/v1/kill-switch',
    (fields) =>
      given({ op: 'kill-switch' as const, account: fields.optionalName('account'), on: fields.flag('on') }),
  ],
  ['POST', '/v1/limits', limitRequest],
  [
    'POST',
    '/v1/rights',
    (fields) => {
      const account = fields.optionalName('account');
      const whose = account === undefined ? {} : { account };
      if (fields.has('instrument')) {
        const right = fields.choice('right', ['allow', 'deny', 'default']);
        return { op: 'set-instrument-right', ...whose, instrument: fields.name('instrument'), right };
      }
      const orderTypes = fields.optionalChoices('orderTypes', rightTypes);
      if (orderTypes === undefined) throw new RequestError(400, 'MISSING_FIELD', 'orderTypes is missing');
      return {
        op: 'set-rights',
        ...whose,
        orderTypes,
        instruments: fields.choice('instruments', ['allow', 'deny']),
      };
    },
  ],
  [
    'POST',
    '/v1/mass-cancel',
    (fields) =>
      given<MassCancel>({
        op: 'mass-cancel',
        account: fields.optionalName('account'),
        instrument: fields.optionalName('instrument'),
        side: fields.optionalChoice('side', ['buy', 'sell']),
      }),
  ],
  ['POST', '/v1/day-end', () => ({ op: 'day-end' })],
];

function money(fields: Fields): { account: string; asset: string; id: string; amount: string } {
  return {
    account: fields.name('account'),
    asset: fields.name('asset'),
    id: fields.id('id'),
    amount: fields.decimal('amount'),
  };
}

export function adminRoutes({ exchange, feed, keys }: AdminRoutesOptions): Route[] {
  const execute = async (call: Call, make: Making): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    const fields = new Fields(call.body);
    const request = make(fields, call);
    fields.done();
    const events: readonly Event[] = await executed(exchange, feed, request);
    return { status: 200, body: { position: events[0]?.position, events } };
  };

  const accounts = async (call: Call): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    return { status: 200, body: { accounts: await exchange.accounts() } };
  };

  const account = async (call: Call): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    return { status: 200, body: await exchange.account(call.params.account ?? '') };
  };

  const assets = async (): Promise<Reply> => ({ status: 200, body: { assets: await exchange.assets() } });

  const createKey = async (call: Call): Promise<Reply> => {
    const fields = new Fields(call.body);
    const name = fields.name('account');
    const role = fields.choice('role', ['trade', 'read']);
    fields.done();
    await exchange.balances(name); // Throws where there is none.
    return { status: 201, body: keys.create(name, role) };
  };

  const listKeys = (): Reply => ({ status: 200, body: { keys: keys.list() } });

  const revokeKey = (call: Call): Reply => {
    const key = call.params.key ?? '';
    keys.revoke(key);
    return { status: 200, body: { revoked: key } };
  };

  const explain = async (call: Call): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    return { status: 200, body: `${await exchange.explain()}\n`, type: 'application/json' };
  };

  const orders = async (call: Call): Promise<Reply> => {
    const fields = Fields.ofQuery(call.query);
    const levels = fields.optionalInteger('levels', 1, levelsMax) ?? levelsMax;
    fields.done();
    return { status: 200, body: await exchange.orders(call.params.instrument ?? '', { levels }) };
  };

  const stateHash = async (): Promise<Reply> => ({ status: 200, body: await exchange.stateHash() });
  const stats = (): Reply => ({ status: 200, body: exchange.stats() });
  const snapshot = async (): Promise<Reply> => ({
    status: 200,
    body: { position: await exchange.snapshot() },
  });

  const get = (path: string, answer: Route['answer']): Route => ({
    method: 'GET',
    path,
    access: 'admin',
    takesBody: false,
    answer,
  });

  return [
    ...commands.map(([method, path, make]): Route => {
      return { method, path, access: 'admin', takesBody: true, answer: (call) => execute(call, make) };
    }),
    { method: 'POST', path: '/v1/snapshot', access: 'admin', takesBody: false, answer: snapshot },
    { method: 'POST', path: '/v1/keys', access: 'admin', takesBody: true, answer: createKey },
    { method: 'DELETE', path: '/v1/keys/:key', access: 'admin', takesBody: false, answer: revokeKey },
    get('/v1/keys', listKeys),
    get('/v1/accounts', accounts),
    get('/v1/accounts/:account', account),
    get('/v1/assets', assets),
    get('/v1/orders/:instrument', orders),
    get('/v1/explain', explain),
    get('/v1/state-hash', stateHash),
    get('/v1/stats', stats),
  ];
}
