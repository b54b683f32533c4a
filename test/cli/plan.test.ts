// A thread plan changes how fast a node is, and nothing else: the same flow under each gives the same state and the
// same events file.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { verbex } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-plan-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Orders of three accounts on two instruments, with replaces, cancels, and orders that find no funds. */
function flow(lines: number): string {
  const instruments = ['BTC-USD', 'ETH-USD'];
  const rows: object[] = instruments.map((instrument) => ({
    op: 'instrument',
    instrument,
    tickSize: '0.01',
    lotSize: '0.001',
    makerFee: -100,
    takerFee: 250,
  }));
  let seed = 12345;
  const below = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 65536) % n;
  };
  for (let i = 0; i < lines; i++) {
    const id = `o${i}`;
    const kind = below(10);
    if (kind < 6 || i < 20) {
      rows.push({
        op: 'new',
        id,
        account: `a${below(3)}`,
        instrument: instruments[below(2)],
        side: below(2) === 0 ? 'buy' : 'sell',
        price: (100 + below(40) / 100).toFixed(2),
        quantity: (0.5 + below(20) / 10).toFixed(1),
        ...(below(5) === 0 ? { tif: 'ioc' } : {}),
      });
    } else if (kind < 8) {
      rows.push({ op: 'cancel', id: `o${below(i)}` });
    } else {
      rows.push({ op: 'replace', id: `o${below(i)}`, price: '100.20', quantity: '1.0' });
    }
  }
  return `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;
}

describe('--plan', () => {
  test('serial, pipelined, sharded and auto end with the same state and the same events file', async () => {
    const file = join(folder, 'flow.jsonl');
    writeFileSync(file, flow(4000));
    const results = [];
    for (const plan of ['serial', 'pipelined', 'sharded', 'sharded:3x2', 'auto']) {
      const events = join(folder, `${plan.replace(':', '-')}.events`);
      const data = join(folder, plan.replace(':', '-'));
      const args = ['--skip-bad', '--plan', plan, '--events-out', events, '--data', data, '--json'];
      const ran = await verbex(['replay', file, '--format', 'jsonl', ...args]);
      expect(ran.code, ran.err).toBe(0);
      const { stateHash, trades, position } = ran.json;
      results.push({ stateHash, trades, position, events: readFileSync(events, 'utf8') });
    }
    expect(Number(results[0]!.trades)).toBeGreaterThan(100);
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test('a journal written under one plan is read under another, which says what it is', async () => {
    const data = join(folder, 'sharded-3x2');
    const exchange = await Exchange.open({ data, plan: 'pipelined', spin: 20 });
    const { stateHash } = await exchange.stateHash();
    const stats = exchange.stats();
    await exchange.close();
    expect(stats.plan).toBe('pipelined');
    expect(stats.spinNs).toBe(20_000);
    expect(stats.stages.map(({ name }) => name)).toEqual(['vbx-journal', 'vbx-risk-1', 'vbx-match-1']);
    expect((await verbex(['hash', data, '--json'])).json.stateHash).toBe(stateHash);
  });

  test.each([
    [{ plan: 'parallel' }, 'plan'],
    [{ plan: 'sharded:0x1' }, 'plan'],
    [{ plan: 'sharded:17x1' }, 'plan'],
    [{ plan: 7 as unknown as string }, 'plan'],
    [{ spin: 0 }, 'spin'],
    [{ spin: 1.5 }, 'spin'],
    [{ plan: 'pipelined', cores: [0] }, 'cores'],
    [{ plan: 'serial', cores: [-1] }, 'cores'],
  ])('%j is refused', async (options, field) => {
    await expect(Exchange.open(options)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
  });

  test('cores that are not there are no reason to fall: the node runs and says so', async () => {
    const exchange = await Exchange.open({ plan: 'pipelined', cores: [0, 1000, 1001, 0] });
    await exchange.execute({ op: 'add-asset', asset: 'BTC', decimals: 8 });
    const { pinning, stages } = exchange.stats();
    await exchange.close();
    expect(pinning).toBe('');
    expect(stages.map(({ pinning: why }) => why !== '')).toEqual([true, false]);
  });

  test('doctor says what auto means here', async () => {
    const { plan } = (await verbex(['doctor', join(folder, 'none'), '--json'])).json;
    expect(plan).toMatchObject({ name: expect.stringMatching(/^(serial|pipelined|sharded:2x2)$/) });
  });
});
