// New streams from old ones: cut and gone on with, shortened, repeated, spliced, and with single fields
// set to values at which something changes.

import { Model } from '../oracle/model.ts';
import type { Random } from '../oracle/random.ts';
import { Generator } from '../oracle/streams.ts';
import { CELL, type Command, decodeCommands, encodeCommands } from '../oracle/wire.ts';
import { commandCount, type Input } from './compare.ts';

// What grows longer is slow, and rarely reaches more.
export const COMMANDS_MAX = 600;

// Offset and size of the fields of a command's cell. Reserved bytes stay zero.
const FIELDS: readonly (readonly [number, number])[] = [
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 1],
  [6, 2],
  [8, 4],
  [12, 4],
  [16, 8],
  [32, 8],
  [40, 8],
  [48, 8],
  [64, 8],
  [80, 8],
  [88, 8],
  [96, 8],
  [96, 4],
  [100, 4],
  [104, 4],
  [108, 4],
  [112, 4],
];

const VALUES: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  4n,
  5n,
  8n,
  15n,
  16n,
  (1n << 31n) - 1n,
  1n << 31n,
  1n << 53n,
  (1n << 53n) + 1n,
  1n << 56n,
  1n << 62n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

export function mutate(random: Random, input: Input, other: Input): Input {
  let cells = input.cells;
  const times = random.pick([1, 1, 2, 4]);
  for (let i = 0; i < times; i++) cells = mutateOnce(random, { limits: input.limits, cells }, other);
  if (cells.length === 0) cells = input.cells;
  cells = cells.subarray(0, COMMANDS_MAX * CELL);
  // A field that changed its meaning with the type may have left bytes that no type names.
  return { limits: input.limits, cells: encodeCommands(decodeCommands(cells)) };
}

function mutateOnce(random: Random, input: Input, other: Input): Buffer {
  const { cells } = input;
  const count = commandCount(input);
  const at = random.under(count);
  const length = Math.min(random.pick([1, 1, 2, 5, 20]), count - at);
  const part = slice(cells, at, at + length);
  switch (random.under(8)) {
    case 0:
      return goOn(random, input, random.between(Math.floor(count / 3), count));
    case 1: // without a part
      return Buffer.concat([slice(cells, 0, at), slice(cells, at + length, count)]);
    case 2: // a part twice
      return Buffer.concat([slice(cells, 0, at + length), part, slice(cells, at + length, count)]);
    case 3: {
      // a part elsewhere
      const rest = Buffer.concat([slice(cells, 0, at), slice(cells, at + length, count)]);
      const to = random.under(rest.length / CELL + 1);
      return Buffer.concat([rest.subarray(0, to * CELL), part, rest.subarray(to * CELL)]);
    }
    case 4: {
      // a part of another stream
      const from = random.under(commandCount(other));
      const strange = slice(other.cells, from, Math.min(from + random.between(1, 30), commandCount(other)));
      return Buffer.concat([slice(cells, 0, at), strange, slice(cells, at, count)]);
    }
    default:
      return tweak(random, cells, count);
  }
}

function slice(cells: Buffer, from: number, to: number): Buffer {
  return cells.subarray(from * CELL, to * CELL);
}

// The first `keep` commands, and then others that fit to where they lead.
function goOn(random: Random, input: Input, keep: number): Buffer {
  const model = new Model(input.limits);
  const start = slice(input.cells, 0, keep);
  for (const c of decodeCommands(start)) model.apply(c);
  const generator = new Generator(random, 0, input.limits);
  const more: Command[] = [];
  const length = random.between(5, 80);
  for (let i = 0; i < length; i++) {
    const c = generator.next(model);
    model.apply(c);
    more.push(c);
  }
  return Buffer.concat([start, encodeCommands(more)]);
}

// One field of one command: a special value, one more or less, or the same field of another command.
function tweak(random: Random, cells: Buffer, count: number): Buffer {
  if (count === 0) return cells; // earlier mutations may have left nothing
  const changed = Buffer.from(cells);
  const command = random.under(count) * CELL;
  const [offset, size] = random.pick(FIELDS);
  const at = command + offset;
  const bits = BigInt(size * 8);
  let value = read(changed, at, size);
  switch (random.under(3)) {
    case 0:
      value = random.pick(VALUES);
      break;
    case 1:
      value += BigInt(random.pick([-2, -1, 1, 2, 8]));
      break;
    default:
      value = read(changed, random.under(count) * CELL + offset, size);
  }
  write(changed, at, size, BigInt.asUintN(Number(bits), value));
  return changed;
}

function read(bytes: Buffer, at: number, size: number): bigint {
  return size === 8 ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUIntLE(at, size));
}

function write(bytes: Buffer, at: number, size: number, value: bigint): void {
  if (size === 8) bytes.writeBigUInt64LE(value, at);
  else bytes.writeUIntLE(Number(value), at, size);
}
