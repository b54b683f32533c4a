// The worlds that streams play in: the commands that build them, and what is usual there.

import type { Random } from './random.ts';
import type { Limits } from './state.ts';
import { type Command, CommandType, command, OrderType, Side } from './wire.ts';

export interface World {
  limits: Limits;
  commands: Command[];
  quantitySpread: number; // usual quantities: from the instrument's minimum on
  amount: (random: Random) => bigint; // a usual deposit
}

const NAMES = ['BTC', 'USD', 'ETH', 'EUR'];
// firm → account → client, parents by id
const PARENTS = [0, 0, 1, 1, 2, 3, 3, 5];

function accounts(): Command[] {
  return PARENTS.map((parent, i) =>
    command({ type: CommandType.AddAccount, account: parent, id: `A${i + 1}` }),
  );
}

function assets(count: number): Command[] {
  return NAMES.slice(0, count).map((id, i) =>
    command({ type: CommandType.AddAsset, id, orderType: [8, 2, 18, 0][i]! }),
  );
}

function deposit(account: number, asset: number, amount: bigint): Command {
  return command({
    type: CommandType.Deposit,
    account,
    instrument: asset,
    id: `d${account}.${asset}`,
    amount,
  });
}

// A few prices, a few lots, a few coins: everything meets everything.
export function setupSmall(random: Random): World {
  const assetCount = random.between(2, 4);
  const instrumentCount = random.between(1, 3);
  const commands = assets(assetCount);
  const lotBase = random.pick([1n, 1n, 10n, 1000n]);
  const lotQuote = random.pick([1n, 1n, 7n, 10n ** 12n]);
  for (let i = 0; i < instrumentCount; i++) {
    const base = random.between(1, assetCount);
    const quote = (base % assetCount) + 1;
    const middle = random.pick([100n, 50n, 6n]);
    const maker = random.pick([0, 0, 1000, -1000, 200_000]);
    commands.push(
      command({
        type: CommandType.AddInstrument,
        id: `I${i + 1}`,
        base,
        quote,
        price: lotBase,
        quantity: lotQuote,
        priceMin: middle - random.pick([3n, 5n, 4n]),
        priceMax: middle + random.pick([3n, 10n, 70n]),
        quantityMin: random.pick([1n, 1n, 2n]),
        quantityMax: random.pick([12n, 20n, 1000n, 40_000n]),
        makerFee: maker,
        takerFee: Math.abs(maker) + random.pick([0, 2500, 100_000]),
        collar: random.pick([0, 20_000, 100_000]),
      }),
    );
  }
  commands.push(...accounts());
  const typical = random.pick([1500n, 6000n, 100_000n]);
  for (let account = 1; account <= PARENTS.length; account++) {
    for (let asset = 1; asset <= assetCount; asset++) {
      if (random.oneIn(6)) continue;
      const amount = typical / BigInt(random.pick([1, 1, 2, 20]));
      commands.push(deposit(account, asset, lotQuote * lotBase * amount));
    }
  }
  return {
    limits: {
      maxOrders: random.pick([10, 24, 40, 64]),
      maxAccounts: random.pick([8, 9, 12]),
      maxInstruments: random.pick([4, 4, 5, 8]),
      maxClientIds: random.pick([60, 300, 300, 1000, 1000, 4000]),
    },
    commands,
    quantitySpread: random.pick([4, 12, 20]),
    amount: (r) => lotQuote * BigInt(r.between(1, Number(typical / 2n))),
  };
}

// Prices, quantities and amounts as large as they may be.
export function setupWide(random: Random): World {
  const top = 1n << 53n;
  const commands = assets(3);
  commands.push(
    command({
      type: CommandType.AddInstrument,
      id: 'WIDE',
      base: 1,
      quote: 2,
      price: random.pick([1n, 1n << 60n, 10n ** 18n]),
      quantity: 1n << 13n,
      priceMin: random.pick([1n, top - 8n]),
      priceMax: top,
      quantityMin: random.pick([1n, top - 6n]),
      quantityMax: top,
      makerFee: random.pick([0, -1_000_000, 1_000_000]),
      takerFee: 1_000_000,
      collar: random.pick([0, 1_000_000]),
    }),
    command({
      type: CommandType.AddInstrument,
      id: 'TALL',
      base: 3,
      quote: 2,
      price: 1n,
      quantity: (1n << 63n) - 1n,
      priceMin: 1n,
      priceMax: 9n,
      quantityMin: 1n,
      quantityMax: 1n << 40n,
      takerFee: 333_333,
    }),
    ...accounts(),
  );
  for (let account = 1; account <= PARENTS.length; account++) {
    for (let asset = 1; asset <= 3; asset++) {
      commands.push(deposit(account, asset, 1n << BigInt(random.pick([120, 118, 117, 116, 115, 110, 64]))));
    }
  }
  return {
    limits: { maxOrders: 40, maxAccounts: 10, maxInstruments: 4, maxClientIds: 2000 },
    commands,
    quantitySpread: random.pick([6, 1000]),
    amount: (r) => 1n << BigInt(r.between(60, 120)),
  };
}

// One account sells and another buys 2^53 lots at a time, until an exposure comes to 2^62.
export function setupVast(): World {
  const lots = 1n << 53n;
  const commands = [
    ...assets(2),
    command({
      type: CommandType.AddInstrument,
      id: 'VAST',
      base: 1,
      quote: 2,
      price: 1n,
      quantity: 1n,
      priceMin: 1n,
      priceMax: 4n,
      quantityMin: 1n,
      quantityMax: lots,
    }),
    ...accounts(),
    deposit(1, 1, 1n << 90n),
    deposit(4, 2, 1n << 90n),
  ];
  for (let i = 0; i < 540; i++) {
    commands.push(
      command({
        type: CommandType.NewOrder,
        account: 1,
        instrument: 1,
        id: `v${i}`,
        side: Side.Sell,
        orderType: OrderType.Limit,
        timeInForce: 1,
        price: 4n,
        quantity: lots,
      }),
    );
    if (i % 2 === 0) continue;
    commands.push(
      command({
        type: CommandType.NewOrder,
        account: 4,
        instrument: 1,
        id: `w${i}`,
        side: Side.Buy,
        orderType: OrderType.Limit,
        timeInForce: i % 8 === 1 ? 4 : 1,
        price: i % 8 === 1 ? 4n : 3n,
        quantity: lots - BigInt(i % 3),
      }),
    );
  }
  return {
    limits: { maxOrders: 1500, maxAccounts: 8, maxInstruments: 2, maxClientIds: 4000 },
    commands,
    quantitySpread: 1000,
    amount: (r) => 1n << BigInt(r.between(1, 100)),
  };
}

// Nothing new: the commands go on in a world that another stream has built.
export function setupNothing(limits: Limits): World {
  return { limits, commands: [], quantitySpread: 12, amount: (r) => BigInt(r.between(1, 2000)) };
}
