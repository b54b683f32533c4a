/**
 * The words of the public API: what goes in (requests), what comes out (events), what can be asked (views).
 *
 * Prices, quantities and amounts are decimal strings ("236.47") or integers in units as bigint (price: ticks, quantity: lots,
 * amount: the asset's smallest unit). Never a `number`: a number is refused. Events and views carry decimal strings.
 * Accounts, assets and instruments are named by their names (1 to 16 printable ASCII characters), order ids and transaction ids
 * by 1 to 16 printable ASCII characters or a UUID.
 */
import type { GatewayOptions } from './gateways.ts';

/** A decimal text or an integer count of units. */
export type Decimal = string | bigint;
/** Of an order; of the taker in a trade. */
export type Side = 'buy' | 'sell';
/** market and stop take no price; stop and stop-limit wait until the last price reaches their stop price. */
export type OrderType = 'limit' | 'market' | 'stop' | 'stop-limit';
/** fok and ioc never rest; day ends with the day-end command, gtd with the time in `expiry`. */
export type TimeInForce = 'gtc' | 'day' | 'gtd' | 'ioc' | 'fok';
/** What happens when an order would trade with its own account or firm. */
export type SelfTrade = 'none' | 'cancel-newest' | 'cancel-oldest' | 'cancel-both' | 'decrement';
/** open: everything; cancel-only: no new orders, no replaces; halted and closed: orders stay as they are. */
export type TradingState = 'open' | 'cancel-only' | 'halted' | 'closed';
/** order-size and position are quantities of an instrument, order-value and open-value amounts of a quote asset, open-orders a count. */
export type LimitKind = 'order-size' | 'order-value' | 'open-orders' | 'open-value' | 'position';
/** Why an order was cancelled or reduced. */
export type Cause =
  | 'requested'
  | 'immediate'
  | 'fill-or-kill'
  | 'min-quantity'
  | 'self-trade'
  | 'mass-cancel'
  | 'kill-switch'
  | 'expired'
  | 'day-end';

