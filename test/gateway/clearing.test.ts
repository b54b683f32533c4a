// ClearingClient against the node's own clearing gateway, beside traders on its order gateway.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import type { GatewayUser } from '../../src/api/gateways.ts';
import { ClearingClient } from '../../src/clients/clearing-client.ts';
import type { ClearingMessage } from '../../src/clients/clearing-codec.ts';
import { OuchClient } from '../../src/clients/ouch-client.ts';
import { until } from '../clients/fake-gateway.ts';
import { accounts, addMarket, executionsOf, gateways, instruments, small, Trader } from './venue.ts';

const desk: GatewayUser = {
  name: 'DESK',
  password: 'secret',
  session: 20,
  account: 'VENUE',
  rights: ['clear', 'administer'],
};
const users = [...gateways().users, desk];
const options = gateways({ clearing: '127.0.0.1:0', users });
const login = (exchange: Exchange, user: string) => ({
  ...{ address: exchange.gatewayAddresses!.clearing!, user, password: 'secret' },
  reconnect: { firstMs: 5, mostMs: 100 },
});
const usd = (account: string, transaction: string, amount: bigint) => ({
  ...{ account, asset: 'USD', transaction, amount },
});

test('money, limits, statements and the kill switch of one user on both ports', async () => {
  await using exchange = await Exchange.open({ ...small, gateways: options });
  await addMarket(exchange);
  await using desk = await ClearingClient.connect(login(exchange, 'DESK'));
  await using alice = await ClearingClient.connect(login(exchange, 'ALICE'));
  await using trader = await OuchClient.connect({
    ...{ address: exchange.gatewayAddresses!.orders!, user: 'ALICE', password: 'secret', instruments },
  });

  const before = await alice.query('alice', 'balances');
  const [total] =
    before.type === 'answer'
      ? before.rows.flatMap((row) => (row.type === 'balance' && row.asset === 'USD' ? [row.total] : []))
      : [];
  if (total === undefined) throw new Error('no balance of USD');
  const deposited = await desk.deposit(usd('alice', 'once', 500n));
  expect(deposited).toMatchObject({ type: 'acknowledged', duplicate: 0, value: total + 500n });
  const again = await desk.deposit(usd('alice', 'once', 500n));
  expect(again).toMatchObject({ duplicate: 1, position: deposited.position });
  expect(await desk.deposit(usd('alice', 'once', 501n))).toMatchObject({ text: 'DUPLICATE_TRANSACTION' });
  expect(await alice.deposit(usd('alice', 'mine', 1n))).toMatchObject({ text: 'NOT_AUTHORIZED' });
  expect(await alice.query('bob', 'balances')).toMatchObject({ text: 'NOT_BELOW_YOUR_ACCOUNT' });
  expect(await desk.transfer({ ...usd('alice', 'over', 100n), receiver: 'bob' })).toMatchObject({
    ...{ type: 'acknowledged', value: total + 400n },
  });

  await trader.enter({ side: 'buy', symbol: 'BTC-USD', quantity: 10, price: 9000 });
  const orders = await alice.query('alice', 'orders');
  expect(orders).toMatchObject({
    openOrders: 1,
    rows: [{ type: 'open-order', instrument: 'BTC-USD', side: 1, open: 10n, price: 9000n }],
  });
  const statement = await alice.query('alice', 'statement');
  expect(statement).toMatchObject({ type: 'answer', openOrders: 1 });
  expect(
    statement.type === 'answer' && statement.rows.some((row) => row.type === 'balance' && row.held > 0n),
  ).toBe(true);
  await desk.setLimit({ account: 'alice', kind: 'openOrders', limit: 1n });
  await expect(trader.enter({ side: 'buy', symbol: 'BTC-USD', quantity: 10, price: 9000 })).rejects.toThrow();
  expect(await alice.killSwitch('alice', 'on')).toMatchObject({ type: 'acknowledged', value: 1n });
  expect(await alice.killSwitch('alice', 'off')).toMatchObject({ text: 'NOT_AUTHORIZED' });
  expect(await desk.killSwitch('alice', 'off')).toMatchObject({ type: 'acknowledged' });
  expect(await alice.query('alice', 'statement')).toMatchObject({ openOrders: 0 });
});

/** "match price quantity liquidity" of an account's drop copies, as executionsOf() says it. */
const copiesOf = (heard: readonly ClearingMessage[], account: string): string[] =>
  heard.flatMap((one) =>
    one.type === 'execution' && one.account === account
      ? [`${(1n << 32n) | BigInt(one.tradeId)} ${one.price} ${one.quantity} ${one.liquidity}`]
      : [],
  );

test('drop copy is what the journal holds, over restarts of the node too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'verbex-clearing-'));
  try {
    const sequences = new Map<string, number>();
    const heard = new Map<string, ClearingMessage[]>([
      ['DESK', []],
      ['BOB', []],
    ]);
    for (let run = 0; run < 3; run++) {
      await using exchange = await Exchange.open({ ...small, data: directory, gateways: options });
      if (run === 0) await addMarket(exchange);
      const follow = (user: string) =>
        ClearingClient.connect({
          ...login(exchange, user),
          sequence: sequences.get(user) ?? 1,
          onMessage: (message) => void heard.get(user)!.push(message),
        });
      await using desk = await follow('DESK');
      await using bob = await follow('BOB');
      const traders = await Promise.all(
        accounts.map((account, i) =>
          Trader.connect(exchange.gatewayAddresses!.orders!, account, 100 * run + i + 1),
        ),
      );
      for (let round = 0; round < 300; round++) {
        for (const trader of traders) trader.act();
        if (round % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      // Answered behind everything that was sent before it.
      for (const { client } of traders)
        await client.enter({ side: 'buy', symbol: 'BTC-USD', quantity: 1, price: 1 });
      const expected = await executionsOf(exchange);
      const last = () =>
        accounts.every((a) => copiesOf(heard.get('DESK')!, a).length >= expected.get(a)!.length);
      await until(last, 'a drop copy is missing');
      await until(() => copiesOf(heard.get('BOB')!, 'bob').length >= expected.get('bob')!.length);
      for (const account of accounts) {
        expect(copiesOf(heard.get('DESK')!, account)).toEqual(expected.get(account));
        if (account !== 'bob') expect(copiesOf(heard.get('BOB')!, account)).toEqual([]);
      }
      expect(copiesOf(heard.get('BOB')!, 'bob')).toEqual(expected.get('bob'));
      expect(expected.get('bob')!.length).toBeGreaterThan(20 * (run + 1));
      for (const trader of traders) await trader.client.close();
      sequences.set('DESK', desk.nextSequence);
      sequences.set('BOB', bob.nextSequence);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
