// The commands that look at a data folder, on a real one.
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verbex } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-cli-'));
const data = join(folder, 'data');
afterAll(() => rmSync(folder, { recursive: true }));

let replayed: Record<string, unknown> = {};

beforeAll(async () => {
  const path = join(folder, 'flow.jsonl');
  const lines: object[] = [];
  for (let at = 1; at <= 500; at += 1) {
    lines.push({
      op: 'new',
      id: `o${at}`,
      account: at % 2 === 0 ? 'alice' : 'bob',
      instrument: 'BTC-USD',
      side: at % 3 === 0 ? 'sell' : 'buy',
      price: `${100 + (at % 7)}.50`,
      quantity: '0.25',
    });
  }
  lines.push({
    op: 'new',
    id: 'deep',
    account: 'alice',
    instrument: 'BTC-USD',
    side: 'buy',
    price: '1.25',
    quantity: '0.5',
  });
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  const ran = await verbex(['replay', path, '--data', data, '--json']);
  expect(ran.err).toBe('');
  expect(ran.code).toBe(0);
  replayed = ran.json;
});

describe('commands on a data folder', () => {
  test('replay --json has the fields that were promised', () => {
    expect(Object.keys(replayed)).toEqual(
      expect.arrayContaining([
        'commands',
        'accepted',
        'rejected',
        'trades',
        'stateHash',
        'elapsedMs',
        'commandsPerSecond',
      ]),
    );
    expect(replayed.rejected).toBe(0);
    expect(replayed.stateHash).toMatch(/^[0-9a-f]{32}$/);
  });

  test('replay for people', async () => {
    const { code, out } = await verbex(['replay', join(folder, 'flow.jsonl')]);
    expect(code).toBe(0);
    expect(out).toContain(String(replayed.stateHash));
    expect(out).toMatch(/^trades +\d+/m);
  });

  test('hash, recover from either source and verify agree', async () => {
    const { position, stateHash } = replayed;
    expect((await verbex(['hash', data, '--json'])).json).toEqual({ position, stateHash });
    expect((await verbex(['hash', data])).out).toBe(`${position} ${stateHash}\n`);
    for (const source of ['both', 'journal']) {
      const { code, json } = await verbex(['journal', 'recover', data, '--source', source, '--json']);
      expect(code).toBe(0);
      expect(json).toMatchObject({ position, stateHash, tornBytes: 0 });
      expect(Object.keys(json)).toEqual(
        expect.arrayContaining(['replayed', 'elapsedMs', 'commandsPerSecond']),
      );
    }
    const text = await verbex(['journal', 'recover', data]);
    expect(text.out).toContain(String(stateHash));
    const verified = await verbex(['journal', 'verify', data, '--json']);
    expect(verified.code).toBe(0);
    expect(typeof verified.json).toBe('object');
    expect((await verbex(['journal', 'verify'], { VERBEX_DATA: data })).code).toBe(0);
  });

  test('the state at an earlier position', async () => {
    const early = (await verbex(['hash', data, '--at', '10', '--json'])).json;
    expect(early.position).toBe(10);
    expect(early.stateHash).not.toBe(replayed.stateHash);
  });

  test('dump prints commands, one a line', async () => {
    const some = await verbex(['journal', 'dump', data, '--from', '2', '--count', '3']);
    const lines = some.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ position }) => position)).toEqual([2, 3, 4]);
    expect(lines[0]).toMatchObject({ position: 2, type: 'add-asset', id: 'USD' });
    const all = await verbex(['journal', 'dump', data, '--names', '--json']);
    expect(all.json).toEqual({ from: 1, printed: replayed.commands, next: Number(replayed.commands) + 1 });
    const last = JSON.parse(all.out.trim().split('\n').at(-2) ?? '');
    expect(last).toMatchObject({
      type: 'new',
      id: 'deep',
      side: 'buy',
      price: 125,
      quantity: 50_000_000,
      accountName: 'alice',
      instrumentName: 'BTC-USD',
    });
  });

  test('explain: everything, an account, an instrument, an order', async () => {
    const whole = await verbex(['explain', data, '--json']);
    expect(whole.json).toMatchObject({ position: replayed.position, instruments: [{ name: 'BTC-USD' }] });
    expect((await verbex(['explain', data])).out).toContain('BTC-USD');
    const account = await verbex(['explain', data, '--account', 'alice']);
    expect(account.out).toMatch(/^deep .* BTC-USD .* buy .* limit .* gtc .* 1\.25 .* 0\.5/m);
    const instrument = await verbex(['explain', data, '--instrument', 'BTC-USD']);
    expect(instrument.out).toMatch(/^base, quote +BTC, USD$/m);
    const order = await verbex(['explain', data, '--order', 'alice/deep', '--json']);
    expect(order.json).toMatchObject({
      order: { id: 'deep', price: '1.25', open: '0.5', visible: '0.5', ordersAhead: 0, queue: 'bids' },
    });
    expect(await verbex(['explain', data, '--order', 'alice/none', '--json'])).toMatchObject({ code: 1 });
    expect((await verbex(['explain', data, '--account', 'nobody', '--json'])).json).toMatchObject({
      error: { code: 'UNKNOWN_ACCOUNT_NAME' },
    });
  });

  test('damage is refused with 65 and its exact place', async () => {
    const broken = join(folder, 'broken');
    cpSync(data, broken, { recursive: true });
    const [segment] = readdirSync(join(broken, 'journal')).sort();
    const path = join(broken, 'journal', segment!);
    const bytes = readFileSync(path);
    // In the first commands' payload, with valid records behind it.
    bytes[4096 + 700] = bytes[4096 + 700]! ^ 1;
    writeFileSync(path, bytes);
    const { code, err, json } = await verbex(['journal', 'verify', broken, '--json']);
    expect(code).toBe(65);
    expect(err).toContain('JOURNAL_DAMAGED');
    expect(err).toMatch(/at .*, byte \d+/);
    expect(json).toMatchObject({ error: { code: 'JOURNAL_DAMAGED', place: { offset: expect.any(Number) } } });
    expect((await verbex(['doctor', broken, '--json'])).code).toBe(65);
    copyFileSync(join(data, 'journal', segment!), path);
    expect((await verbex(['journal', 'verify', broken])).code).toBe(0);
  });

  test('doctor: what it looks at, and the folder sound', async () => {
    const { json, err } = await verbex(['doctor', data, '--json']);
    expect(err).toBe('');
    expect(json).toMatchObject({
      node: process.version,
      addon: { loaded: true },
      processor: { cores: expect.any(Number), architecture: process.arch },
      memory: { totalBytes: expect.any(Number) },
      disk: { folder: data, exists: true, fsyncMedianMicros: expect.any(Number) },
      rdma: { library: { loadable: expect.any(Boolean) }, devices: expect.any(Array) },
      data: { state: 'sound' },
      findings: expect.any(Array),
    });
    expect((await verbex(['doctor', join(folder, 'later')])).out).toContain('a node would create it');
  });
});