/** A new order. The same order with the same id again gives the first answer and does nothing. */
export interface NewOrder {
  op: 'new';
  account: string;
  instrument: string;
  id: string;
  side: Side;
  /** Default limit. */
  type?: OrderType;
  /** Default gtc, of market orders ioc. */
  tif?: TimeInForce;
  /** Of limit and stop-limit orders; a multiple of the tick size. */
  price?: Decimal;
  /** A multiple of the lot size. */
  quantity: Decimal;
  /** Of stop and stop-limit orders. */
  stopPrice?: Decimal;
  /** What an iceberg shows at a time. */
  displayQuantity?: Decimal;
  /** What must trade at entry, or the order is cancelled. */
  minQuantity?: Decimal;
  /** Milliseconds since 1970 as a number, or nanoseconds as bigint. */
  expiry?: number | bigint;
  /** Never a taker: true or reject refuses what would trade, reprice moves it one tick away from the other side. */
  postOnly?: 'reject' | 'reprice' | boolean;
  /** Default none. */
  selfTrade?: SelfTrade;
  /** What "self" means: the account (default) or its whole firm. */
  selfTradeScope?: 'account' | 'firm';
}
/** Cancels what is left of an order. */
export interface CancelOrder {
  op: 'cancel';
  account: string;
  id: string;
}
/** Takes something off an open order, which keeps its place in the queue; all of it or more is a cancel. */
export interface ReduceOrder {
  op: 'reduce';
  account: string;
  id: string;
  by: Decimal;
  /** The order's instrument: it gives `by` its meaning. */
  instrument: string;
}
/** Changes price and open quantity of an order. The place in the queue is kept if the price stays and the quantity does not rise. */
export interface ReplaceOrder {
  op: 'replace';
  account: string;
  instrument: string;
  id: string;
  /** Left out, the id stays. */
  newId?: string;
  /** Of limit and stop-limit orders. */
  price?: Decimal;
  /** The new open quantity. */
  quantity: Decimal;
  /** Of stops that wait; left out, it stays. */
  stopPrice?: Decimal;
}
/** Cancels the open orders of an account and of all below it, of one instrument or side where they are given. */
export interface MassCancel {
  op: 'mass-cancel';
  account?: string;
  instrument?: string;
  side?: Side;
}
/** On: cancels all orders of the account and of all below it, and takes no more. */
export interface KillSwitch {
  op: 'kill-switch';
  account?: string;
  on: boolean;
}
/** Idempotent by id, like withdrawals and transfers: the same again gives the first answer. */
export interface Deposit {
  op: 'deposit';
  account: string;
  asset: string;
  id: string;
  amount: Decimal;
}
/** Takes from what is available, not from what is held for orders. */
export interface Withdraw {
  op: 'withdraw';
  account: string;
  asset: string;
  id: string;
  amount: Decimal;
}
/** Between two accounts; the id counts for the one that pays. */
export interface Transfer {
  op: 'transfer';
  account: string;
  to: string;
  asset: string;
  id: string;
  amount: Decimal;
}
/** Something that can be owned: a currency, a share, a coin. */
export interface AddAsset {
  op: 'add-asset';
  asset: string;
  /** 0 to 18. */
  decimals: number;
}
/** What can be changed of an instrument. */
export interface InstrumentTerms {
  /** The price band; default from one tick to 10^9 ticks, or less where values would leave the core's range. */
  minPrice?: Decimal;
  maxPrice?: Decimal;
  /** Of an order; default from one lot to 2^50 lots, or less where values would leave the core's range. */
  minQuantity?: Decimal;
  maxQuantity?: Decimal;
  /** Millionths of the value traded; a negative maker fee is a rebate. Default 0. */
  makerFee?: number;
  takerFee?: number;
  /** How far, in millionths, a market order may trade from the best price. Default 50,000 (5%). */
  collar?: number;
}
/** A pair that can be traded. */
export interface AddInstrument extends InstrumentTerms {
  op: 'add-instrument';
  instrument: string;
  base: string;
  quote: string;
  /** Decimal strings, e.g. "0.01" and "0.00000001". tickSize × lotSize must be exact in the quote asset's decimals. */
  tickSize: string;
  lotSize: string;
  /** Default open. */
  state?: TradingState;
}
/** What is left out stays as it is. Orders that rest stay too, with the fees that they were accepted with. */
export interface ChangeInstrument extends InstrumentTerms {
  op: 'change-instrument';
  instrument: string;
}
/** Opens, restricts or halts an instrument. */
export interface SetTradingState {
  op: 'set-trading-state';
  instrument: string;
  state: TradingState;
}
/** Adds to the tree of accounts. */
export interface AddAccount {
  op: 'add-account';
  account: string;
  /** Left out: a firm, directly below the venue. Three levels: firm, account, client. */
  parent?: string;
}
/** An order needs its rights on every level of the tree. */
export interface SetRights {
  op: 'set-rights';
  account?: string;
  orderTypes: (OrderType | 'iceberg')[];
  /** For instruments without an entry of their own. */
  instruments: 'allow' | 'deny';
}
/** The right to one instrument; default removes the entry. */
export interface SetInstrumentRight {
  op: 'set-instrument-right';
  account?: string;
  instrument: string;
  right: 'allow' | 'deny' | 'default';
}
/** A limit of an account counts everything below it. */
export interface SetLimit {
  op: 'set-limit';
  account?: string;
  kind: LimitKind;
  /** For order-size and position. */
  instrument?: string;
  /** For order-value and open-value: the quote asset. */
  asset?: string;
  /** null: none. A number only for open-orders, which is a count. */
  limit: Decimal | number | null;
}
/** Moves the core's time, in nanoseconds since 1970; expires GTD orders. The node sends these by itself unless `clock: 'manual'`. */
export interface AdvanceTime {
  op: 'advance-time';
  time: bigint;
}
/** Cancels day orders and forgets the ids that were closed a day ago. */
export interface DayEnd {
  op: 'day-end';
}

