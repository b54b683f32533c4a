// What the view shows, gathered from the node: totals as they stand, and rates since the last look.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Crowd } from '../demo/crowd.ts';
import type { LevelRow } from '../edges/market-feed.ts';

export interface NodeSources {
  readonly stats: () => {
    readonly position: bigint;
    readonly durablePosition: bigint;
    readonly snapshotPosition: bigint;
    readonly journalBytes: number | bigint;
  };
  readonly feed: {
    readonly instruments: readonly string[];
    readonly counts: {
      readonly commands: number;
      readonly trades: number;
      readonly rejects: ReadonlyMap<string, number>;
    };
    readonly fault: unknown;
    ticker(instrument: string): { readonly last: string | null; readonly trades: number } | undefined;
    depth(instrument: string, count: number): { readonly bids: LevelRow[]; readonly asks: LevelRow[] };
  };
  readonly clients: () => { readonly http: number; readonly webSocket: number };
  readonly crowd: Crowd | undefined;
  /** Tick and lot size by instrument. */
  readonly steps: (instrument: string) => { readonly tickSize: string; readonly lotSize: string };
}

export interface InstrumentFigures {
  readonly instrument: string;
  readonly tickSize: string;
  readonly lotSize: string;
  readonly bids: readonly LevelRow[];
  readonly asks: readonly LevelRow[];
  readonly last: string | null;
  /** Against the last look: −1, 0, 1. */
  readonly direction: number;
  readonly tradesPerSecond: number;
}

export interface LatencyFigures {
  readonly samples: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Figures {
  readonly upMs: number;
  readonly instruments: readonly InstrumentFigures[];
  readonly commandsPerSecond: number;
  readonly tradesPerSecond: number;
  readonly rejectsPerSecond: number;
  /** Of about the last twenty seconds; undefined before the first demo order. */
  readonly latency: LatencyFigures | undefined;
  readonly position: bigint;
  readonly durablePosition: bigint;
  readonly snapshotPosition: bigint;
  readonly journalBytes: number | bigint;
  readonly httpClients: number;
  readonly webSocketClients: number;
  readonly openOrders: number | undefined;
  readonly memoryBytes: number;
  readonly fault: unknown;
}

const depthShown = 6;
const latencyWindowMs = 10_000;

export class FigureTaker {
  readonly #sources: NodeSources;
  readonly #started = performance.now();
  #looked = performance.now();
  #commands: number;
  #trades: number;
  #rejects: number;
  readonly #instrumentTrades = new Map<string, number>();
  readonly #lasts = new Map<string, number>();
  readonly #directions = new Map<string, number>();
  #before: RecordableHistogram = createHistogram();
  #windowBegan = performance.now();

  constructor(sources: NodeSources) {
    this.#sources = sources;
    const { commands, trades } = sources.feed.counts;
    this.#commands = commands;
    this.#trades = trades;
    this.#rejects = this.#rejectCount();
  }

  look(): Figures {
    const { feed, stats, clients, crowd } = this.#sources;
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#looked) / 1000);
    this.#looked = now;
    const rate = (total: number, before: number): number => Math.round((total - before) / seconds);
    const rejects = this.#rejectCount();
    const { commands, trades } = feed.counts;
    const { http, webSocket } = clients();
    const { position, durablePosition, snapshotPosition, journalBytes } = stats();
    const figures: Figures = {
      upMs: now - this.#started,
      instruments: feed.instruments.map((instrument) => this.#instrument(instrument, seconds)),
      commandsPerSecond: rate(commands, this.#commands),
      tradesPerSecond: rate(trades, this.#trades),
      rejectsPerSecond: rate(rejects, this.#rejects),
      latency: this.#latency(now),
      position,
      durablePosition,
      snapshotPosition,
      journalBytes,
      httpClients: http,
      webSocketClients: webSocket,
      openOrders: crowd?.figures().openOrders,
      memoryBytes: process.memoryUsage.rss(),
      fault: feed.fault,
    };
    [this.#commands, this.#trades, this.#rejects] = [commands, trades, rejects];
    return figures;
  }

  #rejectCount(): number {
    let sum = 0;
    for (const count of this.#sources.feed.counts.rejects.values()) sum += count;
    return sum;
  }

  #instrument(instrument: string, seconds: number): InstrumentFigures {
    const { feed, steps } = this.#sources;
    const ticker = feed.ticker(instrument);
    const trades = ticker?.trades ?? 0;
    const tradesPerSecond = Math.round(
      (trades - (this.#instrumentTrades.get(instrument) ?? trades)) / seconds,
    );
    this.#instrumentTrades.set(instrument, trades);
    const last = ticker?.last ?? null;
    const before = this.#lasts.get(instrument);
    if (last !== null) {
      if (before !== undefined && Number(last) !== before)
        this.#directions.set(instrument, Math.sign(Number(last) - before));
      this.#lasts.set(instrument, Number(last));
    }
    const direction = this.#directions.get(instrument) ?? 0;
    const { bids, asks } = feed.depth(instrument, depthShown);
    return { instrument, ...steps(instrument), bids, asks, last, direction, tradesPerSecond };
  }

  #latency(now: number): LatencyFigures | undefined {
    const current = this.#sources.crowd?.latency;
    if (current === undefined) return undefined;
    const recent = createHistogram();
    if (this.#before.count > 0) recent.add(this.#before);
    if (current.count > 0) recent.add(current);
    if (now - this.#windowBegan > latencyWindowMs) {
      this.#windowBegan = now;
      this.#before = createHistogram();
      if (current.count > 0) this.#before.add(current);
      current.reset();
    }
    if (recent.count === 0) return undefined;
    const at = (percent: number): number => recent.percentile(percent);
    return { samples: recent.count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: recent.max };
  }
}
