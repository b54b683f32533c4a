// The oracle against the laws that no rule may break, whatever the stream.

import { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { measureReach } from '../fuzz/reach.ts';
import { reaches } from '../oracle/book.ts';
import { Model } from '../oracle/model.ts';
import type { Instrument, Order } from '../oracle/state.ts';
import { generate } from '../oracle/streams.ts';
import {
  decodeCommands,
  decodeEvents,
  EventFlag,
  EventType,
  encodeCommands,
  encodeEvents,
  Side,
} from '../oracle/wire.ts';
import { settings, streamSeeds } from './settings.ts';

function forEveryState(
  runs: number,
  check: (model: Model, events: ReturnType<Model['apply']>) => void,
): void {
  fc.assert(
    fc.property(streamSeeds(300), ({ seed, length }) => {
      const { limits, commands } = generate(seed, length);
      const model = new Model(limits);
      for (const c of commands) check(model, model.apply(c));
    }),
    settings(runs),
  );
}

function isSorted(orders: readonly Order[], inOrder: (a: Order, b: Order) => boolean): boolean {
  return orders.every((order, i) => i === 0 || inOrder(orders[i - 1]!, order));
}

function bookIsSound(i: Instrument): boolean {
  const [bid, ask] = [i.bids[0], i.asks[0]];
  return (
    (bid === undefined || ask === undefined || !reaches(Side.Buy, bid.price, ask.price)) &&
    isSorted(i.bids, (a, b) => a.price >= b.price) &&
    isSorted(i.asks, (a, b) => a.price <= b.price) &&
    isSorted(i.buyStops, (a, b) => a.stopPrice <= b.stopPrice) &&
    isSorted(i.sellStops, (a, b) => a.stopPrice >= b.stopPrice) &&
    i.openOrders().every((o) => o.open > 0n && o.visible <= o.open && (o.waiting || o.visible > 0n)) &&
    i.buyStops.every((o) => !i.hasTraded() || o.stopPrice > i.lastPrice) &&
    i.sellStops.every((o) => !i.hasTraded() || o.stopPrice < i.lastPrice)
  );
}

describe('the oracle', () => {
  test('keeps every unit of every asset: totals and fees are what was issued', () => {
    forEveryState(40, (model) => {
      for (const asset of model.assets) {
        const totals = model.accounts.map((account) => account.total(asset.id));
        const sum = totals.reduce((a, b) => a.plus(b), asset.fees);
        expect(sum.toFixed(0)).toBe(asset.issued.toFixed(0));
      }
    });
  });

  test('never holds more than there is', () => {
    forEveryState(40, (model) => {
      for (const account of model.accounts) {
        for (const [asset, total] of account.totals) {
          const held = account.held(asset);
          if (held.isNegative() || held.greaterThan(total)) {
            throw new Error(`account ${account.id} holds ${held} of ${total} of asset ${asset}`);
          }
        }
      }
    });
  });

  test('keeps books uncrossed and sorted, and no stop waits that should have been triggered', () => {
    forEveryState(40, (model) => {
      for (const instrument of model.instruments) {
        if (!bookIsSound(instrument)) throw new Error(`the book of ${instrument.name}: ${model.explain()}`);
      }
    });
  });

  test('lists each open order once in its account and once in its book', () => {
    forEveryState(30, (model) => {
      const inBooks = model.instruments.flatMap((i) => i.openOrders());
      const inAccounts = model.openOrders();
      expect(inBooks.length).toBe(inAccounts.length);
      expect(new Set([...inBooks, ...inAccounts]).size).toBe(inAccounts.length);
    });
  });

  test('ends every command with exactly one event flagged Last', () => {
    forEveryState(20, (model, events) => {
      events.forEach((e, i) => {
        expect((e.flags & EventFlag.Last) !== 0).toBe(i === events.length - 1);
        expect(e.position).toBe(model.position);
      });
      expect(events.length === 1 || events.every((e) => e.type !== EventType.Rejected)).toBe(true);
    });
  });

  test('explains its state as one line of JSON, the same from kept parts as from scratch', () => {
    forEveryState(10, (model) => {
      const text = model.explain();
      for (const account of model.accounts) account.text = undefined;
      for (const instrument of model.instruments) instrument.text = undefined;
      if (model.explain() !== text) throw new Error(`a kept part is stale: ${text}`);
      expect(text).not.toContain('\n');
      JSON.parse(text);
    });
  });

  test('changes nothing but its position where it rejects or repeats an answer', () => {
    fc.assert(
      fc.property(streamSeeds(200), ({ seed, length }) => {
        const { limits, commands } = generate(seed, length);
        const model = new Model(limits);
        let before = model.explain();
        for (const c of commands) {
          const [first] = model.apply(c);
          const after = model.explain();
          const idle = first!.type === EventType.Rejected || (first!.flags & EventFlag.Duplicate) !== 0;
          if (idle) expect(after.replace(/"position":\d+/, '')).toBe(before.replace(/"position":\d+/, ''));
          before = after;
        }
      }),
      settings(15),
    );
  });
});

describe('cells', () => {
  test('commands and events survive the way to bytes and back', () => {
    fc.assert(
      fc.property(streamSeeds(120), ({ seed, length }) => {
        const { limits, commands } = generate(seed, length);
        expect(decodeCommands(encodeCommands(commands))).toEqual(commands);
        const model = new Model(limits);
        const events = commands.flatMap((c) => model.apply(c));
        expect(decodeEvents(encodeEvents(events))).toEqual(events);
      }),
      settings(10),
    );
  });
});

describe('the generator', () => {
  test('gives the same stream for the same seed', () => {
    expect(encodeCommands(generate(7, 500).commands)).toEqual(encodeCommands(generate(7, 500).commands));
    expect(encodeCommands(generate(8, 500).commands)).not.toEqual(encodeCommands(generate(7, 500).commands));
  });

  test('reaches every reject code, event type, cause and flag', () => {
    expect(measureReach(1, 100_000, 300).missing).toEqual([]);
  });
});

test('amounts are exact far beyond what a double holds', () => {
  const { limits, commands } = generate(1, 60);
  const model = new Model(limits);
  for (const c of commands) model.apply(c);
  const [account] = model.accounts;
  account!.credit(1, new Decimal((1n << 120n).toString()));
  account!.credit(1, new Decimal(-1));
  expect(account!.total(1).toFixed(0)).toBe(((1n << 120n) - 1n).toString());
});
