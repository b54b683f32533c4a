// The replay through the real engine: risk on, journaled where a folder is given.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { type ReplayOptions, type ReplayResult, replay } from '../../src/replay/replay.ts';
import { root } from '../architecture/files.ts';

const day = join(root, '..', 'shared', 'data', 'bitstamp-btcusd-2015-05-01.log.xz');
if (!existsSync(day)) console.warn('the Bitstamp day is not there (../shared/data): its test is skipped');
const folder = mkdtempSync(join(tmpdir(), 'verbex-replay-node-'));
afterAll(() => rmSync(folder, { recursive: true }));

const through = (options: Omit<ReplayOptions, 'open'>): Promise<ReplayResult> =>
  replay({ ...options, open: (given) => Exchange.open(given) });

const golden = [
  {
    op: 'instrument',
    instrument: 'BTC-USD',
    tickSize: '0.01',
    lotSize: '0.00000001',
    makerFee: -100,
    takerFee: 250,
  },
  {
    op: 'new',
    id: 's1',
    account: 'a',
    instrument: 'BTC-USD',
    side: 'sell',
    price: '236.50',
    quantity: '1.0',
  },
  {
    op: 'new',
    id: 's2',
    account: 'b',
    instrument: 'BTC-USD',
    side: 'sell',
    price: '236.50',
    quantity: '2.0',
    displayQuantity: '0.5',
  },
  { op: 'new', id: 'b1', account: 'c', instrument: 'BTC-USD', side: 'buy', price: '236.40', quantity: '3.0' },
  { op: 'reduce', id: 'b1', by: '0.5' },
  {
    op: 'new',
    id: 'b2',
    account: 'c',
    instrument: 'BTC-USD',
    side: 'buy',
    tif: 'ioc',
    price: '236.60',
    quantity: '1.75',
  },
  { op: 'replace', id: 'b1', newId: 'b3', price: '236.45', quantity: '2.5' },
  { op: 'cancel', id: 'b1' },
  {
    op: 'new',
    id: 'b4',
    account: 'd',
    instrument: 'BTC-USD',
    side: 'buy',
    price: '1.00',
    quantity: '1000000',
  },
  { op: 'mass-cancel' },
];

describe('replay through the engine', () => {
  test('a small file, event by event, and its best prices', async () => {
    const path = join(folder, 'golden.jsonl');
    writeFileSync(path, golden.map((line) => JSON.stringify(line)).join('\n'));
    const [eventsOut, bboOut] = [join(folder, 'golden.events'), join(folder, 'golden.bbo')];
    const result = await through({ path, format: 'jsonl', eventsOut, bboOut });
    expect(result).toMatchObject({
      lines: 10,
      trades: 3,
      rejected: 1,
      rejectedByCode: { ORDER_CLOSED: 1 },
      badLines: 0,
    });
    const events = readFileSync(eventsOut, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const first = events.find(({ id }) => id === 's1').position;
    const flow = events.filter(
      ({ position }) =>
        position >= first &&
        !['balance-changed', 'account-added'].includes(
          events.find((event) => event.position === position).event,
        ),
    );
    const brief = flow.map(({ event, id, price, quantity, maker, makerLeft, takerLeft, code }) =>
      [event, id, price, quantity, maker, makerLeft, takerLeft, code]
        .filter((value) => value !== undefined)
        .join(' '),
    );
    expect(brief).toEqual([
      'accepted s1 236.5 1',
      'accepted s2 236.5 2',
      'accepted b1 236.4 3',
      'reduced b1 236.4 0.5',
      'accepted b2 236.6 1.75',
      'trade b2 236.5 1 s1 0 0.75',
      'trade b2 236.5 0.5 s2 1.5 0.25',
      'booked s2 236.5',
      'trade b2 236.5 0.25 s2 1.25 0',
      'replaced b1 236.45',
      'rejected b1 ORDER_CLOSED',
      'accepted b4 1 1000000',
      'cancelled s2 236.5 1.25',
      'cancelled b3 236.45 2.5',
      'cancelled b4 1 1000000',
      'mass-cancelled ',
    ]);
    const best = readFileSync(bboOut, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(',').slice(2).join(' '));
    expect(best).toEqual([
      'bid bidQuantity ask askQuantity',
      '  236.5 1',
      '  236.5 1.5',
      '236.4 3 236.5 1.5',
      '236.4 2.5 236.5 1.5',
      '236.4 2.5 236.5 0.25',
      '236.45 2.5 236.5 0.25',
      '   ',
    ]);
  });

  test('what the core refuses is counted; what the API refuses ends the replay or is skipped', async () => {
    const path = join(folder, 'refused.jsonl');
    const order = { op: 'new', account: 'a', instrument: 'X-USD', side: 'buy', price: '1.00', quantity: '1' };
    writeFileSync(
      path,
      [
        { ...order, id: '1' },
        { ...order, id: '2', price: '1.001' },
        { ...order, id: '1', quantity: '2' },
        { ...order, id: '3', side: 'sell' },
      ]
        .map((line) => JSON.stringify(line))
        .join('\n'),
    );
    await expect(through({ path, format: 'jsonl' })).rejects.toMatchObject({
      code: 'EXCESS_PRECISION',
      line: 2,
    });
    const result = await through({ path, format: 'jsonl', skipBad: true });
    expect(result).toMatchObject({
      badLines: 1,
      rejectedByCode: { DUPLICATE_CLIENT_ORDER_ID: 1 },
      trades: 1,
    });
  });

  // What data/README.md says of a plain price-time model, and the issue asks of this engine.
  test.runIf(existsSync(day))(
    'the Bitstamp day: in memory, journaled, and started again (skipped without ../shared/data)',
    { timeout: 120_000 },
    async () => {
      const memory = await through({ path: day, format: 'bitstamp' });
      expect(memory).toMatchObject({
        lines: 56_000,
        trades: 577,
        feedTrades: 575,
        feedTradesMatched: 562,
        cancelsExact: 24_303,
        cancelsInexact: 5,
        bestPriceChecked: 5_011,
        bestPriceRight: 4_991,
        fiveLevelsRight: 4_768,
        rejectedByCode: { ORDER_CLOSED: memory.rejected },
      });
      const data = join(folder, 'day');
      const journaled = await through({ path: day, format: 'bitstamp', data });
      const again = await through({ path: day, format: 'bitstamp', data });
      for (const other of [journaled, again]) {
        const { elapsedMs, commandsPerSecond, resumedFrom, ...rest } = other;
        expect(memory).toMatchObject(rest);
      }
      expect(again.resumedFrom).toBe(memory.commands);
    },
  );
});
