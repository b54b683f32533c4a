// The seeded crowd: offers a steady stream of commands in batches, follows its orders by their events.
//
// Invariants:
//   1. Client order ids are new ones: they begin with the position at which this run started, and positions only grow. (A run
//      whose commands were all lost used no ids.)
//   2. At most openOrdersMax orders live for each participant, so the book stays bounded.
//   3. A day ends before the ids used since the last one fill a quarter of the core's table: what is remembered, two days at most
//      and what was there at the start, stays within it.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Event, Request } from '../api/types.ts';
import { crowdFirms, type DemoExchange, demoAccounts, demoInstruments, prepareMarket } from './market.ts';
import { Random } from './random.ts';
import { type LiveOrder, Market, makerWish, type Trader, takerWish } from './strategies.ts';

export interface CrowdOptions {
  readonly exchange: DemoExchange;
  readonly seed: number;
  /** What the crowd aims at; when the exchange or this process is short of breath it does less. */
  readonly commandsPerSecond?: number;
  /** The core's table of client order ids. */
  readonly maxClientIds: number;
  /** Something that should never happen, e.g. a request that the API refuses; the crowd has stopped. */
  readonly onFault?: (error: unknown) => void;
}

export interface CrowdFigures {
  readonly offered: number;
  readonly commandsPerSecond: number;
  readonly openOrders: number;
  readonly dayEnds: number;
  readonly rejects: ReadonlyMap<string, number>;
}

export const commandsPerSecondDefault = 1000;
const tickMs = 10;
/** A batch that waits: when it cannot be offered whole the rest is offered at the next tick. */
const backlogMax = 2000;
/** Also when the table is smaller than we were told. */
const dayMsMin = 1000;

