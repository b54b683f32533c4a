// Gateways of an Exchange: options, addresses, counters, the end.
import { expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { type GatewayOptions, nativeGatewayOptions } from '../../src/api/gateways.ts';
import { SoupClient } from '../../src/clients/soup-client.ts';
import { addMarket } from './market.ts';

const users = [{ name: 'ALICE', password: 'secret', session: 1, account: 'alice' }];
const small = { maxOrders: 10_000, maxAccounts: 100, maxInstruments: 16, maxClientIds: 100_000 };

function fault(options: Partial<Record<keyof GatewayOptions, unknown>>): { code?: string; message: string } {
  try {
    nativeGatewayOptions({ users, ...options } as GatewayOptions);
    return { message: '' };
  } catch (error) {
    return error as { code: string; message: string };
  }
}

test('what is wrong is named before anything is opened', () => {
  expect(fault({})).toEqual({ message: '' });
  const wrong: readonly (readonly [field: string, options: Parameters<typeof fault>[0]])[] = [
    ['gateways.orders', { orders: 'localhost' }],
    ['gateways.orders', { orders: '127.0.0.1:70000' }],
    ['gateways.clearing', { clearing: '127.0.0.1:-1' }],
    ['gateways.feed.stream', { feed: { stream: '8092' } }],
    ['gateways.feed.datagrams', { feed: { datagrams: ['239.192.0.1'] } }],
    ['gateways.datagramBytes', { feed: { datagramBytes: 100 } }],
    ['gateways.historyBytes', { feed: { historyBytes: 1 } }],
    ['gateways.multicastHops', { feed: { multicastHops: 256 } }],
    ['gateways.connectionsMax', { connectionsMax: 0 }],
    ['gateways.lagBytesMax', { lagBytesMax: 10 }],
    ['gateways.silenceMs', { silenceMs: 0.5 }],
    ['gateways.spin', { spin: -1 }],
    ['gateways.users', { users: 'ALICE' }],
    ['gateways.firms[0].ordersPerSecond', { firms: [{ firm: 'f' }] }],
  ];
  for (const [field, options] of wrong) {
    const { code, message } = fault(options);
    expect(code, field).toBe('INVALID_OPTION');
    expect(message).toContain(`${field}:`);
  }
});

test('names and numbers of users count once', async () => {
  const twice = [...users, { name: 'alice', password: 'x', session: 2, account: 'alice' }];
  await expect(
    Exchange.open({ ...small, gateways: { orders: '127.0.0.1:0', users: twice } }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const same = [...users, { name: 'BOB', password: 'x', session: 1, account: 'bob' }];
  await expect(
    Exchange.open({ ...small, gateways: { orders: '127.0.0.1:0', users: same } }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('without gateways there is nothing to show', async () => {
  await using exchange = await Exchange.open(small);
  expect(exchange.gatewayAddresses).toBeUndefined();
  expect(exchange.gatewayStats()).toBeUndefined();
});

test('only what was asked for is open, and the close ends every session', async () => {
  const exchange = await Exchange.open({ ...small, gateways: { orders: '127.0.0.1:0', users } });
  await addMarket(exchange);
  const addresses = exchange.gatewayAddresses;
  expect(addresses).toEqual({
    orders: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    datagrams: [],
    feedSession: '',
  });
  const client = await SoupClient.connect(
    { address: addresses?.orders ?? '', user: 'alice', password: 'SECRET', reconnect: false },
    { message: () => undefined },
  );
  await expect
    .poll(() => exchange.gatewayStats()?.orderSessions, { timeout: 20_000 })
    .toMatchObject({ connections: 1, logins: 1 });
  await exchange.close();
  expect(await client.ended).toMatchObject({ reason: 'end-of-session' });
});
