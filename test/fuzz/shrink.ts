// The smallest stream that still differs: delta debugging (Zeller and Hildebrandt, IEEE TSE 28/2, 2002)
// over its commands, then single fields to zero.

import { CELL, type Command, command, decodeCommands, encodeCommands } from '../oracle/wire.ts';
import type { Input } from './compare.ts';

// `fails` says how many commands it takes until the difference shows, 0 for none. `budget` bounds how
// often it is asked.
export async function shrink(
  input: Input,
  fails: (candidate: Input) => number | Promise<number>,
  budget: number,
): Promise<Input> {
  let asked = 0;
  let smallest = input;
  const attempt = async (cells: Buffer): Promise<boolean> => {
    if (cells.length === 0 || asked >= budget) return false;
    asked++;
    const candidate = { limits: input.limits, cells };
    const needed = await fails(candidate);
    if (needed === 0) return false;
    smallest = { limits: input.limits, cells: cells.subarray(0, needed * CELL) };
    return true;
  };

  if (!(await attempt(input.cells))) return input;
  for (let before = ''; before !== smallest.cells.toString('latin1'); ) {
    before = smallest.cells.toString('latin1');
    await removeCommands(() => smallest.cells, attempt);
    await simplify(() => decodeCommands(smallest.cells), attempt);
  }
  return smallest;
}

type Attempt = (cells: Buffer) => Promise<boolean>;

async function removeCommands(cells: () => Buffer, attempt: Attempt): Promise<void> {
  const count = (): number => cells().length / CELL;
  for (let size = Math.ceil(count() / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
    // From the end: what comes late rarely is what the rest needs.
    for (let at = count() - size; at > -size; at -= size) {
      const from = Math.max(0, at) * CELL;
      await attempt(Buffer.concat([cells().subarray(0, from), cells().subarray(from + size * CELL)]));
    }
  }
}

const renamed = ['account', 'instrument'] as const;
const fields = Object.keys(command({})).filter((name) => name !== 'type') as (keyof Command)[];

async function simplify(commands: () => Command[], attempt: Attempt): Promise<void> {
  // The accounts and instruments that play a part are the first ones.
  for (const field of renamed) {
    for (const from of new Set(commands().map((c) => c[field]))) {
      for (let to = 0; to < Math.min(from, 8); to++) {
        const all = commands().map((c) => (c[field] === from ? { ...c, [field]: to } : c));
        if (await attempt(encodeCommands(all))) break;
      }
    }
  }
  const empty = command({});
  for (let i = 0; i < commands().length; i++) {
    for (const field of fields) {
      const all = commands();
      const c = all[i];
      if (c === undefined || c[field] === empty[field]) continue;
      all[i] = { ...c, [field]: empty[field] };
      await attempt(encodeCommands(all));
    }
  }
}
