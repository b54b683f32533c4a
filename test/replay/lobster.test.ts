import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Event, Request } from '../../src/api/types.ts';
import { BookMirror } from '../../src/mirror/book-mirror.ts';
import { LobsterSource } from '../../src/replay/lobster.ts';
import { type ReplayResult, replay } from '../../src/replay/replay.ts';
import { PlainExchange } from './plain-exchange.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-lobster-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function requestsOf(lines: string[]): Promise<Request[]> {
  const path = join(folder, 'X_2012-06-21_message.csv');
  writeFileSync(path, lines.join('\n'));
  const requests: Request[] = [];
  for await (const steps of new LobsterSource({ path }).steps()) {
    for (const { request } of steps) if (request !== undefined) requests.push(request);
  }
  return requests;
}

/** A random day as LOBSTER would write it, from a model's own events: message lines, and the book after each. */
async function generated(seed: number, steps: number): Promise<{ messages: string[]; books: string[] }> {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const model = new PlainExchange({ room: 1 });
  const mirror = new BookMirror();
  mirror.define('X-USD', '0.0001', '1');
  const messages: string[] = [];
  const books: string[] = [];
  const open = new Set<string>();
  let time = 34200;
  const bookLine = (): string => {
    const book = mirror.book('X-USD')!;
    const [bids, asks] = [book.levels('buy', 5), book.levels('sell', 5)];
    return Array.from({ length: 5 }, (_, at) =>
      [
        asks[at]?.price ?? 9999999999,
        asks[at]?.quantity ?? 0,
        bids[at]?.price ?? -9999999999,
        bids[at]?.quantity ?? 0,
      ].join(),
    ).join();
  };
  const write = (events: readonly Event[]): void => {
    const lines: string[] = [];
    for (const event of events) {
      mirror.apply(event);
      const line = (type: number, id: string, size: string, price: string, side: string): void => {
        lines.push(
          [
            time.toFixed(9),
            type,
            id,
            size,
            Math.round(Number(price) * 10000),
            side === 'buy' ? 1 : -1,
          ].join(),
        );
      };
      if (event.event === 'accepted' && event.booked)
        line(1, event.id, event.quantity, event.price, event.side);
      else if (event.event === 'reduced') line(2, event.id, event.quantity, event.price, event.side);
      else if (event.event === 'cancelled' && event.cause === 'requested')
        line(3, event.id, event.quantity, event.price, event.side);
      else if (event.event === 'trade') {
        line(4, event.maker, event.quantity, event.price, event.side === 'buy' ? 'sell' : 'buy');
        if (event.makerLeft === '0') open.delete(event.maker);
      }
      if (event.event === 'accepted' && event.booked) open.add(event.id);
      if (event.event === 'cancelled') open.delete(event.id);
    }
    messages.push(...lines);
    books.push(...lines.map(bookLine));
  };
  model.onEvents(write);
  const send = async (request: Request): Promise<void> => {
    time += 0.25;
    model.offer([request]);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const base = { account: 'a', instrument: 'X-USD' } as const;
  for (const request of [
    { op: 'add-instrument', instrument: 'X-USD', base: 'X', quote: 'USD', tickSize: '0.0001', lotSize: '1' },
    { op: 'add-account', account: 'a' },
  ] as const)
    await send(request);
  for (let at = 1; at <= steps; at += 1) {
    const kind = random(10);
    const ids = [...open];
    const id = ids[random(ids.length)];
    const side = random(2) === 0 ? 'buy' : 'sell';
    // Buys below 100, sells above: what rests never crosses, as in LOBSTER, where a crossing order is its executions.
    const price = String(side === 'buy' ? 100 - 0.01 * (1 + random(8)) : 100 + 0.01 * (1 + random(8))).slice(
      0,
      8,
    );
    if (kind < 5 || id === undefined)
      await send({
        op: 'new',
        ...base,
        id: String(at),
        side,
        price: Number(price).toFixed(2),
        quantity: String(1 + random(500)),
      });
    else if (kind === 5) await send({ op: 'reduce', ...base, id, by: String(1 + random(20)) });
    else if (kind < 8) await send({ op: 'cancel', account: 'a', id });
    else
      await send({
        op: 'new',
        ...base,
        id: `i${at}`,
        side,
        price: side === 'buy' ? '100.05' : '99.95',
        quantity: String(1 + random(900)),
        tif: 'ioc',
      });
  }
  for (const id of [...open]) await send({ op: 'cancel', account: 'a', id });
  return { messages, books };
}

function replayed(name: string, messages: string[], books: string[]): Promise<ReplayResult> {
  writeFileSync(join(folder, `${name}_message_5.csv`), messages.join('\r\n'));
  writeFileSync(join(folder, `${name}_orderbook_5.csv`), books.join('\n'));
  return replay({
    path: join(folder, `${name}_message_5.csv`),
    format: 'lobster',
    open: () => Promise.resolve(new PlainExchange()),
  });
}

describe('lobster', () => {
  test('each kind of line becomes its command', async () => {
    const requests = await requestsOf([
      '34200.017459617,5,0,1,2238200,-1', // hidden execution
      '34200.1,1,16,100,2238100,1',
      '34200.2,2,16,30,2238100,1',
      '34200.3,4,16,10,2238100,1',
      '34200.3,4,17,20,2238000,1', // the same incoming order goes on; 17 was there before
      '34200.4,4,18,5,2240000,-1', // and so was 18
      '34201.5,3,16,60,2238100,1',
      '34202.0,7,0,0,-1,-1', // halt
    ]);
    const flow = requests.filter(({ op }) => op === 'new' || op === 'reduce' || op === 'cancel');
    const common = { op: 'new', account: 'replay-main', instrument: 'X-USD', type: 'limit' };
    expect(flow).toEqual([
      { ...common, id: '17', side: 'buy', tif: 'gtc', price: 2238000n, quantity: 20n },
      { ...common, id: '18', side: 'sell', tif: 'gtc', price: 2240000n, quantity: 5n },
      { ...common, id: '16', side: 'buy', tif: 'gtc', price: 2238100n, quantity: 100n },
      { op: 'reduce', account: 'replay-main', instrument: 'X-USD', id: '16', by: 30n },
      { ...common, id: 't4', side: 'sell', tif: 'ioc', price: 2238000n, quantity: 30n },
      { ...common, id: 't6', side: 'buy', tif: 'ioc', price: 2240000n, quantity: 5n },
      { op: 'cancel', account: 'replay-main', id: '16' },
    ]);
    const times = requests.filter((request) => request.op === 'advance-time').map(({ time }) => time);
    const midnight = BigInt(Date.UTC(2012, 5, 21)) * 1_000_000n;
    expect(times).toEqual([midnight + 34_200_000_000_000n, midnight + 34_201_000_000_000n]);
  });

  test('a generated day is found again in full', async () => {
    const { messages, books } = await generated(7, 1500);
    const trades = messages.filter((line) => line.split(',')[1] === '4').length;
    const result = await replayed('ALL', messages, books);
    expect(trades).toBeGreaterThan(200);
    expect(result).toMatchObject({
      rejected: 0,
      trades,
      feedTrades: trades,
      feedTradesMatched: trades,
      cancelsInexact: 0,
      cancelsGone: 0,
    });
    expect(result.bestPriceChecked).toBeGreaterThan(500);
    expect(result.bestPriceRight).toBe(result.bestPriceChecked);
    expect(result.fiveLevelsRight).toBe(result.bestPriceChecked);
  });

  test('and so is a part of it that begins in the middle, its resting orders seeded', async () => {
    const { messages, books } = await generated(11, 1500);
    const part = messages.slice(700);
    const trades = part.filter((line) => line.split(',')[1] === '4').length;
    const result = await replayed('PART', part, books.slice(700));
    expect(result).toMatchObject({ rejected: 0, trades, feedTradesMatched: trades, cancelsInexact: 0 });
    expect(result.bestPriceRight).toBe(result.bestPriceChecked);
  });

  test('a wrong line is named, or skipped and counted', async () => {
    const path = join(folder, 'bad_message.csv');
    writeFileSync(path, '34200.1,1,16,100,2238100,1\n34200.2,1,17,0,2238100,1\nnonsense\n');
    const open = () => Promise.resolve(new PlainExchange());
    await expect(replay({ path, format: 'lobster', open })).rejects.toMatchObject({
      code: 'REPLAY_BAD_LINE',
      line: 2,
    });
    expect(await replay({ path, format: 'lobster', open, skipBad: true })).toMatchObject({
      badLines: 2,
      lines: 3,
    });
  });
});
