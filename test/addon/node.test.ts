// NativeCore, NativeNode and the offline functions, against each other.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  addonPath,
  explainAt,
  journalRead,
  journalVerify,
  loadAddon,
  NativeCore,
  NativeNode,
  type NodeOptions,
  recover,
  version,
} from '../../src/native/binding.ts';
import { Client, cellBytes, commands } from './flow.ts';

const limits = { maxOrders: 4096, maxAccounts: 64, maxInstruments: 16, maxClientIds: 1 << 15 };
const total = 5_000;
const cells = commands(total);

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-addon-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function options(data: string, more: Partial<NodeOptions> = {}): NodeOptions {
  return { ...limits, data, segmentBytes: 1 << 20, ringCells: 256, eventCells: 1024, ...more };
}

function serial(count = total): { events: Uint8Array; hash: string; explain: string } {
  const core = new NativeCore(limits);
  const events = core.apply(cells, count);
  return { events, hash: core.hash(), explain: core.explain() };
}

async function run(data: string, more: Partial<NodeOptions> = {}): Promise<string> {
  const client = new Client();
  const node = await NativeNode.open(options(data, more), client.wake);
  await client.feed(node, cells);
  const closed = await client.until(node, node.close());
  expect(closed.position).toBe(BigInt(total));
  expect(Buffer.compare(client.events, serial().events)).toBe(0);
  expect(node.stats()).toMatchObject({ state: 'closed', commands: total, failure: '', snapshotStatus: '' });
  return closed.stateHash;
}

describe('NativeCore', () => {
  test('answers events, and its state goes out and in', () => {
    const core = new NativeCore(limits);
    const first = core.apply(cells, 100);
    expect(first.length % cellBytes).toBe(0);
    expect(core.position()).toBe(100n);
    const copy = NativeCore.load(core.save(), limits);
    expect(copy.hash()).toBe(core.hash());
    expect(copy.explain()).toBe(core.explain());
    const rest = cells.subarray(100 * cellBytes);
    expect(Buffer.compare(copy.apply(rest, 50), core.apply(rest, 50))).toBe(0);
    expect(JSON.parse(core.query('hash', 0, 0, null))).toEqual({ position: 150, stateHash: core.hash() });
    expect(core.explain()).toBe(core.query('explain', 0, 0, null));
  });

  test('a state with a flipped or missing byte is refused, or is another valid state', () => {
    const core = new NativeCore(limits);
    core.apply(cells, 60);
    const bytes = core.save();
    for (let i = 0; i < bytes.length; i += 1 + (i >> 6)) {
      const bad = bytes.slice();
      bad[i]! ^= 0x41;
      try {
        NativeCore.load(bad, limits).apply(cells, 20);
      } catch (error) {
        expect(error).toMatchObject({ code: 'STATE_INVALID' });
      }
      expect(() => NativeCore.load(bytes.subarray(0, i), limits)).toThrow(
        expect.objectContaining({ code: 'STATE_INVALID' }),
      );
    }
    expect(() => NativeCore.load(new Uint8Array([...bytes, 0]), limits)).toThrow('no state');
  });
});

