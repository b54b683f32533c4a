// account() and balances(): what an account has and has open, at one position, in pages where it is much.
import { expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { NativeCore } from '../../src/native/binding.ts';
import { commands } from '../addon/flow.ts';

const many = 20_050;

async function market(): Promise<Exchange> {
  const exchange = await Exchange.open({
    clock: 'manual',
    maxOrders: 50_000,
    maxAccounts: 16,
    maxInstruments: 16,
    maxClientIds: 100_000,
  });
  await exchange.execute({ op: 'add-asset', asset: 'BTC', decimals: 8 });
  await exchange.execute({ op: 'add-asset', asset: 'USD', decimals: 8 });
  await exchange.execute({
    op: 'add-instrument',
    instrument: 'BTC-USD',
    base: 'BTC',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.001',
  });
  await exchange.execute({ op: 'add-account', account: 'alice' });
  await exchange.execute({ op: 'deposit', account: 'alice', asset: 'USD', id: 'd1', amount: '100000000' });
  return exchange;
}

async function fill(exchange: Exchange, count: number): Promise<void> {
  const batch = exchange.batch(count);
  const [alice, btc] = [exchange.accountRef('alice'), exchange.instrumentRef('BTC-USD')];
  for (let at = 0; at < count; at++) batch.limit(alice, btc, at, 'buy', 100 + (at % 50), 1);
  while (batch.size > 0) {
    exchange.offerBatch(batch);
    await exchange.room();
  }
  // Answered behind all of them.
  await exchange.execute({ op: 'deposit', account: 'alice', asset: 'USD', id: 'd2', amount: '1' });
}

test('the view is of one position, with everything about each order', async () => {
  await using exchange = await market();
  const order = { op: 'new', account: 'alice', instrument: 'BTC-USD', side: 'buy', quantity: '0.5' } as const;
  await exchange.execute({ ...order, id: 'a', price: '10', displayQuantity: '0.1' });
  await exchange.execute({ ...order, id: 'b', type: 'stop-limit', price: '12', stopPrice: '11' });
  const view = await exchange.account('alice');
  expect(view.position).toBe(7n);
  expect(view.orders).toEqual([await exchange.order('alice', 'a'), await exchange.order('alice', 'b')]);
  expect(view.orders).toMatchObject([{ visible: '0.1', displayQuantity: '0.1' }, { stopPrice: '11' }]);
  const { orders, ...balances } = view;
  expect(orders).toHaveLength(balances.openOrders);
  expect(await exchange.balances('alice')).toEqual(balances);
  await expect(exchange.balances('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_ACCOUNT_NAME' });
});

test('more orders than one answer holds, while orders behind which a page would begin go', async () => {
  await using exchange = await market();
  await fill(exchange, many);
  const view = await exchange.account('alice');
  expect(view.orders.map(({ id }) => id)).toEqual(Array.from({ length: many }, (_, at) => String(at)));
  expect(view.openOrders).toBe(many);
  // The first answer is on its way when the end of its page is cancelled and replaced.
  const asked = exchange.account('alice');
  const gone = [9_999, 9_998, 9_996];
  await Promise.all([
    ...gone.map((id) => exchange.execute({ op: 'cancel', account: 'alice', id: String(id) })),
    exchange.execute({
      op: 'replace',
      account: 'alice',
      instrument: 'BTC-USD',
      id: '9997',
      newId: 'new',
      price: '1.3',
      quantity: '0.001',
    }),
  ]);
  const { orders } = await asked;
  const ids = new Set(orders.map(({ orderId }) => orderId));
  expect(ids.size).toBe(orders.length);
  expect(orders.length).toBeGreaterThanOrEqual(many - gone.length);
  expect(orders.map(({ orderId }) => orderId)).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)));
});

test('pages of the engine agree with section 11, whatever their size', () => {
  const core = new NativeCore({
    maxOrders: 4096,
    maxAccounts: 64,
    maxInstruments: 16,
    maxClientIds: 1 << 15,
  });
  core.apply(commands(5_000), 5_000);
  expect(core.query('account-orders', 60, 10, null)).toBe('null');
  let orders = 0;
  for (let account = 1; account <= 2; account++) {
    const whole = JSON.parse(core.query('account', account, 0, null));
    const none = JSON.parse(core.query('account-orders', account, 0, null));
    expect(none).toMatchObject({
      id: account,
      position: 5_000,
      orders: [],
      after: 0,
      openOrders: whole.orders.length,
      balances: whole.balances,
      exposures: whole.exposures,
    });
    const rows: { orderId: number; order: unknown[] }[] = [];
    for (let after: Uint8Array | null = null; ; ) {
      const page = JSON.parse(core.query('account-orders', account, 3, after));
      if (after !== null) expect(page.after).toBe(rows.at(-1)?.orderId);
      rows.push(...page.orders);
      if (page.orders.length < 3) break;
      after = new Uint8Array(16);
      after.set(Buffer.from(String(rows.at(-1)!.order[1])));
      const one = JSON.parse(core.query('order', account, 0, after));
      expect(one).toEqual(rows.at(-1));
    }
    expect(rows.map(({ order }) => order)).toEqual(whole.orders);
    orders += rows.length;
    const unknown = new Uint8Array(16).fill(0x78);
    expect(JSON.parse(core.query('account-orders', account, 3, unknown))).toMatchObject({
      orders: null,
      after: 0,
    });
  }
  expect(orders).toBeGreaterThan(50);
});
