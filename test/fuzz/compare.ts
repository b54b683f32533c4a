// Runs one stream through a core and through the oracle, and says where they first differ.

import { Model } from '../oracle/model.ts';
import type { Random } from '../oracle/random.ts';
import type { Limits } from '../oracle/state.ts';
import { CELL, decodeCommand, decodeEvents, type Event, encodeEvents } from '../oracle/wire.ts';
import type { Core, HashedCore, NativeCoreClass } from './core.ts';
import { describeEvent, describeStateDifference } from './describe.ts';

export interface Input {
  limits: Limits;
  cells: Buffer;
}

export interface Difference {
  at: number; // index of the command
  what: 'events' | 'state' | 'position' | 'batches' | 'snapshot';
  text: string;
}

export function commandCount(input: Input): number {
  return input.cells.length / CELL;
}

// Events byte for byte and the whole state, after every command. `watch` sees the oracle's events.
export function compare(
  core: Core,
  input: Input,
  watch?: (events: readonly Event[]) => void,
): Difference | undefined {
  const model = new Model(input.limits);
  const count = commandCount(input);
  for (let at = 0; at < count; at++) {
    const expected = model.apply(decodeCommand(input.cells, at * CELL));
    const bytes = encodeEvents(expected);
    const got = core.apply(input.cells.subarray(at * CELL, (at + 1) * CELL), 1);
    if (bytes.compare(got) !== 0) return { at, what: 'events', text: eventsText(bytes, got) };
    const state = model.explain();
    const gotState = core.explain();
    if (state !== gotState) return { at, what: 'state', text: describeStateDifference(state, gotState) };
    if (Number(core.position()) !== at + 1)
      return { at, what: 'position', text: `position() is ${core.position()}` };
    watch?.(expected);
  }
  return undefined;
}

// The same stream in batches of any size, and through a snapshot in its middle: the same events, hash and
// state as one command at a time.
export function compareRuns(
  NativeCore: NativeCoreClass,
  input: Input,
  random: Random,
): Difference | undefined {
  const count = commandCount(input);
  const cut = random.under(count + 1);
  const single = new NativeCore(input.limits);
  const before = run(single, input, 0, cut, () => 1);
  const restored = NativeCore.load(single.save(), input.limits);
  const stateAtCut = sameState(single, restored, cut, 'snapshot');
  if (stateAtCut !== undefined) return stateAtCut;
  const after = run(single, input, cut, count, () => 1);
  const afterRestored = run(restored, input, cut, count, () => 1);
  if (!after.equals(afterRestored)) {
    return { at: cut, what: 'snapshot', text: `events after load:\n${eventsText(after, afterRestored)}` };
  }
  const batched = new NativeCore(input.limits);
  const largest = random.pick([2, 7, 64, 1000]);
  const all = run(batched, input, 0, count, () => random.between(1, largest));
  const whole = Buffer.concat([before, after]);
  if (!whole.equals(all)) return { at: count - 1, what: 'batches', text: eventsText(whole, all) };
  return sameState(single, restored, count, 'snapshot') ?? sameState(single, batched, count, 'batches');
}

function run(core: Core, input: Input, from: number, to: number, batch: () => number): Buffer {
  const parts: Uint8Array[] = [];
  let at = from;
  while (at < to) {
    const count = Math.min(batch(), to - at);
    parts.push(core.apply(input.cells.subarray(at * CELL, (at + count) * CELL), count));
    at += count;
  }
  return Buffer.concat(parts);
}

function sameState(
  a: HashedCore,
  b: HashedCore,
  at: number,
  what: 'batches' | 'snapshot',
): Difference | undefined {
  if (a.explain() !== b.explain()) {
    return { at: at - 1, what, text: describeStateDifference(a.explain(), b.explain()) };
  }
  if (a.hash() !== b.hash()) return { at: at - 1, what, text: `hash: ${a.hash()} against ${b.hash()}` };
  return undefined;
}

function eventsText(expected: Uint8Array, got: Uint8Array): string {
  const whole = got.length % CELL === 0;
  const lines = (cells: Uint8Array): string[] => decodeEvents(cells).map(describeEvent);
  const wanted = lines(expected);
  const given = whole ? lines(got) : [`${got.length} bytes, no whole number of events`];
  const shown: string[] = [];
  for (let i = 0; i < Math.max(wanted.length, given.length); i++) {
    const same = wanted[i] === given[i];
    shown.push(`  ${same ? ' ' : '−'} ${wanted[i] ?? '(no event)'}`);
    if (!same) shown.push(`  + ${given[i] ?? '(no event)'}`);
    else if (
      !Buffer.from(expected)
        .subarray(i * CELL, (i + 1) * CELL)
        .equals(got.subarray(i * CELL, (i + 1) * CELL))
    )
      shown.push('  + the same fields, but other bytes in places that the event does not name');
  }
  return `events (− the rules, + the core)\n${shown.join('\n')}`;
}
