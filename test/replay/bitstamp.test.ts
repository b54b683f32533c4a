import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Request } from '../../src/api/types.ts';
import { BitstampSource, bitstampInstrument } from '../../src/replay/bitstamp.ts';
import { detectFormat } from '../../src/replay/format.ts';
import { replay } from '../../src/replay/replay.ts';
import { root } from '../architecture/files.ts';
import { PlainExchange } from './plain-exchange.ts';

const day = join(root, '..', 'shared', 'data', 'bitstamp-btcusd-2015-05-01.log.xz');
if (!existsSync(day)) console.warn('the Bitstamp day is not there (../shared/data): its test is skipped');
const folder = mkdtempSync(join(tmpdir(), 'verbex-bitstamp-'));
afterAll(() => rmSync(folder, { recursive: true }));

const order = (time: number, kind: string, id: number, type: 0 | 1, price: string, amount: string): string =>
  `${time} order_${kind} {"price": "${price}", "amount": "${amount}", "datetime": "1", "id": ${id}, "order_type": ${type}}`;

async function flowOf(lines: string[], mend = false): Promise<Request[]> {
  const path = join(folder, 'bitstamp-btcusd.log');
  writeFileSync(path, lines.join('\n'));
  const flow: Request[] = [];
  for await (const steps of new BitstampSource({ path, mend }).steps()) {
    for (const { request } of steps)
      if (request !== undefined && ['new', 'cancel', 'replace'].includes(request.op)) flow.push(request);
  }
  return flow;
}

describe('bitstamp', () => {
  const common = { account: 'replay-main', instrument: 'BTC-USD' };

  test('each kind of line becomes its command; orders of before are seeded with all that happens to them', async () => {
    const flow = await flowOf([
      order(1000, 'created', 20, 0, '236.47', '2.00000000'),
      order(1001, 'changed', 20, 0, '236.47', '1.75000000'), // a fill: the engine makes it itself
      order(1002, 'deleted', 7, 1, '236.47', '0.00000000'), // of before, filled by the trade that follows
      '1003 trade {"price": 236.47, "amount": 0.25000000000000001, "id": 1}',
      order(1004, 'deleted', 5, 0, '235.10', '13.20000000'), // of before, cancelled
      order(1005, 'changed', 9, 0, '235.00', '3.00000000'), // of before, filled in part
      '1006 trade {"price": 235.0, "amount": 1.5, "id": 2}',
      order(2500, 'changed', 20, 0, '236.50', '1.75000000'), // another price: a replace
      order(2600, 'deleted', 20, 0, '236.50', '1.75000000'),
    ]);
    const limit = { op: 'new', ...common, type: 'limit', tif: 'gtc' };
    expect(flow).toEqual([
      { ...limit, id: '5', side: 'buy', price: 23510n, quantity: 1320000000n },
      { ...limit, id: '7', side: 'sell', price: 23647n, quantity: 25000000n },
      { ...limit, id: '9', side: 'buy', price: 23500n, quantity: 450000000n },
      { ...limit, id: '20', side: 'buy', price: 23647n, quantity: 200000000n },
      { op: 'cancel', account: 'replay-main', id: '7' },
      { op: 'cancel', account: 'replay-main', id: '5' },
      { op: 'replace', ...common, id: '20', price: 23650n, quantity: 175000000n },
      { op: 'cancel', account: 'replay-main', id: '20' },
    ]);
  });

  test('a deletion before its creation: seeded, or with mend left out', async () => {
    const lines = [
      order(1000, 'deleted', 5, 0, '235.10', '1.00000000'),
      order(1001, 'created', 5, 0, '235.10', '1.00000000'),
    ];
    expect((await flowOf(lines)).map(({ op }) => op)).toEqual(['new', 'cancel']);
    expect(await flowOf(lines, true)).toEqual([]);
  });

  test('the instrument comes from the name of the file', () => {
    expect(bitstampInstrument('/x/bitstamp-btcusd-2015.log.xz').instrument).toBe('BTC-USD');
    expect(bitstampInstrument('etheur.log').instrument).toBe('ETH-EUR');
    expect(bitstampInstrument('day.log').instrument).toBe('BTC-USD');
  });

  test('a wrong line is named', async () => {
    const path = join(folder, 'bad.log');
    writeFileSync(
      path,
      `${order(1, 'created', 1, 0, '1.00', '1.00000000')}\n2 order_created {"price": "1.001"}\n`,
    );
    const open = () => Promise.resolve(new PlainExchange());
    await expect(replay({ path, format: 'bitstamp', open })).rejects.toMatchObject({
      code: 'REPLAY_BAD_LINE',
      line: 2,
    });
    expect(await replay({ path, format: 'bitstamp', skipBad: true, open })).toMatchObject({ badLines: 1 });
    expect(await detectFormat(path)).toBe('bitstamp');
  });

  // What data/README.md says of a plain price-time model: the rules of feeding are right exactly if these numbers come out.
  test.runIf(existsSync(day))(
    'the day of 2015-05-01 through a plain price-time model (skipped without ../shared/data)',
    { timeout: 60_000 },
    async () => {
      const result = await replay({
        path: day,
        format: 'bitstamp',
        open: () => Promise.resolve(new PlainExchange({ room: 4000 })),
      });
      expect(result).toMatchObject({
        lines: 56_000,
        trades: 577,
        feedTrades: 575,
        feedTradesMatched: 562,
        cancelsExact: 24_303,
        cancelsInexact: 5,
        bestPriceChecked: 5_011,
        bestPriceRight: 4_991,
        fiveLevelsRight: 4_768,
        badLines: 0,
      });
      const mended = await replay({
        path: day,
        format: 'bitstamp',
        mend: true,
        open: () => Promise.resolve(new PlainExchange({ room: 4000 })),
      });
      expect(mended).toMatchObject({
        trades: 575,
        feedTradesMatched: 571,
        cancelsExact: 24_305,
        cancelsInexact: 3,
        bestPriceRight: 5_004,
        fiveLevelsRight: 4_938,
      });
    },
  );
});
