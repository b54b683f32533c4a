// Verbex from TypeScript: orders offered through Exchange in batches, in memory, risk on, every event taken; end to end, that is from the first offer
// until the last event has been read. Two threads: this one, and the engine's.
//
//   rows (memory) ──▶ OrderBatch of 256 ──offerBatch──▶ [ command ring ] ──▶ engine ──▶ [ event ring ] ──▶ onCells
//
//   verbex-api.mjs FILE [--batch N] [--seconds S] [--warmup S] [--trades FILE]
//
// The same ids, accounts and prices as everywhere; numbers of orders are its client ids. Without a journal, with the clock by command.
import { readFileSync } from 'node:fs';
import { Exchange, eventFlags, eventTypes } from '../../dist/index.js';
import { opCancel, opFok, opMove, readFlow } from './flow.mjs';
import { harnessOptions, measurePasses } from './passes.mjs';

const options = harnessOptions({ batch: { type: 'string', default: '256' } });
const batchSize = Number(options.batch);
const flow = readFlow(options.file);
const timesInForce = ['gtc', 'ioc', 'fok'];
const [tradeType, rejectedType] = [eventTypes.trade, eventTypes.rejected];

/** An exchange with the flow's market: one instrument, and accounts with money enough for everything. */
async function open() {
  const exchange = await Exchange.open({
    clock: 'manual',
    snapshotEvery: 0,
    maxOrders: 1 << 17,
    maxAccounts: flow.accounts + 8,
    maxInstruments: 8,
    maxClientIds: flow.orders + 8,
  });
  const names = Array.from({ length: flow.accounts }, (_, index) => `a${index + 1}`);
  const amount = (1n << 60n).toString();
  const steps = [
    [
      { op: 'add-asset', asset: 'BTC', decimals: 0 },
      { op: 'add-asset', asset: 'USD', decimals: 0 },
    ],
    [
      {
        op: 'add-instrument',
        instrument: 'BTC-USD',
        base: 'BTC',
        quote: 'USD',
        tickSize: '1',
        lotSize: '1',
        minPrice: String(flow.priceMin),
        maxPrice: String(flow.priceMax),
        makerFee: 100,
        takerFee: 200,
      },
      ...names.map((account) => ({ op: 'add-account', account })),
    ],
    names.flatMap((account) => [
      { op: 'deposit', account, asset: 'BTC', id: 'base', amount },
      { op: 'deposit', account, asset: 'USD', id: 'quote', amount },
    ]),
  ];
  for (const requests of steps) await Promise.all(requests.map((request) => exchange.execute(request)));
  const accounts = Uint32Array.from([0, ...names.map((name) => exchange.accountRef(name))]);
  return { exchange, accounts, instrument: exchange.instrumentRef('BTC-USD') };
}

async function pass(trades, keep) {
  const { exchange, accounts, instrument } = await open();
  const batch = exchange.batch(batchSize);
  let [answered, kept] = [0, false];
  let wake = () => undefined;
  exchange.onCells((cells, first, count) => {
    for (let cell = first; cell < first + count; cell++) {
      const type = cells.type(cell);
      if (type === tradeType) {
        const lots = cells.quantity(cell);
        if (kept) trades.add(Number(cells.id(cell)), Number(cells.id2(cell)), cells.price(cell), lots);
        else {
          trades.count++;
          trades.quantity += lots;
        }
      } else if (type === rejectedType) {
        throw new Error(`an order was rejected: code ${cells.code(cell)}`);
      }
      if ((cells.flags(cell) & eventFlags.last) !== 0) answered++;
    }
    wake();
  });

  const fill = (row) => {
    const [op, order, account] = [flow.op[row], flow.order[row], accounts[flow.account[row]]];
    if (op <= opFok) {
      const side = flow.sell[row] === 1 ? 'sell' : 'buy';
      batch.limit(account, instrument, order, side, flow.price[row], flow.quantity[row], timesInForce[op]);
    } else if (op === opCancel) {
      batch.cancel(account, order);
    } else if (op === opMove) {
      batch.replace(account, order, flow.price[row], flow.quantity[row]);
    } else {
      batch.reduce(account, order, flow.quantity[row]);
    }
  };
  const send = async (from, to) => {
    for (let row = from; row < to; ) {
      for (const end = Math.min(to, row + batchSize); row < end; row++) fill(row);
      for (;;) {
        exchange.offerBatch(batch);
        if (batch.size === 0) break;
        await exchange.room();
      }
    }
    while (answered < to) {
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  };

  await send(0, flow.prefill);
  trades.count = trades.quantity = 0;
  kept = keep;
  if (keep) trades.keep();
  const began = performance.now();
  await send(flow.prefill, flow.rows);
  const took = (performance.now() - began) / 1000;
  await exchange.close();
  return took;
}

const figures = await measurePasses({ ...options, flow, pass });
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
process.stdout.write(
  `${JSON.stringify({ engine: 'verbex', version, batch: batchSize, risk: true, ...figures, node: process.version })}\n`,
);