/** Everything that `offer` and `submit` take. Accounts left out of operator requests mean the venue: everybody. */
export type Request =
  | NewOrder
  | CancelOrder
  | ReduceOrder
  | ReplaceOrder
  | MassCancel
  | KillSwitch
  | Deposit
  | Withdraw
  | Transfer
  | AddAsset
  | AddInstrument
  | ChangeInstrument
  | SetTradingState
  | AddAccount
  | SetRights
  | SetInstrumentRight
  | SetLimit
  | AdvanceTime
  | DayEnd;

/** What every event has. */
export interface EventHead {
  /** The command's place in the log. */
  position: bigint;
  /** Last event of its command. */
  last: boolean;
  /** The first answer again; nothing was done. Such events name the order, and leave what they do not know at "0". */
  duplicate?: true;
}
/** What every event of one order has. */
export interface OrderFields extends EventHead {
  account: string;
  instrument: string;
  orderId: bigint;
  id: string;
  side: Side;
  /** As entered: a triggered stop-limit order stays stop-limit. */
  type: OrderType;
  /** The worst price at which it may trade: its limit, or the protection price of market and stop orders. */
  price: string;
}
/**
 * Everything that comes out. Quantities: `quantity` is what the event is about, `open` what is left, `visible` what the book shows of it.
 * docs/rules.md, section 10, says when each comes, and in what order.
 */
export type Event =
  | (OrderFields & {
      event: 'accepted';
      quantity: string;
      visible: string;
      booked: boolean;
      repriced?: true;
      stop?: true;
    })
  | (EventHead & {
      event: 'rejected';
      code: string;
      op: Request['op'] | 'unknown';
      account?: string;
      instrument?: string;
      asset?: string;
      id?: string;
    })
  | (EventHead & {
      event: 'trade';
      instrument: string;
      tradeId: number;
      side: Side;
      price: string;
      quantity: string;
      maker: string;
      makerAccount: string;
      makerOrderId: bigint;
      makerLeft: string;
      makerFee: string;
      taker: string;
      takerAccount: string;
      takerOrderId: bigint;
      takerLeft: string;
      takerFee: string;
    })
  | (OrderFields & { event: 'booked'; open: string; visible: string; reload?: true })
  | (OrderFields & { event: 'triggered'; open: string; visible: string; booked: boolean })
  | (OrderFields & { event: 'cancelled'; cause: Cause; quantity: string })
  | (OrderFields & { event: 'reduced'; cause: Cause; quantity: string; open: string; visible: string })
  | (OrderFields & {
      event: 'replaced';
      newId: string;
      open: string;
      visible: string;
      booked: boolean;
      keptPriority?: true;
      repriced?: true;
      stop?: true;
    })
  // The first answer to a replace again: what is known of it, nothing was done.
  | (EventHead & { event: 'replaced-again'; account: string; id: string; newId: string; orderId: bigint })
  | (EventHead & {
      event: 'mass-cancelled';
      account: string;
      instrument?: string;
      side?: Side;
      count: number;
    })
  | (EventHead & { event: 'kill-switch-set'; account: string; on: boolean; count: number })
  | (EventHead & {
      event: 'balance-changed';
      account: string;
      asset: string;
      id: string;
      op: 'deposit' | 'withdraw' | 'transfer';
      change: string;
      total: string;
      other?: string;
    })
  | (EventHead & { event: 'asset-added'; asset: string })
  | (EventHead & { event: 'instrument-added' | 'instrument-changed'; instrument: string })
  | (EventHead & { event: 'trading-state-set'; instrument: string; state: TradingState })
  | (EventHead & { event: 'account-added'; account: string; parent: string })
  | (EventHead & { event: 'rights-set' | 'limit-set'; account: string })
  | (EventHead & { event: 'instrument-right-set'; account: string; instrument: string })
  | (EventHead & { event: 'time-advanced'; time: bigint; expired: number })
  | (EventHead & { event: 'day-ended'; count: number })
  /** A deployment in roles: a risk process is lost, from a position on, or is back (docs/roles.md). */
  | (EventHead & { event: 'availability-set'; riskProcess: number; available: boolean; from: number });

