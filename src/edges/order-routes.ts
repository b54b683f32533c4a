// Order entry and what an account may see of itself.
import type { Event, NewOrder, ReplaceOrder, Request } from '../api/types.ts';
import type { ExchangePort } from './exchange-port.ts';
import { Fields, isId } from './fields.ts';
import type { MarketFeed } from './market-feed.ts';
import { outcomeOf, ownEvents } from './private-view.ts';
import { RequestError } from './request-error.ts';
import type { Call, Reply, Route } from './router.ts';

const sides = ['buy', 'sell'] as const;
const orderTypes = ['limit', 'market', 'stop', 'stop-limit'] as const;
const timesInForce = ['gtc', 'day', 'gtd', 'ioc', 'fok'] as const;
const selfTrades = ['none', 'cancel-newest', 'cancel-oldest', 'cancel-both', 'decrement'] as const;

/** Leaves out what is undefined: the API's types tell "left out" from "undefined". */
export function given<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function pathId(call: Call): string {
  const id = call.params.id ?? '';
  if (!isId(id))
    throw new RequestError(
      400,
      'INVALID_FIELD',
      'an order id is 1 to 16 printable ASCII characters or a UUID',
    );
  return id;
}

/** `account` may be named in a body, but only to say whose key this is. */
function ownAccount(fields: Fields, call: Call): string {
  const named = fields.optionalName('account');
  if (named !== undefined && named !== call.account) {
    throw new RequestError(403, 'ACCOUNT_NOT_ALLOWED', `this key is for account ${call.account}`);
  }
  return call.account;
}

function newOrder(call: Call): NewOrder {
  const fields = new Fields(call.body);
  const order = given<NewOrder>({
    op: 'new',
    account: ownAccount(fields, call),
    instrument: fields.name('instrument'),
    id: fields.id('id'),
    side: fields.choice('side', sides),
    type: fields.optionalChoice('type', orderTypes),
    tif: fields.optionalChoice('tif', timesInForce),
    price: fields.optionalDecimal('price'),
    quantity: fields.decimal('quantity'),
    stopPrice: fields.optionalDecimal('stopPrice'),
    displayQuantity: fields.optionalDecimal('displayQuantity'),
    minQuantity: fields.optionalDecimal('minQuantity'),
    expiry: fields.optionalInteger('expiry', 1, 8_640_000_000_000),
    postOnly: fields.optionalChoice('postOnly', ['reject', 'reprice']),
    selfTrade: fields.optionalChoice('selfTrade', selfTrades),
    selfTradeScope: fields.optionalChoice('selfTradeScope', ['account', 'firm']),
  });
  fields.done();
  return order;
}

/** Executes and answers once the events are out: whoever is answered finds the effect in the book and on the stream. */
export async function executed(
  exchange: ExchangePort,
  feed: MarketFeed,
  request: Request,
): Promise<readonly Event[]> {
  const events = await exchange.execute(request);
  await feed.reached(events[0]?.position ?? 0n);
  return events;
}

export function orderRoutes(exchange: ExchangePort, feed: MarketFeed): Route[] {
  const enter = (request: Request): Promise<readonly Event[]> => executed(exchange, feed, request);

  const place = async (call: Call): Promise<Reply> => {
    const order = newOrder(call);
    const events = await enter(order);
    const outcome = outcomeOf(events, call.account, order.id);
    return { status: outcome.status === 'unchanged' ? 200 : 201, body: outcome };
  };

  const replace = async (call: Call): Promise<Reply> => {
    const id = pathId(call);
    const fields = new Fields(call.body);
    const request = given<ReplaceOrder>({
      op: 'replace',
      account: ownAccount(fields, call),
      id,
      instrument: fields.name('instrument'),
      newId: fields.optionalId('newId'),
      price: fields.optionalDecimal('price'),
      quantity: fields.decimal('quantity'),
      stopPrice: fields.optionalDecimal('stopPrice'),
    });
    fields.done();
    return { status: 200, body: outcomeOf(await enter(request), call.account, id) };
  };

  const reduce = async (call: Call): Promise<Reply> => {
    const id = pathId(call);
    const fields = new Fields(call.body);
    const account = ownAccount(fields, call);
    const request: Request = {
      op: 'reduce',
      account,
      id,
      instrument: fields.name('instrument'),
      by: fields.decimal('by'),
    };
    fields.done();
    return { status: 200, body: outcomeOf(await enter(request), call.account, id) };
  };

  const cancel = async (call: Call): Promise<Reply> => {
    const id = pathId(call);
    Fields.ofQuery(call.query).done();
    const events = await enter({ op: 'cancel', account: call.account, id });
    return { status: 200, body: outcomeOf(events, call.account, id) };
  };

  const cancelMany = async (call: Call): Promise<Reply> => {
    const fields = Fields.ofQuery(call.query);
    const instrument = fields.optionalName('instrument');
    const side = fields.optionalChoice('side', sides);
    fields.done();
    const request: Request = {
      op: 'mass-cancel',
      account: call.account,
      ...(instrument === undefined ? {} : { instrument }),
      ...(side === undefined ? {} : { side }),
    };
    const events = await enter(request);
    const own = events.flatMap((event) => ownEvents(event, call.account));
    const end = events.at(-1);
    const count = end?.event === 'mass-cancelled' ? end.count : 0;
    return { status: 200, body: { position: end?.position, count, events: own } };
  };

  const one = async (call: Call): Promise<Reply> => {
    const id = pathId(call);
    Fields.ofQuery(call.query).done();
    const order = await exchange.order(call.account, id);
    if (order === null)
      throw new RequestError(404, 'UNKNOWN_ORDER', `account ${call.account} has no order ${id}`);
    return { status: 200, body: order };
  };

  const all = async (call: Call): Promise<Reply> => {
    const fields = Fields.ofQuery(call.query);
    const instrument = fields.optionalName('instrument');
    fields.done();
    const { orders, position } = await exchange.account(call.account);
    const shown =
      instrument === undefined ? orders : orders.filter((order) => order.instrument === instrument);
    return { status: 200, body: { account: call.account, position, orders: shown } };
  };

  const me = async (call: Call): Promise<Reply> => {
    Fields.ofQuery(call.query).done();
    return { status: 200, body: await exchange.balances(call.account) };
  };

  return [
    { method: 'POST', path: '/v1/orders', access: 'trade', takesBody: true, answer: place },
    { method: 'GET', path: '/v1/orders', access: 'read', takesBody: false, answer: all },
    { method: 'DELETE', path: '/v1/orders', access: 'trade', takesBody: false, answer: cancelMany },
    { method: 'GET', path: '/v1/orders/:id', access: 'read', takesBody: false, answer: one },
    { method: 'PUT', path: '/v1/orders/:id', access: 'trade', takesBody: true, answer: replace },
    { method: 'PATCH', path: '/v1/orders/:id', access: 'trade', takesBody: true, answer: replace },
    { method: 'DELETE', path: '/v1/orders/:id', access: 'trade', takesBody: false, answer: cancel },
    { method: 'POST', path: '/v1/orders/:id/reduce', access: 'trade', takesBody: true, answer: reduce },
    { method: 'GET', path: '/v1/accounts/me', access: 'read', takesBody: false, answer: me },
  ];
}
