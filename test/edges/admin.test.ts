import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, Venue } from './venue.ts';

let venue: Venue;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-admin-'));
  venue = await Venue.open({ folder });
});
afterAll(async () => {
  await venue.close();
  rmSync(folder, { recursive: true });
});

function expectEvent(answer: Answer, event: Record<string, unknown>): void {
  expect(answer.body, answer.text).toMatchObject({
    events: expect.arrayContaining([expect.objectContaining(event)]),
  });
  expect(answer.status).toBe(200);
}

test('a market is built from nothing', async () => {
  expectEvent(await venue.admin('POST', '/v1/assets', { asset: 'ETH', decimals: 18 }), {
    event: 'asset-added',
    asset: 'ETH',
  });
  const terms = {
    instrument: 'ETH-USD',
    base: 'ETH',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.001',
    makerFee: -10,
    takerFee: 50,
    state: 'halted',
  };
  expectEvent(await venue.admin('POST', '/v1/instruments', terms), {
    event: 'instrument-added',
    instrument: 'ETH-USD',
  });
  expectEvent(await venue.admin('PUT', '/v1/instruments/ETH-USD/state', { state: 'open' }), {
    event: 'trading-state-set',
    state: 'open',
  });
  expectEvent(await venue.admin('PATCH', '/v1/instruments/ETH-USD', { takerFee: 60 }), {
    event: 'instrument-changed',
  });
  expect((await venue.send('GET', '/v1/instruments/ETH-USD')).body).toMatchObject({
    takerFee: 60,
    makerFee: -10,
    tickSize: '0.01',
    state: 'open',
  });
  expectEvent(await venue.admin('POST', '/v1/accounts', { account: 'carol', parent: 'firm' }), {
    event: 'account-added',
    parent: 'firm',
  });
  const deposit = { account: 'carol', asset: 'USD', id: 'd1', amount: '500' };
  expectEvent(await venue.admin('POST', '/v1/deposits', deposit), {
    event: 'balance-changed',
    change: '500',
    total: '500',
  });
  expectEvent(await venue.admin('POST', '/v1/deposits', deposit), {
    event: 'balance-changed',
    duplicate: true,
  });
  expect((await venue.admin('POST', '/v1/deposits', { ...deposit, amount: '501' })).body.error.code).toBe(
    'DUPLICATE_TRANSACTION',
  );
  expectEvent(await venue.admin('POST', '/v1/withdrawals', { ...deposit, id: 'w1', amount: '100' }), {
    change: '-100',
    total: '400',
  });
  expectEvent(
    await venue.admin('POST', '/v1/transfers', { ...deposit, id: 't1', to: 'alice', amount: '1' }),
    { account: 'alice', change: '1' },
  );
  const carol = await venue.admin('GET', '/v1/accounts/carol');
  expect(carol.body).toMatchObject({ parent: 'firm', balances: [{ asset: 'USD', total: '399' }] });
  expect((await venue.admin('GET', '/v1/accounts/nobody')).status).toBe(404);
  const { accounts } = (await venue.admin('GET', '/v1/accounts')).body;
  expect(accounts.map(({ account }: { account: string }) => account)).toEqual([
    'VENUE',
    'firm',
    'alice',
    'bob',
    'carol',
  ]);
});

test('a key trades for its account, a reading key does not', async () => {
  const made = await venue.admin('POST', '/v1/keys', { account: 'carol', role: 'trade' });
  expect(made.status).toBe(201);
  const order = { instrument: 'ETH-USD', id: 'c1', side: 'buy', price: '10', quantity: '1' };
  expect((await venue.send('POST', '/v1/orders', { key: made.body, body: order })).body).toMatchObject({
    status: 'open',
  });
  expect((await venue.admin('POST', '/v1/keys', { account: 'nobody', role: 'trade' })).status).toBe(404);
  expect((await venue.admin('POST', '/v1/keys', { account: 'carol', role: 'admin' })).status).toBe(400);
  const { keys } = (await venue.admin('GET', '/v1/keys')).body;
  expect(keys.at(-1)).toMatchObject({ account: 'carol', role: 'trade' });
  expect(JSON.stringify(keys)).not.toContain(made.body.secret);
});

