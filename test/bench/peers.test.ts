import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { root } from '../architecture/files.ts';

const load = async (name: string) => await import(join(root, 'bench', 'peers', name));
const { countOperations, operations, parseFlow, readFlow } = await load('flow.mjs');
const { compareTrades, digestTrades, encodeTrades, readTrades, Trades } = await load('trades.mjs');
const { apiLine, rate, ratio, skippedLine, spread, workloadText } = await load('report.mjs');
const { mavenProgram, reasonIn, Skipped } = await load('install.mjs');

const folder = mkdtempSync(join(tmpdir(), 'verbex-peers-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('workload file', () => {
  /** One prefill record and the steps, as bench/peers/README.md lays them out. */
  function flowBytes(steps: readonly (readonly [op: number, side: number, order: number])[]): Buffer {
    const rows = [[0, 0, 0] as const, ...steps];
    const bytes = Buffer.alloc(64 + 32 * rows.length);
    bytes.write('VBXFLOW1W1k', 'latin1');
    [32, 1, 1000, 9, 1, steps.length].forEach((value, index) => {
      bytes.writeUInt32LE(value, 16 + 4 * index);
    });
    bytes.writeBigInt64LE(1n, 40);
    bytes.writeBigInt64LE(131_072n, 48);
    bytes.writeBigUInt64LE(77n, 56);
    rows.forEach(([op, side, order], index) => {
      const at = 64 + 32 * index;
      bytes.set([op, side], at);
      bytes.writeUInt32LE(order, at + 8);
      bytes.writeUInt32LE(500 + order, at + 12);
      bytes.writeBigInt64LE(BigInt(60_000 + order), at + 16);
      bytes.writeBigInt64LE(BigInt(order + 1), at + 24);
    });
    return bytes;
  }

  test('every field is read from its place', () => {
    const flow = parseFlow(
      flowBytes([
        [1, 1, 3],
        [3, 0, 0],
      ]),
    );
    expect(flow).toMatchObject({ name: 'W1k', symbols: 1, accounts: 1000, orders: 9, prefill: 1, steps: 2 });
    expect(flow).toMatchObject({ rows: 3, priceMin: 1, priceMax: 131_072, seed: 77n });
    const columns = [flow.op, flow.sell, flow.order, flow.account, flow.price, flow.quantity];
    expect(columns.map((column) => column[1])).toEqual([1, 1, 3, 503, 60_003, 4]);
  });

  test('the steps are counted by operation, the prefill is not', () => {
    const flow = parseFlow(flowBytes([0, 1, 2, 3, 4, 5, 5].map((op) => [op, 0, 1] as const)));
    expect(countOperations(flow)).toEqual({ new: 1, ioc: 1, fok: 1, cancel: 1, move: 1, reduce: 2 });
  });

  test('what is cut short or something else is refused', () => {
    const whole = flowBytes([[0, 0, 1]]);
    expect(() => parseFlow(whole.subarray(0, -1))).toThrow('cut short');
    expect(() => parseFlow(Buffer.alloc(64))).toThrow('not a workload');
  });

  const tool = join(root, 'build', 'bench', 'peer_bench');
  // Built by `npm run build:bench`; its layout is tested natively in any case.
  test.skipIf(!existsSync(tool))('the tool’s file holds what its generator counted', () => {
    const path = join(folder, 'ec1k.flow');
    const args = ['--dump', path, '--workload', 'ec1k', '--operations', '5000', '--seed', '3'];
    const counts = JSON.parse(execFileSync(tool, args, { encoding: 'utf8' }));
    const flow = readFlow(path);
    expect(flow).toMatchObject({ name: 'ec1k', steps: 5000, prefill: counts.prefill, orders: counts.orders });
    const named = Object.fromEntries(operations.map((name: string) => [name, counts[name]]));
    expect(countOperations(flow)).toEqual(named);
    expect(flow.seed).toBe(3n);
  });
});

