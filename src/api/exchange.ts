// Exchange: one node in this process, as a user of the package holds it in hand.
import { ClosedError, fromNative, InvalidRequestError, NativeError, RejectError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import type { GatewayAddresses, GatewayStats } from '../native/types.ts';
import { rejectSentence } from '../wire/rejects.ts';
import { Additions } from './additions.ts';
import { Answers } from './answers.ts';
import type { EngineNode } from './engine-node.ts';
import { EventDecoder } from './event-decoder.ts';
import { type CellsCallback, EventPump, type EventsCallback } from './event-pump.ts';
import { EventStream } from './event-stream.ts';
import { Intake } from './intake.ts';
import { type OpenNode, openNode } from './open-node.ts';
import { type AccountRef, type InstrumentRef, OrderBatch } from './order-batch.ts';
import type { PastEvents } from './past-events.ts';
import { Queries } from './queries.ts';
import { Registry } from './registry.ts';
import { RequestEncoder } from './request-encoder.ts';
import type {
  AccountListing,
  AccountView,
  AssetView,
  BalancesView,
  BookView,
  CloseResult,
  Event,
  ExchangeOptions,
  ExchangeStats,
  InstrumentView,
  OfferResult,
  OrdersView,
  OrderView,
  Request,
  StateHash,
} from './types.ts';

export type RejectedEvent = Extract<Event, { event: 'rejected' }>;

/** How late a failure of the node may be told to those who wait. */
const checkAfterMs = 20;
const batchCapacityDefault = 4_096;
const batchCapacityMax = 1 << 20;

/**
 * A running exchange node: its engine works on a thread of its own, this object feeds it and hands out its events.
 *
 * Units: prices, quantities and amounts are decimal strings, or bigints of ticks, lots and smallest units; a `number` is refused.
 * Threads: belongs to the JavaScript thread that opened it. Nothing here blocks that thread; the engine never waits for a consumer of events.
 * Errors: everything thrown or rejected is a VerbexError with a stable `code` (docs/errors.md). What the core refuses is an event, not an error,
 * but for `execute()`.
 *
 * ```ts
 * await using exchange = await Exchange.open({ data: './data' });
 * await exchange.execute({ op: 'add-account', account: 'alice' });
 * ```
 */
export class Exchange implements AsyncDisposable {
  readonly #node: EngineNode;
  readonly #registry: Registry;
  readonly #decoder: EventDecoder;
  readonly #pump: EventPump;
  readonly #intake: Intake;
  readonly #queries: Queries;
  readonly #past: PastEvents;
  #closing: Promise<CloseResult> | undefined;
  #check: NodeJS.Timeout | undefined;

  private constructor(
    node: EngineNode,
    past: PastEvents,
    registry: Registry,
    queries: Queries,
    historyCells: number,
  ) {
    const answers = new Answers();
    const additions = new Additions(registry);
    this.#node = node;
    this.#past = past;
    this.#registry = registry;
    this.#queries = queries;
    this.#decoder = new EventDecoder(registry);
    this.#pump = new EventPump({
      node,
      decoder: this.#decoder,
      additions,
      answers,
      historyCells,
      names: () => queries.fillRegistry(),
    });
    const encoder = new RequestEncoder(registry, additions);
    this.#intake = new Intake({ node, encoder, additions, answers, pump: this.#pump });
  }

  /**
   * Opens a node: recovers what `data` holds, then runs. Resolves once it takes commands.
   *
   * Rejects with INVALID_OPTION, or with a NativeError: damage in the journal (with its `place`), a folder in use, a state that exceeds the limits.
   */
  static open(options: ExchangeOptions = {}): Promise<Exchange> {
    return Exchange.openOver(openNode, options);
  }

  /** The same over any engine that behaves like the native one: for tests. @internal */
  static async openOver(open: OpenNode, options: ExchangeOptions = {}): Promise<Exchange> {
    let wake = (): void => undefined;
    const { node, historyCells, past } = await open(options, () => wake());
    const registry = new Registry();
    const queries = new Queries(node, registry);
    try {
      await queries.fillRegistry();
    } catch (error) {
      await node.close();
      throw error;
    }
    const exchange = new Exchange(node, past, registry, queries, historyCells);
    wake = () => exchange.#woken();
    // Events that came before anybody was there to be called.
    wake();
    return exchange;
  }

  /**
   * Offers requests, in order, and answers how many the input ring had room for: a prefix of the batch. The rest is yours to offer again, after
   * `await exchange.room()`. Answers come as events.
   *
   * Checks and encodes the whole batch first: a VerbexError (with `index` and `field`) means that nothing of it was taken. Names must be
   * known already: an account can be used once its `add-account` has been answered.
   */
  offer(batch: readonly Request[]): OfferResult {
    return this.#intake.offer(batch);
  }

  /**
   * Submits one request and resolves with all its events, the first being its answer: `rejected` too, which is not an error here.
   * Waits while the input ring is full. In durability `durable` an answer means that the command is on disk.
   *
   * Rejects with the error of a request that cannot be encoded, BACK_PRESSURE where 65,536 requests wait already, EXCHANGE_CLOSED, or a
   * NativeError if the engine fails; then it is unknown whether the command was stored.
   */
  async submit(request: Request): Promise<Event[]> {
    return await this.#intake.submit(request);
  }

  /** Like submit(), but rejects with a RejectError, whose `code` is the core's, where the answer is `rejected`. */
  async execute(request: Request): Promise<Event[]> {
    const events = await this.#intake.submit(request);
    const first = events[0];
    if (first?.event === 'rejected') {
      throw new RejectError<RejectedEvent>(first, `${first.op}: ${rejectSentence(first.code)}`);
    }
    return events;
  }

  /** Resolves when it is worth offering again what found no room. */
  room(): Promise<void> {
    return this.#intake.room();
  }

  /** A batch of the fast lane, for so many orders (at most 1,048,576): integers instead of texts, written straight into command cells. */
  batch(capacity: number = batchCapacityDefault): OrderBatch {
    return new OrderBatch(integerOption('capacity', capacity, 1, batchCapacityMax));
  }

  /** Offers what the batch holds and takes out of it what was accepted. */
  offerBatch(batch: OrderBatch): OfferResult {
    return this.#intake.offerBatch(batch);
  }

  /** The account's number, for batches and cells. Throws UNKNOWN_ACCOUNT_NAME. */
  accountRef(name: string): AccountRef {
    return this.#registry.account(name) as AccountRef;
  }

  /** The instrument's number, for batches and cells. Throws UNKNOWN_INSTRUMENT_NAME. */
  instrumentRef(name: string): InstrumentRef {
    return this.#registry.instrument(name).id as InstrumentRef;
  }

  /** The account of a number that an event cell carries; `#<number>` where there is none. */
  accountName(ref: number): string {
    return this.#registry.accountName(ref);
  }

  /** The instrument of a number that an event cell carries; `#<number>` where there is none. */
  instrumentName(ref: number): string {
    return this.#registry.instrumentName(ref);
  }

  /** A price as whole ticks. Throws DecimalError, UNKNOWN_INSTRUMENT_NAME. */
  ticks(instrument: string, price: string): bigint {
    return BigInt(this.#registry.instrument(instrument).price.toUnits(price, 'price'));
  }

  /** A quantity as whole lots. Throws DecimalError, UNKNOWN_INSTRUMENT_NAME. */
  lots(instrument: string, quantity: string): bigint {
    return BigInt(this.#registry.instrument(instrument).quantity.toUnits(quantity, 'quantity'));
  }

  /** The text of a price in ticks. */
  price(instrument: string, ticks: bigint | number): string {
    return this.#registry.instrument(instrument).price.toText(ticks);
  }

  /** The text of a quantity in lots. */
  quantity(instrument: string, lots: bigint | number): string {
    return this.#registry.instrument(instrument).quantity.toText(lots);
  }

  /**
   * Events in order and without gaps, from the call on, or from the first event of position `from`. Any number of consumers, each at its own pace;
   * none holds up another or the engine. Ends when the exchange is closed.
   *
   * Events that are no longer in memory (`eventHistory`) are derived again from the journal where there is one.
   * Throws (at `next()`) SlowConsumerError where the consumer has fallen back further than the history reaches, with the position to resume from;
   * EVENTS_GONE where `from` can be had neither from memory nor from the journal.
   */
  events(options: { readonly from?: bigint } = {}): AsyncIterableIterator<Event> & AsyncDisposable {
    const { history, signal } = this.#pump;
    const { from } = options;
    if (from === undefined) {
      return new EventStream(history, this.#decoder, signal, history.start, history.lastPosition + 1n);
    }
    if (typeof from !== 'bigint' || from < 1n) {
      throw new InvalidRequestError(
        'INVALID_OPTION',
        `from: expected a position from 1n on, got ${shown(from)}`,
        { field: 'from' },
      );
    }
    const index = history.indexOf(from);
    if (index !== undefined) return new EventStream(history, this.#decoder, signal, index, from);
    return this.#past.thenLive(from, history, this.#decoder, signal);
  }

  /**
   * Calls back with the events of whole commands, a batch at a time, on this thread; answers how to stop. An error that the callback throws surfaces
   * as an uncaught exception, and the other callbacks still get their events.
   */
  onEvents(callback: EventsCallback): () => void {
    return this.#pump.onEvents(callback);
  }

  /** The fast lane out: event cells as they are, to be read in place until the callback returns. Otherwise like onEvents(). */
  onCells(callback: CellsCallback): () => void {
    return this.#pump.onCells(callback);
  }

  /** Price levels (level 2) of a book, best first: visible quantities. Default 20 levels a side, at most 1,000,000. */
  async book(instrument: string, options: { readonly levels?: number } = {}): Promise<BookView> {
    return await this.#queries.book(instrument, options.levels);
  }

  /** Orders (level 3) of a book, level by level in queue order. Default 20 levels a side, at most 1,000,000. */
  async orders(instrument: string, options: { readonly levels?: number } = {}): Promise<OrdersView> {
    return await this.#queries.orders(instrument, options.levels);
  }

  /** An open order; null where it is closed or not known. */
  async order(account: string, id: string): Promise<OrderView | null> {
    return await this.#queries.order(account, id);
  }

  /** Balances and exposures of one account, without its orders: costs the same however many it has. */
  async balances(name: string): Promise<BalancesView> {
    return await this.#queries.balances(name);
  }

  /** Balances, exposures and open orders of one account, as of one position; of more than 10,000 orders those behind may be of later ones. */
  async account(name: string): Promise<AccountView> {
    return await this.#queries.account(name);
  }

  /** All accounts by number, the venue first. */
  async accounts(): Promise<AccountListing[]> {
    return await this.#queries.accounts();
  }

  async instrument(name: string): Promise<InstrumentView> {
    return await this.#queries.instrument(name);
  }

  async instruments(): Promise<InstrumentView[]> {
    return await this.#queries.instruments();
  }

  async assets(): Promise<AssetView[]> {
    return await this.#queries.assets();
  }

  /** The hash over the whole state: equal states, equal hashes, on any host. 32 hex digits. */
  async stateHash(): Promise<StateHash> {
    return await this.#queries.stateHash();
  }

  /** The whole state as one line of JSON (docs/rules.md, section 11). Integers may exceed 2^53: JSON.parse would round them. */
  async explain(): Promise<string> {
    return await this.#queries.explain();
  }

  /** Writes and verifies a snapshot now; resolves with its position. */
  async snapshot(): Promise<bigint> {
    try {
      return await this.#node.snapshot();
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Where the gateways listen; undefined without gateways. */
  get gatewayAddresses(): GatewayAddresses | undefined {
    return this.#node.gatewayAddresses();
  }

  /** Counters of the gateways' thread, at most 100 ms old; undefined without gateways. */
  gatewayStats(): GatewayStats | undefined {
    return this.#node.gatewayStats();
  }

  /** Counters, without asking the engine's thread. */
  stats(): ExchangeStats {
    const stats = this.#node.stats();
    const { history } = this.#pump;
    return {
      position: stats.position,
      durablePosition: stats.durablePosition,
      publishedPosition: stats.publishedPosition,
      snapshotPosition: stats.snapshotPosition,
      recoveredFrom: stats.recoveredFrom,
      recoveryMs: stats.recoveryMs,
      stateHash: stats.stateHash,
      commands: Number(stats.commands),
      events: Number(stats.events),
      batches: Number(stats.batches),
      snapshots: Number(stats.snapshots),
      journalBytes: Number(stats.journalBytes),
      ticks: Number(stats.ticks),
      plan: stats.plan,
      spinNs: stats.spinNs,
      pinning: stats.pinning,
      ringHighWater: stats.ringHighWater,
      hazards: stats.hazards,
      stalls: stats.stalls,
      drains: stats.drains,
      stages: stats.stages,
      backPressureWaits: Number(stats.backPressureWaits),
      snapshotStallNsMax: Number(stats.snapshotStallNsMax),
      snapshotStatus: stats.snapshotStatus,
      refusedSnapshots: stats.refusedSnapshots,
      failure: stats.failure,
      replayed: Number(stats.replayed),
      tornBytes: Number(stats.tornBytes),
      waiting: this.#intake.waiting,
      keptEvents: history.head - history.tail,
    };
  }

  /**
   * Drains and closes: everything offered or submitted is applied, journaled, published and answered; then streams end. Resolves with the last position
   * and the state hash. Safe to call again: the same answer.
   */
  close(): Promise<CloseResult> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** close(), for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<CloseResult> {
    const pump = this.#pump;
    clearTimeout(this.#check);
    try {
      this.#intake.close();
      await this.#intake.drain();
      const result = await this.#node.close();
      // What was published last; the engine is gone, so 0 is final.
      pump.drain();
      this.#intake.fail(new ClosedError());
      pump.signal.end();
      return result;
    } catch (error) {
      const failure = fromNative(error);
      pump.drain();
      this.#intake.fail(failure);
      pump.signal.end(failure);
      throw failure;
    }
  }

  /**
   * The node has events, or has failed; one call may stand for both. Asking which of them costs more than a batch of events, so it is done now and
   * then.
   */
  #woken(): void {
    this.#pump.pump();
    if (this.#check !== undefined || this.#closing !== undefined) return;
    this.#check = setTimeout(() => {
      this.#check = undefined;
      this.#checkNode();
    }, checkAfterMs);
    this.#check.unref();
  }

  /** A node that has failed publishes no more: everybody who waits is told. */
  #checkNode(): void {
    const { failure } = this.#node.stats();
    if (failure === '') return;
    const colon = failure.indexOf(': ');
    const error =
      colon < 0
        ? new NativeError('NATIVE_ERROR', failure)
        : new NativeError(failure.slice(0, colon), failure.slice(colon + 2));
    this.#intake.fail(error);
    this.#pump.signal.end(error);
  }
}

/** Throws INVALID_OPTION. */
function integerOption(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new InvalidRequestError(
      'INVALID_OPTION',
      `${name}: ${shown(value)} is not an integer from ${min} to ${max}`,
      {
        field: name,
      },
    );
  }
  return value;
}
