// An Exchange that is an edge of a cluster: the same calls, and positions that a leader elsewhere gives.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { NativeMember } from '../../src/native/binding.ts';
import { addMarket, order } from './market.ts';

const limits = { maxOrders: 1 << 14, maxAccounts: 1 << 10, maxInstruments: 64, maxClientIds: 1 << 16 };

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('an exchange at the edge of a cluster', () => {
  let folder: string;
  let address: string;
  let member: NativeMember;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'verbex-edge-'));
    address = `127.0.0.1:${await freePort()}`;
    member = new NativeMember(
      {
        ...limits,
        id: 1,
        data: join(folder, 'member'),
        cluster: 'edge-test',
        listen: address,
        members: `1\t${address}\thot`,
        replicas: 1,
        boot: 'one',
        transport: 'tcp',
        controlDirectory: join(folder, 'control'),
      },
      () => undefined,
    );
    await member.open();
  });
  afterEach(async () => {
    await member.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (edge: number): Promise<Exchange> =>
    Exchange.open({
      ...limits,
      plan: 'serial',
      cluster: { name: 'edge-test', members: [{ id: 1, address }], edge, transport: 'tcp' },
    });

  it('submits, trades and shows the same as the edge beside it', async () => {
    await using one = await open(1);
    await using other = await open(2);
    await addMarket(one);
    await one.execute({ op: 'deposit', account: 'alice', asset: 'USD', amount: '1000', id: 'd1' });
    await one.execute({ op: 'deposit', account: 'bob', asset: 'BTC', amount: '10', id: 'd2' });
    // The other edge knows all of it before long, and trades against what rests.
    const seen = one.stats().position;
    await expect.poll(() => other.stats().position).toBeGreaterThanOrEqual(seen);
    const named = (): boolean => {
      try {
        return other.instrumentRef('BTC-USD') !== undefined;
      } catch {
        return false; // its events are not all in JavaScript yet
      }
    };
    await expect.poll(named).toBe(true);
    const bid = order();
    await one.execute(bid);
    const events = await other.submit(order({ account: 'bob', side: 'sell' }));
    expect(events.map(({ event }) => event)).toContain('trade');
    // Open orders are shown only; this one has traded in full.
    await expect.poll(async () => await one.order('alice', bid.id)).toBeNull();
    const [here, there] = await Promise.all([one.balances('bob'), other.balances('bob')]);
    expect(here).toMatchObject({ account: 'bob' });
    expect({ ...here, position: 0n }).toEqual({ ...there, position: 0n });
  });
});
