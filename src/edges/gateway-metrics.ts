// What an operator watches of the gateways, where the node has any.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { ExchangePort } from './exchange-port.ts';

export function addGatewayMetrics(exchange: ExchangePort, registry: Registry): void {
  if (exchange.gatewayStats() === undefined) return;
  const registers = [registry];
  type Stats = NonNullable<ReturnType<ExchangePort['gatewayStats']>>;
  const stats = (): Stats => exchange.gatewayStats() as Stats;
  const counter = (name: string, help: string, value: (stats: Stats) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value(stats()));
      },
    });
  };
  const gauge = (name: string, help: string, value: (stats: Stats) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(stats()));
      },
    });
  };
  const ports = ({ orderSessions, clearingSessions }: Stats) =>
    [
      ['orders', orderSessions],
      ['clearing', clearingSessions],
    ] as const;

  gauge('verbex_gateway_healthy', '0 once the gateways have closed their ports; the node goes on.', (now) =>
    now.failure === '' ? 1 : 0,
  );
  new Gauge({
    name: 'verbex_gateway_connections',
    help: 'Open connections, by port.',
    labelNames: ['port'],
    registers,
    collect() {
      for (const [port, { connections }] of ports(stats())) this.set({ port }, connections);
    },
  });
  const byPort = (
    name: string,
    help: string,
    field: 'logins' | 'loginsRejected' | 'refused' | 'messagesIn',
  ) =>
    new Counter({
      name,
      help,
      labelNames: ['port'],
      registers,
      collect() {
        this.reset();
        for (const [port, counts] of ports(stats())) this.inc({ port }, counts[field]);
      },
    });
  byPort('verbex_gateway_logins_total', 'Accepted log-ins, by port.', 'logins');
  byPort('verbex_gateway_logins_rejected_total', 'Rejected log-ins, by port.', 'loginsRejected');
  byPort('verbex_gateway_refused_total', 'Connections beyond the most that a port has.', 'refused');
  byPort('verbex_gateway_messages_total', 'Messages from clients, by port.', 'messagesIn');
  new Counter({
    name: 'verbex_gateway_closed_total',
    help: 'Connections that ended, by port and reason.',
    labelNames: ['port', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const [port, { closed }] of ports(stats())) {
        for (const [reason, count] of Object.entries(closed)) this.inc({ port, reason }, count);
      }
    },
  });
  counter('verbex_gateway_orders_total', 'Orders entered.', ({ orders }) => orders.orders);
  counter('verbex_gateway_executions_total', 'Executions told.', ({ orders }) => orders.executions);
  counter(
    'verbex_gateway_rejected_total',
    'Messages that the gateway itself rejected.',
    ({ orders }) => orders.rejectedHere,
  );
  counter(
    'verbex_gateway_throttled_total',
    'Orders rejected by throttles.',
    ({ orders }) => orders.throttled,
  );
  counter(
    'verbex_gateway_waits_total',
    'Messages that waited for room in the engine.',
    ({ orders }) => orders.waits,
  );
  gauge('verbex_gateway_open_orders', 'Open orders of all sessions.', ({ orders }) => orders.openOrders);
  counter(
    'verbex_gateway_store_bytes_total',
    'Bytes of messages kept, since the start.',
    ({ storeBytes }) => storeBytes,
  );
  new Counter({
    name: 'verbex_gateway_system_calls_total',
    help: "System calls of the gateways' thread, by kind.",
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of Object.entries(stats().systemCalls)) this.inc({ kind }, count);
    },
  });
  counter('verbex_itch_messages_total', 'Messages of market data.', ({ feed }) => feed.messages);
  counter('verbex_itch_datagrams_total', 'Datagrams of market data.', ({ feed }) => feed.datagrams);
  counter(
    'verbex_itch_datagrams_failed_total',
    'Datagrams that the system would not take.',
    ({ feed }) => feed.datagramsFailed,
  );
  counter('verbex_itch_requests_total', 'Requests for what was lost.', ({ feed }) => feed.requests);
  counter(
    'verbex_itch_requests_refused_total',
    'Requests that were malformed, too many, or for what is gone.',
    ({ feed }) => feed.requestsRefused,
  );
}
