import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import type { Event } from '../../src/api/types.ts';
import { Crowd } from '../../src/demo/crowd.ts';
import { demoAccounts, demoInstruments, prepareMarket, visitorAccount } from '../../src/demo/market.ts';
import { openOrdersMax } from '../../src/demo/strategies.ts';

const limits = { maxOrders: 100_000, maxAccounts: 1000, maxInstruments: 100, maxClientIds: 400_000 };
let exchange: Exchange;
beforeEach(async () => {
  exchange = await Exchange.open(limits);
});
afterEach(async () => {
  await exchange.close();
});

const patienceMs = 100_000;
const timeout = 120_000;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What a crowd may run into: others were quicker. Anything else is its own mistake. */
const bearable = ['ORDER_CLOSED', 'UNKNOWN_ORDER', 'NO_LIQUIDITY', 'POST_ONLY_WOULD_CROSS'];

/** As long as it takes, which is seconds, and more on a busy machine: what did not come until then the test misses. */
async function runCrowd(
  isEnough: (seen: { events: readonly Event[]; crowd: Crowd }) => boolean,
  more: { seed?: number; maxClientIds?: number } = {},
) {
  let fault: unknown;
  const events: Event[] = [];
  const stop = exchange.onEvents((batch) => events.push(...batch));
  const crowd = new Crowd({
    exchange,
    seed: more.seed ?? 1,
    commandsPerSecond: 1000,
    maxClientIds: more.maxClientIds ?? limits.maxClientIds,
    onFault: (error) => {
      fault = error;
    },
  });
  await crowd.start();
  for (const until = performance.now() + patienceMs; performance.now() < until; await pause(50))
    if (fault !== undefined || isEnough({ events, crowd })) break;
  crowd.stop();
  await exchange.submit({ op: 'advance-time', time: BigInt(Date.now()) * 1_000_000n });
  await pause(20);
  stop();
  expect(fault).toBeUndefined();
  return { figures: crowd.figures(), latency: crowd.latency, events };
}

describe('the demo market', () => {
  test('may be prepared again and again', async () => {
    await prepareMarket(exchange);
    const balances = (await exchange.account(visitorAccount)).balances;
    await prepareMarket(exchange);
    expect((await exchange.account(visitorAccount)).balances).toEqual(balances);
    expect((await exchange.accounts()).length).toBe(demoAccounts.length + 1);
    expect((await exchange.instruments()).map(({ instrument }) => instrument)).toEqual(
      demoInstruments.map(({ terms }) => terms.instrument),
    );
    expect((await exchange.account('CEDAR-A1')).parent).toBe('CEDAR-A');
  });

  test('has about forty traders', () => {
    expect(demoAccounts.filter(({ role }) => role !== undefined)).toHaveLength(40);
    expect(new Set(demoAccounts.map(({ name }) => name)).size).toBe(demoAccounts.length);
  });
});

describe('the crowd', () => {
  test('trades everything, in every way, and makes no mistakes', { timeout }, async () => {
    const wanted = [
      ...['accepted', 'trade', 'booked', 'cancelled', 'replaced', 'reduced', 'triggered', 'reload'],
      ...demoInstruments.map(({ terms }) => `trade ${terms.instrument}`),
    ];
    const waysOf = (event: Event): readonly string[] => {
      if (event.event === 'trade') return ['trade', `trade ${event.instrument}`];
      return event.event === 'booked' && event.reload ? ['booked', 'reload'] : [event.event];
    };
    const { figures, latency, events } = await runCrowd(
      ({ events, crowd }) =>
        crowd.figures().offered > 3000 &&
        crowd.latency.count > 100 &&
        wanted.every((way) => events.some((event) => waysOf(event).includes(way))),
    );
    expect([...new Set(events.flatMap(waysOf))]).toEqual(expect.arrayContaining(wanted));
    expect([...figures.rejects.keys()].filter((code) => !bearable.includes(code))).toEqual([]);
    expect(figures.offered).toBeGreaterThan(500);
    expect(latency.count).toBeGreaterThan(100);
    const rejected = [...figures.rejects.values()].reduce((sum, count) => sum + count, 0);
    expect(rejected).toBeLessThan(figures.offered / 20);
    for (const { name, role } of demoAccounts) {
      if (role === undefined) continue;
      const { orders } = await exchange.account(name);
      expect(orders.length).toBeLessThanOrEqual(
        role === 'maker' ? openOrdersMax.maker * demoInstruments.length : openOrdersMax.taker,
      );
    }
  });

  test('knows its open orders', { timeout }, async () => {
    const { figures } = await runCrowd(({ crowd }) => crowd.figures().offered > 2000);
    let open = 0;
    for (const { name, role } of demoAccounts)
      if (role !== undefined) open += (await exchange.account(name)).orders.length;
    expect(figures.openOrders).toBe(open);
    expect(open).toBeGreaterThan(50);
  });

  test('begins anew after a restart, with ids that nobody has used', { timeout }, async () => {
    await runCrowd(({ crowd }) => crowd.figures().offered > 800);
    await exchange.execute({
      op: 'new',
      account: visitorAccount,
      instrument: 'SOL-USD',
      id: 'mine',
      side: 'buy',
      price: '60',
      quantity: '1',
    });
    const { figures, events } = await runCrowd(({ crowd }) => crowd.figures().offered > 800);
    expect(figures.rejects.get('DUPLICATE_CLIENT_ORDER_ID')).toBeUndefined();
    expect(events.some((event) => event.event === 'mass-cancelled' && event.count > 0)).toBe(true);
    expect((await exchange.order(visitorAccount, 'mine'))?.open).toBe('1');
  });

  test('ends days before the table of ids is full', { timeout }, async () => {
    const { figures, events } = await runCrowd(({ crowd }) => crowd.figures().dayEnds > 0, {
      maxClientIds: 2000,
    });
    expect(figures.dayEnds).toBeGreaterThan(0);
    expect(events.filter(({ event }) => event === 'day-ended').length).toBe(figures.dayEnds + 1);
    expect(figures.rejects.get('CAPACITY_CLIENT_IDS')).toBeUndefined();
  });
});
