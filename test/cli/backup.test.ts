// The drill of docs/operations.md: a copy of a running node's folder opens, and its journal confirms its hash.
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import type { Request } from '../../src/api/types.ts';
import { verbex } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-backup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const market: readonly Request[] = [
  { op: 'add-asset', asset: 'BTC', decimals: 8 },
  { op: 'add-asset', asset: 'USD', decimals: 8 },
  {
    op: 'add-instrument',
    instrument: 'BTC-USD',
    base: 'BTC',
    quote: 'USD',
    tickSize: '0.01',
    lotSize: '0.001',
  },
  { op: 'add-account', account: 'alice' },
  { op: 'deposit', account: 'alice', asset: 'USD', id: 'd1', amount: '100000000' },
];

function order(at: number): Request {
  return {
    op: 'new',
    account: 'alice',
    instrument: 'BTC-USD',
    id: `o${at}`,
    side: 'buy',
    price: `${1 + (at % 90)}.25`,
    quantity: '0.001',
  };
}

async function running(data: string, durability: 'async' | 'durable'): Promise<Exchange> {
  const exchange = await Exchange.open({
    data,
    durability,
    segmentBytes: 256 * 1024,
    clock: 'manual',
    maxOrders: 200_000,
    maxAccounts: 16,
    maxInstruments: 16,
    maxClientIds: 200_000,
  });
  for (const request of market) await exchange.execute(request);
  return exchange;
}

