// Both listeners of a node, and the stream: opened together, closed together.
import { AccountGate, AdminGate, isLoopback } from './access.ts';
import { adminRoutes } from './admin-routes.ts';
import type { ExchangePort } from './exchange-port.ts';
import { HttpListener } from './http-listener.ts';
import { KeyStore } from './keys.ts';
import type { HttpLimits, StreamLimits } from './limits.ts';
import { MarketFeed } from './market-feed.ts';
import { marketRoutes } from './market-routes.ts';
import { Metrics } from './metrics.ts';
import { orderRoutes } from './order-routes.ts';
import { refusalOf } from './request-error.ts';
import type { Route } from './router.ts';
import { Stream } from './stream.ts';

export interface EdgesOptions {
  readonly exchange: ExchangePort;
  /** Where keys.json and admin.key lie; left out: keys live in memory. */
  readonly folder?: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly adminPort: number;
  readonly version: string;
  /** Tokens that stand for accounts without a signature: demo mode. They count on loopback only. */
  readonly demoTokens?: ReadonlyMap<string, string>;
  readonly httpLimits?: Partial<HttpLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
  readonly now?: () => number;
  readonly onFault?: (error: unknown) => void;
}

export interface Edges {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  readonly adminKey: string;
  readonly feed: MarketFeed;
  readonly stream: Stream;
  readonly keys: KeyStore;
  readonly connections: number;
  /** Every route, for documents and tests. */
  readonly routes: { readonly public: readonly Route[]; readonly admin: readonly Route[] };
  close(): Promise<void>;
}

/** Opens everything or nothing: when a port cannot be had, what was opened is closed again. */
export async function openEdges(options: EdgesOptions): Promise<Edges> {
  const { exchange, folder, host, version } = options;
  const keys = new KeyStore(folder);
  const feed = new MarketFeed(exchange);
  const tokens = isLoopback(host)
    ? (options.demoTokens ?? new Map<string, string>())
    : new Map<string, string>();
  const gate = new AccountGate(keys, tokens, options.now);
  const adminGate = new AdminGate(folder, options.now);
  await feed.start();
  const stream = new Stream({
    exchange,
    feed,
    gate,
    ...(options.streamLimits && { limits: options.streamLimits }),
  });
  const listeners: HttpListener[] = [];
  const metrics: Metrics = new Metrics({
    exchange,
    feed,
    connections: () => listeners.reduce((sum, one) => sum + one.connections, 0),
    stream: () => stream,
  });
  const fault = (error: unknown): void => {
    metrics.fault();
    options.onFault?.(error);
  };
  const common = {
    host,
    explain: refusalOf,
    onAnswer: (route: string, status: number, elapsedMs: number) =>
      metrics.answered(route, status, elapsedMs),
    onFault: fault,
    ...(options.httpLimits && { limits: options.httpLimits }),
  };
  const routes = {
    public: [...orderRoutes(exchange, feed), ...marketRoutes({ exchange, feed, metrics, version })],
    admin: adminRoutes({ exchange, feed, keys }),
  };
  const open = new HttpListener({
    ...common,
    port: options.port,
    routes: routes.public,
    gate,
    onUpgrade: (request, socket, head) => stream.upgrade(request, socket, head),
  });
  const admin = new HttpListener({
    ...common,
    port: options.adminPort,
    routes: routes.admin,
    gate: adminGate,
  });
  listeners.push(open, admin);
  const close = async (): Promise<void> => {
    await stream.close();
    await Promise.all(listeners.map((listener) => listener.close()));
    feed.stop();
  };
  try {
    const [{ port }, { port: adminPort }] = [await open.listen(), await admin.listen()];
    return {
      host,
      port,
      adminPort,
      adminKey: adminGate.secret,
      feed,
      stream,
      keys,
      get connections() {
        return listeners.reduce((sum, one) => sum + one.connections, 0);
      },
      routes,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