/** Level 2 of a book at a position. */
export interface BookView {
  instrument: string;
  position: bigint;
  state: TradingState;
  /** null before the first trade. */
  lastPrice: string | null;
  /** [price, visible quantity, orders], best first. */
  bids: [string, string, number][];
  asks: [string, string, number][];
}
/** Level 3 of a book at a position: every order, in queue order. */
export interface OrdersView {
  instrument: string;
  position: bigint;
  bids: { price: string; orders: { orderId: bigint; account: string; visible: string }[] }[];
  asks: { price: string; orders: { orderId: bigint; account: string; visible: string }[] }[];
}
/** An open order. */
export interface OrderView {
  id: string;
  account: string;
  instrument: string;
  orderId: bigint;
  side: Side;
  type: OrderType;
  tif: TimeInForce;
  price: string;
  stopPrice?: string;
  open: string;
  visible: string;
  displayQuantity?: string;
  expiry?: bigint;
}
/** What an account has, as of `position`. available = total − held. */
export interface BalancesView {
  account: string;
  position: bigint;
  parent: string;
  killed: boolean;
  /** How many orders it has open. */
  openOrders: number;
  balances: { asset: string; total: string; held: string; available: string }[];
  exposures: { instrument: string; position: string; openBuy: string; openSell: string }[];
}
/** What an account has and has open, by order id. */
export interface AccountView extends BalancesView {
  orders: OrderView[];
}
/** An instrument as it is now. Fees and collar in millionths. */
export interface InstrumentView {
  instrument: string;
  base: string;
  quote: string;
  tickSize: string;
  lotSize: string;
  minPrice: string;
  maxPrice: string;
  minQuantity: string;
  maxQuantity: string;
  makerFee: number;
  takerFee: number;
  collar: number;
  state: TradingState;
  lastPrice: string | null;
  trades: number;
}
/** An asset: what was deposited less what was withdrawn, and the fees collected. */
export interface AssetView {
  asset: string;
  decimals: number;
  issued: string;
  fees: string;
}

/** What offer() answers. */
export interface OfferResult {
  /** How many of the batch were taken, from its start. Fewer than the batch: the input ring is full; offer the rest later. */
  accepted: number;
}

/** async: written before it is published, synced a little later. durable: synced before it is published. */
export type Durability = 'async' | 'durable';
/** How a node is opened. Everything has a default. */
export interface ExchangeOptions {
  /** Folder of the journal and snapshots. Left out: everything in memory, gone at close. */
  data?: string;
  /** Default async. */
  durability?: Durability;
  /** durability async: milliseconds from a write until the journal's sync begins, 1 to 60,000. Default 200. */
  syncEvery?: number;
  /** Journal segment size in bytes; default 64 MiB. */
  segmentBytes?: number;
  /** A snapshot after so many commands; 0: only on request and on close. Default 1,000,000. */
  snapshotEvery?: number;
  /** What is preallocated at most; beyond, the core answers with a CAPACITY_… code. Default: as the folder was created, else the engine's. */
  maxOrders?: number;
  maxAccounts?: number;
  maxInstruments?: number;
  maxClientIds?: number;
  /** system: the node advances the core's time every millisecond while there is work; manual: only by advance-time. Default system. */
  clock?: 'system' | 'manual';
  /** How many events are kept in memory for consumers that lag or resume: a power of two from 1,024 on. Default 65,536 (8 MiB). */
  eventHistory?: number;
  /** Commands that the input ring holds before offer() takes fewer than it is given: a power of two. Default 16,384. */
  ringCells?: number;
  /** Events that the output ring holds: a power of two. Default 65,536. */
  eventCells?: number;
  /** Threads of the pipeline: serial, pipelined, sharded (2x2), sharded:RxM (R risk, M matching threads) or auto, which picks by cores. Any plan gives the same events and state. Default auto. */
  plan?: string;
  /** Microseconds that a thread of the plan looks for work before it sleeps, 1 to 10,000,000, or Infinity: it never sleeps. Default: 100,000 where every thread has a core, else 10. */
  spin?: number;
  /** Cores that the plan's threads are pinned to, in the order engine, journal, risk…, matching…, one for each. Default: none. */
  cores?: readonly number[];
  /** Ports for clients of OUCH, ITCH and the clearing protocol, on a thread of their own. Default: none. */
  gateways?: GatewayOptions;
  /**
   * The exchange is an edge of a cluster: its commands get their positions from the cluster's leader, and what it shows is what the cluster
   * has released. Capacities must be the cluster's. Default: it is alone.
   */
  cluster?: ClusterConnection;
}

