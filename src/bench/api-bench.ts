// The TypeScript API: orders offered through Exchange in batches, in memory, risk on, their events consumed; one JavaScript thread, one engine thread.
//
//   rows (memory) ──▶ batch of 1 … 4096 ──offer──▶ [ command ring ] ──▶ engine ──▶ [ event ring ] ──▶ history ──▶ callback
//   lane cells:   OrderBatch in (integers), onCells out (each event's type and flags are read)
//   lane objects: requests in (texts), onEvents out (each event is decoded)
//
// saturated: offered as fast as they are taken; orders a second. Its latencies are those of an open loop at a fixed rate: a batch is due when its
// orders are, and each order's latency counts from then to when its last event has been seen.
// closed: one batch at a time, the next one when the last event of the one before has been seen.
import { Exchange } from '../api/exchange.ts';
import type { AccountRef, InstrumentRef, OrderBatch } from '../api/order-batch.ts';
import type { Request } from '../api/types.ts';
import { eventFlags, eventTypes } from '../wire/layout.ts';
import { Latencies } from './latencies.ts';
import {
  cancelKind,
  flowAccounts,
  flowMiddle,
  immediateKind,
  type OrderRows,
  orderRows,
} from './order-flow.ts';
import type { BenchCase, BenchResult } from './result.ts';

export const apiLanes = ['cells', 'objects'] as const;
export type ApiLane = (typeof apiLanes)[number];

export interface ApiBenchOptions {
  readonly lanes: readonly ApiLane[];
  readonly batches: readonly number[];
  readonly operations: number;
  readonly runs: number;
  readonly seed: number;
  /** Orders a second of the open loop. */
  readonly rate: number;
  readonly say: (text: string) => void;
}

export const apiBenchDefaults: Omit<ApiBenchOptions, 'say'> = {
  lanes: apiLanes,
  batches: [1, 16, 256, 4096],
  operations: 2_000_000,
  runs: 3,
  seed: 1,
  rate: 100_000,
};

const resting = 1000;
/** Seconds that the open loop and the closed loop last at most. */
const seconds = 1;

/** Offers rows and counts the answers. Rows are answered in order: the exchange has no clock of its own. */
class Feeder {
  readonly exchange: Exchange;
  readonly #rows: OrderRows;
  readonly #batch: OrderBatch;
  readonly #accounts: AccountRef[];
  readonly #instrument: InstrumentRef;
  readonly #lane: ApiLane;
  readonly #stop: () => void;
  /** Of the lane objects: encoded and not taken yet. */
  #requests: Request[] = [];
  #sent = 0;
  #answered = 0;
  #rejected = 0;
  /** Called with how many rows have been answered since the last time. */
  onAnswered: (count: number) => void = () => undefined;
  #wake: () => void = () => undefined;

  private constructor(exchange: Exchange, rows: OrderRows, lane: ApiLane, batch: number) {
    this.exchange = exchange;
    this.#rows = rows;
    this.#lane = lane;
    this.#batch = exchange.batch(batch);
    this.#accounts = Array.from({ length: flowAccounts }, (_, index) => exchange.accountRef(nameOf(index)));
    this.#instrument = exchange.instrumentRef('BTC-USD');
    this.#stop = lane === 'cells' ? this.#consumeCells() : this.#consumeObjects();
  }

  static async open(rows: OrderRows, lane: ApiLane, batch: number): Promise<Feeder> {
    const exchange = await Exchange.open({
      clock: 'manual',
      snapshotEvery: 0,
      maxOrders: rows.count + 1000,
      maxClientIds: rows.count + 1000,
      maxAccounts: flowAccounts + 8,
      maxInstruments: 8,
    });
    const amount = (10n ** 18n).toString();
    const setup: Request[] = [
      { op: 'add-asset', asset: 'BTC', decimals: 0 },
      { op: 'add-asset', asset: 'USD', decimals: 0 },
    ];
    const market: Request[] = [
      {
        op: 'add-instrument',
        instrument: 'BTC-USD',
        base: 'BTC',
        quote: 'USD',
        tickSize: '1',
        lotSize: '1',
        minPrice: '1',
        maxPrice: String(2 * flowMiddle),
        makerFee: 100,
        takerFee: 200,
      },
      ...Array.from(
        { length: flowAccounts },
        (_, index): Request => ({
          op: 'add-account',
          account: nameOf(index),
        }),
      ),
    ];
    const money = Array.from({ length: flowAccounts }, (_, index) => nameOf(index)).flatMap(
      (account): Request[] => [
        { op: 'deposit', account, asset: 'BTC', id: 'base', amount },
        { op: 'deposit', account, asset: 'USD', id: 'quote', amount },
      ],
    );
    for (const step of [setup, market, money]) await Promise.all(step.map((one) => exchange.execute(one)));
    const feeder = new Feeder(exchange, rows, lane, batch);
    await feeder.#send(resting, batch);
    await feeder.answered();
    return feeder;
  }

