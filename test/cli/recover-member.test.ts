// A folder made anew from a running member that has pruned its log: its snapshot comes over the wire.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { NativeClusterLoad, NativeMember } from '../../src/native/binding.ts';
import { verbex } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-recover-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a running member that has pruned gives its oldest snapshot, and the log behind it', {
  timeout: 120_000,
}, async () => {
  let data = join(folder, 'member');
  let address = '';
  const start = async (): Promise<NativeMember> => {
    address = `127.0.0.1:${await freePort()}`;
    const member = new NativeMember(
      {
        ...{ id: 1, data, cluster: 'verbex', listen: address, members: `1\t${address}\thot`, replicas: 1 },
        ...{ maxOrders: 100_000, maxAccounts: 1 << 10, maxInstruments: 64, maxClientIds: 1 << 17 },
        ...{ segmentBytes: 128 * 1024, snapshotEvery: 1000, historyBytes: 0 },
        ...{ boot: 'one', transport: 'tcp', controlDirectory: join(folder, 'control') },
      },
      () => undefined,
    );
    await member.open();
    return member;
  };
  let member = await start();
  const first = (): bigint => BigInt((JSON.parse(member.status()) as { first: string }).first);
  const load = new NativeClusterLoad({
    ...{ members: `1\t${address}\thot`, cluster: 'verbex', transport: 'tcp', window: 256 },
    ordersPerSecond: 5000,
  });
  const running = load.run();
  await expect.poll(first, { timeout: 60_000, interval: 20 }).toBeGreaterThan(1n);
  load.stop();
  await running;
  // What it still has in memory is not there when another process goes on with its folder.
  await member.close();
  cpSync(data, join(folder, 'moved'), { recursive: true });
  data = join(folder, 'moved');
  member = await start();

  const made = join(folder, 'made');
  const args = ['journal', 'recover', '--from', address, '--data', made, '--json'];
  const { code, err, json } = await verbex(args);
  expect(code, err).toBe(0);
  const { position, stateHash, snapshotPosition } = json as Record<string, number>;
  expect(snapshotPosition).toBeGreaterThan(0);
  expect(json).toMatchObject({
    refusedSnapshots: [],
    sources: [{ from: address, firstPosition: snapshotPosition! + 1, lastPosition: position }],
  });
  // Nothing of the transfer is left, and what was made says the same by itself, as the member's own folder does.
  expect(readdirSync(made).filter((name) => name.startsWith('fetched'))).toEqual([]);
  expect((await verbex(['hash', made, '--json'])).json).toEqual({ position, stateHash });
  await member.close();
  const own = ['hash', data, '--at', String(position), '--json'];
  expect((await verbex(own)).json).toEqual({ position, stateHash });

  // Where it does not answer nothing is made.
  const none = join(folder, 'none');
  const away = await verbex(['journal', 'recover', '--from', address, '--data', none]);
  expect(away.err).toContain('TIMED_OUT');
  expect(readdirSync(folder)).not.toContain('none');
});
