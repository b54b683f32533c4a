/**
 * What the addon exports (native/addon), as TypeScript sees it. Positions are bigint, counts are numbers; errors are JavaScript Errors
 * with a stable `code` (docs/node.md lists them) and, where a journal is damaged, a `place`.
 */
import type {
  NativeBridgeConstructor,
  NativeClusterLoadConstructor,
  NativeMemberConstructor,
  NativeRoleConstructor,
} from './cluster-types.ts';

export type * from './cluster-types.ts';

/** What is preallocated at most. 0 or absent: as the folder was created, else the engine's default. */
export interface Limits {
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export type QueryKind =
  | 'levels'
  | 'orders'
  | 'account'
  | 'account-orders'
  | 'order'
  | 'market'
  | 'accounts'
  | 'hash'
  | 'explain';

/** The pure core alone. */
export interface NativeCore {
  /** The events of the first `count` commands, 128 bytes each, in memory of their own. */
  apply(commands: Uint8Array, count: number): Uint8Array;
  explain(): string;
  hash(): string;
  position(): bigint;
  /** The same answers as a node's query(), at once. */
  query(kind: QueryKind, a: number, b: number, id: Uint8Array | null): string;
  save(): Uint8Array;
}

export interface NativeCoreConstructor {
  new (limits: Limits): NativeCore;
  /** Throws STATE_INVALID. */
  load(bytes: Uint8Array, limits: Limits): NativeCore;
  readonly prototype: NativeCore;
  /** Only in the fuzz build: 64 KiB of hit counts, live. */
  coverage?(): Uint8Array;
  resetCoverage?(): void;
}

export interface NodeOptions extends Limits {
  /** '': memory only. */
  readonly data: string;
  /** Default true. False: written before it is published, durable some time later. */
  readonly durable?: boolean;
  /** Not durable: milliseconds after a write until the journal's sync begins, at most 60,000; 0: no timer. Default 200. */
  readonly syncEvery?: number;
  readonly segmentBytes?: number;
  /** Commands between snapshots; 0 (default): at close and when asked. */
  readonly snapshotEvery?: number;
  /** Powers of two from 64. */
  readonly ringCells?: number;
  readonly eventCells?: number;
  /** serial, pipelined, sharded, sharded:RxM or auto (default). */
  readonly plan?: string;
  /** Nanoseconds that a thread looks for work before it sleeps; 0 (default): what suits plan and machine; the largest safe integer: for ever. */
  readonly spin?: number;
  /** Cores to pin the plan's threads to, numbers with commas between them; "" (default): none. */
  readonly cores?: string;
  /** The node puts AdvanceTime commands in. */
  readonly systemClock?: boolean;
  /** Removes journal segments that both kept snapshots cover. Default false: a recovery from the journal alone stays possible. */
  readonly pruneSegments?: boolean;
  /** Absent: no gateways. */
  readonly gateways?: NativeGatewayOptions;
  /** Absent: the node gives positions itself. */
  readonly cluster?: NativeClusterConnection;
}

/** A cluster whose edge the node is, flat. */
export interface NativeClusterConnection {
  /** A line a member, with a tab: id, "host:port". */
  readonly members: string;
  readonly name: string;
  readonly edge: number;
  readonly transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly key?: string;
}

/** The gateways' options, flat (native/addon/gateway_options.cpp). Addresses are "host:port", "" for none. */
export interface NativeGatewayOptions {
  readonly orders?: string;
  readonly clearing?: string;
  readonly stream?: string;
  readonly snapshot?: string;
  readonly retransmission?: string;
  /** With commas between them. */
  readonly datagrams?: string;
  readonly multicastInterface?: string;
  readonly multicastHops?: number;
  readonly datagramBytes?: number;
  readonly historyBytes?: number;
  /** A user a line: name, password, session, account, rights, ordersPerSecond, ordersBurst, with tabs between them. */
  readonly users?: string;
  readonly firms?: string;
  readonly connectionsMax?: number;
  readonly loginTimeoutMs?: number;
  readonly heartbeatMs?: number;
  readonly silenceMs?: number;
  readonly stalledMs?: number;
  readonly lagBytesMax?: number;
  readonly ordersMax?: number;
  readonly spin?: number;
}

/** Where the gateways listen; what is absent is not open. */
export interface GatewayAddresses {
  readonly orders?: string;
  readonly clearing?: string;
  readonly stream?: string;
  readonly snapshot?: string;
  readonly retransmission?: string;
  readonly datagrams: readonly string[];
  /** Session name of the market data; another one after every start. */
  readonly feedSession: string;
}

export interface SessionStats {
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  readonly logins: number;
  readonly loginsRejected: number;
  readonly messagesIn: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Times that reading stopped because the engine had no room. */
  readonly paused: number;
  /** Connections that ended, by reason. */
  readonly closed: Readonly<Record<string, number>>;
}

export interface GatewayStats {
  readonly systemCalls: Readonly<Record<'waits' | 'reads' | 'writes' | 'others', number>>;
  readonly orderSessions: SessionStats;
  readonly clearingSessions: SessionStats;
  readonly orders: Readonly<
    Record<
      | 'messages'
      | 'malformed'
      | 'orders'
      | 'replaces'
      | 'cancels'
      | 'duplicates'
      | 'rejectedHere'
      | 'throttled'
      | 'accepted'
      | 'executions'
      | 'cancelsOnDisconnect'
      | 'openOrders'
      | 'waits',
      number
    >
  >;
  readonly clearing: Readonly<
    Record<
      'messages' | 'malformed' | 'commands' | 'questions' | 'refusedHere' | 'executions' | 'kills',
      number
    >
  >;
  readonly feed: Readonly<
    Record<
      | 'messages'
      | 'datagrams'
      | 'datagramBytes'
      | 'datagramsFailed'
      | 'requests'
      | 'requestsRefused'
      | 'retransmitted'
      | 'snapshots'
      | 'shown',
      number
    >
  >;
  readonly events: number;
  readonly storeBytes: number;
  /** Why the gateways have stopped, or "". */
  readonly failure: string;
}

export interface StageStats {
  readonly name: string;
  /** The share of the time since its start in which it had work, 0 to 1. */
  readonly occupancy: number;
  readonly sleeps: number;
  /** Why it is not pinned as asked, or "". */
  readonly pinning: string;
}

export type NodeState = 'running' | 'closing' | 'closed' | 'failed' | 'stopped';

export interface NodeStats {
  readonly state: NodeState;
  /** "CODE: message" once the node has failed, otherwise "". */
  readonly failure: string;
  readonly position: bigint;
  readonly durablePosition: bigint;
  readonly publishedPosition: bigint;
  readonly commands: number;
  readonly events: number;
  readonly batches: number;
  /** Commands that the clock put in. */
  readonly ticks: number;
  /** Times that the engine waited for room in the output ring. */
  readonly backPressureWaits: number;
  readonly journalBytes: number;
  /** The thread plan, in full: "sharded:2x2". */
  readonly plan: string;
  /** How long its threads look for work before they sleep; Infinity: they never do. */
  readonly spinNs: number;
  /** Why the engine's thread is not pinned as asked, or "". */
  readonly pinning: string;
  /** Command cells in use at once, the most so far. */
  readonly ringHighWater: number;
  /** Commands that waited for work in flight ahead of them on their risk shard; looks that found one still waiting. */
  readonly hazards: number;
  readonly stalls: number;
  /** Commands that ran alone, the pipeline drained. */
  readonly drains: number;
  /** The pipeline's threads but the engine's; empty for the serial plan. */
  readonly stages: readonly StageStats[];
  /** Durable writes bypass the page cache. */
  readonly directIo: boolean;
  readonly snapshots: number;
  readonly snapshotPosition: bigint;
  /** The longest that a snapshot kept the engine. */
  readonly snapshotStallNsMax: number;
  /** Why the last snapshot is missing, or "". SNAPSHOT_DIVERGED stays. */
  readonly snapshotStatus: string;
  readonly recoveredFrom: bigint;
  readonly replayed: number;
  readonly recoveryMs: number;
  readonly tornBytes: number;
  /** Damaged snapshots that recovery passed over. */
  readonly refusedSnapshots: readonly string[];
  /** After recovery. */
  readonly stateHash: string;
}

/** A running node. `offer` from one thread, `available` and `release` too; all of JavaScript's are. */
export interface NativeNode {
  readonly stage: ArrayBuffer;
  readonly stageCells: number;
  /** Copies the first `count` cells of the stage into the input ring; answers how many found room. Throws once the node has failed or closes. */
  offer(count: number): number;
  readonly cells: ArrayBuffer;
  readonly eventCells: number;
  /** Cells that are ready. Once it has answered 0, the next event calls onEvents. */
  available(): number;
  release(count: number): void;
  query(kind: QueryKind, a: number, b: number, id: Uint8Array | null): Promise<string>;
  snapshot(): Promise<bigint>;
  stats(): NodeStats;
  /** Undefined where the node has no gateways. */
  gatewayAddresses(): GatewayAddresses | undefined;
  gatewayStats(): GatewayStats | undefined;
  /** Go on taking events until it is settled. */
  close(): Promise<{ position: bigint; stateHash: string }>;
}

export interface NativeNodeConstructor {
  /** `onEvents` is also called once when the node fails: stats() then says why. */
  open(options: NodeOptions, onEvents: () => void): Promise<NativeNode>;
  readonly prototype: NativeNode;
}

export interface JournalCommands {
  /** Where to read on. */
  readonly next: bigint;
  /** 128-byte cells. */
  readonly commands: Uint8Array;
  readonly positions: BigUint64Array;
  readonly epochs: BigUint64Array;
}

export type Numbers = Readonly<Record<string, number>>;

export interface Layout {
  readonly command: { readonly size: number; readonly offsets: Numbers };
  readonly event: { readonly size: number; readonly offsets: Numbers };
  readonly commandTypes: Numbers;
  readonly eventTypes: Numbers;
  readonly sides: Numbers;
  readonly orderTypes: Numbers;
  readonly timesInForce: Numbers;
  readonly selfTrades: Numbers;
  readonly tradingStates: Numbers;
  readonly limitKinds: Numbers;
  readonly causes: Numbers;
  readonly commandFlags: Numbers;
  readonly eventFlags: Numbers;
  readonly rights: Numbers;
  readonly limits: Numbers;
  readonly rejects: readonly (readonly [number: number, name: string, sentence: string])[];
}

/** A bus's options, flat; absent ones are the engine's defaults (native/addon/bus_options.cpp). */
export interface NativeBusOptions {
  readonly name: string;
  readonly transport: string;
  readonly ringBytes?: number;
  readonly payloadMax?: number;
  readonly mac?: boolean;
  readonly certificate?: string;
  readonly certificateKey?: string;
  readonly authority?: string;
  readonly serverName?: string;
  readonly device?: string;
  readonly port?: number;
  readonly gidIndex?: number;
  readonly epoch?: number;
  readonly heartbeatMs?: number;
  readonly livenessMs?: number;
  readonly reconnectMs?: number;
  readonly setUpMs?: number;
  readonly spin?: boolean;
  readonly counters?: boolean;
}

export interface NativePublicationOptions {
  readonly stream: string;
  readonly historyBytes?: number;
  readonly payloadMax?: number;
  readonly bufferBytes?: number;
  readonly retain?: boolean;
}

export interface NativeSubscriptionOptions {
  readonly stream: string;
  readonly from: 'next' | 'oldest' | 'position';
  readonly payloadMax?: number;
  readonly bufferBytes?: number;
  readonly resume?: boolean;
  readonly wait?: boolean;
}

export interface NativePeer {
  readonly id: number;
  readonly name: string;
  readonly inbound: boolean;
  readonly connected: boolean;
  readonly transport: string;
  readonly epoch: number;
  readonly why: string;
  /** Of the last failure, or "". */
  readonly code: string;
  readonly message: string;
  readonly roundTripNs: number;
}

export interface NativeBusEvent {
  readonly kind: 'peer' | 'subscriber' | 'cut-off';
  readonly peer: NativePeer;
  readonly stream: string;
  readonly position: bigint;
}

export interface NativePublicationState {
  readonly subscribers: number;
  /** The last position that was given out here. */
  readonly accepted: bigint;
  /** The last that has reached the bus. */
  readonly sent: bigint;
  readonly oldest: bigint;
  readonly consumedByAll: bigint;
  readonly closed: boolean;
}

export interface NativeSubscriptionState {
  readonly state: 'connecting' | 'live' | 'cut-off' | 'refused' | 'ended' | 'closed';
  /** As of the last change of the state. */
  readonly resumeFrom: bigint;
  /** With POSITION_LOST: where the stream begins. */
  readonly oldest: bigint;
  readonly code: string;
  readonly message: string;
}

/** A bus and its agent's thread. Streams and peers are known by number. */
export interface NativeBus {
  /** Answers the address with the port that was taken. */
  listen(address: string): Promise<string>;
  /** Answers the peer once a link is up. */
  connect(address: string, withinMs: number): Promise<number>;
  disconnect(peer: number): Promise<void>;
  peers(): Promise<NativePeer[]>;
  /** What has happened since the last call. */
  events(): NativeBusEvent[];
  counters(): Promise<Numbers>;
  fence(epoch: number): Promise<void>;
  setEpoch(epoch: number): Promise<void>;