describe('agreement', () => {
  const rows = [
    [7, 3, 60_000, 5],
    [7, 4, 60_001, 2],
    [9, 1, 59_990, 1],
  ];
  const with_ = (index: number, row: number[]) => encodeTrades(rows.toSpliced(index, 1, row));

  test('the same trades agree', () => {
    expect(compareTrades(encodeTrades(rows), encodeTrades(rows))).toEqual({
      agrees: true,
      text: 'the same 3 trades',
    });
  });

  test('one trade with another maker, price or quantity is found', () => {
    for (const row of [
      [7, 5, 60_001, 2],
      [7, 4, 60_002, 2],
      [7, 4, 60_001, 3],
      [8, 4, 60_001, 2],
    ]) {
      const found = compareTrades(encodeTrades(rows), with_(1, row));
      expect(found).toMatchObject({ agrees: false, firstDifference: 1 });
    }
    expect(compareTrades(encodeTrades(rows), with_(1, [7, 5, 60_001, 2])).text).toBe(
      'trade 2 differs: order 7 takes 2 of 4 at 60001 here, order 7 takes 2 of 5 at 60001 there',
    );
  });

  test('the same trades in another order, or one too few or too many, do not agree', () => {
    const swapped = encodeTrades([rows[1], rows[0], rows[2]]);
    expect(compareTrades(encodeTrades(rows), swapped)).toMatchObject({ agrees: false, firstDifference: 0 });
    const short = encodeTrades(rows.slice(0, 2));
    expect(compareTrades(encodeTrades(rows), short)).toEqual({
      agrees: false,
      firstDifference: 2,
      text: 'trade 3 differs: order 9 takes 1 of 1 at 59990 here, none there',
    });
    expect(compareTrades(short, encodeTrades(rows)).text).toContain('none here');
  });

  test('a harness counts trades, and keeps them where asked', () => {
    const path = join(folder, 'trades');
    const trades = new Trades();
    trades.add(1, 2, 3, 4);
    trades.keep();
    for (const [taker, maker, price, quantity] of rows) trades.add(taker, maker, price, quantity);
    trades.write(path);
    expect(trades).toMatchObject({ count: 4, quantity: 12 });
    expect(readTrades(path).equals(encodeTrades(rows))).toBe(true);
    writeFileSync(path, 'abc');
    expect(() => readTrades(path)).toThrow('cut short');
  });

  test('the digest is FNV-1a of 64 bits', () => {
    // Published test vectors of the function.
    expect(digestTrades(Buffer.from(''))).toBe('cbf29ce484222325');
    expect(digestTrades(Buffer.from('a'))).toBe('af63dc4c8601ec8c');
    expect(digestTrades(Buffer.from('foobar'))).toBe('85944171f73967e8');
  });
});

describe('report', () => {
  test('rates and ratios have the digits that mean something', () => {
    expect([29_255_110, 1_000_000, 530_400, 8_000].map(rate)).toEqual([
      '29.3 M/s',
      '1.0 M/s',
      '0.530 M/s',
      '0.008 M/s',
    ]);
    expect([ratio(30e6, 0.5e6), ratio(30e6, 12e6), ratio(9e6, 18e6)]).toEqual(['60×', '2.5×', '0.50×']);
  });

  test('the median of the rounds, and how far they lie apart', () => {
    expect(spread([5, 1, 9])).toEqual({ opsPerSecond: 5, least: 1, most: 9 });
  });

  const engine = (name: string, group: string, opsPerSecond: number) => ({
    name,
    group,
    ...spread([opsPerSecond]),
    p50Ns: 40,
    p99Ns: 90,
    p999Ns: 400,
    agreement: { agrees: true, text: 'the same 3 trades' },
  });
  const workload = {
    name: 'W1k',
    operations: 1000,
    engines: [
      engine('verbex', 'matching', 30e6),
      engine('exchange-core', 'matching', 12e6),
      engine('nodejs-order-book', 'matching', 0.4e6),
      engine('verbex core', 'risk', 8e6),
      engine('verbex TypeScript', 'risk', 4e6),
    ],
  };

  test('each group is compared with its own Verbex', () => {
    const text: string = workloadText(workload);
    expect(text).toMatch(
      /^matching only +exchange-core +12\.0 M\/s .* 2\.5× +40 \/ 90 \/ 400 +the same 3 trades$/m,
    );
    expect(text).toMatch(/^risk on +verbex TypeScript +4\.0 M\/s .* 2\.0× /m);
  });

  test('the API is compared with what a Node user would take', () => {
    expect(apiLine(workload)).toMatch(/4\.0 M\/s, 10× nodejs-order-book without risk \(0\.400 M\/s\)$/);
    expect(apiLine({ ...workload, engines: workload.engines.slice(0, 2) })).toBeUndefined();
  });
});

describe('skipping', () => {
  test('a peer whose tools are missing is skipped with their names', async () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      const install = mavenProgram({ name: 'exchange-core', version: '0.5.3', main: 'Main', flags: [] });
      const reason = await install().catch((error: Error) => error);
      expect(reason).toBeInstanceOf(Skipped);
      expect(skippedLine({ name: 'exchange-core', reason: reason.message })).toBe(
        'skipped: exchange-core: no java, no javac, no mvn on this machine',
      );
    } finally {
      process.env.PATH = path;
    }
  });

  test('the reason is the line of the tool that says it', () => {
    const text = 'npm warn old\nnpm error code E404\nnpm error 404 Not Found\n';
    expect(reasonIn(text)).toBe('npm error code E404');
    expect(reasonIn('\u001b[31mERROR\u001b[m no such version\nmore')).toBe('ERROR no such version');
    expect(reasonIn('')).toBe('no answer');
  });
});
