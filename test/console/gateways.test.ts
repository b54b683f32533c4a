// The gateways of `verbex run`: who may log in, what a file of users may say.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { nativeGatewayOptions } from '../../src/api/gateways.ts';
import { demoUser, type GatewayPorts, gatewaysOf } from '../../src/console/gateways.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-gateways-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ports: GatewayPorts = {
  orders: 8090,
  clearing: 8091,
  stream: 8092,
  snapshot: 8093,
  retransmission: 8094,
  datagrams: '239.192.0.1:8095,10.0.0.7:9000',
};
const user = { name: 'FIRM', password: 'secret', session: 7, account: 'firm' };

function withUsers(content: unknown): GatewayPorts {
  const users = join(folder, 'users.json');
  writeFileSync(users, typeof content === 'string' ? content : JSON.stringify(content));
  return { ...ports, users };
}

function whatFileSays(content: unknown): string {
  try {
    const options = gatewaysOf(withUsers(content), '127.0.0.1', false);
    if (options !== undefined) nativeGatewayOptions(options);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

test('the demo has its user; a node without one and without a file opens no ports', () => {
  expect(gatewaysOf(ports, '127.0.0.1', false)).toBeUndefined();
  expect(gatewaysOf(ports, '::1', true)).toMatchObject({
    orders: '[::1]:8090',
    clearing: '[::1]:8091',
    feed: { stream: '[::1]:8092', datagrams: ['239.192.0.1:8095', '10.0.0.7:9000'] },
    users: [demoUser],
  });
});

test('a file of users, with firms or without, counts instead of the demo’s', () => {
  expect(gatewaysOf(withUsers([user]), '127.0.0.1', true)?.users).toEqual([user]);
  const firms = [{ firm: 'firm', ordersPerSecond: 100 }];
  const both = gatewaysOf(withUsers({ users: [user], firms }), '127.0.0.1', false);
  expect(both).toMatchObject({ users: [user], firms });
  expect(nativeGatewayOptions(both as never)).toMatchObject({
    users: 'FIRM\tsecret\t7\tfirm\ttcf\t0\t1',
    firms: 'firm\t100\t100',
  });
});

test('what is wrong in the file is named', () => {
  expect(whatFileSays('{')).toMatch(/gateway-users.*JSON/);
  expect(whatFileSays({})).toMatch(/a file with a list of users/);
  expect(whatFileSays([])).toMatch(/a file with a list of users/);
  expect(whatFileSays([null])).toMatch(/users\[0\]/);
  expect(whatFileSays([{ ...user, cancelOnDisonnect: true }])).toMatch(/users\[0\].*cancelOnDisonnect/);
  expect(whatFileSays({ users: [user], firm: [] })).toMatch(/the file.*"?firm/);
  expect(whatFileSays({ users: [user], firms: [{ firm: 'firm', rate: 3 }] })).toMatch(/firms\[0\].*rate/);
  const bad: Record<string, unknown>[] = [
    { name: 'TOOLONG' },
    { name: 'A B' },
    { session: 0 },
    { session: 32_768 },
    { session: '1' },
    { account: '' },
    { rights: 'trade' },
    { rights: ['trade', 'everything'] },
    { cancelOnDisconnect: 'yes' },
    { ordersPerSecond: -1 },
    { ordersBurst: 0 },
  ];
  for (const change of bad) {
    const [field] = Object.keys(change);
    expect(whatFileSays([user, { ...user, ...change }]), JSON.stringify(change)).toMatch(
      new RegExp(`gateways\\.users\\[1\\]\\.${field}`),
    );
  }
  const secret = whatFileSays([{ ...user, password: 'muchtoolong' }]);
  expect(secret).toMatch(/users\[0\]\.password/);
  expect(secret).not.toContain('muchtoolong');
});

test('the demo’s user, whose password everybody knows, opens nothing beyond loopback; users of a file do', () => {
  for (const host of ['0.0.0.0', '::', '10.0.0.7', 'venue.example'])
    expect(gatewaysOf(ports, host, true)).toBeUndefined();
  expect(gatewaysOf(withUsers([user]), '0.0.0.0', true)).toMatchObject({ users: [user] });
});