  publish(options: NativePublicationOptions, first: bigint): Promise<number>;
  /** A position, or a code below zero. */
  offer(publication: number, bytes: Uint8Array): bigint;
  /** How many from `from` on were taken. */
  offerBatch(publication: number, messages: readonly Uint8Array[], from: number): number;
  /** The publication's next change calls onNews, once. Look once more before you wait. */
  awaitPublication(publication: number): void;
  publicationState(publication: number): NativePublicationState;
  /** Takes nothing more; answers once what was taken is consumed, or the time is over. */
  closePublication(publication: number, withinMs: number): Promise<void>;
  /** Its number means nothing any more. */
  forgetPublication(publication: number): void;

  subscribe(
    peer: number,
    options: NativeSubscriptionOptions,
    position: bigint,
  ): Promise<{ readonly subscription: number; readonly memory: ArrayBuffer }>;
  /** Gives back bytes of `memory`; answers how many are ready behind them, up to its end. */
  next(subscription: number, released: number): number;
  /** The subscription's next change calls onNews, once. Answers what is ready, as next() does. */
  awaitSubscription(subscription: number): number;
  subscriptionState(subscription: number): NativeSubscriptionState;
  closeSubscription(subscription: number): Promise<void>;

  /** Closes every publication as above, then everything. */
  close(withinMs: number): Promise<unknown>;
}

export interface NativeBusConstructor {
  open(options: NativeBusOptions, onNews: () => void, key: Uint8Array | null): Promise<NativeBus>;
  readonly prototype: NativeBus;
}

/** The load generator's options, flat (native/addon/native_load.cpp). */
export interface NativeLoadOptions {
  /** "host:port". */
  readonly server: string;
  /** A line for each: name and password, with a tab between them. */
  readonly users: string;
  /** Eight characters each, one behind the other. */
  readonly symbols: string;
  /** 0 or absent: closed loop. */
  readonly ordersPerSecond?: number;
  readonly window?: number;
  readonly warmUpMs?: number;
  readonly durationMs?: number;
  readonly seed?: number;
  readonly price?: number;
  readonly width?: number;
  readonly quantity?: number;
  readonly cancelsPerMille?: number;
  readonly reconnect?: boolean;
  readonly spin?: boolean;
  readonly ledger?: string;
}

export interface LoadProgress {
  readonly loggedIn: number;
  readonly entered: number;
  readonly answered: number;
  readonly executions: number;
  readonly counting: boolean;
}

export interface NativeLoad {
  /** Its figures as JSON. Once. */
  run(): Promise<string>;
  progress(): LoadProgress;
  stop(): void;
}

export interface NativeLoadConstructor {
  new (options: NativeLoadOptions): NativeLoad;
  readonly prototype: NativeLoad;
}

/** Seeds from `firstSeed` on (native/addon/simulator_functions.cpp). */
export interface NativeSimulationOptions {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly threads: number;
  readonly commands?: number;
  readonly mutant?: string;
}

export interface Addon {
  readonly NativeMember: NativeMemberConstructor;
  readonly NativeClusterLoad: NativeClusterLoadConstructor;
  readonly NativeBridge: NativeBridgeConstructor;
  readonly NativeRole: NativeRoleConstructor;
  readonly NativeLoad: NativeLoadConstructor;
  readonly NativeBus: NativeBusConstructor;
  readonly NativeCore: NativeCoreConstructor;
  readonly NativeNode: NativeNodeConstructor;
  /** Runs seeds of the cluster simulator (native/sim/cluster); answers a report as JSON. */
  simulateCluster(options: NativeSimulationOptions): Promise<string>;
  /** Rules of the protocol that can be broken on purpose, with commas between them. */
  clusterMutants(): string;
  /** A JSON report; rejects with JOURNAL_DAMAGED and its place. No node may run on the folder. */
  journalVerify(dir: string): Promise<string>;
  /** Beside a running node only up to a position that it has published. */
  journalRead(dir: string, from: bigint, maxCommands: number, upTo?: bigint): Promise<JournalCommands>;
  /** JSON; upTo 0n: all of it. 'both' rejects with SOURCES_DISAGREE. */
  recover(dir: string, limits: Limits, upTo: bigint, source: 'both' | 'journal'): Promise<string>;
  /** Makes `dir` anew out of one source or two that agree; JSON. Each is `dir:PATH` or `member:HOST:PORT`. */
  recoverFrom(
    sources: {
      readonly first: string;
      readonly second?: string;
      readonly cluster?: string;
      readonly key?: string;
    },
    dir: string,
    limits: Limits,
    upTo: bigint,
  ): Promise<string>;
  explainAt(dir: string, limits: Limits, upTo: bigint): Promise<string>;
  /** {"name", "threads", "spinNs", "cores"} as JSON, or "" where the text is no plan. */
  threadPlan(text: string): string;
  /** Computes in every rounding mode on so many threads (0: twice the cores); JSON: threads, checks, signals, contextSwitches, wrong, first, host. */
  roundingSoak(milliseconds: number, threads: number): Promise<string>;
  /** JSON: processor, microcode, kernel, host, floatingEnvironment. */
  hostFacts(): string;
  readonly layout: Layout;
  readonly version: string;
  readonly compiler: string;
  /** The fuzz build. */
  readonly coverage: boolean;
}
