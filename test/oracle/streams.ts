// Seeded streams of commands that reach every rule: small crowded worlds, every order type and flag,
// repeated ids, replaces of every kind, limits, switches, broken fields, and sometimes amounts at the ends
// of their range.
//
// A generator looks at a model that runs along, so that cancels, replaces and prices mean something. Each
// stream leans to some kinds of commands and leaves others out (swarm testing, Groce et al., ISSTA 2012):
// rare combinations come up that an even mix would hide.

import { Model } from './model.ts';
import { Random } from './random.ts';
import { type Instrument, type Limits, type Order, opposite } from './state.ts';
import {
  CELL,
  type Command,
  CommandFlag,
  CommandType,
  command,
  decodeCommand,
  encodeCommand,
  type Id,
  OrderType,
  Side,
} from './wire.ts';
import { setupNothing, setupSmall, setupVast, setupWide, type World } from './worlds.ts';

export interface Stream {
  limits: Limits;
  commands: Command[];
}

// A stream of `length` commands. The world comes with the seed: mostly small, sometimes with amounts at the
// ends of their range, and, where there is room for it, with exposures at theirs.
export function generate(seed: number, length: number): Stream {
  const random = new Random(seed);
  const generator = new Generator(random, length);
  const model = new Model(generator.limits);
  const commands: Command[] = [];
  while (commands.length < length) {
    const c = generator.next(model);
    model.apply(c);
    commands.push(c);
  }
  return { limits: generator.limits, commands };
}

// Room for the vast world's orders, which come first, and for more.
export const VAST_LENGTH_MIN = 1200;

type Maker = (model: Model) => Command;

const INTERESTING: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  9n,
  11n,
  100n,
  1_000_000n,
  1_000_001n,
  -1n,
  -2n,
  -1_000_000n,
  1n << 31n,
  1n << 32n,
  (1n << 32n) + 1n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 53n) + 1n,
  1n << 62n,
  (1n << 63n) - 1n,
  -(1n << 63n),
];
const INTERESTING_AMOUNTS: readonly bigint[] = [
  ...INTERESTING,
  1n << 64n,
  1n << 119n,
  (1n << 120n) - 1n,
  1n << 120n,
  (1n << 120n) + 1n,
  (1n << 127n) - 1n,
  -(1n << 127n),
  -(1n << 120n),
];

export class Generator {
  readonly limits: Limits;
  readonly #random: Random;
  readonly #world: World;
  #pending: Command[];
  #sent: Command[] = [];
  readonly #cell: Buffer = Buffer.alloc(CELL);
  #ids = 0;
  #transactions = 0;
  #names = 0;
  #kinds: { make: Maker; weight: number }[];
  #spoiled: number;
  // The leanings of this stream for its orders.
  #types: number[];
  #times: number[];
  #selfTrades: number[];
  #plain: number;