describe('NativeNode', () => {
  test('in memory, async and durable give what the core gives', async () => {
    const { hash } = serial();
    expect(await run('')).toBe(hash);
    expect(await run(join(folder, 'async'), { durable: false, snapshotEvery: 1000 })).toBe(hash);
    expect(await run(join(folder, 'durable'), { durable: true })).toBe(hash);
  });

  test('opened again it is where it was, and goes on', async () => {
    const client = new Client();
    const first = await NativeNode.open(options(folder), client.wake);
    await client.feed(first, cells.subarray(0, 1000 * cellBytes));
    const closed = await client.until(first, first.close());
    const next = new Client();
    const second = await NativeNode.open(options(folder), next.wake);
    expect(second.stats()).toMatchObject({
      stateHash: closed.stateHash,
      recoveredFrom: 1000n,
      replayed: 0,
      position: 1000n,
    });
    await next.feed(second, cells.subarray(1000 * cellBytes));
    const end = await next.until(second, second.close());
    expect(end.stateHash).toBe(serial().hash);
    expect(await second.close()).toEqual(end);
  });

  test('queries, snapshots and stats', async () => {
    const client = new Client();
    const node = await NativeNode.open(options(folder), client.wake);
    expect(await node.snapshot()).toBe(0n);
    await client.feed(node, cells.subarray(0, 500 * cellBytes));
    const ask = (kind: 'hash' | 'explain' | 'levels' | 'market' | 'accounts' | 'account'): Promise<unknown> =>
      client.until(node, node.query(kind, 1, 5, null)).then((text) => JSON.parse(text));
    await client.take(node, serial(500).events.length / cellBytes);
    expect(await ask('hash')).toEqual({ position: 500, stateHash: serial(500).hash });
    expect(await ask('explain')).toEqual(JSON.parse(serial(500).explain));
    expect(await ask('levels')).toMatchObject({ instrument: 1, position: 500 });
    expect(await ask('market')).toMatchObject({ position: 500 });
    const id = new Uint8Array(16);
    id.set(Buffer.from('nothing'));
    expect(await node.query('order', 1, 0, id)).toBe('null');
    expect(await node.snapshot()).toBe(500n);
    expect(node.stats()).toMatchObject({ snapshots: 1, snapshotPosition: 500n, position: 500n });
    await node.close();
    await expect(node.query('hash', 0, 0, null)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(node.snapshot()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => node.offer(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  test('a second node on the folder is refused, other limits too', async () => {
    const node = await NativeNode.open(options(folder), () => {});
    await expect(NativeNode.open(options(folder), () => {})).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_IN_USE',
    });
    await node.close();
    await expect(NativeNode.open(options(folder, { maxOrders: 5000 }), () => {})).rejects.toMatchObject({
      code: 'LIMITS_DIFFER',
    });
    const stored = await NativeNode.open({ data: folder }, () => {});
    await stored.close();
  });

  test('the rings’ memory outlives the node', async () => {
    const node = await NativeNode.open(options(''), () => {});
    const { cells: ring, stage } = node;
    await node.close();
    new Uint8Array(ring).fill(1);
    new Uint8Array(stage).fill(2);
    // Node 20 hands memory of an addon to another owner; later lines refuse to. Both must leave it readable.
    let kept: ArrayBuffer = ring;
    try {
      kept = structuredClone(ring, { transfer: [ring] });
    } catch (error) {
      expect(error).toMatchObject({ name: 'DataCloneError' });
    }
    expect(new Uint8Array(kept)[1023]).toBe(1);
    expect(node.available()).toBe(0);
  });
});

describe('offline', () => {
  test('verify, read, recover, explain', async () => {
    const hash = await run(folder, { snapshotEvery: 2000 });
    expect(JSON.parse(await journalVerify(folder))).toMatchObject({
      ok: true,
      commands: total,
      lastPosition: total,
      cleanlyClosed: true,
      tornBytes: 0,
    });
    const all: Uint8Array[] = [];
    let next = 1n;
    for (;;) {
      const part = await journalRead(folder, next, 777);
      if (part.positions.length === 0) break;
      expect(part.positions[0]).toBe(next);
      expect(part.positions.length).toBe(part.epochs.length);
      expect(part.commands.length).toBe(part.positions.length * cellBytes);
      all.push(part.commands);
      next = part.next;
    }
    expect(next).toBe(BigInt(total) + 1n);
    expect(Buffer.compare(Buffer.concat(all), cells)).toBe(0);
    const bounded = await journalRead(folder, 1n, 10_000, 1n);
    expect(bounded.positions.length).toBeLessThan(total);

    for (const source of ['both', 'journal'] as const) {
      const report = JSON.parse(await recover(folder, {}, 0n, source));
      expect(report).toMatchObject({ position: total, stateHash: hash, replayed: total, tornBytes: 0 });
    }
    const half = JSON.parse(await recover(folder, limits, 2500n, 'both'));
    expect(half).toMatchObject({ position: 2500, stateHash: serial(2500).hash });
    expect(await explainAt(folder, limits, 1234n)).toBe(serial(1234).explain);
    await expect(recover(folder, limits, 99_999n, 'both')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(journalVerify(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('damage is refused with its place', async () => {
    await run(folder);
    const segment = readdirSync(join(folder, 'journal')).find((name) => name.endsWith('.journal'))!;
    const path = join(folder, 'journal', segment);
    const bytes = readFileSync(path);
    bytes[4096 + 64 + 300]! ^= 4;
    writeFileSync(path, bytes);
    const refusal = { code: 'JOURNAL_DAMAGED', place: { file: segment, position: 1n } };
    await expect(journalVerify(folder)).rejects.toMatchObject(refusal);
    await expect(journalRead(folder, 1n, 10)).rejects.toMatchObject(refusal);
    await expect(recover(folder, limits, 0n, 'both')).rejects.toMatchObject(refusal);
    await expect(explainAt(folder, limits, 0n)).rejects.toMatchObject(refusal);
    await expect(NativeNode.open(options(folder), () => {})).rejects.toMatchObject(refusal);
  });
});

describe('processes and threads', () => {
  const openAndLeave = `
    const { NativeNode } = require(process.env.VERBEX_TEST_ADDON);
    const options = { data: process.env.VERBEX_TEST_DATA, ...${JSON.stringify(limits)}, systemClock: true };
    NativeNode.open(options, () => {}).then(async (node) => {
      new Uint8Array(node.stage).fill(7);
      node.offer(1000);
      for (let i = 0; i < 10; i++) node.query('hash', 0, 0, null).catch(() => {});
      void node.snapshot().catch(() => {});
      LEAVE
    });`;

  test.each([
    ['process.exit', 'process.exit(7);', 7],
    ['process.exit while closing', 'void node.close().catch(() => {}); process.exit(7);', 7],
    ['an uncaught error', 'setTimeout(() => { throw new Error("x"); }, 1);', 1],
    ['no reference', 'await node.close();', 0],
  ])('ending by %s does not crash, and the folder opens again', async (_, leave, code) => {
    const result = spawnSync(process.execPath, ['-e', openAndLeave.replace('LEAVE', leave)], {
      env: { ...process.env, VERBEX_TEST_ADDON: addonPath(), VERBEX_TEST_DATA: folder },
      timeout: 20_000,
    });
    expect(result.signal).toBe(null);
    expect(result.status).toBe(code);
    const node = await NativeNode.open(options(folder), () => {});
    await node.close();
  });

  test('workers have nodes of their own and may be terminated with them', async () => {
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      const { NativeNode } = require(workerData.addon);
      NativeNode.open({ data: workerData.data, systemClock: true, ...workerData.limits }, () => {}).then((node) => {
        parentPort.postMessage('open');
        setInterval(() => { node.release(node.available()); node.offer(5); node.query('hash', 0, 0, null); }, 1);
      });`;
    const workers = ['', '', 'disk'].map((name) => {
      const data = name === '' ? '' : join(folder, name);
      return new Worker(code, { eval: true, workerData: { addon: addonPath(), data, limits } });
    });
    await Promise.all(workers.map((worker) => new Promise((done) => worker.once('message', done))));
    await new Promise((done) => setTimeout(done, 50));
    await Promise.all(workers.map((worker) => worker.terminate()));
    const node = await NativeNode.open(options(join(folder, 'disk')), () => {});
    expect(node.stats().position).toBeGreaterThan(0n);
    await node.close();
  });
});

describe('loading', () => {
  test('a missing addon says what to do', () => {
    expect(() => loadAddon(join(folder, 'verbex.node'))).toThrow(
      expect.objectContaining({
        code: 'ADDON_NOT_BUILT',
        message: expect.stringContaining('npm run setup'),
      }),
    );
  });

  test('the addon is of this package’s version', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(version).toBe(manifest.version);
  });
});
