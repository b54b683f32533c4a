// What an operator sees of the gateways.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OuchClient } from '../../src/clients/ouch-client.ts';
import { Venue } from './venue.ts';

let venue: Venue;
beforeAll(async () => {
  venue = await Venue.open(
    {},
    {
      gateways: {
        orders: '127.0.0.1:0',
        feed: { stream: '127.0.0.1:0' },
        users: [{ name: 'ALICE', password: 'secret', session: 1, account: 'alice' }],
      },
    },
  );
});
afterAll(async () => {
  await venue.close();
});

async function value(line: string): Promise<number | undefined> {
  const { text } = await venue.send('GET', '/v1/metrics');
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
}

test('log-ins, orders and what was turned away are counted', async () => {
  const address = venue.exchange.gatewayAddresses?.orders ?? '';
  const wrong = OuchClient.connect({ address, user: 'ALICE', password: 'wrong' });
  await expect(wrong).rejects.toMatchObject({ code: 'GATEWAY_LOGIN_REJECTED' });
  await using client = await OuchClient.connect({ address, user: 'ALICE', password: 'secret' });
  await client.enter({ side: 'buy', symbol: 'BTC-USD', price: 10, quantity: 1 });
  await expect(client.enter({ side: 'buy', symbol: 'NONE', price: 10, quantity: 1 })).rejects.toMatchObject({
    code: 'ORDER_REJECTED',
  });
  const expected: readonly (readonly [line: string, value: number])[] = [
    ['verbex_gateway_healthy', 1],
    ['verbex_gateway_connections{port="orders"}', 1],
    ['verbex_gateway_connections{port="clearing"}', 0],
    // The client's own: one for its place in the session, one that reads it.
    ['verbex_gateway_logins_total{port="orders"}', 2],
    ['verbex_gateway_logins_rejected_total{port="orders"}', 1],
    ['verbex_gateway_orders_total', 1],
    ['verbex_gateway_open_orders', 1],
    ['verbex_gateway_rejected_total', 1],
    ['verbex_gateway_throttled_total', 0],
  ];
  // Counters are up to a tenth of a second old.
  await expect
    .poll(async () => await Promise.all(expected.map(async ([line]) => [line, await value(line)])), {
      timeout: 20_000,
    })
    .toEqual(expected);
  expect(await value('verbex_gateway_system_calls_total{kind="reads"}')).toBeGreaterThan(0);
  expect(await value('verbex_itch_messages_total')).toBeGreaterThan(0);
  const { text } = await venue.send('GET', '/v1/metrics');
  expect(text).toMatch(/^verbex_gateway_closed_total\{port="orders",reason="\w/m);
});

test('a node without gateways shows none of it', async () => {
  const bare = await Venue.open();
  const { text } = await bare.send('GET', '/v1/metrics');
  expect(text).not.toMatch(/verbex_(gateway|itch)_/);
  await bare.close();
});