  get sent(): number {
    return this.#sent;
  }

  get rejectedShare(): number {
    return this.#rejected / Math.max(1, this.#answered);
  }

  /** Offers what is left of the last batch, else the next `count` rows as a batch; answers how many were taken. */
  offer(count: number): number {
    const taken = this.#lane === 'cells' ? this.#offerCells(count) : this.#offerObjects(count);
    this.#sent += taken;
    return taken;
  }

  /** Resolves when everything sent has been answered. */
  async answered(): Promise<void> {
    while (this.#answered < this.#sent) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    this.#stop();
    await this.exchange.close();
  }

  async #send(count: number, batch: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const taken = this.offer(Math.min(left, batch));
      left -= taken;
      if (taken === 0) await this.exchange.room();
    }
  }

  #offerCells(count: number): number {
    if (this.#batch.size === 0) this.#fillBatch(count);
    return this.exchange.offerBatch(this.#batch).accepted;
  }

  #fillBatch(count: number): void {
    const rows = this.#rows;
    const batch = this.#batch;
    for (let row = this.#sent; row < this.#sent + count; row++) {
      const account = this.#accounts[rows.account[row]!]!;
      const kind = rows.kind[row]!;
      if (kind === cancelKind) {
        batch.cancel(account, rows.order[row]!);
        continue;
      }
      batch.limit(
        account,
        this.#instrument,
        rows.order[row]!,
        rows.buy[row] === 1 ? 'buy' : 'sell',
        rows.ticks[row]!,
        rows.lots[row]!,
        kind === immediateKind ? 'ioc' : 'gtc',
      );
    }
  }

  #offerObjects(count: number): number {
    if (this.#requests.length === 0) this.#requests = this.#requestsOf(count);
    const { accepted } = this.exchange.offer(this.#requests);
    this.#requests = accepted === this.#requests.length ? [] : this.#requests.slice(accepted);
    return accepted;
  }

  #requestsOf(count: number): Request[] {
    const rows = this.#rows;
    const requests: Request[] = [];
    for (let row = this.#sent; row < this.#sent + count; row++) {
      const account = nameOf(rows.account[row]!);
      const id = String(rows.order[row]);
      const kind = rows.kind[row]!;
      if (kind === cancelKind) {
        requests.push({ op: 'cancel', account, id });
        continue;
      }
      requests.push({
        op: 'new',
        account,
        instrument: 'BTC-USD',
        id,
        side: rows.buy[row] === 1 ? 'buy' : 'sell',
        price: String(rows.ticks[row]),
        quantity: String(rows.lots[row]),
        tif: kind === immediateKind ? 'ioc' : 'gtc',
      });
    }
    return requests;
  }

  #consumeCells(): () => void {
    const rejected = eventTypes.rejected;
    return this.exchange.onCells((cells, first, count) => {
      let last = 0;
      for (let cell = first; cell < first + count; cell++) {
        if ((cells.flags(cell) & eventFlags.last) !== 0) last++;
        if (cells.type(cell) === rejected) this.#rejected++;
      }
      this.#took(last);
    });
  }

  #consumeObjects(): () => void {
    return this.exchange.onEvents((events) => {
      let last = 0;
      for (const event of events) {
        if (event.last) last++;
        if (event.event === 'rejected') this.#rejected++;
      }
      this.#took(last);
    });
  }

  #took(count: number): void {
    this.#answered += count;
    this.onAnswered(count);
    this.#wake();
  }
}

function nameOf(account: number): string {
  return `a${account}`;
}

