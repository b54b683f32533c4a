// A node killed in the middle of trading, with its clients at it: every client ends with exactly the executions that the journal holds.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { ItchBook } from '../../src/clients/itch-book.ts';
import { root } from '../architecture/files.ts';
import { until } from '../clients/fake-gateway.ts';
import { accounts, addMarket, executionsOf, gateways, instruments, small, Trader } from './venue.ts';

/** VERBEX_CLI tries another build. */
const program = process.env.VERBEX_CLI ?? join(root, 'dist', 'cli', 'main.js');

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

test.runIf(existsSync(program))(
  'kill -9 under load, three times (skipped without dist/: npm run build)',
  {
    timeout: 120_000,
  },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'verbex-gateway-kill-'));
    let node: ChildProcess | undefined;
    try {
      const data = join(folder, 'data');
      const users = join(folder, 'users.json');
      writeFileSync(users, JSON.stringify(gateways().users));
      {
        await using exchange = await Exchange.open({ ...small, data });
        await addMarket(exchange);
      }
      const [ouch, clearing, itch, snapshot, retransmission] = (await freePorts(5)).map(String);
      const flags = {
        ...{ data, port: '0', 'admin-port': '0', 'gateway-users': users, 'itch-datagrams': 'none' },
        ...{ 'ouch-port': ouch, 'clearing-port': clearing, 'itch-port': itch },
        ...{ 'snapshot-port': snapshot, 'retransmission-port': retransmission },
      };
      const args = [
        'run',
        '--no-demo',
        '--plain',
        ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value!]),
      ];
      const start = (): ChildProcess =>
        spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
      const connectUntilThere = async <T>(connect: () => Promise<T>): Promise<T> => {
        for (let attempt = 0; ; attempt++) {
          try {
            return await connect();
          } catch (error) {
            if (attempt > 400) throw error;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      };
      node = start();
      const traders: Trader[] = [];
      for (const [index, account] of accounts.entries())
        traders.push(await connectUntilThere(() => Trader.connect(`127.0.0.1:${ouch}`, account, index + 1)));
      const book = await ItchBook.open({
        ...{
          user: 'CAROL',
          password: 'secret',
          reconnect: { firstMs: 5, mostMs: 100 },
          instruments,
          recoveriesMax: 100,
        },
        ...{ stream: `127.0.0.1:${itch}`, snapshot: `127.0.0.1:${snapshot}` },
      });
      for (let kill = 0; kill <= 3; kill++) {
        const trading = { on: true };
        const all = traders.map(async (trader) => {
          while (trading.on) {
            if (trader.client.connected && trader.client.pending < 500)
              for (let index = 0; index < 20; index++) trader.act();
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
        });
        await new Promise((resolve) => setTimeout(resolve, 400));
        if (kill < 3) {
          const dead = new Promise((resolve) => node!.once('close', resolve));
          node.kill('SIGKILL');
          await dead;
          node = start();
        }
        trading.on = false;
        await Promise.all(all);
        await until(
          () => traders.every(({ client }) => client.connected && client.pending === 0),
          'a request has no answer',
        );
      }
      for (const { client } of traders) await client.accountQuery();
      await until(() => book.inStep, 'the book is not in step');
      const shown = (side: 'bids' | 'asks') =>
        book
          .levels('BTC-USD')
          [side].map(({ priceText, quantityText, orders }) => [priceText, quantityText, orders]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const [bids, asks] = [shown('bids'), shown('asks')];
      await book.close();
      for (const { client } of traders) await client.close();
      const ended = new Promise((resolve) => node!.once('close', resolve));
      node.kill('SIGTERM');
      await ended;
      node = undefined;

      await using exchange = await Exchange.open({ ...small, data });
      const expected = await executionsOf(exchange);
      for (const trader of traders) expect(trader.executions()).toEqual(expected.get(trader.account));
      expect(expected.get('alice')!.length).toBeGreaterThan(100);
      const view = await exchange.book('BTC-USD', { levels: 1000 });
      expect({ bids, asks }).toEqual({ bids: view.bids, asks: view.asks });
    } finally {
      node?.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
