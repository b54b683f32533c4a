import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Request } from '../../src/api/types.ts';
import { JsonlSource } from '../../src/replay/jsonl.ts';
import { replay } from '../../src/replay/replay.ts';
import { PlainExchange } from './plain-exchange.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-jsonl-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function fileOf(lines: readonly (object | string)[]): string {
  files += 1;
  const path = join(folder, `${files}.jsonl`);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
}

async function requestsOf(lines: readonly (object | string)[], skipBad = false): Promise<Request[]> {
  const requests: Request[] = [];
  for await (const steps of new JsonlSource({ path: fileOf(lines), skipBad }).steps()) {
    for (const { request } of steps) if (request !== undefined) requests.push(request);
  }
  return requests;
}

const order = {
  op: 'new',
  id: 'c1',
  account: 'a',
  instrument: 'BTC-USD',
  side: 'buy',
  price: '236.47',
  quantity: '2.0',
};
const plain = () => Promise.resolve(new PlainExchange());

describe('the neutral format', () => {
  test('what no line defines is defined on first use, and endowed', async () => {
    const requests = await requestsOf([order, { op: 'cancel', id: 'c1' }]);
    const amount = 10n ** 30n;
    expect(requests).toMatchObject([
      { op: 'add-asset', asset: 'BTC', decimals: 8 },
      { op: 'add-asset', asset: 'USD', decimals: 10 },
      {
        op: 'add-instrument',
        instrument: 'BTC-USD',
        base: 'BTC',
        quote: 'USD',
        tickSize: '0.01',
        lotSize: '0.00000001',
      },
      { op: 'add-account', account: 'replay-firm' },
      { op: 'add-account', account: 'a', parent: 'replay-firm' },
      { op: 'deposit', account: 'a', asset: 'BTC', amount },
      { op: 'deposit', account: 'a', asset: 'USD', amount },
      { op: 'new', account: 'a', id: 'c1', price: '236.47', quantity: '2.0' },
      { op: 'cancel', account: 'a', id: 'c1' },
    ]);
  });

  test('cancel, reduce and replace find account and instrument by the id, also by a new one', async () => {
    const requests = await requestsOf([
      order,
      { op: 'reduce', id: 'c1', by: '0.5' },
      { op: 'replace', id: 'c1', newId: 'c2', price: '236.40', quantity: '1.5' },
      { op: 'cancel', id: 'c2' },
      { op: 'cancel', id: 'never' },
    ]);
    expect(requests.slice(-7)).toEqual([
      { op: 'reduce', account: 'a', instrument: 'BTC-USD', id: 'c1', by: '0.5' },
      {
        op: 'replace',
        account: 'a',
        instrument: 'BTC-USD',
        id: 'c1',
        newId: 'c2',
        price: '236.40',
        quantity: '1.5',
      },
      { op: 'cancel', account: 'a', id: 'c2' },
      // An id that no line used is asked for under the default account, which comes into being for it.
      expect.objectContaining({ op: 'add-account', account: 'replay-main' }),
      expect.objectContaining({ op: 'deposit', account: 'replay-main' }),
      expect.objectContaining({ op: 'deposit', account: 'replay-main' }),
      { op: 'cancel', account: 'replay-main', id: 'never' },
    ]);
  });

  test('an instrument line, by any of its names; assets get the decimals that all of them need', async () => {
    const requests = await requestsOf([
      {
        op: 'instrument',
        symbol: 'AAA/USD',
        tick: '0.5',
        lot: '0.001',
        maker_fee: -100,
        takerFee: 250,
        priceMax: '5000',
      },
      { op: 'instrument', name: 'BBB-USD', tickSize: '0.0001', lotSize: '1', state: 'cancel-only' },
      {
        op: 'instrument',
        id: 'CCC',
        base: 'C',
        quote: 'EUR',
        priceDecimals: 0,
        quantityDecimals: 2,
        quoteDecimals: 6,
      },
      { ...order, instrument: 'BBB-USD' },
    ]);
    const assets = requests
      .filter((request) => request.op === 'add-asset')
      .map(({ asset, decimals }) => `${asset} ${decimals}`);
    expect(assets).toEqual(['AAA 3', 'USD 4', 'BBB 0', 'C 2', 'EUR 6']);
    expect(requests.filter(({ op }) => op === 'add-instrument')).toMatchObject([
      {
        instrument: 'AAA/USD',
        base: 'AAA',
        quote: 'USD',
        tickSize: '0.5',
        lotSize: '0.001',
        makerFee: -100,
        takerFee: 250,
        maxPrice: '5000',
      },
      { instrument: 'BBB-USD', tickSize: '0.0001', lotSize: '1', state: 'cancel-only' },
      { instrument: 'CCC', base: 'C', quote: 'EUR', tickSize: '1', lotSize: '0.01' },
    ]);
  });

  test('every option of an order, in camel and in snake case', async () => {
    const options = {
      type: 'limit',
      tif: 'gtd',
      display_quantity: '1',
      minQuantity: '0.5',
      expiry: '1700000000000000000',
      post_only: true,
      selfTrade: 'cancel_oldest',
      selfTradeScope: 'firm',
    };
    const requests = await requestsOf([
      { ...order, ...options },
      {
        ...order,
        id: 'c2',
        type: 'stop-limit',
        stop_price: '240',
        postOnly: 'reprice',
        expiry: 1_700_000_000_000,
      },
    ]);
    expect(requests.at(-2)).toMatchObject({
      tif: 'gtd',
      displayQuantity: '1',
      minQuantity: '0.5',
      expiry: 1_700_000_000_000_000_000n,
      postOnly: true,
      selfTrade: 'cancel-oldest',
      selfTradeScope: 'firm',
    });
    expect(requests.at(-1)).toMatchObject({
      type: 'stop-limit',
      stopPrice: '240',
      postOnly: 'reprice',
      expiry: 1_700_000_000_000_000_000n,
    });
  });

  test('accounts: endowed unless said otherwise, or when their own deposit brings them into being', async () => {
    const requests = await requestsOf([
      { op: 'asset', asset: 'USD', decimals: 2 },
      { op: 'account', account: 'rich' },
      { op: 'account', account: 'poor', endow: false, parent: 'desk' },
      { op: 'deposit', account: 'saver', asset: 'USD', id: 'd1', amount: '12.50' },
    ]);
    expect(requests).toMatchObject([
      { op: 'add-asset', asset: 'USD' },
      { op: 'add-account', account: 'replay-firm' },
      { op: 'add-account', account: 'rich', parent: 'replay-firm' },
      { op: 'deposit', account: 'rich', asset: 'USD' },
      { op: 'add-account', account: 'desk', parent: 'replay-firm' },
      { op: 'add-account', account: 'poor', parent: 'desk' },
      { op: 'add-account', account: 'saver', parent: 'replay-firm' },
      { op: 'deposit', account: 'saver', id: 'd1', amount: '12.50' },
    ]);
  });

  test('operator lines are the API’s requests', async () => {
    const lines = [
      { op: 'mass-cancel', account: 'a', side: 'buy' },
      { op: 'kill_switch', account: 'a', on: false },
      { op: 'killSwitch', account: 'a' },
      { op: 'set-trading-state', instrument: 'BTC-USD', state: 'cancel_only' },
      { op: 'set-limit', account: 'a', kind: 'open-orders', limit: 5 },
      { op: 'set-limit', account: 'a', kind: 'order-value', asset: 'USD', limit: null },
      { op: 'change-instrument', instrument: 'BTC-USD', makerFee: 10 },
      { op: 'set-rights', account: 'a', orderTypes: ['limit', 'iceberg'] },
      { op: 'set-instrument-right', account: 'a', instrument: 'BTC-USD', right: 'deny' },
      { op: 'transfer', account: 'a', to: 'b', asset: 'USD', id: 't1', amount: '1' },
      { op: 'advance-time', time: '5' },
      { op: 'day-end' },
    ];
    const requests = await requestsOf([order, ...lines]);
    const flow = requests.slice(8).filter(({ op }) => op !== 'add-account');
    expect(flow).toEqual([
      { op: 'mass-cancel', account: 'a', side: 'buy' },
      { op: 'kill-switch', account: 'a', on: false },
      { op: 'kill-switch', account: 'a', on: true },
      { op: 'set-trading-state', instrument: 'BTC-USD', state: 'cancel-only' },
      { op: 'set-limit', account: 'a', kind: 'open-orders', limit: 5 },
      { op: 'set-limit', account: 'a', kind: 'order-value', asset: 'USD', limit: null },
      { op: 'change-instrument', instrument: 'BTC-USD', makerFee: 10 },
      { op: 'set-rights', account: 'a', orderTypes: ['limit', 'iceberg'], instruments: 'allow' },
      { op: 'set-instrument-right', account: 'a', instrument: 'BTC-USD', right: 'deny' },
      { op: 'transfer', account: 'a', to: 'b', asset: 'USD', id: 't1', amount: '1' },
      { op: 'advance-time', time: 5n },
      { op: 'day-end' },
    ]);
  });

  test('ids that the core cannot hold are given short ones, and come back in the outputs', async () => {
    const long = 'client-order-2024-05-01-000001';
    const path = fileOf([
      { ...order, id: long, account: 'an account with blanks' },
      { op: 'cancel', id: long },
    ]);
    const eventsOut = join(folder, 'long.events');
    await replay({ path, format: 'jsonl', eventsOut, open: plain });
    const events = readFileSync(eventsOut, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.slice(-2)).toMatchObject([
      { event: 'accepted', id: long, account: 'an account with blanks' },
      { event: 'cancelled', id: long },
    ]);
    const [short] = (await requestsOf([{ ...order, id: long }])).flatMap((request) =>
      request.op === 'new' ? [request.id] : [],
    );
    expect(short).toMatch(/^~[\w-]{15}$/);
  });

  test.each([
    ['not json', 'REPLAY_BAD_LINE'],
    [{ op: 'nonsense' }, 'REPLAY_BAD_LINE'],
    [{ ...order, price: 236.47 }, 'REPLAY_BAD_LINE'],
    [{ ...order, side: 'up' }, 'REPLAY_BAD_LINE'],
    [{ ...order, id: undefined }, 'REPLAY_BAD_LINE'],
    [{ ...order, id: 'c9', quantity: '0.123456789' }, 'EXCESS_PRECISION'],
  ])('a wrong line is named with its code: %j', async (line, code) => {
    const path = fileOf([order, line, { op: 'cancel', id: 'c1' }]);
    await expect(replay({ path, format: 'jsonl', open: plain })).rejects.toMatchObject({ code, line: 2 });
    // Skipped, it leaves the lines around it as they are.
    expect(await replay({ path, format: 'jsonl', skipBad: true, open: plain })).toMatchObject({
      badLines: 1,
      rejected: 0,
      lines: 3,
    });
  });
});
