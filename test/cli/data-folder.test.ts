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

describe('journal recover --from', () => {
  const made = (name: string): string => join(folder, name);

  test('a folder anew from a folder, from its segments alone, and from what came out', async () => {
    const { position, stateHash } = replayed;
    const answer = { position, stateHash, replayed: position, compared: 0 };
    for (const [name, from] of [
      ['first', data],
      ['second', join(data, 'journal')],
      ['third', made('first')],
    ] as const) {
      const ran = await verbex(['journal', 'recover', '--from', from, '--data', made(name), '--json']);
      expect(ran.err).toBe('');
      expect(ran.json).toMatchObject({
        ...answer,
        sources: [{ from, firstPosition: 1, lastPosition: position }],
      });
      expect((await verbex(['hash', made(name), '--json'])).json).toEqual({ position, stateHash });
      expect((await verbex(['journal', 'verify', made(name)])).code).toBe(0);
    }
    const people = await verbex(['journal', 'recover', made('people'), '--from', data]);
    expect(people.out).toContain(String(stateHash));
    expect(people.out).toContain(data);
  });

  test('two sources, the shorter one as far as it reaches', async () => {
    const { position, stateHash } = replayed;
    const short = await verbex([
      'journal',
      'recover',
      '--from',
      data,
      made('short'),
      '--at',
      '300',
      '--json',
    ]);
    expect(short.json).toMatchObject({ position: 300 });
    const args = ['journal', 'recover', '--from', made('short'), '--from', data, '--json'];
    const both = await verbex([...args, '--data', made('both')]);
    expect(both.json).toMatchObject({ position, stateHash, compared: 300 });
    const environment = { VERBEX_FROM: `${made('short')},${data}`, VERBEX_DATA: made('environment') };
    expect((await verbex(['journal', 'recover', '--json'], environment)).json).toMatchObject({
      compared: 300,
    });
  });

  test('two that differ: exit code 69, the position, and nothing made', async () => {
    const other = made('other');
    const flow = join(folder, 'other.jsonl');
    const lines = readFileSync(join(folder, 'flow.jsonl'), 'utf8').split('\n');
    writeFileSync(flow, lines.with(400, (lines[400] ?? '').replace('0.25', '0.26')).join('\n'));
    expect((await verbex(['replay', flow, '--data', other])).code).toBe(0);
    const args = ['journal', 'recover', '--from', data, '--from', other, '--data', made('differ')];
    const ran = await verbex([...args, '--json']);
    expect(ran.code).toBe(69);
    const { code, message } = ran.json.error as { code: string; message: string };
    expect(code).toBe('RECOVERY_SOURCES_DIFFER');
    const position = Number(/at position (\d+):/.exec(message)?.[1]);
    expect(readdirSync(made('differ'))).not.toContain('journal');
    const before = await verbex([...args, '--at', String(position - 1), '--json']);
    expect(before.json).toMatchObject({ position: position - 1 });
  });

  test('what it refuses', async () => {
    const recover = (...args: string[]) => verbex(['journal', 'recover', ...args]);
    expect((await recover('--from', data, '--data', data)).code).toBe(2);
    expect((await recover('--from', data, '--from', data, '--from', data, '--data', made('x'))).code).toBe(2);
    expect((await recover('--from', made('nowhere'), '--data', made('x'))).code).toBe(66);
    expect((await recover('--from', folder, '--data', made('x'))).err).toContain('NOT_FOUND');
    expect((await recover('--from', data, '--at', '999999', '--data', made('x'))).code).toBe(66);
    expect((await recover('--from', data, '--max-orders', '77', '--data', made('x'))).code).toBe(78);
    const nobody = await recover('--from', '127.0.0.1:1', '--data', made('x'));
    expect(nobody.err).toContain('TIMED_OUT: no member of cluster verbex answers at 127.0.0.1:1 (REFUSED');
  }, 20_000);
});
