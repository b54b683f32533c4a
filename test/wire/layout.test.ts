// The layout in src/wire against what the addon says of the native structs.
import { describe, expect, test } from 'vitest';
import { layout } from '../../src/native/binding.ts';
import {
  causeNames,
  cellBytes,
  commandFlags,
  commandNames,
  commandOffsets,
  eventFlags,
  eventNames,
  eventOffsets,
  limitKindNames,
  orderTypeNames,
  rightIceberg,
  selfTradeNames,
  sideNames,
  timeInForceNames,
  tradingStateNames,
} from '../../src/wire/layout.ts';
import { rejects } from '../../src/wire/rejects.ts';

type Numbers = Readonly<Record<string, number>>;
const native = layout as unknown as Readonly<Record<string, Numbers>>;

/** CancelNewest is cancel-newest here. */
function kebab(name: string): string {
  return name.replace(/(?!^)[A-Z]/g, '-$&').toLowerCase();
}

describe('the native layout', () => {
  test('cells are of one size', () => {
    expect([layout.command.size, layout.event.size]).toEqual([cellBytes, cellBytes]);
  });

  test('offsets are equal', () => {
    expect(commandOffsets).toEqual(layout.command.offsets);
    expect(eventOffsets).toEqual(layout.event.offsets);
  });

  test.each([
    ['eventTypes', eventNames],
    ['sides', sideNames],
    ['orderTypes', orderTypeNames],
    ['timesInForce', timeInForceNames],
    ['selfTrades', selfTradeNames],
    ['tradingStates', tradingStateNames],
    ['limitKinds', limitKindNames],
    ['causes', causeNames],
  ])('the numbers of %s are equal', (table, names) => {
    const theirs = Object.entries(native[table]!).map(([name, number]) => [kebab(name), number]);
    const ours = names.map((name, number) => [name, number]).filter(([name]) => name !== 'none');
    expect(theirs.filter(([name]) => name !== 'none')).toEqual(ours);
  });

  test('the numbers of commands are equal', () => {
    // NewOrder, CancelOrder, ReduceOrder, ReplaceOrder are named by their verb alone.
    const theirs = Object.entries(native.commandTypes!).map(([name, number]) => [
      kebab(name.replace(/Order$/, '')),
      number,
    ]);
    expect(theirs).toEqual(commandNames.map((name, number) => [name, number]).slice(1));
  });

  test('flags are equal', () => {
    const lower = (flags: Numbers): object =>
      Object.fromEntries(
        Object.entries(flags).map(([name, bit]) => [name[0]!.toLowerCase() + name.slice(1), bit]),
      );
    expect(lower(native.commandFlags!)).toEqual(commandFlags);
    expect(lower(native.eventFlags!)).toEqual(eventFlags);
    expect(native.rights!.Iceberg).toBe(rightIceberg);
  });

  test('reject codes are equal', () => {
    expect(layout.rejects).toEqual(rejects);
  });
});