/** Orders a second, all of them there at once. */
async function saturate(feeder: Feeder, operations: number, batch: number): Promise<number> {
  const began = performance.now();
  for (let left = operations; left > 0; ) {
    const taken = feeder.offer(Math.min(left, batch));
    left -= taken;
    if (taken === 0) await feeder.exchange.room();
  }
  await feeder.answered();
  return (operations * 1000) / (performance.now() - began);
}

/** Latencies from when a batch was due. */
async function offerAtRate(
  feeder: Feeder,
  operations: number,
  batch: number,
  rate: number,
): Promise<Latencies> {
  const latencies = new Latencies();
  const msOfBatch = (batch / rate) * 1000;
  const warmup = Math.floor(operations / batch / 5) * batch;
  const began = performance.now();
  let seen = 0;
  feeder.onAnswered = (count) => {
    const now = performance.now();
    for (let left = count; left > 0; ) {
      const index = Math.floor(seen / batch);
      const run = Math.min(left, (index + 1) * batch - seen);
      if (seen >= warmup) latencies.add((now - (began + index * msOfBatch)) * 1e6, run);
      seen += run;
      left -= run;
    }
  };
  for (let sent = 0; sent < operations; ) {
    const due = Math.min(operations, (Math.floor((performance.now() - began) / msOfBatch) + 1) * batch);
    while (sent < due) {
      // Never across the end of a batch: what was not taken stays with its own.
      const taken = feeder.offer(Math.min(due - sent, batch - (sent % batch)));
      if (taken === 0) break;
      sent += taken;
    }
    await feeder.exchange.room();
  }
  await feeder.answered();
  feeder.onAnswered = () => undefined;
  return latencies;
}

/** One batch at a time. */
async function oneByOne(
  feeder: Feeder,
  operations: number,
  batch: number,
): Promise<{ readonly perSecond: number; readonly latencies: Latencies }> {
  const latencies = new Latencies();
  const began = performance.now();
  let [sent, now] = [0, began];
  feeder.onAnswered = (count) => latencies.add((performance.now() - now) * 1e6, count);
  while (sent < operations && now - began < seconds * 1000) {
    for (let left = Math.min(batch, operations - sent); left > 0; ) {
      const taken = feeder.offer(left);
      left -= taken;
      sent += taken;
      if (taken === 0) await feeder.exchange.room();
    }
    await feeder.answered();
    now = performance.now();
  }
  feeder.onAnswered = () => undefined;
  return { perSecond: (sent * 1000) / (now - began), latencies };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Runs all lanes and batch sizes, each run on an exchange of its own. */
export async function apiBench(options: ApiBenchOptions): Promise<BenchResult> {
  const { lanes, batches, operations, runs, seed, rate, say } = options;
  const rows = orderRows(resting, operations, seed);
  const cases: BenchCase[] = [];
  for (const lane of lanes) {
    for (const batch of batches) {
      say(`api: lane ${lane}, batches of ${batch} …`);
      const rates: number[] = [];
      let rejectedShare = 0;
      // The first one does not count: the code is compiled meanwhile.
      for (let run = -1; run < runs; run++) {
        const feeder = await Feeder.open(rows, lane, batch);
        const rate = await saturate(feeder, operations, batch);
        if (run >= 0) rates.push(rate);
        rejectedShare = feeder.rejectedShare;
        await feeder.close();
      }
      const orders = batch === 1 ? 'order' : 'orders';
      const open = await Feeder.open(rows, lane, batch);
      const offered = await offerAtRate(open, Math.min(operations, rate * seconds), batch, rate);
      await open.close();
      cases.push({
        name: `TypeScript offers batches of ${batch} ${orders} as ${lane}`,
        case: 'saturated',
        lane,
        batch,
        opsPerSecond: Math.round(median(rates)),
        offeredPerSecond: rate,
        ...offered.figures(),
        rejectedShare: Number(rejectedShare.toFixed(4)),
      });
      const closed = await Feeder.open(rows, lane, batch);
      const { perSecond, latencies } = await oneByOne(closed, operations, batch);
      await closed.close();
      cases.push({
        name: `TypeScript offers one batch of ${batch} ${orders} at a time as ${lane}`,
        case: 'closed',
        lane,
        batch,
        opsPerSecond: Math.round(perSecond),
        ...latencies.figures(),
      });
    }
  }
  return { cases, operations, runs, seed, restingOrders: resting, node: process.version };
}