describe.each(['async', 'durable'] as const)('a running node, %s', (durability) => {
  test('its copy opens, and has the hash of the same position', { timeout: 60_000 }, async () => {
    const data = join(folder, durability);
    const exchange = await running(data, durability);
    let at = 0;
    let on = true;
    const trading = (async () => {
      while (on) {
        const batch = Array.from({ length: 64 }, () => order(at++));
        let taken = 0;
        while (taken < batch.length) {
          taken += exchange.offer(batch.slice(taken)).accepted;
          await exchange.room();
        }
        // About 2 MiB of journal a second: a few segments in all, on a slow machine too.
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    const segments = () => readdirSync(join(data, 'journal')).length;
    await vi.waitFor(() => expect(segments()).toBeGreaterThan(3), { timeout: 30_000 });
    const copies: { position: number; stateHash: string }[] = [];
    for (let round = 0; round < 3; round++) {
      if (round === 1) await exchange.snapshot();
      const before = exchange.stats().publishedPosition;
      const target = join(folder, `${durability}-${round}`);
      const { code, json, err } = await verbex(['backup', target, '--data', data, '--json']);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      const copy = json as { position: number; stateHash: string; snapshotPosition: number };
      // What was published when the copy began is in it.
      expect(BigInt(copy.position)).toBeGreaterThanOrEqual(before);
      if (round > 0) expect(copy.snapshotPosition).toBeGreaterThan(0);
      copies.push(copy);
    }
    on = false;
    await trading;
    const end = await exchange.close();
    for (const [round, { position, stateHash }] of copies.entries()) {
      // The journal of the node itself says the same of that position.
      const source = ['--source', 'journal', '--at', String(position), '--json'];
      expect((await verbex(['journal', 'recover', data, ...source])).json).toMatchObject({
        position,
        stateHash,
      });
      const target = join(folder, `${durability}-${round}`);
      expect((await verbex(['journal', 'verify', target, '--json'])).code).toBe(0);
      // Restored: it opens and goes on.
      await using restored = await Exchange.open({ data: target, clock: 'manual' });
      expect(restored.stats()).toMatchObject({ position: BigInt(position), stateHash });
      expect(await restored.execute({ op: 'cancel', account: 'alice', id: 'o0' })).toHaveLength(1);
    }
    expect(end.position).toBeGreaterThanOrEqual(BigInt(copies.at(-1)!.position));
  });
});

test('a stopped folder copied by anything opens too', async () => {
  const data = join(folder, 'stopped');
  const exchange = await running(data, 'durable');
  await exchange.execute(order(1));
  const { position, stateHash } = await exchange.close();
  cpSync(data, join(folder, 'stopped-copy'), { recursive: true });
  expect((await verbex(['hash', join(folder, 'stopped-copy'), '--json'])).json).toEqual({
    position: Number(position),
    stateHash,
  });
});

test('a folder whose journal was pruned is copied, recovered and made anew from its oldest snapshot', {
  timeout: 60_000,
}, async () => {
  const data = join(folder, 'pruned');
  const exchange = await running(data, 'async');
  let at = 0;
  const trade = async (count: number) => {
    for (const end = at + count; at < end; ) {
      at += exchange.offer(Array.from({ length: Math.min(64, end - at) }, (_, i) => order(at + i))).accepted;
      await exchange.room();
    }
  };
  for (let round = 0; round < 2; round++) {
    await trade(9000);
    await exchange.snapshot();
  }
  await trade(1000);
  const { position, stateHash } = await exchange.close();
  // As a member does behind the older of two snapshots.
  const positions = (within: string) =>
    readdirSync(join(data, within))
      .filter((name) => /^\d+\.\w+$/.test(name))
      .sort()
      .map((name) => ({ name, position: Number.parseInt(name, 10) }));
  const [oldest, newest] = positions('snapshots');
  const segments = positions('journal');
  for (const [i, { name }] of segments.entries())
    if ((segments[i + 1]?.position ?? Number.POSITIVE_INFINITY) <= oldest!.position)
      rmSync(join(data, 'journal', name));
  expect(positions('journal')[0]!.position).toBeGreaterThan(1);

  const copy = join(folder, 'pruned-copy');
  const expected = { position: Number(position), stateHash, oldestPosition: oldest!.position };
  expect((await verbex(['backup', copy, '--data', data, '--json'])).json).toMatchObject({
    ...expected,
    snapshotPosition: newest!.position,
    refusedSnapshots: [],
  });
  expect((await verbex(['journal', 'recover', copy, '--json'])).json).toMatchObject(expected);
  expect((await verbex(['journal', 'recover', copy, '--source', 'journal'])).code).toBe(65);

  const from = async (made: string, ...sources: string[]) =>
    verbex([
      'journal',
      'recover',
      ...sources.flatMap((one) => ['--from', one]),
      '--data',
      join(folder, made),
      '--json',
    ]);
  expect((await from('pruned-made', copy, data)).json).toMatchObject({
    position: Number(position),
    stateHash,
    snapshotPosition: oldest!.position,
    comparedStates: 2,
  });
  await using made = await Exchange.open({ data: join(folder, 'pruned-made'), clock: 'manual' });
  expect(made.stats()).toMatchObject({ position, stateHash });
  await made.execute(order(at));
  await made.snapshot();

  // Torn: the newer one is left. Both: nothing is made.
  truncateSync(join(copy, 'snapshots', oldest!.name), 5000);
  expect((await from('pruned-newer', copy)).json).toMatchObject({
    stateHash,
    snapshotPosition: newest!.position,
    refusedSnapshots: [expect.stringContaining(oldest!.name)],
  });
  truncateSync(join(copy, 'snapshots', newest!.name), 5000);
  const none = await from('pruned-none', copy);
  expect(none.code).toBe(65);
  expect(none.err).toContain('SNAPSHOT_DAMAGED');
  expect(existsSync(join(folder, 'pruned-none', 'journal'))).toBe(false);
});

test('what cannot be copied, or not there', async () => {
  const busy = join(folder, 'busy');
  const data = join(folder, 'small');
  await (await running(data, 'async')).close();
  cpSync(data, busy, { recursive: true });
  expect((await verbex(['backup', busy, '--data', data])).code).toBe(2);
  expect((await verbex(['backup', join(folder, 'x'), '--data', join(folder, 'nowhere')])).code).toBe(66);
  expect(existsSync(join(folder, 'x'))).toBe(false);
  writeFileSync(join(folder, 'file'), '');
  expect((await verbex(['backup', '--data', data])).code).toBe(2);
});