  // With `continuing`, the stream goes on in a world that is there already.
  constructor(random: Random, length: number, continuing?: Limits) {
    this.#random = random;
    this.#world = continuing === undefined ? aWorld(random, length) : setupNothing(continuing);
    this.limits = this.#world.limits;
    if (continuing !== undefined)
      this.#ids = this.#transactions = this.#names = 1000 + random.under(1_000_000);
    this.#pending = [...this.#world.commands];
    this.#spoiled = random.pick([8, 15, 40, 200]);
    this.#types = random.pick([
      [1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4],
      [1],
      [1, 1, 2, 3, 4],
      [1, 3, 4, 4, 2],
      [1, 1, 2],
    ]);
    this.#times = random.pick([[1, 1, 1, 1, 2, 3, 4, 5], [1], [1, 2, 3], [1, 4, 5, 5], [2, 3]]);
    this.#selfTrades = random.pick([[0], [0, 0, 1, 2, 3, 4], [1, 2, 3, 4], [2, 4], [4]]);
    this.#plain = random.pick([1, 3, 10]);
    const weigh = (weight: number, make: Maker): { make: Maker; weight: number } => ({
      make,
      weight: weight * random.pick([0.1, 0.5, 1, 1, 1, 2]),
    });
    this.#kinds = [
      { make: (model) => this.#newOrder(model), weight: 45 },
      weigh(8, (model) => this.#cancel(model)),
      weigh(7, (model) => this.#reduce(model)),
      weigh(16, (model) => this.#replace(model)),
      weigh(5, (model) => this.#again(model)),
      weigh(0.8, (model) => this.#massCancel(model)),
      weigh(0.8, (model) => this.#killSwitch(model)),
      weigh(3, (model) => this.#money(model, CommandType.Deposit)),
      weigh(2, (model) => this.#money(model, CommandType.Withdraw)),
      weigh(2, (model) => this.#money(model, CommandType.Transfer)),
      weigh(2, (model) => this.#advanceTime(model)),
      weigh(0.7, () => command({ type: CommandType.DayEnd })),
      weigh(1.5, (model) => this.#tradingState(model)),
      weigh(2, (model) => this.#changeInstrument(model)),
      weigh(1, (model) => this.#rights(model)),
      weigh(1, (model) => this.#instrumentRight(model)),
      weigh(2.5, (model) => this.#limit(model)),
      weigh(0.4, (model) => this.#addAccount(model)),
      weigh(0.3, () => this.#addAsset()),
      weigh(0.4, (model) => this.#addInstrument(model)),
      weigh(0.2, () => command({ type: random.pick([0, 21, 99, 255]), account: 1, id: 'x' })),
      weigh(0.15, (model) => this.#manySchedules(model)),
    ];
  }

  next(model: Model): Command {
    const made = this.#pending.shift() ?? this.#any(model);
    made.token = BigInt(this.#random.bits());
    // Through the cell, so that only what the type has there is left.
    encodeCommand(made, this.#cell, 0);
    const c = decodeCommand(this.#cell, 0);
    this.#sent.push(c);
    return c;
  }

  #any(model: Model): Command {
    // Nothing happens for long where everything is closed or forbidden: often the way back is taken.
    const back = this.#random.oneIn(6) ? this.#wayBack(model) : undefined;
    const c = back ?? this.#weighted().make(model);
    return this.#random.oneIn(this.#spoiled) ? this.#spoil(c) : c;
  }

  #weighted(): { make: Maker } {
    const sum = this.#kinds.reduce((total, kind) => total + kind.weight, 0);
    let at = (this.#random.bits() / 0x1_0000_0000) * sum;
    for (const kind of this.#kinds) {
      at -= kind.weight;
      if (at < 0) return kind;
    }
    return this.#kinds[0]!;
  }

  #wayBack(model: Model): Command | undefined {
    const killed = model.accounts.find((account) => account.killed);
    if (killed !== undefined) return command({ type: CommandType.KillSwitch, account: killed.id, side: 2 });
    const closed = model.instruments.find((instrument) => instrument.state !== 1);
    if (closed !== undefined) {
      return command({ type: CommandType.SetTradingState, instrument: closed.id, orderType: 1 });
    }
    const narrow = model.accounts.find(
      (account) => account.orderTypes !== 62 || account.instrumentDefault !== 1,
    );
    if (narrow !== undefined) {
      return command({ type: CommandType.SetRights, account: narrow.id, rights: 62n | (1n << 32n) });
    }
    const denied = model.accounts.find((account) => [...account.instrumentRights.values()].includes(2));
    if (denied !== undefined) {
      const [instrument] = [...denied.instrumentRights].find(([, right]) => right === 2)!;
      return command({ type: CommandType.SetInstrumentRight, account: denied.id, instrument });
    }
    const limited = model.accounts.filter((account) => account.limits.length > 2);
    if (limited.length > 0) {
      const account = this.#random.pick(limited);
      const { kind, subject } = this.#random.pick(account.limits);
      return command({
        type: CommandType.SetLimit,
        account: account.id,
        orderType: kind,
        instrument: subject,
        amount: -1n,
      });
    }
    return undefined;
  }

  // ---- picks

  #account(model: Model): number {
    if (this.#random.oneIn(60)) return this.#random.pick([0, model.accounts.length, 0xffffffff]);
    return Math.max(1, this.#random.under(model.accounts.length));
  }

  #instrument(model: Model): Instrument | undefined {
    return model.instruments.length === 0 ? undefined : this.#random.pick(model.instruments);
  }

  #instrumentId(model: Model): number {
    if (this.#random.oneIn(60)) return this.#random.pick([0, model.instruments.length + 1, 0xffffffff]);
    return this.#instrument(model)?.id ?? 1;
  }

  #assetId(model: Model): number {
    if (this.#random.oneIn(40)) return this.#random.pick([0, model.assets.length + 1, 0xffffffff]);
    return this.#random.between(1, Math.max(1, model.assets.length));
  }

  // A new id mostly; now and then one of the few that everybody uses, or an odd one.
  #newId(): Id {
    const random = this.#random;
    this.#ids++;
    if (random.oneIn(15)) return `s${random.under(12)}`;
    if (random.oneIn(40)) return `0x${hex(random)}${hex(random)}${hex(random)}${hex(random)}`;
    if (random.oneIn(100))
      return random.pick(['"', '\\', 'a"b\\c', '!~', '0123456789abcdef', '~~~~~~~~~~~~~~~~']);
    return `o${this.#ids}`;
  }

  #openOrder(model: Model): Order | undefined {
    const orders = model.openOrders();
    return orders.length === 0 ? undefined : this.#random.pick(orders);
  }

  // {account, id} of an open order mostly, otherwise of some order that was sent once, or of none.
  #orderName(model: Model): { account: number; id: Id; order: Order | undefined } {
    const order = this.#openOrder(model);
    if (order !== undefined && !this.#random.oneIn(8))
      return { account: order.account.id, id: order.id, order };
    const sent = this.#sent.length === 0 ? undefined : this.#random.pick(this.#sent);
    if (sent !== undefined && sent.type <= CommandType.ReplaceOrder) {
      return { account: sent.account, id: sent.newId === '' ? sent.id : sent.newId, order: undefined };
    }
    return {
      account: this.#account(model),
      id: this.#random.oneIn(5) ? '' : this.#newId(),
      order: undefined,
    };
  }

  // Around where the market is.
  #price(instrument: Instrument, side: number): bigint {
    const random = this.#random;
    if (random.oneIn(12)) return random.pick([instrument.priceMin, instrument.priceMax]);
    const best = (opposite(side) === Side.Buy ? instrument.bids : instrument.asks)[0]?.price;
    const middle =
      best !== undefined && random.oneIn(2)
        ? best
        : instrument.hasTraded() && random.oneIn(2)
          ? instrument.lastPrice
          : (instrument.priceMin + instrument.priceMax) / 2n;
    // Often through the market, so that books don't only grow.
    const towards = side === Side.Buy ? 1 : -1;
    const price = middle + BigInt(random.oneIn(2) ? random.between(-4, 4) : towards * random.between(0, 2));
    if (random.oneIn(50)) return price;
    return clamp(price, instrument.priceMin, instrument.priceMax);
  }

  #quantity(instrument: Instrument): bigint {
    const random = this.#random;
    if (random.oneIn(15)) return random.pick([instrument.quantityMin, instrument.quantityMax]);
    const quantity = instrument.quantityMin + BigInt(random.under(this.#world.quantitySpread));
    if (random.oneIn(50)) return quantity;
    return clamp(quantity, instrument.quantityMin, instrument.quantityMax);
  }

  // ---- commands

  #newOrder(model: Model): Command {
    const random = this.#random;
    const instrument = this.#instrument(model);
    if (instrument === undefined)
      return command({ type: CommandType.NewOrder, account: 1, instrument: 1, id: 'n' });
    const side = random.between(1, 2);
    const orderType = random.pick(this.#types);
    const stop = orderType === OrderType.Stop || orderType === OrderType.StopLimit;
    let timeInForce = random.pick(this.#times);
    if (orderType === OrderType.Market) timeInForce = random.between(4, 5);
    if (stop && timeInForce > 3) timeInForce = 1;
    const c = command({
      type: CommandType.NewOrder,
      account: this.#account(model),
      instrument: random.oneIn(80) ? this.#instrumentId(model) : instrument.id,
      id: random.oneIn(150) ? '' : this.#newId(),
      side,
      orderType,
      timeInForce,
      selfTrade: random.pick(this.#selfTrades),
      flags: random.oneIn(3) ? CommandFlag.SelfTradeFirm : 0,
      quantity: this.#quantity(instrument),
    });
    if (orderType === OrderType.Limit || orderType === OrderType.StopLimit)
      c.price = this.#price(instrument, side);
    if (stop) c.stopPrice = this.#price(instrument, random.between(1, 2));
    if (timeInForce === 3) c.expiry = later(model.time, random.between(random.oneIn(20) ? 0 : 1, 40));
    const rests = orderType === OrderType.Limit && timeInForce <= 3;
    if (rests && random.oneIn(3 * this.#plain)) {
      c.displayQuantity = this.#display(c.quantity, instrument);
      if (random.oneIn(6)) c.quantity = this.#mostFor(c.displayQuantity);
    }
    if (rests && random.oneIn(3 * this.#plain)) {
      c.flags |= random.pick([CommandFlag.PostOnlyReject, CommandFlag.PostOnlyReprice]);
    } else if (!stop && timeInForce !== 5 && random.oneIn(4 * this.#plain)) {
      c.minQuantity = BigInt(random.between(1, Number(clamp(c.quantity, 1n, 1000n))));
    }
    return command(c);
  }

  #display(quantity: bigint, instrument: Instrument): bigint {
    const half = clamp(quantity / 3n, instrument.quantityMin, quantity);
    return this.#random.pick([half, instrument.quantityMin, quantity, half]);
  }

  // About the largest quantity that an order with this display quantity may have.
  #mostFor(display: bigint): bigint {
    return clamp(display * 10_000n + BigInt(this.#random.between(-1, 1)), 1n, (1n << 63n) - 1n);
  }

  #cancel(model: Model): Command {
    const { account, id } = this.#orderName(model);
    return command({ type: CommandType.CancelOrder, account, id });
  }

  #reduce(model: Model): Command {
    const { account, id, order } = this.#orderName(model);
    const open = order?.open ?? 5n;
    const by = this.#random.pick([1n, 1n, 2n, open / 2n, open - 1n, open, open + 1n]);
    return command({ type: CommandType.ReduceOrder, account, id, quantity: by });
  }

  #replace(model: Model): Command {
    const random = this.#random;
    const { account, id, order } = this.#orderName(model);
    const instrument = order?.instrument ?? this.#instrument(model);
    const c = command({ type: CommandType.ReplaceOrder, account, id });
    if (instrument === undefined) return c;
    c.newId = random.pick(['', '', id, this.#newId(), this.#newId(), this.#newId()]);
    c.price =
      order !== undefined && random.oneIn(2) ? order.price : this.#price(instrument, order?.side ?? 1);
    c.quantity = this.#quantity(instrument);
    if (order !== undefined && random.oneIn(2)) {
      c.quantity = random.pick([order.open, order.open - 1n, order.open + 1n, order.open * 2n]);
    }
    if (order !== undefined && order.display > 0n && random.oneIn(6))
      c.quantity = this.#mostFor(order.display);
    // Reckoned from an open quantity that is right, too high (it has traded since), too low or nonsense.
    if (order !== undefined && random.oneIn(3)) {
      const most = 1n << 62n;
      c.minQuantity = random.pick([order.open, order.open + 1n, order.open + 5n, order.open - 1n, -1n, most]);
    }
    if (order?.waiting) {
      c.stopPrice = random.pick([
        0n,
        order.stopPrice,
        this.#price(instrument, order.side),
        order.stopPrice + 1n,
      ]);
      if (order.orderType === OrderType.Stop && !random.oneIn(12)) c.price = 0n;
    }
    return command(c);
  }

  // A command that was sent before: the same, or nearly.
  #again(model: Model): Command {
    const random = this.#random;
    const recent = this.#sent.slice(-60).filter((c) => c.type <= 4 || (c.type >= 7 && c.type <= 9));
    if (recent.length === 0) return this.#newOrder(model);
    const c = { ...random.pick(recent) };
    if (random.oneIn(3)) return this.#spoil(c);
    if (random.oneIn(6)) c.account = this.#account(model);
    if (random.oneIn(6)) c.quantity = BigInt.asIntN(64, c.quantity + 1n);
    return c;
  }

  #massCancel(model: Model): Command {
    const random = this.#random;
    return command({
      type: CommandType.MassCancel,
      account: random.oneIn(5) ? 0 : this.#account(model),
      instrument: random.oneIn(2) ? 0 : this.#instrumentId(model),
      side: random.oneIn(20) ? 3 : random.under(3),
    });
  }

  #killSwitch(model: Model): Command {
    const side = this.#random.oneIn(15) ? this.#random.pick([0, 3]) : this.#random.between(1, 2);
    return command({
      type: CommandType.KillSwitch,
      account: this.#random.under(model.accounts.length + 1),
      side,
    });
  }

  #money(model: Model, type: number): Command {
    const random = this.#random;
    this.#transactions++;
    const c = command({
      type,
      account: this.#account(model),
      instrument: this.#assetId(model),
      id: random.oneIn(60) ? '' : random.oneIn(12) ? `t${random.under(10)}` : `t${this.#transactions}`,
      amount: random.oneIn(25) ? random.pick(INTERESTING_AMOUNTS) : this.#world.amount(random),
    });
    if (type === CommandType.Transfer) {
      c.toAccount = BigInt(random.oneIn(10) ? c.account : this.#account(model));
      if (random.oneIn(40)) c.toAccount += 1n << 32n;
    }
    return c;
  }

  #advanceTime(model: Model): Command {
    const random = this.#random;
    const back = [0n, model.time === 0n ? 0n : model.time - 1n];
    const to = random.oneIn(12) ? random.pick(back) : later(model.time, random.under(25));
    return command({ type: CommandType.AdvanceTime, expiry: to });
  }

  #tradingState(model: Model): Command {
    const random = this.#random;
    return command({
      type: CommandType.SetTradingState,
      instrument: this.#instrumentId(model),
      orderType: random.oneIn(10) ? random.pick([0, 5, 255]) : random.between(1, 4),
    });
  }

  #changeInstrument(model: Model): Command {
    const random = this.#random;
    const instrument = this.#instrument(model);
    if (instrument === undefined) return command({ type: CommandType.ChangeInstrument, instrument: 1 });
    const shift = BigInt(random.between(-3, 3));
    return command({
      type: CommandType.ChangeInstrument,
      instrument: random.oneIn(20) ? this.#instrumentId(model) : instrument.id,
      priceMin: clamp(instrument.priceMin + shift, 1n, 1n << 60n),
      priceMax: instrument.priceMax + BigInt(random.between(-2, 2)),
      quantityMin: instrument.quantityMin,
      quantityMax: instrument.quantityMax,
      makerFee: random.pick([0, -500, 100, 5000, 250_000, -100_000]),
      takerFee: random.pick([0, 500, 1000, 100_000, 333_333]),
      collar: random.pick([0, 10_000, 50_000, 300_000, 1_000_000]),
    });
  }

  // Fills the table of fee schedules: a resting order under each.
  #manySchedules(model: Model): Command {
    const instrument = this.#instrument(model);
    if (instrument === undefined) return command({ type: CommandType.DayEnd });
    for (let i = 0; i < 18; i++) {
      const buy = this.#random.oneIn(2);
      this.#pending.push(
        command({
          type: CommandType.ChangeInstrument,
          instrument: instrument.id,
          priceMin: instrument.priceMin,
          priceMax: instrument.priceMax,
          quantityMin: instrument.quantityMin,
          quantityMax: instrument.quantityMax,
          makerFee: 7 * i,
          takerFee: 11 * i + 1,
          collar: instrument.collar,
        }),
        command({
          type: CommandType.NewOrder,
          account: Math.max(1, this.#random.under(model.accounts.length)),
          instrument: instrument.id,
          id: this.#newId(),
          side: buy ? Side.Buy : Side.Sell,
          orderType: OrderType.Limit,
          timeInForce: 1,
          price: buy ? instrument.priceMin : instrument.priceMax,
          quantity: instrument.quantityMin,
        }),
      );
    }
    return this.#pending.shift()!;
  }

  #rights(model: Model): Command {
    const random = this.#random;
    const orderTypes = random.oneIn(3) ? 62 : random.under(64) & (random.oneIn(10) ? 0xff : 62);
    const byDefault = random.oneIn(10) ? random.pick([0, 3]) : random.between(1, 2);
    return command({
      type: CommandType.SetRights,
      account: random.under(model.accounts.length + 1),
      rights: BigInt(orderTypes) | (BigInt(byDefault) << 32n),
    });
  }

  #instrumentRight(model: Model): Command {
    return command({
      type: CommandType.SetInstrumentRight,
      account: this.#random.under(model.accounts.length + 1),
      instrument: this.#instrumentId(model),
      side: this.#random.oneIn(12) ? 3 : this.#random.under(3),
    });
  }

  #limit(model: Model): Command {
    const random = this.#random;
    const kind = random.oneIn(20) ? random.pick([0, 6]) : random.between(1, 5);
    const subjects =
      kind === 3 ? 0 : kind === 2 || kind === 4 ? this.#assetId(model) : this.#instrumentId(model);
    const money = kind === 2 || kind === 4;
    const amount = money ? this.#world.amount(random) : BigInt(random.under(this.#world.quantitySpread * 3));
    return command({
      type: CommandType.SetLimit,
      account: random.under(model.accounts.length + (random.oneIn(10) ? 1 : 0)),
      orderType: kind,
      instrument: random.oneIn(30) ? random.under(4) : subjects,
      amount: random.oneIn(6) ? -1n : random.oneIn(12) ? random.pick(INTERESTING_AMOUNTS) : amount,
    });
  }

  #name(): Id {
    this.#names++;
    return this.#random.oneIn(12) ? '' : this.#random.oneIn(4) ? 'N1' : `N${this.#names}`;
  }

  #addAccount(model: Model): Command {
    const id = this.#random.oneIn(10) ? 'VENUE' : this.#name();
    return command({
      type: CommandType.AddAccount,
      account: this.#random.under(model.accounts.length + 1),
      id,
    });
  }

  #addAsset(): Command {
    return command({ type: CommandType.AddAsset, id: this.#name(), orderType: this.#random.under(20) });
  }

  #addInstrument(model: Model): Command {
    const random = this.#random;
    const instrument = this.#instrument(model);
    return command({
      type: CommandType.AddInstrument,
      id: this.#name(),
      orderType: random.under(6),
      base: this.#assetId(model),
      quote: this.#assetId(model),
      price: instrument?.lotBase ?? 1n,
      quantity: instrument?.lotQuote ?? 1n,
      priceMin: instrument?.priceMin ?? 1n,
      priceMax: instrument?.priceMax ?? 10n,
      quantityMin: 1n,
      quantityMax: instrument?.quantityMax ?? 10n,
      collar: 20_000,
    });
  }

  // One field gets a value that it hardly ever should have.
  #spoil(sent: Command): Command {
    const random = this.#random;
    const c = { ...sent };
    const big = (): bigint => random.pick(INTERESTING);
    const unsigned = (): bigint => BigInt.asUintN(64, big());
    const spoilers: (() => void)[] = [
      () => (c.side = random.pick([0, 1, 2, 3, 255])),
      () => (c.orderType = random.pick([0, 1, 2, 3, 4, 5, 255])),
      () => (c.timeInForce = random.pick([0, 1, 2, 3, 4, 5, 6, 255])),
      () => (c.selfTrade = random.pick([0, 1, 4, 5, 255])),
      () => (c.flags ^= random.pick([2, 4, 6, 8, 16, 0x8000])),
      () => (c.account = random.pick([0, 1, 2, 9, 0xffffffff])),
      () => (c.instrument = random.pick([0, 1, 2, 9, 0xffffffff])),
      () => (c.id = random.pick(['', 's1', 's2'])),
      () => (c.price = big()),
      () => (c.price = big()),
      () => (c.quantity = big()),
      () => (c.quantity = big()),
      () => (c.amount = random.pick(INTERESTING_AMOUNTS)),
      () => (c.expiry = unsigned()),
      () => (c.toAccount = unsigned()),
      () => (c.rights = unsigned()),
      () => (c.newId = random.pick(['', 's1', 's3'])),
      () => (c.stopPrice = big()),
      () => (c.displayQuantity = big()),
      () => (c.minQuantity = big()),
      () => (c.priceMin = big()),
      () => (c.priceMax = big()),
      () => (c.quantityMin = big()),
      () => (c.quantityMax = big()),
      () => (c.makerFee = Number(BigInt.asIntN(32, big()))),
      () => (c.takerFee = Number(BigInt.asIntN(32, big()))),
      () => (c.collar = Number(BigInt.asIntN(32, big()))),
    ];
    // Instruments have most of theirs at the end of the list.
    const first = c.type === CommandType.AddInstrument || c.type === CommandType.ChangeInstrument ? 8 : 0;
    random.pick(spoilers.slice(first))();
    return command(c);
  }
}

function aWorld(random: Random, length: number): World {
  if (length >= VAST_LENGTH_MIN && random.oneIn(4)) return setupVast();
  return random.oneIn(10) ? setupWide(random) : setupSmall(random);
}

function hex(random: Random): string {
  return random.bits().toString(16).padStart(8, '0');
}

function later(time: bigint, by: number): bigint {
  return clamp(time + BigInt(by), 0n, (1n << 64n) - 1n);
}

function clamp(value: bigint, from: bigint, to: bigint): bigint {
  return value < from ? from : value > to ? to : value;
}