test('switches, limits and rights', async () => {
  const { alice } = venue;
  const code = async (order: Record<string, unknown>): Promise<string> => {
    const { body } = await venue.place(alice, { id: `s${venue.position}`, price: '10', ...order });
    return body.error?.code ?? body.status;
  };
  expectEvent(
    await venue.admin('POST', '/v1/limits', {
      account: 'alice',
      kind: 'order-size',
      instrument: 'BTC-USD',
      limit: '2',
    }),
    { event: 'limit-set' },
  );
  expect(await code({ quantity: '3' })).toBe('ORDER_SIZE_LIMIT');
  expectEvent(
    await venue.admin('POST', '/v1/limits', {
      account: 'alice',
      kind: 'order-size',
      instrument: 'BTC-USD',
      limit: null,
    }),
    { event: 'limit-set' },
  );
  expectEvent(await venue.admin('POST', '/v1/limits', { account: 'firm', kind: 'open-orders', limit: 0 }), {
    event: 'limit-set',
  });
  expect(await code({})).toBe('OPEN_ORDERS_LIMIT');
  expectEvent(
    await venue.admin('POST', '/v1/limits', { account: 'firm', kind: 'open-orders', limit: null }),
    { event: 'limit-set' },
  );
  expectEvent(
    await venue.admin('POST', '/v1/rights', {
      account: 'alice',
      orderTypes: ['limit', 'market'],
      instruments: 'allow',
    }),
    { event: 'rights-set' },
  );
  expect(await code({ type: 'stop', price: undefined, stopPrice: '20' })).toBe('ORDER_TYPE_NOT_ALLOWED');
  expectEvent(
    await venue.admin('POST', '/v1/rights', { account: 'firm', instrument: 'BTC-USD', right: 'deny' }),
    { event: 'instrument-right-set' },
  );
  expect(await code({})).toBe('INSTRUMENT_NOT_ALLOWED');
  expectEvent(
    await venue.admin('POST', '/v1/rights', { account: 'firm', instrument: 'BTC-USD', right: 'default' }),
    { event: 'instrument-right-set' },
  );
  expect(await code({})).toBe('open');
  expectEvent(await venue.admin('POST', '/v1/kill-switch', { account: 'firm', on: true }), {
    event: 'kill-switch-set',
    on: true,
  });
  expect(await code({})).toBe('KILLED');
  expect((await venue.send('GET', '/v1/orders', { key: alice })).body.orders).toEqual([]);
  expectEvent(await venue.admin('POST', '/v1/kill-switch', { account: 'firm', on: false }), {
    event: 'kill-switch-set',
    on: false,
  });
  expect(await code({ tif: 'day' })).toBe('open');
  expectEvent(await venue.admin('POST', '/v1/day-end'), { event: 'day-ended', count: 1 });
  expect(await code({})).toBe('open');
  expectEvent(await venue.admin('POST', '/v1/mass-cancel', { instrument: 'BTC-USD', side: 'buy' }), {
    event: 'mass-cancelled',
    count: 1,
  });
});

test('the state can be looked at', async () => {
  const hash = await venue.admin('GET', '/v1/state-hash');
  expect(hash.body).toEqual({
    position: Number(venue.position),
    stateHash: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  const explained = await venue.admin('GET', '/v1/explain');
  expect(JSON.parse(explained.text)).toMatchObject({ position: Number(venue.position) });
  expect((await venue.admin('GET', '/v1/stats')).body).toMatchObject({ position: Number(venue.position) });
  expect((await venue.admin('GET', '/v1/assets')).body.assets).toHaveLength(3);
  await venue.place(venue.bob, { id: 'seen', price: '10' });
  const orders = await venue.admin('GET', '/v1/orders/BTC-USD');
  expect(orders.body.bids).toMatchObject([{ price: '10', orders: [{ account: 'bob' }] }]);
});

test('only the operator gets in, and only by this door', async () => {
  const before = venue.position;
  const secret = readFileSync(join(folder, 'admin.key'), 'utf8').trim();
  expect(secret).toBe(venue.edges.adminKey);
  const get = (options: Parameters<Venue['send']>[2]) =>
    venue.send('GET', '/v1/stats', { admin: true, ...options });
  expect((await get({})).body.error.code).toBe('UNSIGNED');
  expect((await get({ key: venue.alice })).body.error.code).toBe('INVALID_SIGNATURE');
  expect((await get({ key: { key: 'admin', secret: 'x'.repeat(64) } })).body.error.code).toBe(
    'INVALID_SIGNATURE',
  );
  expect((await get({ headers: { authorization: 'Bearer nonsense' } })).body.error.code).toBe(
    'INVALID_TOKEN',
  );
  expect((await get({ headers: { authorization: `Bearer ${secret}` } })).status).toBe(200);
  expect((await venue.send('GET', '/v1/accounts/me', { key: { key: 'admin', secret } })).status).toBe(401);
  expect(
    (await venue.send('GET', '/v1/accounts/me', { headers: { authorization: `Bearer ${secret}` } })).status,
  ).toBe(401);
  for (const { method, path } of venue.edges.routes.admin) {
    const answer = await venue.send(method, path.replace(/:\w+/g, 'x'), { admin: true });
    expect(answer.status, `${method} ${path}`).toBe(401);
  }
  for (const path of ['/v1/deposits', '/v1/kill-switch', '/v1/keys', '/v1/day-end']) {
    expect((await venue.send('POST', path, { key: venue.alice, body: {} })).status, path).toBe(404);
  }
  expect(venue.position).toBe(before);
});
