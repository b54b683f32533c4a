// What an operator watches, in Prometheus' text format.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ExchangePort } from './exchange-port.ts';
import { addGatewayMetrics } from './gateway-metrics.ts';
import type { MarketFeed } from './market-feed.ts';

export interface MetricsSources {
  readonly exchange: ExchangePort;
  readonly feed: MarketFeed;
  readonly connections: () => number;
  readonly stream: () => {
    readonly clients: number;
    readonly slowReaders: number;
    readonly bufferedBytes: number;
  };
}

const secondsBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'route' | 'status'>;
  readonly #faults: Counter;
  readonly #durations: Histogram<'route'>;

  constructor(sources: MetricsSources) {
    const { exchange, feed } = sources;
    const registers = [this.#registry];
    const gauge = (name: string, help: string, value: () => number | bigint): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(Number(value()));
        },
      });
    };
    // A counter that something else counts: taken over whole at each scrape.
    const counter = (name: string, help: string, value: () => number | bigint): void => {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(Number(value()));
        },
      });
    };
    counter(
      'verbex_commands_total',
      'Commands whose events were published since the start.',
      () => feed.counts.commands,
    );
    counter('verbex_events_total', 'Events published since the start.', () => feed.counts.events);
    counter('verbex_trades_total', 'Trades since the start.', () => feed.counts.trades);
    new Counter({
      name: 'verbex_rejects_total',
      help: 'Rejected commands since the start, by reject code.',
      labelNames: ['code'],
      registers,
      collect() {
        this.reset();
        for (const [code, count] of feed.counts.rejects) this.inc({ code }, count);
      },
    });
    gauge('verbex_position', 'The last command that was applied.', () => exchange.stats().position);
    gauge(
      'verbex_durable_position',
      'The last command that is on disk.',
      () => exchange.stats().durablePosition,
    );
    gauge('verbex_published_position', 'The last command whose events were published.', () => feed.position);
    gauge(
      'verbex_snapshot_position',
      'The last command that a snapshot covers.',
      () => exchange.stats().snapshotPosition,
    );
    counter('verbex_snapshots_total', 'Snapshots written since the start.', () => exchange.stats().snapshots);
    counter('verbex_journal_bytes_total', 'Bytes of the journal.', () => exchange.stats().journalBytes);
    gauge('verbex_http_connections', 'Open connections of both listeners.', sources.connections);
    gauge('verbex_ws_clients', 'WebSocket clients.', () => sources.stream().clients);
    gauge(
      'verbex_ws_buffered_bytes',
      'Bytes that wait for WebSocket clients.',
      () => sources.stream().bufferedBytes,
    );
    counter(
      'verbex_ws_slow_readers_total',
      'WebSocket clients cut off for reading too slowly.',
      () => sources.stream().slowReaders,
    );
    gauge('verbex_feed_healthy', '0 when the events contradicted the books that are shown.', () =>
      feed.fault === undefined ? 1 : 0,
    );
    gauge('verbex_engine_healthy', '0 once the engine has failed; it takes nothing more.', () =>
      exchange.stats().failure === '' ? 1 : 0,
    );
    counter(
      'verbex_back_pressure_waits_total',
      'Times that the engine waited for its events to be taken.',
      () => exchange.stats().backPressureWaits,
    );
    counter(
      'verbex_hazards_total',
      'Commands that waited for work in flight ahead of them on their risk shard.',
      () => exchange.stats().hazards,
    );
    counter(
      'verbex_stalls_total',
      'Looks of a risk thread that found its hazard still standing.',
      () => exchange.stats().stalls,
    );
    counter(
      'verbex_drains_total',
      'Commands that ran alone, the pipeline drained.',
      () => exchange.stats().drains,
    );
    gauge(
      'verbex_ring_high_water_cells',
      'Command cells in use at once, the most so far.',
      () => exchange.stats().ringHighWater,
    );
    new Gauge({
      name: 'verbex_stage_occupancy_ratio',
      help: 'The share of its time in which a thread of the pipeline had work.',
      labelNames: ['stage'],
      registers,
      collect() {
        for (const { name, occupancy } of exchange.stats().stages) this.set({ stage: name }, occupancy);
      },
    });
    gauge(
      'verbex_snapshot_stall_seconds_max',
      'The longest that a snapshot has kept the engine.',
      () => exchange.stats().snapshotStallNsMax / 1e9,
    );
    addGatewayMetrics(exchange, this.#registry);
    gauge('process_resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss());
    gauge('process_uptime_seconds', 'Seconds since the process was started.', () => process.uptime());
    this.#requests = new Counter({
      name: 'verbex_http_requests_total',
      help: 'HTTP requests answered, by route and status.',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#faults = new Counter({
      name: 'verbex_http_faults_total',
      help: 'Requests that failed by our own fault.',
      registers,
    });
    this.#durations = new Histogram({
      name: 'verbex_http_request_duration_seconds',
      help: 'From the request line to the end of the answer; for order entry the published events lie in between.',
      labelNames: ['route'],
      buckets: secondsBuckets,
      registers,
    });
  }

  answered(route: string, status: number, elapsedMs: number): void {
    this.#requests.inc({ route, status });
    this.#durations.observe({ route }, elapsedMs / 1000);
  }

  fault(): void {
    this.#faults.inc();
  }

  get type(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