/** How to reach a cluster (docs/cluster.md). */
export interface ClusterConnection {
  name: string;
  members: readonly { readonly id: number; readonly address: string }[];
  /** 1 to 255: different for each edge of the cluster. Default 1. */
  edge?: number;
  /** Default auto: the best that both ends have. */
  transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  key?: string;
}

/** A thread of the pipeline, other than the engine's. */
export interface StageStats {
  readonly name: string;
  /** The share of the time since its start in which it had work, 0 to 1. */
  readonly occupancy: number;
  readonly sleeps: number;
  /** Why it is not pinned as asked, or "". */
  readonly pinning: string;
}

/** The counters of a node. Counts never fall; positions are those of the log. */
export interface ExchangeStats {
  /** Last command applied, made durable, published. */
  position: bigint;
  durablePosition: bigint;
  publishedPosition: bigint;
  commands: number;
  events: number;
  batches: number;
  snapshots: number;
  snapshotPosition: bigint;
  journalBytes: number;
  /** The thread plan in full ("sharded:2x2"), and how long its threads look for work before they sleep (Infinity: they never do). */
  plan: string;
  spinNs: number;
  /** Why the engine's thread is not pinned as asked, or "". */
  pinning: string;
  /** Command cells in use at once, the most so far. */
  ringHighWater: number;
  /** Commands that waited for work in flight ahead of them; looks that found one still waiting; commands that ran alone, the pipeline drained. 0 in the serial plan. */
  hazards: number;
  stalls: number;
  drains: number;
  stages: readonly StageStats[];
  /** Commands that the clock put in, and times that the engine waited for this thread to take events. */
  ticks: number;
  backPressureWaits: number;
  /** The longest that a snapshot has kept the engine, in nanoseconds. */
  snapshotStallNsMax: number;
  /** Why the last snapshot is missing, or "". */
  snapshotStatus: string;
  /** Damaged snapshots that recovery passed over. */
  refusedSnapshots: readonly string[];
  /** "CODE: message" once the node has failed, otherwise "". */
  failure: string;
  /** What recovery did at open: the snapshot it began from, commands replayed, torn bytes cut off. */
  recoveredFrom: bigint;
  replayed: number;
  recoveryMs: number;
  tornBytes: number;
  /** 32 hex digits, at open. */
  stateHash: string;
  /** Commands in the batches waiting on this side of the input ring, and events kept for consumers. */
  waiting: number;
  keptEvents: number;
}
/** What close() answers. */
export interface CloseResult {
  position: bigint;
  stateHash: string;
}
/** A hash over the whole state, and the position it stands for. */
export interface StateHash {
  position: bigint;
  stateHash: string;
}
/** An account and the one above it; the venue's parent is the venue. */
export interface AccountListing {
  account: string;
  parent: string;
}
