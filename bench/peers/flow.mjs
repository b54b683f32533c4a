// A workload file (layout: README.md), read into columns before any clock runs: prefill rows first, then the steps.
import { readFileSync } from 'node:fs';

export const operations = ['new', 'ioc', 'fok', 'cancel', 'move', 'reduce'];
export const [opNew, opIoc, opFok, opCancel, opMove, opReduce] = operations.keys();

const magic = 'VBXFLOW1';
const headerBytes = 64;
const recordBytes = 32;

/** Throws where the bytes are not a whole workload. */
export function parseFlow(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < headerBytes || bytes.toString('latin1', 0, 8) !== magic) {
    throw new Error('not a workload');
  }
  const u32 = (at) => view.getUint32(at, true);
  const i64 = (at) => Number(view.getBigInt64(at, true));
  if (u32(16) !== recordBytes) throw new Error(`records of ${u32(16)} bytes, expected ${recordBytes}`);
  const [symbols, accounts, orders, prefill, steps] = [20, 24, 28, 32, 36].map(u32);
  const rows = prefill + steps;
  if (bytes.byteLength !== headerBytes + rows * recordBytes) throw new Error('the workload is cut short');
  const flow = {
    name: bytes.toString('latin1', 8, 16).replace(/\0+$/, ''),
    symbols,
    accounts,
    orders,
    prefill,
    steps,
    rows,
    priceMin: i64(40),
    priceMax: i64(48),
    seed: view.getBigUint64(56, true),
    op: new Uint8Array(rows),
    sell: new Uint8Array(rows),
    symbol: new Uint32Array(rows),
    order: new Uint32Array(rows),
    account: new Uint32Array(rows),
    price: new Float64Array(rows),
    quantity: new Float64Array(rows),
  };
  for (let row = 0; row < rows; row++) {
    const at = headerBytes + row * recordBytes;
    flow.op[row] = bytes[at];
    flow.sell[row] = bytes[at + 1];
    flow.symbol[row] = u32(at + 4);
    flow.order[row] = u32(at + 8);
    flow.account[row] = u32(at + 12);
    flow.price[row] = i64(at + 16);
    flow.quantity[row] = i64(at + 24);
  }
  return flow;
}

export function readFlow(path) {
  const flow = parseFlow(readFileSync(path));
  if (flow.symbols !== 1) throw new Error('only workloads of one symbol can be run');
  return flow;
}

/** How many of the steps are of each operation. */
export function countOperations(flow) {
  const counts = Object.fromEntries(operations.map((name) => [name, 0]));
  for (let row = flow.prefill; row < flow.rows; row++) counts[operations[flow.op[row]]]++;
  return counts;
}
