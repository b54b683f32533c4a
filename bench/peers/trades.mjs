// Trades of a run: counted by every harness, kept as a file by its first pass, digested and compared by the runner.
import { readFileSync, writeFileSync } from 'node:fs';

const recordBytes = 24;
const fnvOffset = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;
const mask = (1n << 64n) - 1n;

/** What a harness in JavaScript reports trades to. */
export class Trades {
  count = 0;
  quantity = 0;
  #kept;

  keep() {
    this.#kept = [];
  }

  add(taker, maker, price, quantity) {
    this.count++;
    this.quantity += quantity;
    this.#kept?.push([taker, maker, price, quantity]);
  }

  write(path) {
    writeFileSync(path, encodeTrades(this.#kept ?? []));
  }
}

/** Rows of [taker, maker, price, quantity] as a file has them. */
export function encodeTrades(rows) {
  const bytes = Buffer.alloc(rows.length * recordBytes);
  rows.forEach(([taker, maker, price, quantity], index) => {
    const at = index * recordBytes;
    bytes.writeUInt32LE(taker, at);
    bytes.writeUInt32LE(maker, at + 4);
    bytes.writeBigInt64LE(BigInt(price), at + 8);
    bytes.writeBigInt64LE(BigInt(quantity), at + 16);
  });
  return bytes;
}

export function readTrades(path) {
  const bytes = readFileSync(path);
  if (bytes.length % recordBytes !== 0) throw new Error(`${path} is cut short`);
  return bytes;
}

export function tradeAt(bytes, index) {
  const at = index * recordBytes;
  return {
    taker: bytes.readUInt32LE(at),
    maker: bytes.readUInt32LE(at + 4),
    price: Number(bytes.readBigInt64LE(at + 8)),
    quantity: Number(bytes.readBigInt64LE(at + 16)),
  };
}

/** FNV-1a over the file, 64 bits as 16 hex digits: two runs with equal digests made the very same trades in the same order. */
export function digestTrades(bytes) {
  // Limbs of 32 bits: BigInt arithmetic on every byte takes seconds.
  let high = Number(fnvOffset >> 32n);
  let low = Number(fnvOffset & 0xffffffffn);
  const primeLow = Number(fnvPrime & 0xffffffffn);
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    // (high · 2^32 + low) · (2^40 + primeLow), modulo 2^64; primeLow is 435, so no product exceeds 2^53.
    const product = low * primeLow;
    const carry = Math.floor(product / 4294967296);
    high = (Math.imul(high, primeLow) + carry + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  return (((BigInt(high) << 32n) | BigInt(low)) & mask).toString(16).padStart(16, '0');
}

/** Index of the first trade that differs, undefined where there is none. */
export function firstDifference(ours, theirs) {
  if (ours.equals(theirs)) return undefined;
  const both = Math.min(ours.length, theirs.length);
  for (let at = 0; at < both; at += recordBytes) {
    if (ours.compare(theirs, at, at + recordBytes, at, at + recordBytes) !== 0) return at / recordBytes;
  }
  return both / recordBytes;
}

function sentence(bytes, index) {
  if (index * recordBytes >= bytes.length) return 'none';
  const { taker, maker, price, quantity } = tradeAt(bytes, index);
  return `order ${taker} takes ${quantity} of ${maker} at ${price}`;
}

/** { agrees, text }: whether two runs made the same trades, and if not, where they part. */
export function compareTrades(ours, theirs) {
  const index = firstDifference(ours, theirs);
  const count = ours.length / recordBytes;
  if (index === undefined) return { agrees: true, text: `the same ${count} trades` };
  return {
    agrees: false,
    firstDifference: index,
    text: `trade ${index + 1} differs: ${sentence(ours, index)} here, ${sentence(theirs, index)} there`,
  };
}