export class Crowd {
  /** Nanoseconds from the offer of a new order to its first event, since the start or the last reset. */
  readonly latency: RecordableHistogram = createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 });
  readonly #exchange: DemoExchange;
  readonly #random: Random;
  readonly #target: number;
  readonly #maxClientIds: number;
  readonly #onFault: (error: unknown) => void;
  readonly #traders: Trader[] = [];
  readonly #makers: Trader[] = [];
  readonly #takers: Trader[] = [];
  readonly #live = new Map<string, LiveOrder>();
  readonly #rejects = new Map<string, number>();
  #markets: Market[] = [];
  #backlog: Request[] = [];
  #prefix = '';
  #sequence = 0;
  #idsToday = 0;
  #dayEnds = 0;
  #dayBegan = 0;
  #offered = 0;
  #rate: number;
  #owed = 0;
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CrowdOptions) {
    this.#exchange = options.exchange;
    this.#random = new Random(options.seed);
    this.#target = options.commandsPerSecond ?? commandsPerSecondDefault;
    this.#rate = this.#target;
    this.#maxClientIds = options.maxClientIds;
    this.#onFault = options.onFault ?? (() => undefined);
    for (const { name, role } of demoAccounts) {
      if (role === undefined) continue;
      const trader: Trader = { account: name, role, orders: new Map(), leaning: new Map() };
      this.#traders.push(trader);
      (role === 'maker' ? this.#makers : this.#takers).push(trader);
    }
  }

  /** Sets the market up, takes back what an earlier run left in the books, ends its day, and begins. */
  async start(): Promise<void> {
    await prepareMarket(this.#exchange);
    const { position } = this.#exchange.stats();
    this.#prefix = BigInt(position).toString(36);
    for (const account of crowdFirms) await this.#exchange.submit({ op: 'mass-cancel', account });
    await this.#exchange.submit({ op: 'day-end' });
    const lastPrices = new Map(
      (await this.#exchange.instruments()).map((one) => [one.instrument, one.lastPrice]),
    );
    this.#markets = demoInstruments.map(
      (demo) => new Market(demo, lastPrices.get(demo.terms.instrument) ?? null),
    );
    this.#exchange.onEvents((batch) => {
      try {
        for (const event of batch) this.#follow(event);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Offers nothing more. What was offered is still answered, and followed until the exchange is closed. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const request of this.#backlog) {
      const order = request.op === 'new' ? this.#live.get(request.id) : undefined;
      if (order === undefined) continue;
      this.#live.delete(order.id);
      order.trader.orders.delete(order.id);
    }
    this.#backlog = [];
  }

  #fail(error: unknown): void {
    this.stop();
    this.#onFault(error);
  }

  figures(): CrowdFigures {
    return {
      offered: this.#offered,
      commandsPerSecond: this.#rate,
      openOrders: this.#live.size,
      dayEnds: this.#dayEnds,
      rejects: this.#rejects,
    };
  }

  #tick(): void {
    const now = performance.now();
    const seconds = Math.min(0.25, (now - this.#last) / 1000);
    const late = now - this.#last > 5 * tickMs;
    this.#last = now;
    for (const market of this.#markets) market.wander(this.#random, seconds);
    this.#owed = Math.min(this.#rate / 4, this.#owed + this.#rate * seconds);
    const wanted = Math.floor(this.#owed);
    this.#owed -= wanted;
    // Who is asked may want nothing; then somebody else is asked, but not for ever.
    let asked = 0;
    for (
      let wishes = 0;
      wishes < wanted && asked < 3 * wanted && this.#backlog.length < backlogMax;
      asked++
    ) {
      if (this.#wish()) wishes++;
    }
    if (this.#idsToday >= this.#maxClientIds / 4 && now - this.#dayBegan > dayMsMin) {
      this.#idsToday = 0;
      this.#dayBegan = now;
      this.#dayEnds++;
      this.#backlog.push({ op: 'day-end' });
    }
    this.#offer(late);
  }

  #offer(late: boolean): void {
    const batch = this.#backlog;
    if (batch.length === 0) return;
    const now = performance.now();
    for (const request of batch) {
      const order = request.op === 'new' ? this.#live.get(request.id) : undefined;
      if (order !== undefined) order.offeredAt = now;
    }
    let accepted: number;
    try {
      ({ accepted } = this.#exchange.offer(batch));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#offered += accepted;
    this.#backlog = batch.slice(accepted);
    // Half as much when something is short of breath, then back by and by.
    const short = accepted < batch.length || late;
    this.#rate = short
      ? Math.max(this.#target / 20, this.#rate / 2)
      : Math.min(this.#target, this.#rate * 1.01 + 1);
  }

  /** One participant thinks once; answers whether it wants anything. */
  #wish(): boolean {
    const random = this.#random;
    const maker = random.chance(0.6);
    const trader = random.pick(maker ? this.#makers : this.#takers);
    const market = random.pick(this.#markets);
    const wish = maker ? makerWish(random, trader, market) : takerWish(random, trader, market, Date.now());
    if (wish === undefined) return false;
    if ('request' in wish) {
      this.#backlog.push(wish.request);
      return true;
    }
    const id = `${this.#prefix}-${(this.#sequence++).toString(36)}`;
    const { order, ticks, lots, rung } = wish;
    const live: LiveOrder = {
      id,
      trader,
      market,
      side: order.side,
      rung,
      ticks,
      lots,
      offeredAt: performance.now(),
    };
    this.#live.set(id, live);
    trader.orders.set(id, live);
    this.#idsToday++;
    this.#backlog.push({ ...order, op: 'new', id, account: trader.account, instrument: market.name });
    return true;
  }

  #follow(event: Event): void {
    switch (event.event) {
      case 'trade':
        this.#traded(event.taker, event.takerAccount, event.takerLeft, event.side === 'buy' ? 1 : -1);
        this.#traded(event.maker, event.makerAccount, event.makerLeft, event.side === 'buy' ? -1 : 1);
        return;
      case 'accepted':
        this.#find(event.id, event.account);
        return;
      case 'cancelled':
        this.#close(event.id, event.account);
        return;
      case 'rejected': {
        if (event.id === undefined || event.account === undefined) return;
        if (this.#find(event.id, event.account) === undefined) return;
        this.#rejects.set(event.code, (this.#rejects.get(event.code) ?? 0) + 1);
        if (event.code === 'CAPACITY_CLIENT_IDS') this.#idsToday = Number.POSITIVE_INFINITY;
        if (event.op === 'new') this.#close(event.id, event.account);
        return;
      }
      default:
        return;
    }
  }

  /** The crowd's order of this name; its first event tells how long the way was. */
  #find(id: string, account: string): LiveOrder | undefined {
    const order = this.#live.get(id);
    if (order === undefined || order.trader.account !== account) return undefined;
    if (order.offeredAt > 0) {
      this.latency.record(Math.max(1, Math.round((performance.now() - order.offeredAt) * 1e6)));
      order.offeredAt = 0;
    }
    return order;
  }

  #traded(id: string, account: string, left: string, sign: number): void {
    const order = this.#find(id, account);
    if (order === undefined) return;
    const { trader, market } = order;
    trader.leaning.set(market.name, (trader.leaning.get(market.name) ?? 0) + sign);
    if (left === '0') this.#close(id, account);
  }

  #close(id: string, account: string): void {
    const order = this.#find(id, account);
    if (order === undefined) return;
    this.#live.delete(id);
    order.trader.orders.delete(id);
  }
}
