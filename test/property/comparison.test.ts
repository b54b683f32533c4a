// The comparison itself can fail: models that break one rule each are told from the oracle.

import { describe, expect, test } from 'vitest';
import { compare, type Difference, type Input } from '../fuzz/compare.ts';
import { ModelCore } from '../fuzz/core.ts';
import { shrink } from '../fuzz/shrink.ts';
import { Model } from '../oracle/model.ts';
import { decimal } from '../oracle/money.ts';
import type { Limits } from '../oracle/state.ts';
import { generate } from '../oracle/streams.ts';
import { CELL, type Command, CommandType, type Event, EventType, encodeCommands } from '../oracle/wire.ts';

// The order that came last goes to the head of its price level.
class LastInFirstOut extends Model {
  override apply(c: Command): Event[] {
    const events = super.apply(c);
    for (const { bids, asks } of this.instruments) {
      for (const side of [bids, asks]) {
        const last = side.findIndex((order) => order.orderId === this.position);
        if (last === -1) continue;
        const [order] = side.splice(last, 1);
        const head = side.findIndex((other) => other.price === order!.price);
        side.splice(head === -1 ? last : head, 0, order!);
      }
    }
    return events;
  }
}

// A unit of the fees is lost with every tenth trade.
class LosesAUnit extends Model {
  #trades = 0;

  override apply(c: Command): Event[] {
    const events = super.apply(c);
    for (const e of events) {
      if (e.type !== EventType.Trade) continue;
      this.#trades++;
      if (this.#trades % 10 !== 0) continue;
      const quote = this.asset(this.instrument(e.instrument)!.quote)!;
      quote.fees = quote.fees.minus(decimal(1n));
    }
    return events;
  }
}

// Ids are forgotten when the day ends on which they were closed.
class ForgetsADayEarly extends Model {
  override apply(c: Command): Event[] {
    const events = super.apply(c);
    if (c.type === CommandType.DayEnd) this.ids.endDay();
    return events;
  }
}

// A reduced iceberg loses what is visible first.
class ReducesVisibleFirst extends Model {
  override apply(c: Command): Event[] {
    const events = super.apply(c);
    for (const e of events) {
      if (e.type !== EventType.Reduced) continue;
      const order = this.openOrders().find((open) => open.orderId === e.orderId);
      if (order === undefined || order.waiting || order.visible <= e.quantity) continue;
      order.change({ visible: order.visible - e.quantity });
    }
    return events;
  }
}

// The venue's own limits are not looked at.
class WithoutVenueLimits extends Model {
  override apply(c: Command): Event[] {
    const venue = this.accounts[0]!;
    const limits = venue.limits;
    if (c.type === CommandType.NewOrder) venue.limits = [];
    const events = super.apply(c);
    if (c.type === CommandType.NewOrder) venue.limits = limits;
    return events;
  }
}

// The token is not given back in cancels.
class DropsTokens extends Model {
  override apply(c: Command): Event[] {
    const events = super.apply(c);
    for (const e of events) if (e.type === EventType.Cancelled) e.token = 0n;
    return events;
  }
}

const mutants: readonly [string, new (limits: Limits) => Model][] = [
  ['last in, first out', LastInFirstOut],
  ['a unit of fees lost', LosesAUnit],
  ['ids forgotten a day early', ForgetsADayEarly],
  ['visible quantity reduced first', ReducesVisibleFirst],
  ['the venue’s limits ignored', WithoutVenueLimits],
  ['tokens dropped', DropsTokens],
];

const STREAMS_MAX = 200;

function findDifference(
  Mutant: new (limits: Limits) => Model,
  streams: number = STREAMS_MAX,
): [Input, Difference] | undefined {
  for (let seed = 1; seed <= streams; seed++) {
    const { limits, commands } = generate(seed, 300);
    const input = { limits, cells: encodeCommands(commands) };
    const difference = compare(new ModelCore(new Mutant(limits)), input);
    if (difference !== undefined) return [input, difference];
  }
  return undefined;
}

describe('the comparison', () => {
  test('finds none between the oracle and itself', () => {
    expect(findDifference(Model, 50)).toBeUndefined();
  });

  test.each(mutants)('finds: %s', (_, Mutant) => {
    expect(findDifference(Mutant)).toBeDefined();
  });

  test('shrinks what it found to a few commands', async () => {
    const [input] = findDifference(LastInFirstOut)!;
    const fails = (candidate: Input): number => {
      const difference = compare(new ModelCore(new LastInFirstOut(candidate.limits)), candidate);
      return difference === undefined ? 0 : difference.at + 1;
    };
    const smallest = await shrink(input, fails, 4000);
    expect(fails(smallest)).toBe(smallest.cells.length / CELL);
    // Two assets, an instrument, an account or two, their deposits, two orders of one price.
    expect(smallest.cells.length / CELL).toBeLessThanOrEqual(12);
  });
});
