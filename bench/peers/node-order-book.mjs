// nodejs-order-book and hft-limit-order-book, which have one API: one book, one thread, without journaling.
//
//   node-order-book.mjs FILE --package FOLDER [--seconds S] [--warmup S] [--trades FILE]
//
// Ids and options of orders are made before the clock runs. A move is `modify` with a price and a size, a reduce is `modify` with the size that
// is left, which is looked up in the first pass, outside of the clock; it loses its place here.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { opCancel, opFok, opMove, readFlow } from './flow.mjs';
import { harnessOptions, measurePasses, percentiles } from './passes.mjs';

const options = harnessOptions({ package: { type: 'string' } });
const folder = resolve(options.package);
const { OrderBook } = createRequire(import.meta.url)(folder);
const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const flow = readFlow(options.file);

const ids = Array.from({ length: flow.orders }, (_, order) => `o${order}`);
const timesInForce = ['GTC', 'IOC', 'FOK'];
const requests = Array.from({ length: flow.rows }, (_, row) => {
  const [price, size] = [flow.price[row], flow.quantity[row]];
  if (flow.op[row] > opFok) return { price, size };
  return {
    id: ids[flow.order[row]],
    side: flow.sell[row] === 1 ? 'sell' : 'buy',
    size,
    price,
    timeInForce: timesInForce[flow.op[row]],
  };
});
let learning = true;

function run(book, row) {
  const op = flow.op[row];
  if (op <= opFok) return book.limit(requests[row]);
  const id = ids[flow.order[row]];
  if (op === opCancel) {
    if (book.cancel(id) === undefined) throw new Error(`row ${row}: ${id} is not there`);
    return undefined;
  }
  if (op !== opMove && learning) {
    requests[row] = { size: book.order(id).size - flow.quantity[row] };
  }
  return book.modify(id, requests[row]);
}

/** What an order's answer says of its trades: makers that are done in the order of their filling, then one filled in part. */
function take(row, answer, trades) {
  if (answer === undefined) return;
  if (answer.err !== null && answer.done.length === 0 && flow.op[row] !== opFok) throw answer.err;
  const { done, partial, partialQuantityProcessed } = answer;
  const taker = flow.order[row];
  const id = ids[taker];
  for (const maker of done) {
    if (maker.id !== id) trades.add(taker, Number(maker.id.slice(1)), maker.price, maker.size);
  }
  if (partial !== null && partial.id !== id) {
    trades.add(taker, Number(partial.id.slice(1)), partial.price, partialQuantityProcessed);
  }
}

function prefilled() {
  const book = new OrderBook();
  for (let row = 0; row < flow.prefill; row++) run(book, row);
  return book;
}

function pass(trades, keep) {
  const book = prefilled();
  if (keep) trades.keep();
  const began = performance.now();
  for (let row = flow.prefill; row < flow.rows; row++) take(row, run(book, row), trades);
  const took = (performance.now() - began) / 1000;
  learning = false;
  return took;
}

function serviceTimes() {
  const book = prefilled();
  const times = new Float64Array(flow.steps);
  for (let step = 0; step < flow.steps; step++) {
    const began = process.hrtime();
    run(book, flow.prefill + step);
    const [seconds, ns] = process.hrtime(began);
    times[step] = seconds * 1e9 + ns;
  }
  return percentiles(times);
}

const figures = await measurePasses({ ...options, flow, pass });
process.stdout.write(
  `${JSON.stringify({ engine: name, version, ...figures, ...serviceTimes(), node: process.version })}\n`,
);
