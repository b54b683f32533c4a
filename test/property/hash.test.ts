// Everything that the core will ever look at again is in the state hash: pairs of histories of the same
// length that differ in one thing that explain() may not even show.

import { describe, expect, test } from 'vitest';
import { type HashedCore, loadCore, type NativeCoreClass } from '../fuzz/core.ts';
import { type Command, CommandFlag, CommandType, command, encodeCommands } from '../oracle/wire.ts';

const built = loadCore('release');
const limits = { maxOrders: 100, maxAccounts: 20, maxInstruments: 10, maxClientIds: 1000 };

const world: readonly Command[] = [
  command({ type: CommandType.AddAsset, id: 'BTC', orderType: 8 }),
  command({ type: CommandType.AddAsset, id: 'USD', orderType: 2 }),
  changeOrAdd({ type: CommandType.AddInstrument, id: 'BTC-USD', base: 1, quote: 2, price: 1n, quantity: 1n }),
  command({ type: CommandType.AddAccount, account: 0, id: 'FIRM' }),
  command({ type: CommandType.AddAccount, account: 1, id: 'DESK' }),
  command({ type: CommandType.Deposit, account: 1, instrument: 1, id: 'd1', amount: 1000n }),
  command({ type: CommandType.Deposit, account: 2, instrument: 2, id: 'd2', amount: 100_000n }),
];

function changeOrAdd(fields: Partial<Command>): Command {
  return command({
    priceMin: 1n,
    priceMax: 200n,
    quantityMin: 1n,
    quantityMax: 100n,
    makerFee: 1000,
    takerFee: 2000,
    ...fields,
  });
}

function fees(makerFee: number, takerFee: number): Command {
  return changeOrAdd({ type: CommandType.ChangeInstrument, instrument: 1, makerFee, takerFee });
}

function sell(id: string, fields: Partial<Command> = {}): Command {
  return command({
    type: CommandType.NewOrder,
    account: 1,
    instrument: 1,
    id,
    side: 2,
    orderType: 1,
    timeInForce: 1,
    price: 100n,
    quantity: 10n,
    ...fields,
  });
}

function cancelOf(id: string): Command {
  return command({ type: CommandType.CancelOrder, account: 1, id });
}

function larger(id: string): Command {
  return command({ type: CommandType.ReplaceOrder, account: 1, id, price: 100n, quantity: 11n });
}

const dayEnd = command({ type: CommandType.DayEnd });
const nothing = command({ type: CommandType.CancelOrder, account: 2, id: 'nothing' });

const deposit = (id: string): Command =>
  command({ type: CommandType.Deposit, account: 1, instrument: 2, id, amount: 5n });
const limit = (amount: bigint): Command =>
  command({ type: CommandType.SetLimit, account: 0, orderType: 3, amount });
const kill = (account: number): Command => command({ type: CommandType.KillSwitch, account, side: 1 });

// [what differs, whether explain() shows it, one history, the other]
const pairs: readonly [string, boolean, readonly Command[], readonly Command[]][] = [
  [
    'the order of a queue',
    true,
    [sell('a'), sell('b'), larger('a'), larger('b')],
    [sell('a'), sell('b'), larger('b'), larger('a')],
  ],
  ['a limit', true, [limit(5n)], [limit(6n)]],
  ['a kill switch', true, [kill(1)], [kill(2)]],
  ['an order id that was only rejected', false, [sell('x', { quantity: 0n })], [nothing]],
  ['a transaction id', false, [deposit('t1')], [deposit('t2')]],
  ['the id of an order that is gone', false, [sell('a'), cancelOf('a')], [sell('b'), cancelOf('b')]],
  [
    'what an id was used for',
    false,
    [sell('a', { price: 100n }), cancelOf('a')],
    [sell('a', { price: 101n }), cancelOf('a')],
  ],
  [
    'the day on which an id was closed',
    false,
    [sell('a'), cancelOf('a'), dayEnd],
    [sell('a'), dayEnd, cancelOf('a')],
  ],
  ['a self-trade mode', false, [sell('a', { selfTrade: 1 })], [sell('a', { selfTrade: 2 })]],
  [
    'whether self is the firm',
    false,
    [sell('a', { selfTrade: 1 })],
    [sell('a', { selfTrade: 1, flags: CommandFlag.SelfTradeFirm })],
  ],
  ['post-only', false, [sell('a')], [sell('a', { flags: CommandFlag.PostOnlyReject })]],
  [
    'the fee schedule of an order',
    false,
    [fees(1000, 2000), sell('a'), fees(3000, 4000)],
    [fees(3000, 4000), sell('a'), fees(3000, 4000)],
  ],
];

function after(NativeCore: NativeCoreClass, history: readonly Command[]): HashedCore {
  const core = new NativeCore(limits);
  const commands = [...world, ...history];
  core.apply(encodeCommands(commands), commands.length);
  return core;
}

describe.skipIf(built === undefined)('the state hash', () => {
  test.each(pairs)('tells apart: %s', (_, shown, one, other) => {
    const [a, b] = [after(built!, one), after(built!, other)];
    expect(a.explain() !== b.explain()).toBe(shown);
    expect(a.hash()).not.toBe(b.hash());
    expect(after(built!, one).hash()).toBe(a.hash());
    expect(built!.load(a.save(), limits).hash()).toBe(a.hash());
    expect(built!.load(b.save(), limits).hash()).toBe(b.hash());
  });
});
